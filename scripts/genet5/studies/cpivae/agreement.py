"""How much the two assays of a protein agree: a distribution over proteins, and assays that follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from genet5.errors import InputError

#: Least, lower quartile, median, upper quartile and largest Spearman correlation of a protein between Olink Explore
#: and SomaScan. The median is that of 2,168 proteins in 3,976 adults (Wang and others 2025, Nature Communications 16).
#: The ends are those of 417 comparisons in the ARIC study (Rooney and others 2023). The quartiles are an assumption:
#: the publications show histograms with many proteins near 0, and no table of quartiles was at hand.
OLINK_SOMASCAN = (-0.2, 0.1, 0.29, 0.6, 0.97)
DISTRIBUTIONS = {"olink_somascan": OLINK_SOMASCAN}

_STEPS = 12
_BLOCK = 256


def read_quantiles(words: Sequence[str | float], subject: str) -> tuple[float, ...]:
    """Quantiles by the name of a distribution, or as numbers; ``subject`` says in messages where they come from.

    Raises:
        InputError: neither a name nor two or more ascending numbers, at least -1 and below 1.
    """
    if len(words) == 1 and words[0] in DISTRIBUTIONS:
        return DISTRIBUTIONS[str(words[0])]
    try:
        found = tuple(map(float, words))
    except ValueError:
        found = ()
    if len(found) < 2 or list(found) != sorted(found) or found[0] < -1 or found[-1] >= 1:
        raise InputError(
            f"{subject}: found {' '.join(map(str, words))}, allowed: {' or '.join(DISTRIBUTIONS)}, or two or more "
            "ascending numbers, at least -1, below 1"
        )
    return found


def spread_over(quantiles: Sequence[float], number: int, rng: np.random.Generator) -> np.ndarray:
    """``number`` values that have these quantiles (at even steps, from the least to the largest), in random order."""
    places = (np.arange(number) + 0.5) / number
    return rng.permutation(np.interp(places, np.linspace(0, 1, len(quantiles)), quantiles))


def noise_limit(correlation: np.ndarray) -> np.ndarray:
    """The largest share of noise in both assays that leaves room for Spearman correlations."""
    # Of normal values that correlate by r, Spearman's correlation is 6/pi asin(r/2); equal noise n makes r = 1 - n.
    return 0.9 * (1 - 2 * np.sin(np.pi * np.abs(correlation) / 6))


def rank_correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each column of two arrays without gaps or ties, [samples, features] -> [features]."""
    found = [np.zeros(0)]
    for first in range(0, x.shape[1], _BLOCK):
        a, b = (_ranks(values[:, first : first + _BLOCK].T) for values in (x, y))
        found.append((a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1)))
    return np.concatenate(found)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along each row, with mean 0; two values are never the same."""
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, np.argsort(values, axis=1), np.arange(values.shape[1], dtype=float)[None], axis=1)
    return ranks - (values.shape[1] - 1) / 2


def solve_angles(
    reference: np.ndarray, values_at: Callable[[np.ndarray], np.ndarray], correlations: np.ndarray
) -> np.ndarray:
    """Angles from 0 to pi at which the columns of ``values_at`` have these Spearman correlations with ``reference``.

    ``values_at``: angles [features] -> values [samples, features]. What it gives at 0 correlates most, at pi least.
    A correlation that is out of reach gets the end that is next to it.
    """
    low, high = np.zeros(len(correlations)), np.full(len(correlations), np.pi)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        above = rank_correlations(reference, values_at(middle)) > correlations
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2
