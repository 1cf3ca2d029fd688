"""Bits of a window, told again base by base and gene by gene, as the method is written down."""

from __future__ import annotations

from math import ceil, log, log2

import numpy as np

from genet5.adapt.counting import base_probabilities, hexamers_before
from genet5.adapt.guard import window_bits
from genet5.adapt.sampling import SampledWindow
from genet5.crf.annotating_network import WindowPotentials
from genet5.genome.genes import Interval
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import WindowGene

RULES = GeneRules(splice_pairs=(("GT", "AG"),))
SIZE = 600
#: Bases before and after a site that a motif tells.
START, DONOR, ACCEPTOR = (9, 6), (3, 6), (14, 3)


def gene(strand: str, *segments: tuple[int, int], **cut: bool | int) -> WindowGene:
    """Segments in strand coordinates, 5' to 3'."""
    if strand == "-":
        segments = tuple((SIZE - end, SIZE - begin) for begin, end in segments[::-1])
    return WindowGene(strand, tuple(Interval(*segment) for segment in segments), **cut)


#: Genes of four windows: whole ones of one and of three segments on both strands, and such as an edge cuts.
GENES = [
    [gene("+", (30, 90), (150, 200), (300, 361)), gene("-", (60, 120))],
    [gene("-", (40, 100), (180, 243)), gene("+", (500, 600), partial3=True)],
    [gene("+", (5, 65)), gene("-", (0, 50), (110, 170), partial5=True, phase=1)],
    [gene("+", (20, 80), (140, 230)), gene("-", (30, 95), (200, 230), (310, 350))],
]


def windows() -> list[SampledWindow]:
    rng = np.random.default_rng(3)
    found = []
    for _ in GENES:
        sites = WindowSites("".join(rng.choice(list("ACGT"), SIZE)), RULES)
        repeats = np.zeros(SIZE, bool)
        repeats[250:280] = True
        potentials = WindowPotentials(np.zeros((2, SIZE, 4), np.float32), np.zeros((2, 4, SIZE + 1), np.float32))
        found.append(SampledWindow(sites, potentials, repeats))
    return found


def strands(window: SampledWindow) -> np.ndarray:
    """Codes of both strands, 5' to 3', repeats unknown."""
    forward = np.where(window.repeats, 4, window.sites.codes)
    backward = np.where(forward < 4, 3 - forward, 4)[::-1]
    return np.stack([forward, backward]).astype(np.uint8)


def codon_positions(genes: list[WindowGene]) -> np.ndarray:
    """[2, W], of strand bases: codon position, -1 for what is not coding."""
    found = np.full((2, SIZE), -1)
    for one in genes:
        position = (3 - one.phase) % 3
        for begin, end in one.on_strand(SIZE):
            found[int(one.strand == "-"), begin:end] = (position + np.arange(end - begin)) % 3
            position = (position + end - begin) % 3
    return found


def facts(one: WindowGene) -> tuple[list, list, list]:
    """Motifs (kind, boundary), lengths (kind, bases) and what follows segments (first, intron) of a gene."""
    segments = list(one.on_strand(SIZE))
    motifs = [] if one.partial5 else [(START, segments[0][0])]
    lengths, follows = [], []
    for number, (begin, end) in enumerate(segments):
        first, last = number == 0, number == len(segments) - 1
        if not (first and one.partial5) and not (last and one.partial3):
            kind = "single" if first and last else "first" if first else "last" if last else "inner"
            lengths.append((kind, end - begin))
        if not (last and one.partial3):
            follows.append((first and not one.partial5, not last))
        if not last:
            motifs += [(DONOR, end), (ACCEPTOR, segments[number + 1][0])]
            lengths.append(("intron", segments[number + 1][0] - end))
    return motifs, lengths, follows


def length_bin(length: int) -> tuple[int, int]:
    """Number and size of the bin of a length: each ends a quarter further than the one before."""
    number = int(log(length) / log(1.25))
    return number, max(ceil(1.25 ** (number + 1)) - ceil(1.25**number), 1)


