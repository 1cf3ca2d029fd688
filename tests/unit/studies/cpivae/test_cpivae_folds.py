"""Study cpiVAE: cross-validation tests each sample once, with nothing of it in the training, and counts right."""

from __future__ import annotations

import collections
import csv
import json
import shutil

import cpivae_baseline
import cpivae_compare
import cpivae_gather
import cpivae_train
import numpy as np
import pytest
import yaml
from cpivae_toy import TINY, changed, tiny_settings, toy_data, toy_tables, write_toy

from genet5.errors import InputError
from genet5.studies.cpivae import metrics
from genet5.studies.cpivae.evaluation import evaluate, read_result, remembered, write_result
from genet5.studies.cpivae.folds import assign_folds, fold_splits, pattern_labels
from genet5.studies.cpivae.out_of_fold import centred, gather, write_predictions
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.settings import check_settings, merged
from genet5.studies.cpivae.tables import read_table

SAMPLES = 60


def fold_data(fold: int, folds: int = 3, tables=None, labels=None, **data) -> PairedData:
    """The toy pair, split for a fold."""
    options = {"folds": folds, "fold": fold, "stratify": labels is not None}
    settings = tiny_settings(data={"cross_validation": options, **data})
    return PairedData.prepare(*(tables or toy_tables()), settings["data"], labels)


@pytest.mark.parametrize(("number", "folds"), [(60, 5), (61, 4), (7, 7), (10, 3)])
def test_each_sample_is_in_one_fold_and_folds_are_of_one_size(number, folds):
    dealt = assign_folds(number, folds, seed=3)
    sizes = np.bincount(dealt, minlength=folds)
    assert len(dealt) == number and sizes.sum() == number and np.ptp(sizes) <= 1
    np.testing.assert_array_equal(dealt, assign_folds(number, folds, seed=3))
    if number > 10:
        assert (dealt != assign_folds(number, folds, seed=4)).any()


def test_labels_are_spread_alike_over_folds():
    labels = ["common"] * 40 + ["rare"] * 9 + ["single"]
    dealt = assign_folds(50, 5, seed=0, labels=labels)
    assert np.ptp(np.bincount(dealt)) == 0
    for label, count in collections.Counter(labels).items():
        found = np.bincount(dealt[[name == label for name in labels]], minlength=5)
        assert found.sum() == count and np.ptp(found) <= 1
    # Without labels, chance spreads them: for some seed one fold has none of nine rare samples, or four.
    chance = [np.bincount(assign_folds(50, 5, seed)[40:49], minlength=5) for seed in range(20)]
    assert max(np.ptp(found) for found in chance) > 1


def test_the_test_splits_of_all_folds_are_a_partition_and_the_rest_is_divided_as_asked():
    parts = [fold_data(fold, folds=5, train_split=0.6, val_split=0.2, test_split=0.2).parts for fold in range(5)]
    tested = [name for part in parts for name in part["test"].samples]
    assert sorted(tested) == toy_tables()[0].samples and len(set(tested)) == SAMPLES
    for part in parts:
        assert [len(part[split].samples) for split in ("train", "val", "test")] == [36, 12, 12]
        assert len({name for split in part.values() for name in split.samples}) == SAMPLES
    assert parts[0]["val"].samples != parts[1]["val"].samples


def test_a_fold_is_the_same_for_whoever_asks_and_normalisation_sees_its_training_samples_alone():
    a, b = toy_tables()
    before = fold_data(1, tables=(a, b))
    held_out = np.flatnonzero(before.splits != "train")
    again = fold_data(1, tables=(changed(a, held_out, 99.0), changed(b, held_out, np.nan)))
    np.testing.assert_array_equal(before.splits, again.splits)
    for platform, fitted in before.preprocessors.items():
        for name in ("fill", "center", "scale"):
            np.testing.assert_array_equal(getattr(fitted, name), getattr(again.preprocessors[platform], name))
    train = np.flatnonzero(before.splits == "train")
    np.testing.assert_allclose(before.preprocessors["a"].fill, np.nanmean(a.values[train], axis=0))
    assert (fold_data(2).preprocessors["a"].fill != before.preprocessors["a"].fill).all()


