"""Study cpiVAE: tables are read and aligned as they are, and nothing of held-out samples reaches what is fitted."""

from __future__ import annotations

import gzip
import logging

import numpy as np
import pytest
from cpivae_toy import changed, tiny_settings, toy_data, toy_tables

from genet5.errors import InputError
from genet5.studies.cpivae.batches import EpochBatches
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.preprocessing import Preprocessor, load_preprocessors, save_preprocessors, split_samples
from genet5.studies.cpivae.settings import merged
from genet5.studies.cpivae.simulation import Simulation, simulate
from genet5.studies.cpivae.tables import Table, align, read_labels, read_table, write_table


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_is_read_whatever_its_separator_and_packing(tmp_path, separator, packed):
    text = "id,g1,g2\nS1,1.5,\n007,NA,-2\n".replace(",", separator)
    path = tmp_path / "table.csv"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    table = read_table(path)
    assert (table.samples, table.features) == (["S1", "007"], ["g1", "g2"])
    np.testing.assert_equal(table.values, [[1.5, np.nan], [np.nan, -2]])


def test_a_field_may_hold_the_separator_and_a_line_nothing(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('id,"g,1",g2\n"S,1",1,2\n\n  \nS2,,4\n')
    table = read_table(path)
    assert (table.samples, table.features) == (["S,1", "S2"], ["g,1", "g2"])
    np.testing.assert_equal(table.values, [[1, 2], [np.nan, 4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,g1\nS1,1\nS1,2\n", "sample 'S1' stands there twice"),
        ("id,g1,g1\nS1,1,2\n", "feature 'g1' stands there twice"),
        ("id,g1\nS1,1\nS2,high\n", "line 3, column 'g1': 'high' is not a number"),
        ("id,g1\nS1,inf\n", "line 2, column 'g1' is infinite"),
        ("id,g1\n,3\n", "line 2 has no sample id"),
        ("id\nS1\n", "1 column, expected sample ids and at least one feature"),
        ("id,g1\n", "no samples"),
        # As write.table of R leaves them: no name above the sample ids.
        ("g1\tg2\nS1\t1\t2\nS2\t3\t4\n", "line 2 has 3 fields, expected 2 as the header"),
        ("id,g1,g2\nS1,1,2\nS2,3,4,\n", "line 3 has 4 fields, expected 3 as the header"),
        ("id,g1,g2\nS1,1,2\n\nS2,3\n", "line 4 has 2 fields, expected 3 as the header"),
    ],
)
def test_a_broken_table_is_named_with_its_place(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"table.csv: {message}"):
        read_table(path)
    with pytest.raises(InputError, match=r"none.csv: cannot read the table"):
        read_table(tmp_path / "none.csv")


def test_samples_are_matched_by_id_and_the_others_named(caplog):
    a = Table("a.csv", ["S3", "S1", "S9"], ["g"], np.array([[3.0], [1.0], [9.0]]))
    b = Table("b.csv", ["S1", "S2", "S3"], ["h"], np.array([[10.0], [20.0], [30.0]]))
    with caplog.at_level(logging.WARNING):
        left, right = align(a, b)
    assert left.samples == right.samples == ["S1", "S3"]
    assert (left.values[:, 0].tolist(), right.values[:, 0].tolist()) == ([1, 3], [10, 30])
    assert "a.csv: 1 samples are not in b.csv and left out: S9" in caplog.text
    assert "b.csv: 1 samples are not in a.csv and left out: S2" in caplog.text
    with pytest.raises(InputError, match="share no sample id"):
        align(a, Table("c.csv", ["X"], ["h"], np.zeros((1, 1))))


def test_splits_have_their_shares_and_follow_the_seed():
    shares = {"train_split": 0.7, "val_split": 0.1, "test_split": 0.2}
    splits = split_samples(50, shares, 1)
    assert {name: int((splits == name).sum()) for name in ("train", "val", "test")} == {
        "train": 35,
        "val": 5,
        "test": 10,
    }
    assert (splits == split_samples(50, shares, 1)).all() and (splits != split_samples(50, shares, 2)).any()
    with pytest.raises(InputError, match=r"4 samples are too few for splits of 0.7, 0.1, 0.2"):
        split_samples(4, shares, 1)


@pytest.mark.parametrize("strategy", ["mean", "median", "knn"])
@pytest.mark.parametrize("normalization", ["zscore", "minmax", "robust"])
def test_nothing_that_is_fitted_sees_held_out_values(strategy, normalization):
    log = {"log_transform": {"platform_a": {"enabled": True}}}
    settings = tiny_settings(data={"missing_value_strategy": strategy, "normalization": normalization, **log})
    a, b = toy_tables()
    before = PairedData.prepare(a, b, settings["data"])
    held_out = np.flatnonzero(before.splits != "train")
    rng = np.random.default_rng(0)
    # Other values far below and above, and other gaps.
    wild = rng.normal(0, 100, (len(held_out), len(a.features)))
    wild[rng.random(wild.shape) < 0.3] = np.nan
    after = PairedData.prepare(changed(a, held_out, wild), b, settings["data"])
    assert (before.splits == after.splits).all()
    for name in ("fill", "center", "scale"):
        np.testing.assert_array_equal(getattr(before.preprocessors["a"], name), getattr(after.preprocessors["a"], name))
    assert before.preprocessors["a"].shift == after.preprocessors["a"].shift
    np.testing.assert_array_equal(before.parts["train"].values["a"], after.parts["train"].values["a"])
    assert not np.array_equal(before.parts["test"].values["a"], after.parts["test"].values["a"])


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        ("zscore", (np.array([0, 1, 2, 3, 10]) - 3.2) / np.std([0, 1, 2, 3, 10])),
        ("minmax", np.array([0, 0.1, 0.2, 0.3, 1])),
        ("robust", (np.array([0, 1, 2, 3, 10]) - 2) / 2),
    ],
)
def test_scaling_is_what_its_name_says(normalization, expected):
    data = merged(tiny_settings()["data"], {"normalization": normalization})
    table = Table("t", list("vwxyz"), ["g"], np.array([[0], [1], [2], [3], [10.0]]))
    scaled, observed = Preprocessor.fit(table, data, "a").transform(table)
    np.testing.assert_allclose(scaled[:, 0], expected, rtol=1e-6)
    assert observed.all()


