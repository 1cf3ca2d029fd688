"""Genes drawn from the parameters of AUGUSTUS: their structure, their DNA, and the untranslated DNA beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genet5.errors import InputError
from genet5.genome.genes import Interval
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sampling_loops import NO_STOPS, fill_markov, fill_motif, has_stop
from genet5.genome.simulation_options import SimulateOptions
from genet5.sources.augustus_parameters import (
    INITIAL,
    INTERNAL,
    SINGLE,
    TERMINAL,
    AugustusParameters,
    CompositionClass,
)
from genet5.sources.augustus_tables import Motif, SplicePatterns

BASES = "ACGT"
_ATG = np.array([0, 3, 2], dtype=np.int8)
_GT, _GC, _AG = (np.array([BASES.index(base) for base in word], dtype=np.int8) for word in ("GT", "GC", "AG"))
_POLYADENYLATION = np.array([BASES.index(base) for base in "AATAAA"], dtype=np.int8)
_CONTEXT_BP = 8  # bases drawn before a piece, so that a Markov model of any order has its context
_TRIES = 2000
_TRIES_OF_LENGTHS = 200
_GC_DONORS_WHERE_ALLOWED = 0.02


@dataclass(frozen=True)
class Piece:
    """A stretch of DNA, codes 0..3, forward strand; ``cds``: the coding segments of the gene in it, empty: no gene."""

    bases: np.ndarray
    cds: tuple[Interval, ...] = ()
    strand: str = "+"

    def turned(self) -> Piece:
        """The same piece on the other strand."""
        length = len(self.bases)
        cds = tuple(Interval(length - end, length - start) for start, end in reversed(self.cds))
        return Piece(3 - self.bases[::-1], cds, "-" if self.strand == "+" else "+")


class Discrete:
    """Draws indices of a table of probabilities."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self.cumulated = np.cumsum(probabilities)

    def draw(self, rng: np.random.Generator) -> int:
        """One index."""
        return int(np.searchsorted(self.cumulated, rng.random() * self.cumulated[-1], side="right"))


class DnaClass:
    """The tables of one class of GC content in the shape of the loops: [planes, 4 ** k, 4]."""

    def __init__(self, tables: CompositionClass) -> None:
        self.exon = np.ascontiguousarray(tables.exon)
        self.intron = np.ascontiguousarray(tables.intron[None])
        self.intergenic = np.ascontiguousarray(tables.intergenic[None])
        self.flank = np.ascontiguousarray(_mean_table(tables.intron, tables.intergenic)[None])
        self.composition = Discrete(tables.composition)
        self.start_motif = tables.start_motif
        self.acceptor_motif = tables.acceptor_motif
        self.short_intron_share = tables.short_intron_share
        self.mean_extra_intron_bp = tables.mean_extra_intron_bp


class DnaWriter:
    """DNA drawn from left to right."""

    def __init__(self, rng: np.random.Generator, dna: DnaClass, room_bp: int) -> None:
        self.rng = rng
        self.dna = dna
        self.codes = np.zeros(room_bp + _CONTEXT_BP, dtype=np.int8)
        self.at = 0
        self.put(np.array([dna.composition.draw(rng) for _ in range(_CONTEXT_BP)], dtype=np.int8))

    @property
    def length(self) -> int:
        """Bases drawn so far."""
        return self.at - _CONTEXT_BP

    def bases(self, start: int = 0) -> np.ndarray:
        """The bases from ``start`` on."""
        return self.codes[_CONTEXT_BP + start : self.at]

    def put(self, codes: np.ndarray) -> None:
        """Append bases as they are."""
        self._make_room(len(codes))
        self.codes[self.at : self.at + len(codes)] = codes
        self.at += len(codes)

    def markov(self, length: int, table: np.ndarray, phase: int = 0, stops: np.ndarray = NO_STOPS) -> None:
        """Append ``length`` bases of a Markov model."""
        if length > 0:
            self._make_room(length)
            fill_markov(self.codes, self.at, table, phase, stops, self.rng.random(length))
            self.at += length

    def motif(self, motif: Motif | None, longest_bp: int | None = None) -> None:
        """Append a motif, or its last ``longest_bp`` bases."""
        if motif is None:
            return
        length = motif.width if longest_bp is None else max(0, min(longest_bp, motif.width))
        if length:
            self._make_room(length)
            fill_motif(self.codes, self.at, motif.table, motif.width - length, self.rng.random(length))
            self.at += length

    def _make_room(self, length: int) -> None:
        missing = self.at + length - len(self.codes)
        if missing > 0:
            self.codes = np.concatenate([self.codes, np.zeros(missing + len(self.codes), dtype=np.int8)])


