"""Intervals around predictions that hold what they promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.errors import InputError
from genet5.files import read_json, write_json

INTERVALS_FILE = "intervals.json"
LEVELS = (0.5, 0.8, 0.9, 0.95)
_PRIOR_CELLS = 5.0


@dataclass(frozen=True)
class Intervals:
    """How wide an interval around a prediction has to be, learned from validation samples.

    The spread of a cell is the square root of the posterior's variance there and of what validation errors of the
    feature have beyond it. A level's factor is the quantile of validation errors in units of the spread, where the
    spread of a validation sample is that of the other ones: it would follow the sample's own error, as that of a new
    sample cannot. So the factor rests on no distribution of errors, and holds nearly, not exactly, for new samples
    (normalised conformal prediction, Papadopoulos et al. 2002, takes the spread from samples of its own).
    """

    noise_variance: np.ndarray
    factors: dict[float, float]

    @classmethod
    def fit(cls, predicted: np.ndarray, variance: np.ndarray, truth: np.ndarray, observed: np.ndarray) -> Intervals:
        """From validation samples; all [samples, features], scaled.

        Errors of few samples say little of one feature: its variance is drawn to that of all features with the weight
        of five cells.
        """
        squares = np.where(observed, predicted.astype(np.float64) - truth, 0.0) ** 2
        cells, mean_variance = observed.sum(axis=0), variance.mean(axis=0)
        pooled = squares.sum() / max(cells.sum(), 1)

        def beyond(sums: np.ndarray, numbers: np.ndarray) -> np.ndarray:
            """Variance of the errors that the posterior does not have, from their squares."""
            error = (sums + _PRIOR_CELLS * pooled) / (numbers + _PRIOR_CELLS)
            return np.maximum(error - mean_variance, 0.05 * error) + 1e-9

        sums = squares.sum(axis=0)
        others = beyond(sums - squares, cells - observed)
        ratios = np.sort(np.sqrt(squares / (others + variance))[observed])
        factors = {}
        for level in LEVELS:
            # The rank that makes coverage at least the level for exchangeable cells.
            rank = min(int(np.ceil(level * (len(ratios) + 1))), len(ratios)) - 1
            factors[level] = float(ratios[rank]) if len(ratios) else float("nan")
        return cls(beyond(sums, cells), factors)

    def half_width(self, variance: np.ndarray, level: float) -> np.ndarray:
        """Half the length of the interval of each cell, [rows, features], scaled."""
        return self.factors[level] * np.sqrt(self.noise_variance + variance)


def write_intervals(by_target: dict[str, Intervals], path: Path) -> None:
    """Write the intervals of both targets as JSON."""
    document = {
        target: {
            "noise_variance": entry.noise_variance.tolist(),
            "factors": {str(level): factor for level, factor in entry.factors.items()},
        }
        for target, entry in by_target.items()
    }
    write_json(path, document, indent=None)


def read_intervals(path: Path, targets: Sequence[str] = ("a", "b")) -> dict[str, Intervals]:
    """What ``write_intervals`` wrote. Raises ``InputError`` when it is not there."""
    try:
        document = read_json(path)
        return {
            target: Intervals(
                np.array(document[target]["noise_variance"]),
                {float(level): factor for level, factor in document[target]["factors"].items()},
            )
            for target in targets
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no intervals of a trained model ({error})") from None
