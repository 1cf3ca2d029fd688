"""What decides whether an adaptation is taken: how well the genes it finds explain DNA that it was not learnt from.

A right gene set makes DNA predictable: coding bases follow codons, sites follow motifs, lengths follow habits. So it
can be told in fewer bits, its own description included (minimum description length, Rissanen 1978). ``window_bits``
tells each window with a model counted from the genes of the other windows. Introns and intergenic DNA share one table,
and repeats are unknown bases: neither may pay for the other (docs/decisions.md has what went wrong without that).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from genet5.adapt.counting import base_probabilities, hexamers_before
from genet5.adapt.sampling import SampledWindow
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.crf.labels import CODING, INTRON, label_window
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, START_SITE
from genet5.genome.window_genes import WindowGene

FOLDS = 2
#: Bases before and after a site that its motif tells.
MOTIFS = {START_SITE: (9, 6), DONOR_SITE: (3, 6), ACCEPTOR_SITE: (14, 3)}
SINGLE, FIRST, INNER, LAST, INTRON_LENGTH = range(5)  # rows of the counts of lengths
LENGTH_BINS, BIN_GROWTH, LENGTH_PRIOR = 80, 1.25, 0.3
MOTIF_PRIOR = 0.5
_REST = 3  # of rows of tables: what is not coding; before it codon positions 0, 1, 2


class Bits(NamedTuple):
    """Of windows, float64 [windows]. total: of their DNA and genes. coding: that tables of codons save of them."""

    total: np.ndarray
    coding: np.ndarray


class Gain(NamedTuple):
    """Bits in a kilobase that one gene set saves more than another one: mean and standard error over windows."""

    bits_per_kb: float
    error: float

    def exceeds(self, errors: float) -> bool:
        return self.bits_per_kb > errors * self.error


def gain(saved: np.ndarray, bases: np.ndarray) -> Gain:
    """saved: bits of each window. bases: of each window."""
    kb = bases.sum() / 1000
    spread = saved - bases * saved.sum() / bases.sum()  # a long window saves more
    number = len(saved)
    return Gain(float(saved.sum() / kb), float(np.sqrt(number / max(number - 1, 1) * (spread**2).sum()) / kb))


def window_bits(windows: Sequence[SampledWindow], genes: Sequence[Sequence[WindowGene]]) -> Bits:
    """Bits of each window's DNA and genes under the model of the windows in the other fold.

    Windows are dealt to the folds in turn.
    """
    told = [_Told.of(*pair) for pair in zip(windows, genes, strict=True)]
    models = []
    for fold in range(FOLDS):
        model = _Model()
        for number, one in enumerate(told):
            if number % FOLDS != fold:
                model.add(one)
        models.append(model.settled())
    rows = [models[number % FOLDS].bits(one) for number, one in enumerate(told)]
    return Bits(*np.array(rows).reshape(-1, 2).T)


class _Told(NamedTuple):
    """A window with its genes. codes: uint8 [2, W], repeats unknown. ids: hexamers that end at bases, [2, W]. tables:
    row of the table of each base, [2, W]. rest: bool [2, W], bases that are coding on neither strand.
    """

    codes: np.ndarray
    ids: np.ndarray
    tables: np.ndarray
    rest: np.ndarray
    genes: Sequence[WindowGene]

    @classmethod
    def of(cls, window: SampledWindow, genes: Sequence[WindowGene]) -> _Told:
        labels, _ = label_window(window.sites, genes, [])
        coding = (labels >= CODING) & (labels < INTRON)
        rest = ~(coding[0] | coding[1][::-1])
        codes = window.counted_codes
        ids = np.stack([hexamers_before(strand) for strand in codes])
        tables = np.where(coding, labels - CODING, _REST)
        return cls(codes, ids, tables, np.stack([rest, rest[::-1]]), genes)


class _Event(NamedTuple):
    """What of a gene is told beside its bases: motifs (strand, kind, boundary), lengths (row, bases), and whether a
    segment is followed by an intron (True) or by the stop codon, for the first segment and for others.
    """

    motifs: list[tuple[int, int, int]]
    lengths: list[tuple[int, int]]
    goes_on: list[tuple[bool, bool]]


def _event(gene: WindowGene, size: int) -> _Event:
    """What the window's edges cut has no length."""
    row, segments = int(gene.strand == "-"), gene.on_strand(size)
    found = _Event([], [], [])
    if not gene.partial5:
        found.motifs.append((row, START_SITE, segments[0].start))
    last = len(segments) - 1
    for number, (begin, end) in enumerate(segments):
        first_whole, last_whole = number > 0 or not gene.partial5, number < last or not gene.partial3
        first, final = number == 0 and not gene.partial5, number == last and not gene.partial3
        if first_whole and last_whole:
            kind = SINGLE if first and final else FIRST if first else LAST if final else INNER
            found.lengths.append((kind, end - begin))
        if last_whole:
            found.goes_on.append((first, number < last))
    for (_, donor), (acceptor, _) in pairwise(segments):
        found.motifs.extend([(row, DONOR_SITE, donor), (row, ACCEPTOR_SITE, acceptor)])
        found.lengths.append((INTRON_LENGTH, acceptor - donor))
    return found


