"""Sets of half-open intervals on one integer axis, as NumPy arrays.

A *set* is a pair ``(starts, ends)`` of int64 arrays: sorted, disjoint, not touching, no empty interval. Everything is
O(n log n); nothing loops over intervals in Python.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
IntervalSet = tuple[Integers, Integers]


def empty_set() -> IntervalSet:
    """The set without a base."""
    return np.zeros(0, np.int64), np.zeros(0, np.int64)


def union(starts: Integers, ends: Integers) -> IntervalSet:
    """The set of all bases in any of the given intervals (in any order, overlapping or not; empty ones are dropped)."""
    keep = ends > starts
    starts, ends = starts[keep], ends[keep]
    if not len(starts):
        return empty_set()
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    opens = np.concatenate(([True], starts[1:] > reach[:-1]))
    closes = np.concatenate((opens[1:], [True]))
    return starts[opens], reach[closes]


def _depth_at_least(sets: tuple[IntervalSet, IntervalSet], depth: int) -> IntervalSet:
    points = np.concatenate([part for pair in sets for part in pair])
    steps = np.concatenate(
        [np.full(len(part), step) for pair in sets for part, step in zip(pair, (1, -1), strict=True)]
    )
    # At one point closings come before openings, so that touching intervals do not count as overlapping.
    order = np.lexsort((steps, points))
    points, height = points[order], np.cumsum(steps[order])
    inside = np.flatnonzero(height >= depth)
    return union(points[inside], points[inside + 1])


def intersect(one: IntervalSet, other: IntervalSet) -> IntervalSet:
    """Bases in both sets."""
    return _depth_at_least((one, other), 2)


def join(one: IntervalSet, other: IntervalSet) -> IntervalSet:
    """Bases in either set."""
    return union(np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1])))


def subtract(one: IntervalSet, other: IntervalSet) -> IntervalSet:
    """Bases of ``one`` that are not in ``other``."""
    if not len(one[0]) or not len(other[0]):
        return one
    low = min(one[0][0], other[0][0]) - 1
    high = max(one[1][-1], other[1][-1]) + 1
    gaps = np.concatenate(([low], other[1])), np.concatenate((other[0], [high]))
    return intersect(one, gaps)


def size(interval_set: IntervalSet) -> int:
    """Number of bases in the set."""
    return int((interval_set[1] - interval_set[0]).sum())


def covered(interval_set: IntervalSet, starts: Integers, ends: Integers) -> Integers:
    """For each query interval (any order, overlaps allowed), how many of its bases lie in the set."""
    set_starts, set_ends = interval_set
    if not len(set_starts):
        return np.zeros(len(starts), np.int64)
    before = np.concatenate(([0], np.cumsum(set_ends - set_starts)))

    def bases_below(position: Integers) -> Integers:
        index = np.searchsorted(set_starts, position, side="right")
        last = np.maximum(index - 1, 0)
        overshoot = np.where(index > 0, np.maximum(set_ends[last] - position, 0), 0)
        return before[index] - overshoot

    return bases_below(ends) - bases_below(starts)


def contains(interval_set: IntervalSet, starts: Integers, ends: Integers) -> NDArray[np.bool_]:
    """For each query interval, whether one interval of the set holds it whole."""
    set_starts, set_ends = interval_set
    if not len(set_starts):
        return np.zeros(len(starts), bool)
    index = np.searchsorted(set_starts, starts, side="right") - 1
    return (index >= 0) & (ends <= set_ends[np.maximum(index, 0)])


def overlapping_pairs(
    starts: Integers, ends: Integers, other_starts: Integers, other_ends: Integers
) -> tuple[Integers, Integers, Integers]:
    """All pairs of intervals (one of either list, any order, nesting allowed) that share a base.

    Returns index into the first list, index into the second, shared bases. The work is proportional to the number of
    pairs found, but for intervals nested under a much longer one.
    """
    order = np.argsort(starts, kind="stable")
    sorted_starts, reach = starts[order], np.maximum.accumulate(ends[order])
    first = np.searchsorted(reach, other_starts, side="right")
    last = np.searchsorted(sorted_starts, other_ends, side="left")
    number = np.maximum(last - first, 0)
    second = np.repeat(np.arange(len(other_starts)), number)
    within = np.arange(len(second)) - np.repeat(np.cumsum(number) - number, number)
    one = order[np.repeat(first, number) + within]
    shared = np.minimum(ends[one], other_ends[second]) - np.maximum(starts[one], other_starts[second])
    keep = shared > 0
    return one[keep], second[keep], shared[keep]


def shared_ids(keys: tuple[Integers, ...], other_keys: tuple[Integers, ...]) -> tuple[Integers, Integers]:
    """Number the distinct key tuples of two lists together: equal tuples get equal ids, on either side."""
    columns = [np.concatenate(pair) for pair in zip(keys, other_keys, strict=True)]
    total, split = len(columns[0]), len(keys[0])
    if not total:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = np.lexsort(columns[::-1])
    changed = np.zeros(total, bool)
    for column in columns:
        changed[1:] |= np.diff(column[order]) != 0
    ids = np.empty(total, np.int64)
    ids[order] = np.cumsum(changed)
    return ids[:split], ids[split:]