def perfect(part, source, target):
    return part.values[target], np.zeros_like(part.values[target])


def folds_of(folder, predictor_of_fold, folds: int = 3, **data) -> list:
    """Folders of runs whose predictor is made for each fold."""
    made = []
    for fold in range(folds):
        prepared = fold_data(fold, folds, **data)
        predictor = remembered(predictor_of_fold(fold))
        result, arrays, _ = evaluate(predictor, prepared, 10, 1)
        made.append(folder / f"fold_{fold}")
        write_predictions(predictor, prepared, made[-1])
        facts = {"model_type": "toy", "random_seed": 42, "training_s": 1.0}
        options = {"folds": folds, "fold": fold, "stratify": False}
        write_result(made[-1], {**facts, "cross_validation": options, **result}, arrays)
    return made


def test_a_perfect_predictor_scores_one_in_each_fold_and_over_all(tmp_path):
    folders = folds_of(tmp_path, lambda fold: perfect)
    result = gather(folders, tmp_path / "all", 30, 1)
    for way in ("a_to_b", "b_to_a"):
        for fold in result["folds"]:
            assert fold["test"][way]["corr_mean"] == pytest.approx(1) and fold["samples"] == 20
        row = result["test"][way]
        assert row["corr_mean"] == pytest.approx(1) and row["sample_corr_mean"] == pytest.approx(1)
        assert row["pooled_corr_mean"] == pytest.approx(1) and row["rmse"] == pytest.approx(0, abs=1e-6)
        assert row["intervals"]["corr_mean"] == pytest.approx((1, 1)) and row["coverage"]["0.9"] == 1
    assert result["samples"] == {"train": 36, "val": 4, "test": SAMPLES}
    # In the units of the platform it is the table itself, where something was measured.
    for platform, table in zip("ab", toy_tables(), strict=True):
        written = read_table(tmp_path / f"all/out_of_fold_{platform}.csv.gz")
        assert written.samples == table.samples and written.features == table.features
        seen = ~np.isnan(table.values)
        np.testing.assert_allclose(written.values[seen], table.values[seen], rtol=1e-4, atol=1e-4)
    assert read_result(tmp_path / "all")[0] == json.loads(json.dumps(result))


def test_a_damaged_predictor_scores_what_is_computed_by_hand(tmp_path):
    """Right in two folds, and with the wrong sign in the other one."""

    def damaged(part, source, target):
        mean, variance = perfect(part, source, target)
        return -mean, variance

    folders = folds_of(tmp_path, lambda fold: damaged if fold == 1 else perfect)
    result = gather(folders, tmp_path / "all", 200, 1)
    _, b = toy_tables()
    truth, observed = np.zeros((SAMPLES, 18)), ~np.isnan(b.values)
    predicted = np.zeros_like(truth)
    for fold in range(3):
        splits = fold_data(fold).splits
        train, test = b.values[splits == "train"], splits == "test"
        filled = np.where(np.isnan(train), np.nanmean(train, axis=0), train)
        truth[test] = (b.values[test] - filled.mean(axis=0)) / filled.std(axis=0)
        predicted[test] = (-1 if fold == 1 else 1) * truth[test]
    by_hand = [np.corrcoef(predicted[o, f], truth[o, f])[0, 1] for f, o in enumerate(observed.T)]
    row = result["test"]["a_to_b"]
    assert row["pooled_corr_mean"] == pytest.approx(np.mean(by_hand), abs=1e-5) and np.mean(by_hand) < 0.5
    assert [fold["test"]["a_to_b"]["corr_mean"] for fold in result["folds"]] == pytest.approx([1, -1, 1])
    assert row["corr_mean"] == pytest.approx(1 / 3) and row["corr_median"] == pytest.approx(1 / 3)
    # By sample: 1 for two thirds of the samples, -1 for the others.
    assert row["sample_corr_mean"] == pytest.approx(1 / 3)
    low, high = row["intervals"]["sample_corr_mean"]
    assert low < 1 / 3 < high and 0.2 < high - low < 0.8
    _, arrays = read_result(tmp_path / "all")
    np.testing.assert_allclose(arrays["a_to_b_feature_corr"], 1 / 3, atol=1e-5)