class GeneSampler:
    """Draws genes of one species under one genetic code. ``longest_bp``: no gene is longer, coding DNA and introns."""

    def __init__(
        self, parameters: AugustusParameters, code: GeneticCode, options: SimulateOptions, longest_bp: int
    ) -> None:
        self.parameters = parameters
        self.options = options
        self.longest_bp = longest_bp
        self.classes = [DnaClass(tables) for tables in parameters.classes]
        self.stops = np.array([_codon(index) in code.stops for index in range(64)])
        shares = {codon: share for codon, share in parameters.stops.items() if codon in code.stops and share > 0}
        if not shares:
            raise InputError(
                f"{parameters.folder}: none of its stop codons ends a gene in genetic code {code.table} ({code.name})"
            )
        self._stop_codons = [np.array([BASES.index(base) for base in codon], dtype=np.int8) for codon in shares]
        self._stop_draw = Discrete(np.array(list(shares.values())))
        self._lengths = [Discrete(table) for table in parameters.exon_lengths]
        self._longest_in_table = parameters.exon_lengths.shape[1] - 1
        self._short_introns = Discrete(parameters.intron_lengths)
        self._donors = Discrete(parameters.donors.probabilities)
        self._acceptors = Discrete(parameters.acceptors.probabilities)
        inner_donor, inner_acceptor = parameters.donors.before, parameters.acceptors.after
        self._least_exon = (6, max(3, 3 + inner_donor), max(1, inner_acceptor + inner_donor), inner_acceptor + 3)
        self.least_intron_bp = 4 + parameters.donors.after + parameters.acceptors.before

    def gene(self, rng: np.random.Generator, dna: DnaClass) -> Piece:
        """A gene on the + strand with the untranslated DNA beside it."""
        for _ in range(_TRIES):
            exons, introns = self.structure(rng, dna)
            coding = self.coding(rng, dna, exons)
            if coding is not None:
                return self._assembled(rng, dna, exons, introns, *coding)
        raise InputError(f"{self.parameters.folder}: no gene without a stop inside in {_TRIES} attempts")

    def structure(self, rng: np.random.Generator, dna: DnaClass) -> tuple[list[int], list[int]]:
        """Lengths of the exons and of the introns, 5' to 3'; the exons hold whole codons."""
        for _ in range(_TRIES):
            kinds = self._exon_kinds(rng)
            introns = [self.intron_length(rng, dna) for _ in kinds[1:]]
            exons = self._exon_lengths(rng, kinds)
            if exons and sum(exons) + sum(introns) <= self.longest_bp:
                return exons, introns
        raise InputError(
            f"{self.parameters.folder}: no gene of {self.parameters.min_coding_bp} or more coding bases and at most "
            f"{self.longest_bp} bases in {_TRIES} attempts"
        )

    def _exon_kinds(self, rng: np.random.Generator) -> list[int]:
        if rng.random() < self.parameters.single_share:
            return [SINGLE]
        mean = self.parameters.mean_internal_exons
        internal = int(rng.geometric(1 / (1 + mean))) - 1 if mean else 0
        return [INITIAL, *[INTERNAL] * internal, TERMINAL]

    def _exon_lengths(self, rng: np.random.Generator, kinds: list[int]) -> list[int]:
        """Lengths of exons that hold whole codons, and enough of them; none where so few exons can hardly be so long.

        Where they are too short, all lengths are drawn again, and not the number of exons: it stays as often as it is.
        """
        least = self.parameters.min_coding_bp
        for _ in range(_TRIES_OF_LENGTHS):
            exons = [self.exon_length(rng, kind) for kind in kinds]
            if sum(exons) >= least:
                # Another last exon, not a longer one, so that lengths are as often as they should be.
                for _ in range(_TRIES_OF_LENGTHS):
                    if sum(exons) % 3 == 0 and sum(exons) >= least:
                        return exons
                    exons[-1] = self.exon_length(rng, kinds[-1])
        return []

    def exon_length(self, rng: np.random.Generator, kind: int) -> int:
        """Length of an exon of one kind; it has room for its start, its stop and the patterns of its splice sites."""
        for _ in range(_TRIES):
            if rng.random() < self.parameters.exon_tail_shares[kind]:
                length = self._longest_in_table + int(rng.geometric(1 / self.parameters.exon_tail_bp[kind]))
            else:
                length = self._lengths[kind].draw(rng)
            if self._least_exon[kind] <= length <= self.parameters.max_exon_bp:
                return length
        raise InputError(f"{self.parameters.folder}: no exon of at least {self._least_exon[kind]} bp among its lengths")

    def intron_length(self, rng: np.random.Generator, dna: DnaClass) -> int:
        """Length of an intron; it has room for the patterns of its splice sites."""
        for _ in range(_TRIES):
            if rng.random() < dna.short_intron_share:
                length = self._short_introns.draw(rng)
            else:
                extra = int(rng.geometric(1 / max(1.0, dna.mean_extra_intron_bp)))
                length = len(self.parameters.intron_lengths) - 1 + extra
            if length >= self.least_intron_bp:
                return length
        raise InputError(f"{self.parameters.folder}: no intron of at least {self.least_intron_bp} bp among its lengths")

    def coding(
        self, rng: np.random.Generator, dna: DnaClass, exons: list[int]
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[np.ndarray]] | None:
        """(start motif, coding DNA, donor patterns, acceptor patterns); None: no donor fits where one is needed.

        The coding DNA is drawn as it is after splicing, so that no stop hides behind an intron.
        """
        writer = DnaWriter(rng, dna, sum(exons) + 100)
        writer.markov(_CONTEXT_BP, dna.flank)
        writer.motif(dna.start_motif)
        first = writer.length
        start_motif = writer.bases()[_CONTEXT_BP:].copy()
        writer.put(_ATG)
        donors, acceptors = [], []
        end = 0
        for number, length in enumerate(exons):
            end += length
            last = number == len(exons) - 1
            inside = end - (3 if last else self.parameters.donors.before)
            phase = writer.length - first
            writer.markov(inside - phase, dna.exon, phase % 3, self.stops)
            if last:
                writer.put(self.stop_codon(rng))
                break
            donor = self._fitting(writer, first, self.parameters.donors, self._donors, exon_is_before=True)
            acceptor = self._fitting(writer, first, self.parameters.acceptors, self._acceptors, exon_is_before=False)
            if donor is None or acceptor is None:
                return None
            donors.append(donor)
            acceptors.append(acceptor)
        return start_motif, writer.bases(first), donors, acceptors

    def _fitting(
        self, writer: DnaWriter, first: int, site: SplicePatterns, draw: Discrete, *, exon_is_before: bool
    ) -> np.ndarray | None:
        """A splice-site pattern whose exon bases, appended to the coding DNA, end no stop codon; it appends them."""
        begin = writer.at
        for _ in range(100):
            pattern = site.patterns[draw.draw(writer.rng)]
            writer.at = begin
            writer.put(pattern[: site.before] if exon_is_before else pattern[site.before :])
            coding = writer.bases(first)
            at = begin - _CONTEXT_BP - first
            if not has_stop(coding, at, len(coding), self.stops):
                return pattern
        return None

    def stop_codon(self, rng: np.random.Generator) -> np.ndarray:
        """A stop codon, as often as the species ends its genes with it."""
        return self._stop_codons[self._stop_draw.draw(rng)]

    def put_intron(self, writer: DnaWriter, length: int, donor: np.ndarray, acceptor: np.ndarray) -> None:
        """Append an intron of ``length`` bases between two splice sites."""
        rng, dna = writer.rng, writer.dna
        share = max(self.options.gc_donor_share, _GC_DONORS_WHERE_ALLOWED if self.parameters.gc_donors else 0.0)
        writer.put(_GC if rng.random() < share else _GT)
        writer.put(donor[self.parameters.donors.before :])
        left = length - self.least_intron_bp
        motif_bp = min(left, dna.acceptor_motif.width) if dna.acceptor_motif else 0
        writer.markov(left - motif_bp, dna.intron)
        writer.motif(dna.acceptor_motif, motif_bp)
        writer.put(acceptor[: self.parameters.acceptors.before])
        writer.put(_AG)

    def _assembled(
        self,
        rng: np.random.Generator,
        dna: DnaClass,
        exons: list[int],
        introns: list[int],
        start_motif: np.ndarray,
        coding: np.ndarray,
        donors: list[np.ndarray],
        acceptors: list[np.ndarray],
    ) -> Piece:
        writer = DnaWriter(rng, dna, sum(exons) + sum(introns) + 2000)
        self._put_untranslated(writer, self.options.mean_utr5_bp)
        writer.put(start_motif)
        cds = []
        taken = 0
        for number, length in enumerate(exons):
            begin = writer.length
            writer.put(coding[taken : taken + length])
            taken += length
            cds.append(Interval(begin, writer.length))
            if number < len(introns):
                self.put_intron(writer, introns[number], donors[number], acceptors[number])
        self._put_untranslated(writer, self.options.mean_utr3_bp)
        if rng.random() < 0.5:
            writer.put(_POLYADENYLATION)
            writer.markov(int(rng.integers(10, 30)), dna.flank)
        return Piece(writer.bases().copy(), tuple(cds))

    def _put_untranslated(self, writer: DnaWriter, mean_bp: float) -> None:
        """Untranslated DNA of lognormal length, with an intron in some of them; ATG and short reading frames occur."""
        rng = writer.rng
        length = int(mean_bp * np.exp(rng.normal(-0.32, 0.8)))  # -sd**2 / 2: the mean is mean_bp
        if rng.random() < self.options.utr_intron_share * (1 - self.parameters.single_share):
            before = int(length * rng.random())
            donor = self.parameters.donors.patterns[self._donors.draw(rng)]
            acceptor = self.parameters.acceptors.patterns[self._acceptors.draw(rng)]
            writer.markov(before, writer.dna.flank)
            writer.put(donor[: self.parameters.donors.before])
            self.put_intron(writer, min(self.intron_length(rng, writer.dna), self.longest_bp // 10), donor, acceptor)
            writer.put(acceptor[self.parameters.acceptors.before :])
            length -= before
        writer.markov(length, writer.dna.flank)


def _codon(index: int) -> str:
    return BASES[index // 16] + BASES[index // 4 % 4] + BASES[index % 4]


def _mean_table(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mean of two Markov models, of the higher of their orders."""
    contexts = max(len(first), len(second))
    return (np.tile(first, (contexts // len(first), 1)) + np.tile(second, (contexts // len(second), 1))) / 2
