"""Scores of one predictor on validation and test samples, the same for models and for baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genet5.arrays import read_arrays
from genet5.files import atomic_write, read_json, write_json
from genet5.studies.cpivae import metrics
from genet5.studies.cpivae.intervals import LEVELS, Intervals
from genet5.studies.cpivae.paired_data import PLATFORMS, PairedData, Part, other

RESULT_FILE, ARRAYS_FILE = "result.json", "evaluation.npz"
BOOTSTRAPPED = ("corr_mean", "sample_corr_mean")

#: Samples (of which the target must not be read), source, target -> prediction and its variance over the posterior,
#: both [samples, features of target].
Predictor = Callable[[Part, str, str], tuple[np.ndarray, np.ndarray]]


def direction(target: str) -> str:
    """``a_to_b`` is the prediction of b from a."""
    return f"{other(target)}_to_{target}"


def remembered(predictor: Predictor) -> Predictor:
    """The same predictor, which does not compute again what it was asked before."""
    answers: dict[tuple[int, str, str], tuple[np.ndarray, np.ndarray]] = {}
    asked: list[Part] = []  # held, so that no other part gets the number of one

    def answer(part: Part, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
        key = id(part), source, target
        if key not in answers:
            asked.append(part)
            answers[key] = predictor(part, source, target)
        return answers[key]

    return answer


def evaluate(
    predictor: Predictor, data: PairedData, resamples: int, seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, Intervals]]:
    """Scores by split and direction; arrays for figures and for the comparison; the fitted intervals by target.

    Test samples get intervals of their scores, and the coverage of predictive intervals that were fitted on validation.
    """
    result: dict[str, Any] = {"samples": {split: len(part.samples) for split, part in data.parts.items()}}
    result["features"] = data.widths
    arrays: dict[str, np.ndarray] = {}
    fitted: dict[str, Intervals] = {}
    counts = metrics.resample_counts(data.parts["test"].samples, resamples, seed)
    for source in PLATFORMS:
        target = other(source)
        name = direction(target)
        validation, test = data.parts["val"], data.parts["test"]
        mean, variance = predictor(validation, source, target)
        truth, observed = validation.values[target], validation.observed[target]
        fitted[target] = Intervals.fit(mean, variance, truth, observed)
        result.setdefault("val", {})[name] = metrics.scores(mean, truth, observed)
        mean, variance = predictor(test, source, target)
        truth, observed = test.values[target], test.observed[target]
        row: dict[str, Any] = metrics.scores(mean, truth, observed)
        row["coverage"], row["half_width"] = coverage(fitted[target], mean, variance, truth, observed)
        draws = metrics.bootstrap(mean, truth, observed, counts) if resamples else {}
        row["intervals"] = {key: metrics.interval(draws[key]) if draws else None for key in BOOTSTRAPPED}
        result.setdefault("test", {})[name] = row
        arrays[f"{name}_feature_corr"] = metrics.feature_correlations(mean, truth, observed)
        arrays[f"{name}_sample_corr"] = metrics.sample_correlations(mean, truth, observed)
        for key, values in draws.items():
            arrays[f"{name}_{key}_draws"] = values
    return result, arrays, fitted


def coverage(
    intervals: Intervals, mean: np.ndarray, variance: np.ndarray, truth: np.ndarray, observed: np.ndarray
) -> tuple[dict[str, float], dict[str, float]]:
    """Share of observed cells inside their interval, and mean half length of intervals (scaled), by level."""
    error = np.abs(mean.astype(np.float64) - truth)
    inside, length = {}, {}
    for level in LEVELS:
        half = intervals.half_width(variance, level)
        inside[str(level)] = float((error <= half)[observed].mean()) if observed.any() else float("nan")
        length[str(level)] = float(half[observed].mean()) if observed.any() else float("nan")
    return inside, length


def share_closer(z_a: np.ndarray, z_b: np.ndarray) -> float:
    """How well latent positions of the same samples match: the mean share of other samples of the one platform that
    are closer to a sample of the other than its own (FOSCTTM; 0 is perfect, 0.5 chance), over both directions."""
    distances = ((z_a[:, None] - z_b[None]) ** 2).sum(-1) if len(z_a) < 500 else _square_distances(z_a, z_b)
    own = np.diag(distances)
    others = max(len(z_a) - 1, 1)
    closer = [(distances < own[:, None]).sum(axis=1) / others, (distances < own[None]).sum(axis=0) / others]
    return float(np.mean(closer))


def _square_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T


def write_result(folder: Path, result: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``evaluation.npz`` and then ``result.json``."""
    with atomic_write(folder / ARRAYS_FILE, "wb") as stream:
        np.savez_compressed(stream, **arrays)
    write_json(folder / RESULT_FILE, result)


def read_result(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What ``write_result`` wrote. Raises ``InputError`` when it is not there."""
    result = read_json(folder / RESULT_FILE)
    return result, read_arrays(folder / ARRAYS_FILE, "no result of a predictor", "evaluate it again")