def test_intervals_are_over_all_samples_and_as_wide_as_chance_allows(tmp_path):
    """A predictor that is right but for noise: the scores of other noise fall into the interval."""
    rng = np.random.default_rng(1)

    def score(folder, resamples: int):
        def noisy(part, source, target):
            mean = part.values[target] + rng.standard_normal(part.values[target].shape)
            return mean.astype(np.float32), np.zeros_like(mean)

        return gather(folds_of(folder, lambda fold: noisy), folder / "all", resamples, 1)["test"]["a_to_b"]

    row = score(tmp_path / "first", 300)
    low, high = row["intervals"]["corr_mean"]
    assert low < row["corr_mean"] < high and 0.02 < high - low < 0.2
    _, arrays = read_result(tmp_path / "first/all")
    assert arrays["a_to_b_corr_mean_draws"].mean() == pytest.approx(row["corr_mean"])
    others = [score(tmp_path / f"{number}", 0)["corr_mean"] for number in range(6)]
    assert low - 0.05 < min(others) and max(others) < high + 0.05


def test_intervals_of_small_folds_hold_what_they_promise():
    """Normal features that follow five factors, 60 samples in four folds: 95 % intervals of the mean of the folds."""
    rng = np.random.default_rng(0)
    loadings = 0.4 * rng.standard_normal((5, 60))
    estimates, plain, moved = [], [], []
    for _ in range(400):
        scores, draws = [], []
        for _ in range(4):
            factors = rng.standard_normal((15, 5))
            truth = factors @ loadings + 0.6 * rng.standard_normal((15, 60))
            predicted = 0.8 * factors @ loadings + 0.5 * rng.standard_normal((15, 60))
            everything = np.ones(truth.shape, dtype=bool)
            counts = rng.poisson(1.0, (150, 15)).astype(float)
            scores.append(metrics.mean(metrics.feature_correlations(predicted, truth, everything)))
            draws.append(metrics.bootstrap(predicted, truth, everything, counts)["corr_mean"])
        estimates.append(np.mean(scores))
        plain.append(metrics.interval(np.mean(draws, axis=0)))
        moved.append(metrics.interval(centred(np.mean(draws, axis=0), estimates[-1])))
    true = np.mean(estimates)
    held = [np.mean([low <= true <= high for low, high in intervals]) for intervals in (plain, moved)]
    assert held[0] < 0.92 < held[1]


def test_folds_whose_predictions_spread_differently_score_what_they_score_within(tmp_path):
    """A penalty is chosen in each fold; a stronger one makes predictions smaller, and that is no error of rank."""

    def times(factor):
        return lambda part, source, target: (factor * part.values[target], np.zeros_like(part.values[target]))

    result = gather(folds_of(tmp_path, lambda fold: times((1, 0.01, 3)[fold])), tmp_path / "all", 5, 1)
    row = result["test"]["a_to_b"]
    assert row["corr_mean"] == pytest.approx(1) and row["pooled_corr_mean"] < 0.9


def test_the_mean_of_training_samples_predicts_nothing_over_folds_either(tmp_path):
    """A fold's mean is low where its test samples are high: in units of the platform, that would be a negative r."""

    def mean(part, source, target):
        return np.zeros_like(part.values[target]), np.zeros_like(part.values[target])

    result = gather(folds_of(tmp_path, lambda fold: mean), tmp_path / "all", 5, 1)
    assert result["test"]
    for row in result["test"].values():
        assert row["corr_mean"] == 0 and row["pooled_corr_mean"] == 0


def test_a_feature_that_a_fold_could_not_learn_is_left_empty_there(tmp_path):
    a, b = toy_tables()
    first = fold_data(0)
    b.values[first.splits != "test", 2] = np.nan  # seen in the test samples of fold 0 alone
    result = gather(folds_of(tmp_path, lambda fold: perfect, tables=(a, b)), tmp_path / "all", 5, 1)
    written = read_table(tmp_path / "all/out_of_fold_b.csv.gz")
    column = written.values[:, written.features.index(b.features[2])]
    np.testing.assert_array_equal(np.isnan(column), first.splits == "test")
    assert result["features"] == {"a": 14, "b": 18}


