"""Study cpiVAE: scores, intervals and baselines against answers that are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from cpivae_toy import changed, tiny_settings

from genet5.studies.cpivae import metrics
from genet5.studies.cpivae.baselines import baseline_predictor, truth_predictor
from genet5.studies.cpivae.comparison import Run, compare, difference, read_run, table_text, table_tsv
from genet5.studies.cpivae.evaluation import coverage, evaluate, share_closer, write_result
from genet5.studies.cpivae.intervals import Intervals, read_intervals, write_intervals
from genet5.studies.cpivae.names import BASELINES
from genet5.studies.cpivae.page import build_page
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.tables import Table
from genet5.studies.cpivae.wnn import neighbor_graph, supervised_axes, transfer_weights


def linear_tables() -> list[Table]:
    """Platform b is a linear function of a, with little noise."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((120, 3))
    a = z @ rng.standard_normal((3, 9)) + 0.05 * rng.standard_normal((120, 9))
    b = z @ rng.standard_normal((3, 12)) + 0.05 * rng.standard_normal((120, 12))
    names = [f"S{i:03d}" for i in range(120)]
    return [Table(name, names, [f"{name}{i}" for i in range(v.shape[1])], v) for name, v in (("a", a), ("b", b))]


@pytest.fixture(scope="module")
def linear() -> PairedData:
    return PairedData.prepare(*linear_tables(), tiny_settings()["data"])


def test_a_perfect_prediction_scores_one_and_a_damaged_one_what_is_computed_by_hand():
    truth = np.array([[1.0, 2, 3], [2, 4, 1], [3, 9, 2], [5, 1, 7]])
    observed = np.ones_like(truth, dtype=bool)
    perfect = metrics.scores(truth, truth, observed)
    for key in ("corr_mean", "corr_median", "sample_corr_mean", "corr", "r2", "mean_feature_r2", "frac_r2_above_0.7"):
        assert perfect[key] == pytest.approx(1), key
    assert perfect["rmse"] == 0
    damaged = truth.copy()
    damaged[:, 0] = [5, 3, 2, 1]
    r = np.corrcoef(damaged[:, 0], truth[:, 0])[0, 1]
    found = metrics.scores(damaged, truth, observed)
    assert found["corr_mean"] == pytest.approx((r + 2) / 3)
    assert found["rmse"] == pytest.approx(np.sqrt((16 + 1 + 1 + 16) / 12))
    r2 = 1 - (16 + 1 + 1 + 16) / ((truth[:, 0] - 2.75) ** 2).sum()
    assert found["mean_feature_r2"] == pytest.approx((r2 + 2) / 3)
    rows = [np.corrcoef(x, y)[0, 1] for x, y in zip(damaged, truth, strict=True)]
    assert found["sample_corr_mean"] == pytest.approx(np.mean(rows))


def test_cells_that_were_not_measured_do_not_count():
    rng = np.random.default_rng(1)
    truth, predicted = rng.normal(size=(2, 20, 4))
    observed = rng.random((20, 4)) > 0.2
    wanted = [np.corrcoef(predicted[m, j], truth[m, j])[0, 1] for j, m in enumerate(observed.T)]
    np.testing.assert_allclose(metrics.feature_correlations(predicted, truth, observed), wanted)
    wild = np.where(observed, truth, 1e6)
    np.testing.assert_allclose(metrics.feature_correlations(predicted, wild, observed), wanted)


def test_a_constant_prediction_is_worth_nothing_and_a_constant_truth_is_not_asked():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(30, 3))
    truth[:, 1] = 4.2
    predicted = np.full((30, 3), 1 / 3)
    found = metrics.feature_correlations(predicted, truth, np.ones_like(truth, dtype=bool))
    assert found[0] == 0 and np.isnan(found[1]) and found[2] == 0
    few = np.zeros_like(truth, dtype=bool)
    few[:2] = True
    assert np.isnan(metrics.feature_correlations(truth, truth, few)).all()


def test_resamples_are_those_of_the_samples():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(40, 6))
    predicted = truth + rng.normal(size=truth.shape)
    observed = np.ones_like(truth, dtype=bool)
    counts = metrics.resample_counts([f"s{number}" for number in range(40)], 300, seed=5)
    draws = metrics.bootstrap(predicted, truth, observed, counts)
    rows = np.repeat(np.arange(40), counts[7].astype(int))
    again = metrics.scores(predicted[rows], truth[rows], observed[rows])
    for key in ("corr_mean", "sample_corr_mean"):
        assert draws[key][7] == pytest.approx(again[key])
    low, high = metrics.interval(draws["corr_mean"])
    assert low < metrics.scores(predicted, truth, observed)["corr_mean"] < high
    assert metrics.interval(np.zeros(0)) is None