@pytest.mark.parametrize("normalization", ["zscore", "minmax", "robust"])
def test_a_constant_feature_is_seen_whatever_its_size_and_a_small_one_is_not_constant(normalization, caplog):
    rng = np.random.default_rng(1)
    values = np.column_stack([np.full(97, 123456.789), np.zeros(97), 1e-7 * rng.normal(size=97)])
    data = merged(tiny_settings()["data"], {"normalization": normalization})
    with caplog.at_level(logging.WARNING):
        fitted = Preprocessor.fit(Table("t", [f"s{i}" for i in range(97)], list("ghi"), values), data, "a")
    assert fitted.scale[:2].tolist() == [1, 1] and 0 < fitted.scale[2] < 1e-6
    assert "t: 2 features do not vary in training samples" in caplog.text


def test_a_feature_whose_quartiles_are_equal_is_scaled_by_its_deviation(caplog):
    values = np.array([[5.0, 7], [5, 7], [5, 7], [5, 7], [5, 7], [1, 7], [900, 7]])
    data = merged(tiny_settings()["data"], {"normalization": "robust"})
    with caplog.at_level(logging.WARNING):
        fitted = Preprocessor.fit(Table("t", list("abcdefg"), ["g", "h"], values), data, "a")
    assert fitted.center.tolist() == [5, 7] and fitted.scale.tolist() == [values[:, 0].std(), 1]
    assert "t: 1 features do not vary in training samples" in caplog.text