def test_folders_that_are_no_cross_validation_are_refused_in_one_line(tmp_path):
    folders = folds_of(tmp_path / "a", lambda fold: perfect)
    others = folds_of(tmp_path / "b", lambda fold: perfect, folds=2)
    renamed = tmp_path / "renamed"
    shutil.copytree(folders[2], renamed)
    for changes, message in (
        ({}, r"sample 'S\d+' is also tested in .*fold_0"),
        ({"random_seed": 43}, r"random_seed 43, but 42 in .*fold_0"),
        ({"model_type": "x"}, r"model_type x, but toy in .*fold_0"),
    ):
        result, arrays = read_result(folders[0])
        options = {"cross_validation": {"folds": 3, "fold": 2, "stratify": False}}
        shutil.copy(folders[0] / "predictions.npz", renamed / "predictions.npz")
        write_result(renamed, {**result, **options, **changes}, arrays)
        with pytest.raises(InputError, match=message):
            gather([*folders[:2], renamed], tmp_path / "all", 5, 1)
    for given, message in (
        (folders[:2], r"found folds 0, 1, expected each of 0 to 2 once"),
        ([*folders, folders[1]], r"found folds 0, 1, 1, 2, expected each of 0 to 2 once"),
        ([folders[0], others[1]], r"one of 2 folds, but .* is one of 3"),
        ([tmp_path], r"result\.json: cannot be read: No such file"),
    ):
        with pytest.raises(InputError, match=message) as error:
            gather(given, tmp_path / "all", 5, 1)
        assert "\n" not in str(error.value)
    (folders[1] / "predictions.npz").write_bytes(b"x")
    with pytest.raises(InputError, match=r"predictions.npz: no predictions of a fold"):
        gather(folders, tmp_path / "all", 5, 1)
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, r"data.cross_validation.folds: 1 is not allowed \(0: no cross-validation; at least 2 folds\)"),
        ({"folds": 3, "fold": 3}, r"data.cross_validation.fold: 3 is not allowed \(0 to 2\)"),
        ({"fold": 1}, r"data.cross_validation.fold: 1 is not allowed \(0 without folds\)"),
        ({"stratify": True}, r"data.cross_validation.stratify: true is for cross-validation alone"),
        ({"folds": -2}, r"data.cross_validation.folds: -2"),
    ],
)
def test_mistakes_in_the_settings_are_named(options, message):
    with pytest.raises(InputError, match=f"mine, key {message}"):
        check_settings(tiny_settings(data={"cross_validation": options}), "mine")


def test_mistakes_that_the_samples_show_are_named():
    with pytest.raises(InputError, match=r"folds: 21, but 60 samples allow at most 20 \(at least 3 samples in a fold"):
        fold_data(0, folds=21)
    assert len(fold_data(19, folds=20).parts["test"].samples) == 3
    with pytest.raises(InputError, match=r"6 samples are too few for 2 folds"):
        shares = {"train_split": 0.2, "val_split": 0.7, "test_split": 0.1}
        settings = tiny_settings(data={"cross_validation": {"folds": 2, "fold": 0}, **shares})
        fold_splits(6, settings["data"])
    with pytest.raises(InputError, match=r"stratify: true, but no labels are given"):
        fold_data(0, cross_validation={"folds": 3, "fold": 0, "stratify": True})
    with pytest.raises(InputError, match=r"none of the 60 samples has a label \(first one: S00000\)"):
        fold_data(0, labels=lambda samples: {"other": "x"})
    with pytest.raises(InputError, match=r"'\^S': expected a group in brackets"):
        pattern_labels(["S1"], "^S")
    with pytest.raises(InputError, match=r"'\(': not a regular expression"):
        pattern_labels(["S1"], "(")


