"""How many bits an annotation saves when DNA is written down: one scale for the genes of all models.

The score of a model cannot be compared with that of another one: each was trained to tell right chains of genes from
wrong ones of the same DNA, not to say how probable the DNA is. The bits of a code can be compared (minimum description
length, Rissanen 1978). The DNA is written base by base. A base costs -log2 of its probability given up to five bases
before it, as they were counted so far: in all bases, and in those of its class (neither, intron, or one of three codon
positions, on the strand of the gene). Counts that predicted a class well weigh more there. Bases around starts, stops
and splice sites are counted by position, too. Then the places of all genes are written. Right genes make the DNA
predictable: codons repeat, stops are absent in frame, splice sites look alike. Wrong genes cost more than they save.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log2

import numba
import numpy as np

from genet5.genome.sites import encode_bases
from genet5.genome.window_genes import WindowGene

ORDER = 5  # bases before a base that its probability depends on
_CONTEXTS = 4**ORDER
#: Counts of shorter contexts weigh as much as this many bases.
_PRIOR_BASES = 4.0
_NEITHER, _INTRON, _CODING = 0, 1, 2  # classes; codon positions are 2, 3, 4
_CLASSES = 5
#: Bases at a site that are counted by their position: (first, end) from the boundary, and the row of the first one.
_START, _STOP, _DONOR, _ACCEPTOR = (-18, 3), (-3, 0), (0, 6), (-8, 0)
_STARTS_AT, _STOPS_AT, _DONORS_AT, _ACCEPTORS_AT, _PLACES = 0, 21, 24, 30, 38
_EXPERTS = ORDER + 2  # all bases; the class, with each length of context
_MEMORY = 0.998  # of what predicted well: it fades over some 500 bases of the class
_LEAST_WEIGHT = 1e-4
_SIZES = 40  # kinds of lengths, by sign and binary digits


class Paint:
    """Class, strand and place at a site of each base of a window; genes painted first stay."""

    def __init__(self, window_bp: int) -> None:
        self.window_bp = window_bp
        self.classes = np.zeros(window_bp, dtype=np.int8)
        self.reverse = np.zeros(window_bp, dtype=np.bool_)
        self.places = np.full(window_bp, -1, dtype=np.int8)

    def add(self, gene: WindowGene) -> None:
        """Paint a gene."""
        size = self.window_bp
        segments = gene.on_strand(size)
        free = self.classes == _NEITHER
        free = free if gene.strand == "+" else free[::-1]
        classes, places = np.full(size, -1, dtype=np.int8), np.full(size, -1, dtype=np.int8)
        skipped = gene.phase
        for number, (begin, end) in enumerate(segments):
            if number:
                classes[segments[number - 1].end : begin] = _INTRON
                _place(places, segments[number - 1].end, _DONOR, _DONORS_AT)
                _place(places, begin, _ACCEPTOR, _ACCEPTORS_AT)
            classes[begin:end] = _CODING + (np.arange(end - begin) - skipped) % 3
            skipped = (skipped - (end - begin)) % 3
        if not gene.partial5:
            _place(places, segments[0].start, _START, _STARTS_AT)
        if not gene.partial3:
            _place(places, segments[-1].end, _STOP, _STOPS_AT)
        painted, at_site = (classes >= 0) & free, (places >= 0) & free
        if gene.strand == "-":
            classes, places, painted, at_site = classes[::-1], places[::-1], painted[::-1], at_site[::-1]
        self.classes[painted] = classes[painted]
        self.places[at_site] = places[at_site]
        self.reverse[painted | at_site] = gene.strand == "-"


def _place(places: np.ndarray, boundary: int, around: tuple[int, int], row: int) -> None:
    first, end = max(boundary + around[0], 0), min(boundary + around[1], len(places))
    places[first:end] = row + np.arange(first, end) - boundary - around[0]


def saved_bits(windows: Sequence[str], genes: Sequence[Sequence[WindowGene]]) -> float:
    """Bits that the genes of windows save, against the same DNA without any gene; below 0 where they cost more.

    windows: upper-case bases. genes: of each window, the most certain ones first where two overlap.
    """
    codes = [encode_bases(window) for window in windows]
    without, painted = ([Paint(len(window)) for window in windows] for _ in range(2))
    for paint, found in zip(painted, genes, strict=True):
        for gene in found:
            paint.add(gene)
    return _written_bits(codes, without) - _written_bits(codes, painted) - _bits_of_places(windows, genes)


class _Lengths:
    """Bits of lengths, by their kind: the number of binary digits as counted so far, then the digits."""

    def __init__(self) -> None:
        self.seen: dict[str, Counter] = {}

    def bits(self, kind: str, length: int) -> float:
        digits = abs(length).bit_length()
        seen, size = self.seen.setdefault(kind, Counter()), (length < 0, digits)
        chance = (seen[size] + 0.5) / (seen.total() + 0.5 * _SIZES)
        seen[size] += 1
        return max(digits - 1, 0) - log2(chance)


def _bits_of_places(windows: Sequence[str], genes: Sequence[Sequence[WindowGene]]) -> float:
    """Bits of where genes, exons and introns lie, against none anywhere; one for the strand of a gene."""
    lengths, without, total = _Lengths(), _Lengths(), 0.0
    for window, found in zip(windows, genes, strict=True):
        at = 0
        for gene in sorted(found, key=lambda gene: (gene.start, gene.end)):
            total += 1 + lengths.bits("between genes", gene.start - at) + lengths.bits("exons", len(gene.cds))
            total += sum(lengths.bits("exon", end - start) for start, end in gene.cds)
            total += sum(lengths.bits("intron", right.start - left.end) for left, right in pairwise(gene.cds))
            at = gene.end
        total += lengths.bits("between genes", len(window) - at)
        total -= without.bits("between genes", len(window))
    return total


def _written_bits(codes: Sequence[np.ndarray], painted: Sequence[Paint]) -> float:
    of_classes, of_all = np.zeros((ORDER + 1, _CLASSES, _CONTEXTS, 4)), np.zeros((ORDER + 1, _CONTEXTS, 4))
    of_places, weights = np.zeros((_PLACES, 4)), np.full((_CLASSES, _EXPERTS), 1 / _EXPERTS)
    return sum(
        _bits(
            bases,
            np.where(bases < 4, 3 - bases, 4),
            paint.classes,
            paint.reverse,
            paint.places,
            of_classes,
            of_all,
            of_places,
            weights,
        )
        for bases, paint in zip(codes, painted, strict=True)
    )


@numba.njit(cache=True, inline="always")
def _counted(row, base, prior):
    """Chance of a base by the counts of a row, and by what is known without them; counts the base."""
    chance = (row[base] + _PRIOR_BASES * prior) / (row[0] + row[1] + row[2] + row[3] + _PRIOR_BASES)
    row[base] += 1.0
    return chance


@numba.njit(cache=True)
def _bits(codes, complements, classes, reverse, places, of_classes, of_all, of_places, weights):
    """Bits of one window. All counts and weights grow with each base.

    of_classes: float64 [order + 1, class, context, base]. of_all: [order + 1, context, base]. of_places: [place, base].
    weights: [class, expert].
    """
    size, bits = len(codes), 0.0
    chances = np.zeros(_EXPERTS)
    for at in range(size):
        step = 1 if reverse[at] else -1
        base = complements[at] if reverse[at] else codes[at]
        if base > 3:
            continue
        kind = classes[at]
        of_class = of_any = 0.25
        context, power, longest = 0, 1, 0
        for order in range(ORDER + 1):
            if order:
                before = at + step * order
                if before < 0 or before >= size:
                    break
                other = complements[before] if reverse[at] else codes[before]
                if other > 3:
                    break
                context += power * other
                power *= 4
            of_class = _counted(of_classes[order, kind, context], base, of_class)
            of_any = _counted(of_all[order, context], base, of_any)
            chances[order + 1] = of_class
            longest = order
        chances[0] = of_any
        chances[longest + 2 :] = of_class
        chance = 0.0
        for expert in range(_EXPERTS):
            chance += weights[kind, expert] * chances[expert]
        total = 0.0
        for expert in range(_EXPERTS):
            weight = (weights[kind, expert] * chances[expert] / chance) ** _MEMORY + _LEAST_WEIGHT
            weights[kind, expert] = weight
            total += weight
        for expert in range(_EXPERTS):
            weights[kind, expert] /= total
        if places[at] >= 0:
            chance = _counted(of_places[places[at]], base, chance)
        bits -= np.log2(chance)
    return bits