@pytest.mark.parametrize(("strategy", "filled"), [("mean", 4.0), ("median", 2.5), ("knn", 2.5)])
def test_gaps_are_filled_as_asked_and_before_the_logarithm(strategy, filled):
    data = merged(
        tiny_settings()["data"],
        {
            "missing_value_strategy": strategy,
            "knn_neighbors": 2,
            "normalization": "minmax",
            "log_transform": {"platform_a": {"enabled": True, "epsilon": 1.0}},
        },
    )
    # The neighbours of d by their second feature are b (1) and e (3).
    values = np.array([[1.0, 8], [2, 1], [10, 9], [np.nan, 2], [3, 3]])
    table = Table("t", list("abcde"), ["g", "h"], values)
    fitted = Preprocessor.fit(table, data, "a")
    assert fitted.shift == 0.0
    scaled, observed = fitted.transform(table)
    assert observed.sum() == 9 and not observed[3, 0]
    found = fitted.inverse(scaled)
    np.testing.assert_allclose(found[3, 0], filled, rtol=1e-5)
    np.testing.assert_allclose(found[[0, 1, 2, 4]], values[[0, 1, 2, 4]], rtol=1e-5)


def test_negative_values_are_shifted_once_for_a_platform_and_come_back():
    data = merged(tiny_settings()["data"], {"log_transform": {"platform_a": {"enabled": True, "epsilon": 0.5}}})
    table = Table("t", list("abc"), ["g", "h"], np.array([[-3.0, 5], [1, 7], [4, 9]]))
    fitted = Preprocessor.fit(table, data, "a")
    assert fitted.shift == 3.5
    np.testing.assert_allclose(fitted.inverse(fitted.transform(table)[0]), table.values, rtol=1e-5)
    below = Table("t", ["z"], ["g", "h"], np.array([[-50.0, 5]]))
    assert np.isfinite(fitted.transform(below)[0]).all()


def test_drop_leaves_out_whole_samples_of_both_platforms(caplog):
    a, b = toy_tables()
    whole = [not np.isnan(np.concatenate([x, y])).any() for x, y in zip(a.values, b.values, strict=True)]
    with caplog.at_level(logging.WARNING):
        data = PairedData.prepare(a, b, tiny_settings(data={"missing_value_strategy": "drop"})["data"])
    assert f"a.csv, b.csv: {len(whole) - sum(whole)} of {len(whole)} samples have an empty cell" in caplog.text
    assert 0 < sum(whole) < len(whole)
    assert data.tables["a"].samples == [name for name, kept in zip(a.samples, whole, strict=True) if kept]
    assert sum(len(part.samples) for part in data.parts.values()) == sum(whole)


@pytest.mark.parametrize("strategy", ["mean", "knn"])
def test_what_was_fitted_comes_back_from_its_files(tmp_path, strategy):
    data = toy_data(tiny_settings(data={"missing_value_strategy": strategy}))
    save_preprocessors(tmp_path, data.preprocessors)
    loaded = load_preprocessors(tmp_path)
    for platform, table in data.tables.items():
        again, first = (fitted[platform].transform(table) for fitted in (loaded, data.preprocessors))
        np.testing.assert_array_equal(again[0], first[0])
        np.testing.assert_array_equal(again[1], first[1])
    assert not list(tmp_path.glob("*.pkl"))
    with pytest.raises(InputError, match="no complete preprocessing"):
        load_preprocessors(tmp_path / "none")


def test_new_tables_are_matched_by_name_not_by_place(caplog):
    fitted = toy_data().preprocessors["a"]
    a, _ = toy_tables()
    order = np.random.default_rng(1).permutation(len(a.features))
    mixed = Table("new.csv", a.samples, [a.features[i] for i in order], a.values[:, order])
    np.testing.assert_array_equal(fitted.transform(mixed)[0], fitted.transform(a)[0])
    less = Table("new.csv", a.samples, [*a.features[1:], "unknown"], np.column_stack([a.values[:, 1:], a.values[:, 0]]))
    with caplog.at_level(logging.WARNING):
        values, observed = fitted.transform(less)
    assert not observed[:, 0].any() and np.allclose(values[:, 0], values[0, 0])
    assert "1 features of the model are absent" in caplog.text and "1 features are unknown" in caplog.text
    with pytest.raises(InputError, match="has none of the 14 features"):
        fitted.transform(Table("new.csv", ["s"], ["unknown"], np.ones((1, 1))))