def test_commands_make_the_folds_and_put_them_together(tmp_path, capsys):
    """Models and baselines test the same samples, labels are spread alike, and the report shows all of it."""
    a, b = write_toy(tmp_path)
    labels = {name: "odd" if int(name[1:]) % 3 == 0 else "even" for name in toy_tables()[0].samples}
    (tmp_path / "labels.csv").write_text("id,label\n" + "".join(f"{k},{v}\n" for k, v in labels.items()))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(merged(TINY, {"training": {"max_epochs": 2}})))
    common = ["--config", tmp_path / "c.yaml", "--platform-a", a, "--platform-b", b, "--bootstrap", 20, "--folds", 3]
    common += ["--labels", tmp_path / "labels.csv"]
    study = tmp_path / "study"
    for fold in range(3):
        words = ["--fold", fold, "--output-dir", study / "outputs/toy", "--experiment-name", "joint_vae"]
        cpivae_train.main([*map(str, [*common, *words, "--version", f"seed_42_fold_{fold}"])])
        for name in ("mean", "ridge"):
            words = ["--fold", fold, "--baseline", name, "--output-dir"]
            cpivae_baseline.main([*map(str, [*common, *words, study / f"baselines/toy/{name}/seed_42_fold_{fold}"])])
    dealt = []
    for kind in ("outputs/toy/joint_vae", "baselines/toy/mean", "baselines/toy/ridge"):
        folders = [study / kind / f"seed_42_fold_{fold}" for fold in (2, 0, 1)]
        words = ["--folders", *folders, "--output-dir", study / kind / "seed_42", "--bootstrap", 20]
        capsys.readouterr()
        cpivae_gather.main([*map(str, words)])
        assert "a_to_b, 60 samples in 3 folds: r " in capsys.readouterr().out
        with (study / kind / "seed_42/folds.tsv").open() as stream:
            dealt.append({row["sample"]: int(row["fold"]) for row in csv.DictReader(stream, delimiter="\t")})
    assert dealt[0] == dealt[1] == dealt[2] and len(dealt[0]) == SAMPLES
    odd = np.bincount([fold for name, fold in dealt[0].items() if labels[name] == "odd"], minlength=3)
    assert sum(odd) == 20 and np.ptp(odd) <= 1
    words = ["--run", "toy", "--study", study, "--pairs", "toy", "--models", "joint_vae", "--baselines", "toy=mean"]
    words += ["toy=ridge", "--seeds", 42, "--folds", 3, "--output-dir", tmp_path / "report"]
    cpivae_compare.main([*map(str, words)])
    assert "toy: 60 samples in 3 folds, each with 36 train and 4 val; 14 and 18" in capsys.readouterr().out
    entry = json.loads((tmp_path / "report/comparison.json").read_text())["toy"]
    assert entry["folds"] == 3 and entry["rows"]["ridge"]["splits"] == 3
    assert 0 <= entry["rows"]["joint_vae"]["over_best_baseline"]["splits_won"] <= 3
    page = (tmp_path / "report/index.html").read_text()
    assert "pooled r" in page and "of 3 test splits" in page and page.count("data:image/png") == 4


def test_a_run_without_folds_is_none_of_a_cross_validation(tmp_path):
    a, b = write_toy(tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(TINY))
    words = ["--config", tmp_path / "c.yaml", "--platform-a", a, "--platform-b", b, "--baseline", "mean"]
    cpivae_baseline.main([*map(str, [*words, "--output-dir", tmp_path / "run", "--bootstrap", 5])])
    assert not (tmp_path / "run/predictions.npz").exists()
    with pytest.raises(InputError, match=r"run: not a run of a cross-validation \(data.cross_validation.folds, or"):
        gather([tmp_path / "run"], tmp_path / "all", 5, 1)
    with pytest.raises(InputError, match=r"--labels, --label-pattern: give one of them"):
        cpivae_baseline.main([*map(str, [*words, "--output-dir", "x", "--labels", a, "--label-pattern", "(S)"])])
    with pytest.raises(InputError, match=r"--folds, --fold, --labels, key data.cross_validation.stratify: true is for"):
        cpivae_baseline.main([*map(str, [*words, "--output-dir", "x", "--label-pattern", "(S)"])])
    assert toy_data().splits.tolist().count("test") == 6