def test_splits_of_one_cohort_share_their_resamples():
    """Many splits say no more of another cohort than its samples do: the interval does not shrink towards nothing."""
    rng = np.random.default_rng(6)
    truth = rng.normal(size=(60, 8))
    predicted, observed = truth + rng.normal(size=truth.shape), np.ones_like(truth, dtype=bool)
    names = np.array([f"s{number}" for number in range(60)])

    def width(splits: int) -> float:
        draws = []
        for _ in range(splits):
            test = rng.choice(60, 15, replace=False)
            counts = metrics.resample_counts(names[test], 500, seed=1)
            draws.append(metrics.bootstrap(predicted[test], truth[test], observed[test], counts)["corr_mean"])
        low, high = metrics.interval(np.mean(draws, axis=0))
        return high - low

    whole = metrics.bootstrap(predicted, truth, observed, metrics.resample_counts(names, 500, seed=1))["corr_mean"]
    assert width(60) == pytest.approx(np.subtract(*metrics.interval(whole)[::-1]), rel=0.35)
    one, other = (metrics.resample_counts(some, 500, 1) for some in (["s1", "s2"], ["s2", "s3", "s1"]))
    assert (one[:, 0] == other[:, 2]).all() and (one[:, 1] == other[:, 0]).all()
    assert abs(one.mean() - 1) < 0.1 and (metrics.resample_counts(["s1"], 500, 2)[:, 0] != one[:, 0]).any()


def test_intervals_hold_what_they_promise():
    rng = np.random.default_rng(3)
    deviation = rng.uniform(0.2, 2, 50)
    mean = rng.normal(size=(500, 50))
    truth = mean + deviation * rng.standard_t(4, size=mean.shape)
    observed = rng.random(mean.shape) > 0.1
    none = np.zeros_like(mean)
    fitted = Intervals.fit(mean[:200], none[:200], truth[:200], observed[:200])
    inside, length = coverage(fitted, mean[200:], none[200:], truth[200:], observed[200:])
    for level, share in inside.items():
        assert share == pytest.approx(float(level), abs=0.015)
    assert length["0.5"] < length["0.8"] < length["0.9"] < length["0.95"]
    # Wider where the posterior is.
    half = fitted.half_width(np.array([[0.0] * 50, [9.0] * 50]), 0.9)
    assert (half[1] > half[0] + 1).all()


@pytest.mark.parametrize("samples", [6, 15])
def test_intervals_of_few_samples_hold_what_they_promise(samples):
    """The scale of a feature follows the errors that it is fitted on: in units of it these are too small."""
    inside = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        error = rng.uniform(0.5, 1.5, 300) * rng.normal(size=(samples + 1000, 300))
        none, observed = np.zeros_like(error), np.ones_like(error, dtype=bool)
        fitted = Intervals.fit(none[:samples], none[:samples], error[:samples], observed[:samples])
        inside.append(coverage(fitted, none[samples:], none[samples:], error[samples:], observed[samples:])[0]["0.9"])
    assert np.mean(inside) == pytest.approx(0.9, abs=0.01)


def test_intervals_come_back_from_their_file(tmp_path):
    rng = np.random.default_rng(3)
    fitted = Intervals.fit(
        *rng.normal(size=(1, 20, 4)), np.zeros((20, 4)), rng.normal(size=(20, 4)), np.ones((20, 4), bool)
    )
    write_intervals({"a": fitted, "b": fitted}, tmp_path / "intervals.json")
    loaded = read_intervals(tmp_path / "intervals.json")["b"]
    np.testing.assert_array_equal(loaded.half_width(np.ones((2, 4)), 0.9), fitted.half_width(np.ones((2, 4)), 0.9))


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_learn_what_is_linear(linear, name):
    predictor, chosen = baseline_predictor(name, linear, seed=1)
    result, arrays, _ = evaluate(predictor, linear, resamples=20, seed=1)
    r = [result["test"][way]["corr_mean"] for way in ("a_to_b", "b_to_a")]
    if name == "mean":
        assert r == [0, 0]
    else:
        assert min(r) > (0.99 if name in ("ridge", "pls") else 0.85)
        assert chosen["a"] and chosen["b"]
    assert arrays["a_to_b_feature_corr"].shape == (12,) and arrays["b_to_a_corr_mean_draws"].shape == (20,)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_see_no_test_values(linear, name):
    """With other test values from the start, inputs and targets, the same is chosen and the same predicted."""
    test = np.flatnonzero(linear.splits == "test")
    rng = np.random.default_rng(7)
    wild = [changed(t, test, rng.normal(5, 20, (len(test), len(t.features)))) for t in linear_tables()]
    found = []
    for data in (linear, PairedData.prepare(*wild, tiny_settings()["data"])):
        predictor, chosen = baseline_predictor(name, data, seed=1)
        ways = (("a", "b"), ("b", "a"))
        found.append((chosen, [predictor(data.parts["val"], *way)[0] for way in ways], data.parts["test"]))
    assert not np.array_equal(found[0][2].values["a"], found[1][2].values["a"])
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1][0], found[1][1][0])
    np.testing.assert_array_equal(found[0][1][1], found[1][1][1])


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_do_not_read_what_they_predict(linear, name):
    predictor, _ = baseline_predictor(name, linear, seed=1)
    part = linear.parts["test"]
    other = dataclasses.replace(part, values={**part.values, "b": part.values["b"] + 100})
    np.testing.assert_array_equal(predictor(part, "a", "b")[0], predictor(other, "a", "b")[0])


