"""How good predicted values are: correlation over samples for each feature, and over features for each sample.

Arrays are [samples, features] on the scale of the preprocessing (each feature centred and scaled by training
samples): on the original scale a correlation over features would mostly say that features have different means. Cells
that were not measured never count. A prediction that does not vary correlates with nothing: 0. A truth that does not
vary, or with fewer than three observed cells, has no correlation: nan, left out of means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
_LEAST_CELLS = 3
_TINY = 1e-10


def feature_correlations(predicted: np.ndarray, truth: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Pearson r over samples of each feature, [features]."""
    return _correlation(_moments(predicted, truth, observed).sum(axis=1))


def sample_correlations(predicted: np.ndarray, truth: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Pearson r over features of each sample, [samples]."""
    return feature_correlations(predicted.T, truth.T, observed.T)


def feature_r2(predicted: np.ndarray, truth: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """1 - residual / total sum of squares of each feature, [features]."""
    count, _, sum_t, _, square_t, _ = _moments(predicted, truth, observed).sum(axis=1)
    residual = np.where(observed, truth - predicted, 0.0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = square_t - sum_t**2 / count
        return np.where((count >= _LEAST_CELLS) & (total > _TINY), 1 - (residual**2).sum(axis=0) / total, np.nan)


def scores(predicted: np.ndarray, truth: np.ndarray, observed: np.ndarray) -> dict[str, float]:
    """The measures of one direction, by the names of the published cpiVAE; ``corr``, ``r2``: of all cells together."""
    by_feature = feature_correlations(predicted, truth, observed)
    by_sample = sample_correlations(predicted, truth, observed)
    r2 = feature_r2(predicted, truth, observed)
    cells = observed.reshape(-1, 1)
    flat, true = predicted.reshape(-1, 1), truth.reshape(-1, 1)
    error = (predicted.astype(np.float64) - truth)[observed]
    return {
        "corr_mean": mean(by_feature),
        "corr_median": median(by_feature),
        "sample_corr_mean": mean(by_sample),
        "sample_corr_median": median(by_sample),
        "corr": float(feature_correlations(flat, true, cells)[0]),
        "r2": float(feature_r2(flat, true, cells)[0]),
        "mean_feature_r2": mean(r2),
        "median_feature_r2": median(r2),
        "frac_r2_above_0.5": share_above(r2, 0.5),
        "frac_r2_above_0.7": share_above(r2, 0.7),
        "rmse": float(np.sqrt(np.mean(error**2))) if error.size else float("nan"),
    }


def resample_counts(samples: Sequence[str], resamples: int, seed: int) -> np.ndarray:
    """How often each resample holds each sample, float64 [resamples, samples]: a Poisson bootstrap (mean 1).

    The counts of a sample depend on its id and the seed alone. So predictors see the same resamples, and so do several
    splits of one cohort: their test samples overlap, and drawn by themselves, splits would seem independent.
    """
    counts = np.empty((resamples, len(samples)))
    for column, name in enumerate(samples):
        own = int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big")
        counts[:, column] = np.random.default_rng([seed, own]).poisson(1.0, resamples)
    return counts


def bootstrap(
    predicted: np.ndarray, truth: np.ndarray, observed: np.ndarray, counts: np.ndarray
) -> dict[str, np.ndarray]:
    """``corr_mean`` and ``sample_corr_mean`` of every resample, [resamples]; nan where a resample is too small.

    counts: [resamples, samples], see ``resample_counts``.
    """
    moments = _moments(predicted, truth, observed)
    by_feature = _correlation(np.stack([counts @ moment for moment in moments]))
    by_sample = sample_correlations(predicted, truth, observed)
    known = np.isfinite(by_sample)
    with np.errstate(divide="ignore", invalid="ignore"):
        sample_mean = counts[:, known] @ by_sample[known] / counts[:, known].sum(axis=1)
    return {"corr_mean": _nanmean(by_feature, axis=1), "sample_corr_mean": sample_mean}


def interval(draws: np.ndarray) -> tuple[float, float] | None:
    """95 % percentile interval; None without finite draws."""
    finite = draws[np.isfinite(draws)]
    if not finite.size:
        return None
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)


def mean(values: np.ndarray) -> float:
    """Mean of what is not nan; nan if nothing is."""
    return float(_nanmean(values, axis=0))


def median(values: np.ndarray) -> float:
    """Median of what is not nan; nan if nothing is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def share_above(values: np.ndarray, limit: float) -> float:
    """Share of the values that are not nan above ``limit``; nan if nothing is."""
    finite = values[np.isfinite(values)]
    return float((finite > limit).mean()) if finite.size else float("nan")


def _nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    known = np.isfinite(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=axis) / known.sum(axis=axis)


def _moments(predicted: np.ndarray, truth: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Count, sums, sums of squares and of products of each cell: [6, samples, features]."""
    p = np.where(observed, predicted, 0.0).astype(np.float64)
    t = np.where(observed, truth, 0.0).astype(np.float64)
    return np.stack([observed.astype(np.float64), p, t, p * p, t * t, p * t])


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Pearson r from sums over cells, [6, ...] -> [...]."""
    count, sum_p, sum_t, square_p, square_t, product = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        variance_p = square_p - sum_p**2 / count
        variance_t = square_t - sum_t**2 / count
        covariance = product - sum_p * sum_t / count
        # What rounding leaves of a constant is no variation.
        flat = variance_p <= _TINY * np.maximum(square_p, 1)
        r = np.where(flat, 0.0, covariance / np.sqrt(variance_p * variance_t))
    undefined = (count < _LEAST_CELLS) | (variance_t <= _TINY * np.maximum(square_t, 1))
    return np.where(undefined, np.nan, np.clip(r, -1, 1))