def around(codes: np.ndarray, at: int, reach: tuple[int, int]) -> list[int] | None:
    begin, end = at - reach[0], at + reach[1]
    return codes[begin:end].tolist() if begin >= 0 and end <= SIZE else None


class Habits:
    """What is counted of some windows, and the bits of another one."""

    def __init__(self, known: list[tuple[SampledWindow, list[WindowGene]]]) -> None:
        bases = np.zeros((4, 4097))
        self.motifs = {reach: np.full((sum(reach), 5), 0.5) for reach in (START, DONOR, ACCEPTOR)}
        self.lengths, self.follows, self.begins = {}, np.ones((2, 2)), np.ones(2)
        for window, genes in known:
            codes, positions = strands(window), codon_positions(genes)
            rest = (positions[0] < 0) & (positions[1, ::-1] < 0)
            for row in (0, 1):
                hexamers = hexamers_before(codes[row])
                for at in range(SIZE):
                    if positions[row, at] >= 0:
                        bases[positions[row, at], hexamers[at]] += 1
                    if (rest if row == 0 else rest[::-1])[at]:
                        bases[3, hexamers[at]] += 1
            self.begins += rest.sum(), len(genes)
            for one in genes:
                motifs, lengths, follows = facts(one)
                for reach, at in motifs:
                    for place, code in enumerate(around(codes[int(one.strand == "-")], at, reach) or ()):
                        self.motifs[reach][place, code] += 1
                for kind, length in lengths:
                    of_kind = self.lengths.setdefault(kind, np.full(80, 0.3))
                    of_kind[length_bin(length)[0]] += 1
                for first, intron in follows:
                    self.follows[int(first), int(intron)] += 1
        self.bases = [np.append(base_probabilities(table).ravel(), 0.25) for table in bases]

    def bits(self, window: SampledWindow, genes: list[WindowGene]) -> tuple[float, float]:
        codes, positions = strands(window), codon_positions(genes)
        hexamers = [hexamers_before(strand) for strand in codes]
        total = -sum(log2(self.bases[3][one]) for one in hexamers[0])
        told = [[log2(self.bases[positions[row, at]][hexamers[row][at]]) for at in range(SIZE)] for row in (0, 1)]
        coding = sum(
            told[row][at] - log2(self.bases[3][hexamers[row][at]])
            for row in (0, 1)
            for at in range(SIZE)
            if positions[row, at] >= 0
        )
        total -= coding
        for one in genes:
            motifs, lengths, follows = facts(one)
            row = int(one.strand == "-")
            total -= log2(self.begins[1] / self.begins.sum()) - 1
            for reach, at in motifs:
                seen = around(codes[row], at, reach)
                if seen is not None:
                    table = self.motifs[reach] / self.motifs[reach].sum(1, keepdims=True)
                    total -= sum(log2(table[place, code]) for place, code in enumerate(seen))
                    total += sum(told[row][at - reach[0] : at + reach[1]])
            for kind, length in lengths:
                number, size = length_bin(length)
                of_kind = self.lengths.get(kind, np.full(80, 0.3))
                total -= log2(of_kind[number] / of_kind.sum() / size)
            for first, intron in follows:
                total -= log2(self.follows[int(first), int(intron)] / self.follows[int(first)].sum())
            if not one.partial5 and not one.partial3:
                total -= log2(3)
        return total, coding


def test_bits_of_windows_are_those_that_the_other_half_makes_likely() -> None:
    sampled = windows()
    found = window_bits(sampled, GENES)
    pairs = list(zip(sampled, GENES, strict=True))
    expected = [
        Habits([other for place, other in enumerate(pairs) if place % 2 != number % 2]).bits(*pair)
        for number, pair in enumerate(pairs)
    ]
    np.testing.assert_allclose(np.stack(found, axis=1), expected, rtol=1e-9, atol=1e-9)