def test_the_truth_of_a_simulation_is_the_best_prediction(linear):
    result, _, _ = evaluate(truth_predictor(linear, linear.tables), linear, 0, 1)
    assert result["test"]["a_to_b"]["corr_mean"] == pytest.approx(1)
    assert result["test"]["a_to_b"]["rmse"] == pytest.approx(0, abs=1e-5)


def test_the_graph_of_neighbours_follows_the_platform_that_says_more():
    rng = np.random.default_rng(4)
    groups = np.repeat([0, 1], 40)
    telling = rng.normal(size=(80, 5)) * 0.2 + 4 * np.eye(5)[groups]
    noise = rng.normal(size=(80, 5))
    graph = neighbor_graph(telling, noise)
    np.testing.assert_array_equal(graph, graph.T)
    same = groups[:, None] == groups[None]
    assert graph[same].sum() > 4 * graph[~same].sum()
    axes = supervised_axes(telling - telling.mean(0), graph, 2)
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-8)
    apart = (telling @ axes)[:, 0]
    assert abs(apart[groups == 0].mean() - apart[groups == 1].mean()) > 5 * apart[groups == 0].std()
    weights = transfer_weights(np.array([[0.0, 1, 2, 4]]))
    assert weights.sum() == pytest.approx(1) and (np.diff(weights[0]) < 0).all()


def test_matching_latent_positions_have_no_closer_sample():
    z = np.random.default_rng(5).normal(size=(30, 4))
    assert share_closer(z, z) == 0
    assert share_closer(z, z + 1e-3) < 0.01
    assert share_closer(z, np.random.default_rng(6).normal(size=z.shape)) == pytest.approx(0.5, abs=0.1)
    assert share_closer(z[:2], z[[1, 0]]) == 1


def run_of(name: str, r: list[float], val: float, tmp_path) -> Run:
    folders = []
    for seed, value in enumerate(r):
        way = {"corr_mean": value, "sample_corr_mean": value, "rmse": 1.0, "coverage": {"0.9": 0.9},
               "half_width": {"0.9": 1.5}}  # fmt: skip
        result = {
            "samples": {"train": 8, "val": 1, "test": 1},
            "features": {"a": 2, "b": 3},
            "training_s": 1.0,
            "val": {k: {"corr_mean": val} for k in ("a_to_b", "b_to_a")},
            "test": dict.fromkeys(("a_to_b", "b_to_a"), way),
        }
        draws = value + np.linspace(-0.1, 0.1, 101)
        keys = [f"{k}_{m}_draws" for k in ("a_to_b", "b_to_a") for m in ("corr_mean", "sample_corr_mean")]
        folders.append(tmp_path / name / str(seed))
        write_result(folders[-1], result, dict.fromkeys(keys, draws))
    return read_run("p", name, folders)


def test_the_table_names_the_best_and_what_they_are_apart(tmp_path):
    ridge, knn = run_of("ridge", [0.4, 0.5], 0.4, tmp_path), run_of("knn", [0.3, 0.3], 0.3, tmp_path)
    vae, unet = run_of("joint_vae", [0.55, 0.45], 0.2, tmp_path), run_of("res_unet", [0.4, 0.4], 0.5, tmp_path)
    pairs = compare([ridge, knn, vae, unet])
    entry = pairs["p"]
    assert (entry["best_baseline"], entry["best_model"], entry["chosen_model"]) == ("ridge", "joint_vae", "res_unet")
    row = entry["rows"]["joint_vae"]
    assert row["corr_mean"]["value"] == pytest.approx(0.5)
    assert row["corr_mean"]["interval"] == pytest.approx((0.405, 0.595))
    assert row["over_best_baseline"]["value"] == pytest.approx(0.05) and row["over_best_baseline"]["splits_won"] == 1
    assert difference(vae, ridge)["interval"] == pytest.approx((0.05, 0.05))
    lines = [line.split("\t") for line in table_tsv(pairs).splitlines()]
    assert len(lines) == 5 and {len(line) for line in lines} == {21}
    assert lines[3][:4] == ["p", "joint_vae", "2", "0.5"]
    assert "joint_vae           0.5000 [0.405, 0.595]" in table_text(pairs)
    page = build_page("toy", pairs, {"p": {}})
    assert "<td>0.500 [0.405, 0.595]</td>" in page and "<td>+0.050 [" in page