class _Model:
    """Counts, and after ``settled`` their logarithms."""

    def __init__(self) -> None:
        self.bases = np.zeros((_REST + 1, HEXAMERS))
        self.motifs = {kind: np.full((sum(reach), 5), MOTIF_PRIOR) for kind, reach in MOTIFS.items()}
        self.lengths = np.full((5, LENGTH_BINS), LENGTH_PRIOR)
        self.goes_on = np.ones((2, 2))
        self.begins = np.ones(2)  # bases of the rest, and genes

    def add(self, told: _Told) -> None:
        for row in range(2):
            for table in range(_REST + 1):
                chosen = told.rest[row] if table == _REST else told.tables[row] == table
                self.bases[table] += np.bincount(told.ids[row][chosen], minlength=HEXAMERS)
        self.begins += told.rest[0].sum(), len(told.genes)
        for gene in told.genes:
            event = _event(gene, told.codes.shape[1])
            for row, kind, at in event.motifs:
                around = _around(told.codes[row], at, MOTIFS[kind])
                if around is not None:
                    self.motifs[kind][np.arange(len(around)), around] += 1
            for kind, length in event.lengths:
                self.lengths[kind, _bin(length)] += 1
            for first, further in event.goes_on:
                self.goes_on[int(first), int(further)] += 1

    def settled(self) -> _Model:
        found = [np.log(base_probabilities(of_table)).reshape(-1) for of_table in self.bases]
        self.bases = np.pad(np.stack(found), ((0, 0), (0, 1)), constant_values=np.log(0.25))
        self.motifs = {kind: np.log(counts / counts.sum(1, keepdims=True)) for kind, counts in self.motifs.items()}
        self.lengths = np.log(self.lengths / self.lengths.sum(1, keepdims=True))
        self.goes_on = np.log(self.goes_on / self.goes_on.sum(1, keepdims=True))
        self.begins = np.log(self.begins / self.begins.sum())
        return self

    def bits(self, told: _Told) -> tuple[float, float]:
        """Total and coding (``Bits``) of a window, after ``settled``."""
        size = told.codes.shape[1]
        each = [self.bases[told.tables[row], told.ids[row]] for row in range(2)]
        coding = 0.0
        for row in range(2):
            chosen = told.tables[row] != _REST
            coding += (each[row] - self.bases[_REST, told.ids[row]])[chosen].sum()
        total = self.bases[_REST, told.ids[0]].sum() + coding
        for gene in told.genes:
            event = _event(gene, size)
            total += self.begins[1] - np.log(2)  # its strand
            for row, kind, at in event.motifs:
                around = _around(told.codes[row], at, MOTIFS[kind])
                if around is not None:
                    before, after = MOTIFS[kind]
                    told_anyway = each[row][at - before : at + after].sum()
                    total += self.motifs[kind][np.arange(len(around)), around].sum() - told_anyway
            for kind, length in event.lengths:
                total += self.lengths[kind, _bin(length)] - np.log(_bin_size(length))
            total += sum(self.goes_on[int(first), int(further)] for first, further in event.goes_on)
            if not gene.partial5 and not gene.partial3:
                total += np.log(3)  # of three lengths of the last segment, one ends with a codon
        return float(-total / np.log(2)), float(coding / np.log(2))


def _around(codes: np.ndarray, at: int, reach: tuple[int, int]) -> np.ndarray | None:
    """Codes of the bases around a boundary; None where the window ends before."""
    before, after = reach
    return None if at < before or at + after > len(codes) else codes[at - before : at + after]


def _bin(length: int) -> int:
    return min(int(np.log(max(length, 1)) / np.log(BIN_GROWTH)), LENGTH_BINS - 1)


def _bin_size(length: int) -> int:
    """Lengths that share the bin of ``length``."""
    number = _bin(length)
    return max(int(np.ceil(BIN_GROWTH ** (number + 1))) - int(np.ceil(BIN_GROWTH**number)), 1)
