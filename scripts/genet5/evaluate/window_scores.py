"""F1 of the genes of one small window. Plain Python without arrays takes tens of microseconds, so it can be a reward.

The definitions are those of ``matching.py`` with one transcript per gene. A reward must be a number. So a window scores
1.0 where both sides are empty (it was right to predict nothing), and 0.0 where one side is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

Span = tuple[int, int]
Exon = tuple[str, int, int]


class Structure(Protocol):
    """Anything with a strand and ascending half-open CDS segments."""

    @property
    def strand(self) -> str: ...

    @property
    def cds(self) -> Sequence[Span]: ...


class WindowScores(NamedTuple):
    """F1 of distinct exons, of genes (one to one) and of coding bases (strand-aware)."""

    exon_f1: float
    gene_f1: float
    nucleotide_f1: float


def window_f1(
    reference_genes: Iterable[Structure],
    predicted_genes: Iterable[Structure],
    dont_care: Sequence[tuple[int, int, str]] = (),
) -> WindowScores:
    """Compare the genes of a window; coordinates of both sides must have the same origin.

    ``dont_care`` lists (start, end, strand or ``.``): wrong predictions that lie more than half on it are ignored,
    and its bases do not count. Coordinates and strand must be equal. A gene may be partial on one side alone.
    """
    reference = [(gene.strand, tuple(gene.cds)) for gene in reference_genes]
    predicted = [(gene.strand, tuple(gene.cds)) for gene in predicted_genes]
    exons = {(strand, start, end) for strand, cds in reference for start, end in cds}
    made_exons = {(strand, start, end) for strand, cds in predicted for start, end in cds}
    spared: dict[str, list[Span]] = {}
    open_genes = Counter(reference)
    right = wrong = 0
    if dont_care:
        spared = {side: _spared_spans(side, dont_care, exons) for side in "+-"}
    counted_exons = _judged(exons, made_exons, spared)
    for gene in predicted:
        if open_genes[gene] > 0:
            open_genes[gene] -= 1
            right += 1
        elif not (spared and _is_spared(*gene, spared)):
            wrong += 1
    return WindowScores(
        exon_f1=_f1(len(exons & counted_exons), len(exons), len(counted_exons)),
        gene_f1=_f1(right, len(reference), right + wrong),
        nucleotide_f1=_nucleotide_f1(exons, made_exons, spared),
    )


def judged_exons(exons: set[Exon], made_exons: set[Exon], dont_care: Sequence[tuple[int, int, str]]) -> set[Exon]:
    """Predicted exons that count: without wrong ones that lie more than half on ``dont_care``."""
    spared = {side: _spared_spans(side, dont_care, exons) for side in "+-"} if dont_care else {}
    return _judged(exons, made_exons, spared)


def _judged(exons: set[Exon], made_exons: set[Exon], spared: dict[str, list[Span]]) -> set[Exon]:
    if not spared:
        return made_exons
    return {exon for exon in made_exons if exon in exons or not _is_spared(exon[0], (exon[1:],), spared)}


def _f1(shared: int, one: int, other: int) -> float:
    return 2 * shared / (one + other) if one or other else 1.0


def _spared_spans(side: str, dont_care: Iterable[tuple[int, int, str]], exons: Iterable[Exon]) -> list[Span]:
    """Don't-care stretches of a strand outside the exons of scored genes, where those genes count."""
    spared = _union((start, end) for start, end, strand in dont_care if strand in (side, "."))
    for exon in _union((start, end) for strand, start, end in exons if strand == side):
        spared = [
            piece
            for start, end in spared
            for piece in ((start, min(end, exon[0])), (max(start, exon[1]), end))
            if piece[0] < piece[1]
        ]
    return spared


def _is_spared(strand: str, segments: Sequence[Span], spared: dict[str, list[Span]]) -> bool:
    return 2 * _size(_intersection(_union(segments), spared[strand])) > sum(end - start for start, end in segments)


def _nucleotide_f1(exons: Iterable[Exon], made_exons: Iterable[Exon], spared: dict[str, list[Span]]) -> float:
    shared = one = other = 0
    for side in "+-":
        truth = _union((start, end) for strand, start, end in exons if strand == side)
        made = _union((start, end) for strand, start, end in made_exons if strand == side)
        shared += _size(_intersection(truth, made))
        one += _size(truth)
        other += _size(made)
        if spared:
            other -= _size(_intersection(made, spared[side]))
    return _f1(shared, one, other)


def _size(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)


def _union(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        elif end > start:
            merged.append((start, end))
    return merged


def _intersection(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Shared stretches of two sorted lists of disjoint spans."""
    shared: list[Span] = []
    left = right = 0
    while left < len(one) and right < len(other):
        start = max(one[left][0], other[right][0])
        end = min(one[left][1], other[right][1])
        if start < end:
            shared.append((start, end))
        if one[left][1] < other[right][1]:
            left += 1
        else:
            right += 1
    return shared
