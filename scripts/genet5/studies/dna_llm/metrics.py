"""How good predicted scores are: Pearson's r, average precision for bases in sites, mean squared error, with intervals.

All three are of all bases of all windows together. Intervals are percentiles over resampled stretches of the genome:
neighbouring windows are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

STRETCH_BP = 100_000
_BINS = 8192
_CONFIDENCE = 0.95
METRICS = ("pearson_r", "auprc", "mse")


def pearson_r(predicted: np.ndarray, scores: np.ndarray) -> float:
    """Correlation over all bases; nan where either does not vary."""
    return float(_correlation(_moments(predicted.ravel(), scores.ravel()).sum(axis=0)))


def average_precision(predicted: np.ndarray, in_site: np.ndarray) -> float:
    """Area under precision over recall as a step function; tied predictions count as one step. nan without sites."""
    order = np.argsort(-predicted, kind="stable", axis=None)
    ranked, hits = predicted.ravel()[order], in_site.ravel()[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    return float(_average_precision(np.cumsum(hits)[last], np.cumsum(~hits)[last]))


def score(
    predicted: np.ndarray, scores: np.ndarray, draws: Mapping[str, np.ndarray] = MappingProxyType({})
) -> dict[str, dict[str, float | list[float] | None]]:
    """``{metric: {value, interval}}`` for predictions and scores of shape [windows, bp], and what `resampled` drew."""
    predicted = predicted.astype(np.float64)
    values = {
        "pearson_r": pearson_r(predicted, scores),
        "auprc": average_precision(predicted, scores > 0),
        "mse": float(np.mean((predicted - scores) ** 2)),
    }
    return {name: {"value": values[name], "interval": interval(draws.get(name))} for name in METRICS}


def resampled(
    predicted: np.ndarray, scores: np.ndarray, stretches: np.ndarray, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Each metric of every resample of windows [windows, bp], float64, [resamples].

    ``stretches`` ([windows], any labels) tells which windows are drawn together. The draws depend on seed and
    stretches alone, so that two predictors of the same windows see the same draws. Average precision is taken from the
    counts of 8,192 classes of predictions of equal size, the others exactly.
    """
    _, stretch = np.unique(stretches, return_inverse=True)
    number = int(stretch.max()) + 1
    times_drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=resamples)
    moments = np.zeros((number, 6))
    np.add.at(moments, stretch, _moments(predicted, scores))
    drawn = times_drawn @ moments
    counts = _site_counts(predicted, scores > 0, stretch, number)
    hits, misses = (np.cumsum(times_drawn @ part, axis=1) for part in counts)
    count, _, _, square_p, square_s, product = drawn.T
    return {
        "pearson_r": _correlation(drawn),
        "auprc": _average_precision(hits, misses),
        "mse": (square_p + square_s - 2 * product) / count,
    }


def interval(draws: np.ndarray | None) -> list[float] | None:
    """95 % percentile interval, or None without finite draws."""
    if draws is None or not np.isfinite(draws).any():
        return None
    tail = 100 * (1 - _CONFIDENCE) / 2
    return np.percentile(draws[np.isfinite(draws)], [tail, 100 - tail]).tolist()


def _moments(predicted: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Sums along the last axis: count, p, s, p p, s s, p s; float64, [..., 6]."""
    p, s = np.atleast_2d(predicted).astype(np.float64), np.atleast_2d(scores).astype(np.float64)
    return np.stack([np.ones_like(p), p, s, p * p, s * s, p * s]).sum(axis=-1).T


def _correlation(moments: np.ndarray) -> np.ndarray:
    count, sum_p, sum_s, square_p, square_s, product = np.moveaxis(moments, -1, 0)
    covariance = product - sum_p * sum_s / count
    spread = np.maximum((square_p - sum_p**2 / count) * (square_s - sum_s**2 / count), 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, covariance / np.sqrt(spread), np.nan)


def _average_precision(hits: np.ndarray, misses: np.ndarray) -> np.ndarray:
    """From cumulated counts, best predictions first, along the last axis."""
    precision = hits / np.maximum(hits + misses, 1)
    gained = np.diff(hits, axis=-1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (precision * gained).sum(axis=-1) / hits[..., -1]


def _site_counts(
    predicted: np.ndarray, in_site: np.ndarray, stretch: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bases in and outside sites per stretch and class of prediction, best class first; [stretches, classes] each."""
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, _BINS + 1)[1:-1]))
    classes = len(edges) - np.searchsorted(edges, predicted, side="right")
    cells = stretch[:, None] * (len(edges) + 1) + classes
    shape = (number, len(edges) + 1)
    hits, every = (np.bincount(chosen, minlength=shape[0] * shape[1]) for chosen in (cells[in_site], cells.ravel()))
    return hits.reshape(shape), (every - hits).reshape(shape)
