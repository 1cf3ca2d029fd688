"""Confidence intervals by resampling stretches of the genome.

Neighbouring genes are not independent (isochores, gene families, assembly faults). So blocks of sequence are drawn with
replacement, not genes. Both strands of a stretch are one block. A feature belongs to the block of its first base. Bases
count where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genet5.evaluate.features import Axis
from genet5.evaluate.intervals import Integers, IntervalSet, covered
from genet5.genome.genes import Region

BLOCK_BP = (1_000_000, 100_000, 10_000)
"""Block sizes tried in turn: the first that gives at least ``MIN_BLOCKS`` blocks is used."""
MIN_BLOCKS = 3
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Blocks:
    """Stretches of the scored regions, each at most ``block_bp`` long, none across two sequences."""

    block_bp: int
    number: int
    _starts: Integers
    _ends: Integers
    _ids: Integers

    @staticmethod
    def cut(axis: Axis, regions: Sequence[Region], sizes: Sequence[int] = BLOCK_BP) -> Blocks:
        """Cut regions into equal blocks of at most the first size that gives ``MIN_BLOCKS``, else the last size."""
        for block_bp in sizes:
            bounds = [_even_cuts(region, block_bp) for region in regions]
            number = sum(len(cuts) - 1 for cuts in bounds)
            if number >= MIN_BLOCKS:
                break
        starts, ends, ids = [], [], []
        first = 0
        for region, cuts in zip(regions, bounds, strict=True):
            for strand in "+-":
                origin = axis.origin(region.seqid, strand)
                starts.append(cuts[:-1] + origin)
                ends.append(cuts[1:] + origin)
                ids.append(first + np.arange(len(cuts) - 1))
            first += len(cuts) - 1
        order = np.argsort(np.concatenate(starts))
        return Blocks(block_bp, number, *(np.concatenate(part)[order] for part in (starts, ends, ids)))

    def count(self, positions: Integers) -> Integers:
        """Features per block, from their axis positions."""
        index = np.maximum(np.searchsorted(self._starts, positions, side="right") - 1, 0)
        return np.bincount(self._ids[index], minlength=self.number)

    def count_bases(self, bases: IntervalSet) -> Integers:
        """Bases of an axis set per block."""
        inside = covered(bases, self._starts, self._ends)
        return np.bincount(self._ids, inside, self.number).astype(np.int64)


def _even_cuts(region: Region, block_bp: int) -> Integers:
    pieces = -(-(region.end - region.start) // block_bp)
    return np.linspace(region.start, region.end, pieces + 1).astype(np.int64)


def f1_intervals(
    counts: Mapping[str, tuple[Integers, Integers, Integers]], blocks: Blocks, resamples: int, seed: int
) -> dict:
    """95 % percentile intervals of F1 from per-block (tp, fp, fn) counts of each level.

    The draws depend on the seed and the number of blocks alone. So two systems that are scored on the same regions get
    the same resampled genomes. Bounds are None with fewer than ``MIN_BLOCKS`` blocks, or where F1 is undefined in every
    draw.
    """
    report = {"block_bp": blocks.block_bp, "blocks": blocks.number, "resamples": resamples, "seed": seed}
    if blocks.number < MIN_BLOCKS:
        return report | {"f1": dict.fromkeys(counts, (None, None))}
    share = np.full(blocks.number, 1 / blocks.number)
    times_drawn = np.random.default_rng(seed).multinomial(blocks.number, share, size=resamples)
    tail = 100 * (1 - _CONFIDENCE) / 2
    bounds = {}
    for level, (tp, fp, fn) in counts.items():
        right = 2 * (times_drawn @ tp)
        total = right + times_drawn @ (fp + fn)
        f1 = right[total > 0] / total[total > 0]
        low, high = np.percentile(f1, [tail, 100 - tail]).round(6).tolist() if len(f1) else (None, None)
        bounds[level] = (low, high)
    return report | {"f1": bounds}
