"""Choosing windows to score or to learn from: balanced over species, some without a gene, few that overlap."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any

from genet5.bake.chosen_windows import draw
from genet5.bake.shards import ShardReader, ShardSet

EMPTY_SHARE = 0.1
"""Share of the windows that have no gene: a model that writes genes everywhere must not look good."""


def choose_samples(
    shards: ShardReader | ShardSet, count: int, seed: int, purpose: str, min_introns: int = 0
) -> dict[str, Any]:
    """``count`` samples, balanced over species, a tenth without a gene: ``samples``, ``counts`` by species, ``seed``.

    Windows that overlap one already chosen come only when nothing else is left. What one species cannot give, others
    do. ``purpose`` and ``seed`` decide the draw. Windows that show genes have at least ``min_introns`` introns.
    """
    with_genes: dict[str, list[dict[str, Any]]] = {}
    empty: dict[str, list[dict[str, Any]]] = {}
    for index in range(len(shards)):
        meta = shards.meta(index)
        if meta["num_genes"] and meta["num_introns"] < min_introns:
            continue
        kind = with_genes if meta["num_genes"] else empty
        kept = {name: meta[name] for name in ("species", "seqid", "start", "end", "num_genes")}
        kind.setdefault(meta["species"], []).append({"index": index, "key": shards.key(index), **kept})
    queues = [
        {species: _drawn_order(entries, seed, purpose) for species, entries in sorted(kind.items())}
        for kind in (with_genes, empty)
    ]
    available = [sum(map(len, kind.values())) for kind in queues]
    num_empty = min(int(count * EMPTY_SHARE + 0.5), available[1])
    num_with_genes = min(count - num_empty, available[0])
    num_empty = min(count - num_with_genes, available[1])
    chosen = _in_turn(queues[0], num_with_genes) + _in_turn(queues[1], num_empty)
    counts: dict[str, int] = {}
    for entry in chosen:
        counts[entry["species"]] = counts.get(entry["species"], 0) + 1
    return {"samples": chosen, "counts": counts, "seed": seed}


def _drawn_order(entries: list[dict[str, Any]], seed: int, purpose: str) -> list[dict[str, Any]]:
    """Entries of one species in the order of their draw, those that overlap an earlier one moved to the end."""
    entries = sorted(entries, key=lambda entry: (draw(seed, purpose, entry["key"]), entry["key"]))
    taken: dict[str, list[tuple[int, int]]] = {}
    apart, overlapping = [], []
    for entry in entries:
        spans = taken.setdefault(entry["seqid"], [])
        # The spans taken do not overlap, so only the neighbours on either side of this one can.
        place = bisect_left(spans, (entry["start"], entry["end"]))
        neighbours = spans[max(place - 1, 0) : place + 1]
        if any(start < entry["end"] and end > entry["start"] for start, end in neighbours):
            overlapping.append(entry)
        else:
            insort(spans, (entry["start"], entry["end"]))
            apart.append(entry)
    return apart + overlapping


def _in_turn(queues: Mapping[str, list[dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    """``count`` entries, one of each queue in turn while it lasts."""
    longest = max(map(len, queues.values()), default=0)
    turns = (queue[turn] for turn in range(longest) for queue in queues.values() if turn < len(queue))
    return [entry for entry, _ in zip(turns, range(count), strict=False)]
