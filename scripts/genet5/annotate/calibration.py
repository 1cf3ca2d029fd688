"""From a gene's log-probability to the probability that it is exactly right.

A logistic curve in the log-odds of what the decoder says, fitted to genes of validation DNA (Platt 1999). With the few
hundred genes that there are, isotonic regression was no better on genes not fitted, and it ties genes that the curve
keeps in order (docs/decisions.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST_GENES = 50
BINS = 10
LEAST_LOG_ODDS, MOST_LOG_ODDS = -20.0, 10.0  # beyond, rounding of sums over thousands of bases decides
_MOST_STEPS, _LEAST_GAIN = 100, 1e-9


@dataclass(frozen=True)
class Calibration:
    """probability = logistic(slope * log-odds + intercept); where ``reason`` says why there is none, the decoder's own.

    genes, exact: fitted to. error_before, error_after: expected calibration error of what the decoder says, and of this
    curve fitted to one half of the genes and measured on the other; None without a fit.
    """

    slope: float = 1.0
    intercept: float = 0.0
    genes: int = 0
    exact: int = 0
    error_before: float | None = None
    error_after: float | None = None
    reason: str = ""

    @property
    def calibrated(self) -> bool:
        return not self.reason

    def probability(self, log_probability: float) -> float:
        """Of an exactly right gene; ``log_probability``: what the decoder says of it, at most 0."""
        if not self.calibrated:
            return math.exp(log_probability)
        return float(_logistic(self.slope * log_odds(log_probability) + self.intercept))


def log_odds(log_probability: float) -> float:
    """log p - log(1 - p), between ``LEAST_LOG_ODDS`` and ``MOST_LOG_ODDS``."""
    against = -math.expm1(log_probability)
    odds = log_probability - math.log(against) if against > 0 else MOST_LOG_ODDS
    return min(max(odds, LEAST_LOG_ODDS), MOST_LOG_ODDS)


def fit_calibration(log_odds: Sequence[float], exact: Sequence[bool]) -> Calibration:
    """The curve of genes with these log-odds; with fewer than ``FEWEST_GENES`` one that says so."""
    odds, right = np.asarray(log_odds, dtype=float), np.asarray(exact, dtype=float)
    genes, hits = len(right), int(right.sum())
    if genes < FEWEST_GENES:
        return Calibration(genes=genes, exact=hits, reason=f"{genes} genes could be judged, {FEWEST_GENES} are needed")
    slope, intercept = _fit(odds, right)
    # Every other gene of the same order of scores: both halves have good and bad ones.
    half = np.empty(genes, dtype=int)
    half[np.argsort(odds, kind="stable")] = np.arange(genes) % 2
    unseen = np.empty(genes)
    for side in (0, 1):
        curve = _fit(odds[half != side], right[half != side])
        unseen[half == side] = _logistic(curve[0] * odds[half == side] + curve[1])
    before, after = (round(calibration_error(scores, right), 4) for scores in (_logistic(odds), unseen))
    return Calibration(slope, intercept, genes, hits, before, after)


def _fit(odds: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Slope (at least 0, so that order is kept) and intercept of most likelihood, by Newton's method.

    Right and wrong count a little less than 1 and more than 0, as if one more gene of each kind had been seen: without
    that, genes that scores part perfectly would make a step.
    """
    hits = right.sum()
    targets = np.where(right > 0, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    columns = np.stack([odds, np.ones(len(odds))], axis=1)

    def loss(weights: np.ndarray) -> float:
        values = columns @ weights
        return float((np.logaddexp(0.0, values) - targets * values).sum())

    weights = np.array([1.0, 0.0])
    for _ in range(_MOST_STEPS):
        found = _logistic(columns @ weights)
        curvature = (columns * (found * (1 - found))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, columns.T @ (found - targets))
        while loss(weights - step) > loss(weights):
            step /= 2
        gain = loss(weights) - loss(weights - step)
        weights = weights - step
        if gain < _LEAST_GAIN:
            break
    if weights[0] < 0:  # scores that say nothing: the share of exact genes for all
        share = targets.mean()
        return 0.0, float(np.log(share) - np.log1p(-share))
    return float(weights[0]), float(weights[1])


def _logistic(values: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -values))


def calibration_error(scores: Sequence[float], exact: Sequence[bool]) -> float:
    """Expected calibration error: |mean score - share exact| of ``BINS`` bins of equal size, weighed by their genes.

    Genes of one score count alike, wherever a bin ends between them.
    """
    scores = np.asarray(scores, dtype=float)
    _, same = np.unique(scores, return_inverse=True)
    right = (np.bincount(same, np.asarray(exact, dtype=float)) / np.maximum(np.bincount(same), 1))[same]
    bins = np.array_split(np.argsort(scores, kind="stable"), BINS)
    return float(sum(abs(scores[part].sum() - right[part].sum()) for part in bins) / max(len(scores), 1))
