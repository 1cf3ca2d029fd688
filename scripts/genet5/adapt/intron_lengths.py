"""How long the introns of a genome are, and what an intron of each length adds to a chain of genes.

A CRF makes introns of all lengths from one cost of each base, so that short ones are the most probable. Those of a
genome are not so: most have nearly one length (60 bases in a fly, 100 in Arabidopsis, 21 in *Babesia microti*), and
hardly any is shorter. What a length adds is the logarithm of its share over that of a geometric distribution with the
same mean. AUGUSTUS, too, tells short introns by their length and long ones by a geometric tail (Stanke and Waack 2003).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

TOLD_BP = 400  # lengths from here on are one
SPREAD, LEAST_SPREAD = 0.06, 1.5  # of what one intron says of others: of its length, and in bases
PRIOR = 20.0  # introns as a geometric distribution has them, which join those of a species
PRIOR_OF_RELATIVES = 30.0  # introns as relatives have them, which join those that a genome seems to have
LEVEL = 0.1  # share of the geometric distribution in what is added, so that no length is ruled out
LEAST_INTRONS = 10  # a species with fewer says nothing of their lengths


@dataclass(frozen=True)
class IntronLengths:
    """shares: float64 [TOLD_BP + 1], of introns of each length, the last of all longer ones. mean_bp: of all."""

    shares: np.ndarray
    mean_bp: float

    @classmethod
    def of(cls, counts: np.ndarray, bases: float, prior: IntronLengths | None = None) -> IntronLengths | None:
        """Of introns counted by length (``count_lengths``), whose lengths sum up to ``bases``.

        prior: of relatives; None: too few introns are None, too.
        """
        number = counts.sum()
        if prior is None:
            if number < LEAST_INTRONS:
                return None
            weight, mean_bp = PRIOR, bases / number
            others = geometric(mean_bp)
        else:
            weight, others = PRIOR_OF_RELATIVES, prior.shares
            mean_bp = (bases + weight * prior.mean_bp) / (number + weight)
        seen = np.append(counts[:TOLD_BP] @ _spread(), counts[TOLD_BP])
        return cls((seen + weight * others) / (number + weight), float(mean_bp))

    @classmethod
    def mean(cls, several: Sequence[IntronLengths]) -> IntronLengths | None:
        """Each counts the same; None of none."""
        if not several:
            return None
        shares, means = zip(*((one.shares, one.mean_bp) for one in several), strict=True)
        return cls(np.mean(shares, 0), float(np.mean(means)))

    @cached_property
    def log_odds(self) -> np.ndarray:
        """What an intron of each length below ``TOLD_BP`` adds, in nats; float64 [TOLD_BP]. Longer ones add nothing."""
        even = geometric(self.mean_bp)
        found = np.zeros(TOLD_BP)
        found[1:] = np.log((1 - LEVEL) * self.shares[1:-1] / even[1:-1] + LEVEL)
        return found


def count_lengths(lengths: Iterable[int]) -> tuple[np.ndarray, float]:
    """Introns of each length, float64 [TOLD_BP + 1], the last of all longer ones; and the sum of their lengths."""
    found = np.fromiter(lengths, np.int64)
    return np.bincount(np.minimum(found, TOLD_BP), minlength=TOLD_BP + 1).astype(float), float(found.sum())


def geometric(mean_bp: float) -> np.ndarray:
    """Shares of lengths from 1 on whose mean is ``mean_bp``, at least 2; float64 [TOLD_BP + 1]."""
    ends = 1 / max(mean_bp, 2.0)
    goes_on = (1 - ends) ** np.arange(TOLD_BP)
    return np.concatenate([[0.0], ends * goes_on[:-1], goes_on[-1:]])


@cache
def _spread() -> np.ndarray:
    """What an intron of each length says of others: normal distributions, float64 [TOLD_BP, TOLD_BP]."""
    lengths = np.arange(TOLD_BP)
    wide = np.maximum(LEAST_SPREAD, SPREAD * lengths)[:, None]
    found = np.exp(-0.5 * ((lengths - lengths[:, None]) / wide) ** 2)
    found[:, 0] = 0
    found[0] = 0
    return found / np.maximum(found.sum(1, keepdims=True), 1e-300)
