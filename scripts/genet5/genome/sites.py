"""What the DNA of a window allows: start codons, in-frame stops, donors and acceptors, on both strands.

Everything here is in *strand coordinates*: position q counts bases from the 5' end of the strand, so that a gene of
either strand is read left to right. Forward coordinate = q on ``+`` and ``window_bp - q`` on ``-`` (boundaries, not
bases).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NO_STOP = 1 << 29  # "no in-frame stop before the window ends"; far beyond any window, safe to add to

START_SITE, STOP_SITE, DONOR_SITE, ACCEPTOR_SITE = range(4)  # rows of arrays with one row per kind of site
NUM_SITES = 4

LEAST_INTRON_BP = 4  # both splice dinucleotides
SHARED_STOP_BP = (1, 4)  # bases of a stop codon that the next gene may begin with: TAATG and ATGA

_CODES = np.full(256, 4, dtype=np.uint8)
for _code, _letter in enumerate("ACGT"):
    _CODES[ord(_letter)] = _CODES[ord(_letter.lower())] = _code


@dataclass(frozen=True)
class GeneRules:
    """What a gene of one clade may look like under one genetic code.

    starts: codons a complete gene may begin with. stops: codons that end it. splice_pairs: (donor, acceptor)
    dinucleotides; none means no introns. min_gene_bp: least length of a gene in one piece, stop codon included.
    max_overlap_bp: coding bases that a gene may share with another one on the same strand.
    """

    starts: tuple[str, ...] = ("ATG",)
    splice_pairs: tuple[tuple[str, str], ...] = ()
    min_intron_bp: int = 20
    max_intron_bp: int = 10_000
    min_exon_bp: int = 3
    min_gene_bp: int = 60
    max_overlap_bp: int = 60
    stops: frozenset[str] = frozenset({"TAA", "TAG", "TGA"})

    @property
    def least_intron_bp(self) -> int:
        """The shortest intron; it holds both splice dinucleotides whatever ``min_intron_bp`` says."""
        return max(self.min_intron_bp, LEAST_INTRON_BP)


def encode_bases(bases: str | bytes) -> np.ndarray:
    """Letters -> uint8 codes 0..3 for A, C, G, T and 4 for anything else; shape [window_bp]."""
    raw = bases.encode("ascii") if isinstance(bases, str) else bytes(bases)
    return _CODES[np.frombuffer(raw, dtype=np.uint8)]


def _lower_case(bases: str | bytes) -> np.ndarray:
    raw = bases.encode("ascii") if isinstance(bases, str) else bytes(bases)
    return np.frombuffer(raw, dtype=np.uint8) >= ord("a")


def reverse_complement_codes(codes: np.ndarray) -> np.ndarray:
    """Reverse complement of base codes."""
    reverse = codes[::-1]
    return np.where(reverse < 4, 3 - reverse, 4).astype(np.uint8)


def _codon_index(codes: np.ndarray) -> np.ndarray:
    """Index 0..63 of the codon starting at each base, 64 where it holds an unknown base; shape [window_bp - 2]."""
    if len(codes) < 3:
        return np.zeros(0, dtype=np.int64)
    first, second, third = (codes[shift : len(codes) - 2 + shift].astype(np.int64) for shift in range(3))
    return np.where((first < 4) & (second < 4) & (third < 4), 16 * first + 4 * second + third, 64)


def _codon_table(codons: frozenset[str] | tuple[str, ...]) -> np.ndarray:
    table = np.zeros(65, dtype=bool)
    for codon in codons:
        first, second, third = encode_bases(codon)
        table[16 * int(first) + 4 * int(second) + int(third)] = True
    return table


class StrandSites:
    """Sites of one strand of one window; arrays have one entry per boundary 0..window_bp."""

    def __init__(self, codes: np.ndarray, rules: GeneRules) -> None:
        self.codes = codes
        self.rules = rules
        self.stops = _codon_table(rules.stops)
        self.window_bp = len(codes)
        codons = _codon_index(codes)
        self.start = np.zeros(self.window_bp + 1, dtype=bool)
        self.start[: len(codons)] = _codon_table(rules.starts)[codons]
        self._all_starts = self.start
        #: end of the first stop codon met when reading codons from q on (NO_STOP if none), padded by three entries
        self.stop_end = np.full(self.window_bp + 4, NO_STOP, dtype=np.int64)
        is_stop = self.stops[codons]
        ends = np.where(is_stop, np.arange(len(codons)) + 3, NO_STOP)
        for frame in range(3):
            self.stop_end[frame : len(codons) : 3] = np.minimum.accumulate(ends[frame::3][::-1])[::-1]
        self.stop_here = np.zeros(self.window_bp + 1, dtype=bool)  # a stop codon of any frame ends at this boundary
        self.stop_here[3 : len(codons) + 3] = is_stop

    def _dinucleotide(self, motif: str) -> np.ndarray:
        """True at base i where ``motif`` occupies bases i, i + 1; shape [window_bp + 1]."""
        found = np.zeros(self.window_bp + 1, dtype=bool)
        first, second = encode_bases(motif)
        found[: max(self.window_bp - 1, 0)] = (self.codes[:-1] == first) & (self.codes[1:] == second)
        return found

    @cached_property
    def donors(self) -> tuple[np.ndarray, ...]:
        """Per splice pair: boundaries an exon may end at (the intron's first two bases follow)."""
        return tuple(self._dinucleotide(donor) for donor, _ in self.rules.splice_pairs)

    @cached_property
    def acceptors(self) -> tuple[np.ndarray, ...]:
        """Per splice pair: boundaries an exon may begin at (the intron's last two bases precede)."""
        found = []
        for _, acceptor in self.rules.splice_pairs:
            shifted = np.zeros(self.window_bp + 1, dtype=bool)
            shifted[2:] = self._dinucleotide(acceptor)[:-2]
            found.append(shifted)
        return tuple(found)

    @cached_property
    def any_donor(self) -> np.ndarray:
        return np.logical_or.reduce(self.donors) if self.donors else np.zeros(self.window_bp + 1, dtype=bool)

    @cached_property
    def any_acceptor(self) -> np.ndarray:
        return np.logical_or.reduce(self.acceptors) if self.acceptors else np.zeros(self.window_bp + 1, dtype=bool)

    @cached_property
    def start_rank(self) -> np.ndarray:
        """At each start codon, how many start codons of the same open reading frame lie before it; int32 [W + 1]."""
        rank = np.zeros(self.window_bp + 1, dtype=np.int32)
        positions = np.flatnonzero(self._all_starts)
        # Starts of one open reading frame share its stop, or, where the window cuts it, their frame.
        stop = self.stop_end[positions]
        frame = np.where(stop == NO_STOP, NO_STOP + positions % 3, stop)
        order = np.lexsort((positions, frame))
        first = np.concatenate([[True], np.diff(frame[order]) != 0]) if len(order) else np.zeros(0, dtype=bool)
        index = np.arange(len(order))
        rank[positions[order]] = index - np.maximum.accumulate(np.where(first, index, 0))
        return rank

    def restrict_starts(self, allowed: np.ndarray) -> None:
        """Keep only the start codons where ``allowed``, bool [W + 1], is True; ranks still count all of them."""
        self.start = self.start & allowed

    @cached_property
    def first_start(self) -> np.ndarray:
        """True where the first start codon of the rules (ATG, usually) stands; bool [W + 1]."""
        found = np.zeros(self.window_bp + 1, dtype=bool)
        codons = _codon_index(self.codes)
        found[: len(codons)] = _codon_table(self.rules.starts[:1])[codons]
        return found

    @cached_property
    def split_stop(self) -> np.ndarray:
        """Boundaries where a stop codon may end that an intron splits: soon behind an acceptor; bool [W + 1]."""
        codons = np.zeros((5, 5, 5), dtype=bool)
        codons[:4, :4, :4] = self.stops[:64].reshape(4, 4, 4)
        last, two_last = codons.any((0, 1)), codons.any(0)
        found = np.zeros(self.window_bp + 1, dtype=bool)
        acceptor = self.any_acceptor
        found[1:] = acceptor[:-1] & last[self.codes]
        found[2:] |= acceptor[:-2] & two_last[self.codes[:-1], self.codes[1:]]
        return found

    @property
    def scored(self) -> np.ndarray:
        """Boundaries at which a chain of genes may have a site; bool [W + 1]."""
        return self.start | self.stop_here | self.any_donor | self.any_acceptor | self.split_stop

    @property
    def allowed(self) -> np.ndarray:
        """Where the bases allow a site; bool [4, W + 1], rows as ``START_SITE`` and the others."""
        return np.stack([self.start, self.stop_here, self.any_donor, self.any_acceptor])

    def reading_end(self, start: int, carry: str | None, missing: int) -> int:
        """End of the first in-frame stop codon of a segment that begins at ``start``.

        ``missing`` bases complete the codon begun in the exon before; ``carry`` holds that codon's first bases, or is
        None where the window cuts them off (then the split codon is not taken for a stop).
        """
        if missing and carry is not None and start + missing <= self.window_bp:
            codon = np.concatenate([encode_bases(carry), self.codes[start : start + missing]])
            if (codon < 4).all() and self.stops[16 * int(codon[0]) + 4 * int(codon[1]) + int(codon[2])]:
                return start + missing
        return int(self.stop_end[start + missing]) if start + missing <= self.window_bp else NO_STOP


class WindowSites:
    """Both strands of a window. masked: bool [W], bases in lower case: those of repeats, in a soft-masked genome."""

    def __init__(self, bases: str | bytes, rules: GeneRules) -> None:
        codes = encode_bases(bases)
        self.masked = _lower_case(bases)
        self.codes = codes
        self.rules = rules
        self.window_bp = len(codes)
        self.plus = StrandSites(codes, rules)
        self.minus = StrandSites(reverse_complement_codes(codes), rules)

    def strand(self, sign: str) -> StrandSites:
        return self.plus if sign == "+" else self.minus

    @property
    def strand_codes(self) -> np.ndarray:
        """Base codes of both strands, each 5' to 3'; uint8 [2, W]."""
        return np.stack([self.plus.codes, self.minus.codes])

    @property
    def allowed(self) -> np.ndarray:
        """Where the bases allow a site; bool [2, 4, W + 1], in strand coordinates."""
        return np.stack([self.plus.allowed, self.minus.allowed])