def test_a_feature_without_training_values_is_left_out_with_a_warning(caplog):
    a, b = toy_tables()
    settings = tiny_settings()
    train = np.flatnonzero(PairedData.prepare(a, b, settings["data"]).splits == "train")
    values = a.values.copy()
    values[train, 3] = np.nan
    with caplog.at_level(logging.WARNING):
        data = PairedData.prepare(Table("a.csv", a.samples, a.features, values), b, settings["data"])
    assert data.widths == {"a": 13, "b": 18} and a.features[3] not in data.preprocessors["a"].features
    assert f"1 features have no value in training samples and are left out: {a.features[3]}" in caplog.text


def test_an_epoch_shows_each_row_once_and_epochs_differ():
    batches = EpochBatches(33, 8, seed=3, shuffle=True)
    first = list(batches)
    assert sorted(row for batch in first for row in batch) == list(range(33))
    assert [len(batch) for batch in first] == [8, 8, 8, 9]
    batches.set_epoch(1)
    second = list(batches)
    assert second != first
    batches.set_epoch(0)
    assert list(batches) == first
    assert list(EpochBatches(33, 8, seed=4, shuffle=True)) != first


def test_processes_share_the_batches_of_an_epoch():
    parts = [list(EpochBatches(40, 8, 3, True, rank, 2)) for rank in range(2)]
    whole = list(EpochBatches(40, 8, 3, True))
    assert len(parts[0]) == len(parts[1]) == 3
    assert {tuple(batch) for part in parts for batch in part} == {tuple(batch) for batch in whole}


def test_a_simulation_has_the_noise_and_the_gaps_it_was_asked_for():
    options = Simulation(samples=3000, features_a=40, features_b=50, shared=30, factors=10, noise_range=(0.5, 0.5),
                         sample_error=0.0, interference=0.0, missing=0.04)  # fmt: skip
    samples, a, b = simulate(options)
    assert len(samples) == 3000 and a.values.shape == (3000, 40) and b.truth.shape == (3000, 50)
    r = [np.corrcoef(v[~np.isnan(v)], t[~np.isnan(v)])[0, 1] for v, t in zip(a.values.T, a.truth.T, strict=True)
         if not np.isnan(v).any()]  # fmt: skip
    # Half of the variance is noise: values and truth correlate by the root of a half.
    np.testing.assert_allclose(np.mean(r), np.sqrt(0.5), atol=0.01)
    assert 0.01 < np.isnan(a.values).mean() < 0.09
    shared = [a.features.index(f"olink_{name.removeprefix('soma_')}") for name in b.features[:30]]
    own = [np.corrcoef(a.truth[:, i], b.truth[:, j])[0, 1] for j, i in enumerate(shared)]
    assert np.min(own) > 0.9
    again = simulate(options)[1]
    np.testing.assert_array_equal(a.values, again.values)


def test_tables_and_labels_come_back_as_written(tmp_path):
    values = np.array([[1.25, np.nan], [-3e-7, 4e8]])
    write_table(tmp_path / "t.csv.gz", "id", ["s1", "s2"], ["g,1", "g2"], values)
    table = read_table(tmp_path / "t.csv.gz")
    assert (table.samples, table.features) == (["s1", "s2"], ["g,1", "g2"])
    np.testing.assert_allclose(table.values, values, rtol=1e-5)
    (tmp_path / "labels.csv").write_text("id,subtype\ns1,Her2\ns2,LumA\n")
    assert read_labels(tmp_path / "labels.csv") == {"s1": "Her2", "s2": "LumA"}
