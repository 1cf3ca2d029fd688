"""Which of the windows of a split are kept: all with genes, some without, and no more than a cap. A draw decides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from genet5.bake.windows import RegionPlan, WindowRules
from genet5.genome.genes import Region


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The windows of a split that are kept, per region, and how many were dropped by the last two rules."""

    regions: tuple[RegionPlan, ...]
    dropped_empty: int
    dropped_over_cap: int

    @property
    def kept(self) -> int:
        return sum(len(plan.start) for plan in self.regions)


def choose_windows(
    plans: Sequence[RegionPlan], regions: Sequence[Region], rules: WindowRules, *, max_windows: int | None
) -> SplitPlan:
    """Keep all windows with genes, as many empty ones as ``empty_share`` allows, and at most ``max_windows`` in all.

    Which ones is drawn from (seed, contig, start, end) alone: it is the same on every machine, and the draws of one
    window do not depend on the others.
    """
    windows = _AllWindows.of(plans, regions, rules.seed)
    chosen = windows.num_genes > 0
    empty = np.flatnonzero(~chosen)
    allowed = int((len(chosen) - len(empty)) * rules.empty_share / (1 - rules.empty_share) + 1e-9)
    chosen[windows.drawn(empty, allowed, "empty")] = True
    kept = np.flatnonzero(chosen)
    over_cap = 0
    if max_windows is not None and len(kept) > max_windows:
        over_cap = len(kept) - max_windows
        chosen = np.zeros(len(chosen), dtype=bool)
        chosen[windows.drawn(kept, max_windows, "cap")] = True
    return SplitPlan(windows.subsets(chosen), max(0, len(empty) - allowed), over_cap)


def draw(seed: int, purpose: str, *what: object) -> int:
    """A number in 0 .. 2**64 - 1 that depends on the arguments' text alone: the same in every process and version."""
    text = "\0".join(map(str, (seed, purpose, *what)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class _AllWindows:
    """The windows of all regions of a split in one row, in the order of the regions."""

    plans: Sequence[RegionPlan]
    regions: Sequence[Region]
    seed: int
    first: list[int]
    """Per region: number of its first window; the number of windows at the end."""
    num_genes: np.ndarray

    @staticmethod
    def of(plans: Sequence[RegionPlan], regions: Sequence[Region], seed: int) -> _AllWindows:
        first = [0, *accumulate(len(plan.start) for plan in plans)]
        return _AllWindows(plans, regions, seed, first, _joined([plan.num_genes for plan in plans]))

    def drawn(self, candidates: np.ndarray, count: int, purpose: str) -> np.ndarray:
        """``count`` of these windows, or all there are: those with the smallest draws."""
        if len(candidates) <= count:
            return candidates
        starts, ends = (_joined([getattr(plan, name) for plan in self.plans]) for name in ("start", "end"))
        number = np.searchsorted(self.first, candidates, side="right") - 1
        places = zip(number.tolist(), starts[candidates].tolist(), ends[candidates].tolist(), strict=True)
        draws = [draw(self.seed, purpose, self.regions[number].seqid, start, end) for number, start, end in places]
        return candidates[np.argsort(np.array(draws, dtype=np.uint64), kind="stable")[:count]]

    def subsets(self, chosen: np.ndarray) -> tuple[RegionPlan, ...]:
        """The plans with their chosen windows alone. Regions that share a plan share what is left of it."""
        made: dict[tuple[int, bytes], RegionPlan] = {}
        subsets = []
        for plan, start, end in zip(self.plans, self.first, self.first[1:], strict=False):
            rows = chosen[start:end]
            key = id(plan), rows.tobytes()
            if key not in made:
                made[key] = plan.subset(rows)
            subsets.append(made[key])
        return tuple(subsets)


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)
