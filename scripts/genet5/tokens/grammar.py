"""The grammar: which token may come next, given the DNA and what has been written so far.

A gene is written in transcript order as ``<+> [<partial5> <phase_p>] (<cds> 5' boundary, 3' boundary)+ [<partial3>]
<end>``; genes follow each other in the order of their first boundary on the forward strand. The automaton guarantees
that a gene

* begins at a start codon, or is marked ``<partial5>`` and begins at the window's edge or at an acceptor whose
  intron the edge may cut;
* ends at the first stop codon of its reading frame, codons split by introns included, or is marked ``<partial3>``
  at the edge or at a donor whose intron the edge may cut;
* has introns with an allowed pair of ends and an allowed length;
* shares at most ``max_overlap_bp`` bases of a segment with the genes already written on its strand.

It never dead-ends: a segment is only opened where reading on to its first in-frame stop (or to the edge) is legal, so a
gene can always be closed. The price is conservative: an exon whose frame, read past its donor, runs into a gene already
written on the same strand is not offered.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from genet5.genome.sites import NO_STOP, GeneRules, StrandSites, WindowSites
from genet5.tokens.grammar_steps import Boundary, Candidates, GrammarViolation, SegmentEnd, Step
from genet5.tokens.tokenizer import GeneTokenizer

CODON_BP = 3  # a first exon holds its start codon whole


class Grammar:
    """Rules and vocabulary; makes a cursor for each window."""

    def __init__(self, tokenizer: GeneTokenizer, rules: GeneRules) -> None:
        self.tokenizer = tokenizer
        self.rules = rules

    def sites(self, bases: str | bytes) -> WindowSites:
        return WindowSites(bases, self.rules)

    def begin(self, sites: WindowSites) -> Cursor:
        """A cursor before the first structure token of a window."""
        return Cursor(self, sites)


class Cursor:
    """Reads structure tokens one by one and knows the legal next ones."""

    def __init__(self, grammar: Grammar, sites: WindowSites) -> None:
        self.grammar = grammar
        self.tokens = grammar.tokenizer
        self.rules = grammar.rules
        self.sites = sites
        self.window_bp = sites.window_bp
        self.step = Step.GENE
        self.violations = 0
        self.cut_strands: frozenset[str] = frozenset()  # strands with a gene that their 5' edge cuts
        self._occupied = {"+": None, "-": None}  # prefix sums of bases taken by written genes, per strand
        self._previous_key = -1
        self._previous_strand = ""
        self._loc = 0
        self._open = self._first_key = 0  # 5' boundary of the open segment; first boundary of the open gene
        self._candidates: Candidates | None = None
        self._gene_starts: dict[str, np.ndarray] = {}
        self._cut_phases: dict[str, tuple[int, ...]] = {}
        self._reach: dict[tuple[str, int, int], np.ndarray] = {}  # see _acceptors_before
        self._legal: np.ndarray | None = None  # ids, of the step the cursor stands before
        self._begin_gene("+")

    def fork(self) -> Cursor:
        """A second cursor at the same place. Arrays are shared: a cursor replaces its own and never writes in them."""
        twin = copy(self)
        twin._occupied, twin._gene_starts = dict(self._occupied), dict(self._gene_starts)
        twin._cut_phases, twin._reach = dict(self._cut_phases), dict(self._reach)
        twin._segments = list(self._segments)
        return twin

    # ---------------------------------------------------------------- geometry

    def forward(self, strand: str, position: int) -> int:
        return position if strand == "+" else self.window_bp - position

    def _forward_mask(self, candidates: Candidates) -> np.ndarray:
        return candidates.mask if candidates.strand == "+" else candidates.mask[::-1]

    def _begin_gene(self, strand: str) -> None:
        self.strand = strand
        self._segments: list[tuple[int, int]] = []
        self._partial5 = False
        self._phase = 0
        self._missing = 0  # bases that complete the split codon
        self._carry: str | None = ""
        self._donor_pairs: tuple[int, ...] = ()
        self._segment_end: SegmentEnd | None = None

    def _after_previous(self, strand: str) -> int:
        """Least forward key the next gene of ``strand`` may begin at."""
        if self._previous_key < 0:
            return 0
        tie_allowed = strand == "-" and self._previous_strand == "+"
        return self._previous_key + (0 if tie_allowed else 1)

    def _in_order(self, strand: str) -> slice:
        """Positions of ``strand`` whose forward coordinate respects the order of genes."""
        least = self._after_previous(strand)
        return slice(least, None) if strand == "+" else slice(0, max(self.window_bp - least + 1, 0))

    # ---------------------------------------------------------------- what is legal where

    def _free(self, strand: str, begin: np.ndarray | int, end: np.ndarray | int) -> np.ndarray | bool:
        """Whether segments [begin, end) respect the overlap limit."""
        occupied = self._occupied[strand]
        if occupied is None:
            return True if np.isscalar(begin) else np.ones(np.shape(begin), dtype=bool)
        return occupied[np.minimum(end, self.window_bp)] - occupied[begin] <= self.rules.max_overlap_bp

    def _acceptors(self, strand: str, pair: int | None, missing: int) -> np.ndarray:
        """Acceptors from which the reading can go on to a stop or to the edge."""
        strand_sites = self.sites.strand(strand)
        found = strand_sites.any_acceptor if pair is None else strand_sites.acceptors[pair]
        if self._occupied[strand] is None:
            return found
        positions = np.flatnonzero(found[: self.window_bp])
        legal = np.zeros_like(found)
        ends = strand_sites.stop_end[np.minimum(positions + missing, self.window_bp + 3)]
        legal[positions[self._free(strand, positions, ends)]] = True
        return legal

    def _acceptor_range(self, donor: int) -> tuple[int, int]:
        """Acceptors of the intron opened at ``donor`` lie in [low, high)."""
        low = donor + self.rules.least_intron_bp
        return low, min(donor + self.rules.max_intron_bp + 1, self.window_bp)

    def _edge_cuts_intron(self, donor: int | np.ndarray) -> bool | np.ndarray:
        return self.window_bp - donor <= self.rules.max_intron_bp

    def _acceptors_before(self, strand: str, pair: int, missing: int) -> np.ndarray:
        """How many acceptors of a pair lie before each position; int [window_bp + 2]."""
        key = strand, pair, missing
        if key not in self._reach:
            found = self._acceptors(strand, pair, missing)
            self._reach[key] = np.concatenate([[0], np.cumsum(found, dtype=np.int32)])
        return self._reach[key]

    def _usable_donors(self, strand: str, begin: int, end: int, frame: int) -> np.ndarray:
        """Donors in [begin, end) with an acceptor in reach or an intron the edge may cut; positions, ascending."""
        usable = np.zeros(max(end - begin, 0), dtype=bool)
        for pair, donors in enumerate(self.sites.strand(strand).donors):
            offsets = np.flatnonzero(donors[begin:end])
            if not len(offsets):
                continue
            positions = begin + offsets
            good = np.asarray(self._edge_cuts_intron(positions)).copy()
            low = np.minimum(positions + self.rules.least_intron_bp, self.window_bp)
            high = np.clip(positions + self.rules.max_intron_bp + 1, low, self.window_bp)
            missing = (frame - positions) % 3  # bases after the donor up to the next codon start
            for count in range(3) if self._occupied[strand] is not None else (0,):
                reach = self._acceptors_before(strand, pair, count)
                rows = missing == count if self._occupied[strand] is not None else slice(None)
                good[rows] |= reach[high[rows]] > reach[low[rows]]
            usable[offsets[good]] = True
        return begin + np.flatnonzero(usable)

    def _complete_starts(self, strand: str) -> np.ndarray:
        """Start codons a complete gene of ``strand`` may begin at; bool [window_bp + 1]."""
        strand_sites = self.sites.strand(strand)
        legal = np.zeros(self.window_bp + 1, dtype=bool)
        order = self._in_order(strand)
        legal[order] = strand_sites.start[order]
        positions = np.flatnonzero(legal)
        if not len(positions):
            return legal
        ends = strand_sites.stop_end[positions]
        good = np.asarray(self._free(strand, positions, ends)).copy()
        short = ends - positions < self.rules.min_gene_bp
        if short.any() and good.any():
            good[short] &= self._donor_follows(strand_sites, positions[short], ends[short])
        legal[positions[~good]] = False
        return legal

    def _donor_follows(self, strand_sites: StrandSites, positions: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Whether an exon begun at each of ``positions`` meets a usable donor before its stop."""
        follows = np.zeros(len(positions), dtype=bool)
        strand = "+" if strand_sites is self.sites.plus else "-"
        for frame in range(3 if strand_sites.donors else 0):
            rows = positions % 3 == frame
            usable = np.zeros(self.window_bp + 2, dtype=np.int64)
            usable[1 + self._usable_donors(strand, 0, self.window_bp, frame)] = 1
            reach = np.cumsum(usable)  # reach[i]: usable donors before i
            low = np.minimum(positions[rows] + max(self.rules.min_exon_bp, CODON_BP), self.window_bp)
            high = np.maximum(np.minimum(ends[rows], self.window_bp), low)
            follows[rows] = reach[high] > reach[low]
        return follows

    def _cut_starts(self, strand: str, phase: int) -> np.ndarray:
        """Where a gene cut at its 5' end may begin when its first visible base has ``phase``; bool [window_bp + 1]."""
        legal = np.zeros(self.window_bp + 1, dtype=bool)
        reach = min(self.rules.max_intron_bp, self.window_bp - 1)
        if self.rules.splice_pairs:
            legal[: reach + 1] = self._acceptors(strand, None, phase)[: reach + 1]
        ends = int(self.sites.strand(strand).stop_end[min(phase, self.window_bp)])
        legal[0] = self.window_bp > 0 and bool(self._free(strand, 0, ends))
        order = self._in_order(strand)
        ordered = np.zeros_like(legal)
        ordered[order] = legal[order]
        ordered[self.window_bp] = False
        return ordered

    def gene_starts(self, strand: str) -> np.ndarray:
        """Legal 5' boundaries of a complete next gene on ``strand`` (strand coordinates)."""
        if strand not in self._gene_starts:
            self._gene_starts[strand] = self._complete_starts(strand)
        return self._gene_starts[strand]

    def cut_phases(self, strand: str) -> tuple[int, ...]:
        """Phases a next gene cut at its 5' end may have on ``strand``."""
        if strand not in self._cut_phases:
            self._cut_phases[strand] = tuple(phase for phase in range(3) if self._cut_starts(strand, phase).any())
        return self._cut_phases[strand]

    def _five_candidates(self) -> Candidates:
        if self._segments:
            donor = self._segments[-1][1]
            low, high = self._acceptor_range(donor)
            mask = np.zeros(self.window_bp + 1, dtype=bool)
            for pair in self._donor_pairs:
                mask[low:high] |= self._acceptors(self.strand, pair, self._missing)[low:high]
            return Candidates(Boundary.RESUME, self.strand, mask, missing=self._missing, anchor=donor)
        if self._partial5:
            mask = self._cut_starts(self.strand, self._phase)
            return Candidates(Boundary.RESUME, self.strand, mask, missing=self._phase, previous_key=self._previous_key)
        return Candidates(Boundary.START, self.strand, self.gene_starts(self.strand), previous_key=self._previous_key)

    def _three_candidates(self) -> Candidates:
        begin = self._open
        strand_sites = self.sites.strand(self.strand)
        stop = strand_sites.reading_end(begin, self._carry, self._missing)
        terminal = min(stop, self.window_bp)
        frame = (begin + self._missing) % 3
        mask = np.zeros(self.window_bp + 1, dtype=bool)
        opens_gene = not self._segments and not self._partial5
        least = max(self.rules.min_exon_bp, CODON_BP) if opens_gene else self.rules.min_exon_bp
        low = min(begin + least, self.window_bp)
        if strand_sites.donors and low < terminal:
            mask[self._usable_donors(self.strand, low, terminal, frame)] = True
        too_short = (
            not self._segments
            and not self._partial5
            and stop < NO_STOP
            and terminal - begin < self.rules.min_gene_bp
            and mask.any()
        )
        if not too_short:
            mask[terminal] = True
        return Candidates(Boundary.END, self.strand, mask, frame=frame, terminal=terminal, anchor=begin)

    # ---------------------------------------------------------------- the automaton

    @property
    def candidates(self) -> Candidates:
        """The positions the boundary being written may take (steps FIVE_* and THREE_* only)."""
        if self._candidates is None:
            five = self.step in (Step.FIVE_LOC, Step.FIVE_OFF)
            self._candidates = self._five_candidates() if five else self._three_candidates()
        return self._candidates

    def legal_ids(self) -> np.ndarray:
        """Ids of all tokens that may come next, ascending; not to be written in."""
        if self._legal is None:
            self._legal = self._find_legal_ids()
        return self._legal

    def _find_legal_ids(self) -> np.ndarray:
        tokens = self.tokens
        step = self.step
        if step is Step.GENE:
            legal = [tokens.eos]
            for strand, token in (("+", tokens.plus), ("-", tokens.minus)):
                if self.gene_starts(strand).any() or self.cut_phases(strand):
                    legal.append(token)
        elif step is Step.OPEN:
            legal = [tokens.cds] if self.gene_starts(self.strand).any() else []
            legal += [tokens.partial5] if self.cut_phases(self.strand) else []
        elif step is Step.PHASE:
            legal = [tokens.phase(phase) for phase in self.cut_phases(self.strand)]
        elif step is Step.CDS:
            legal = [tokens.cds]
        elif step in (Step.FIVE_LOC, Step.THREE_LOC):
            positions = np.flatnonzero(self._forward_mask(self.candidates))
            return tokens.loc_base + np.unique(positions // tokens.segment_bp)
        elif step in (Step.FIVE_OFF, Step.THREE_OFF):
            first = self._loc * tokens.segment_bp
            return tokens.off_base + np.flatnonzero(
                self._forward_mask(self.candidates)[first : first + tokens.segment_bp]
            )
        elif step is Step.AFTER:
            legal = self._after_segment()
        elif step is Step.END:
            legal = [tokens.end]
        else:
            legal = []
        return np.array(sorted(legal), dtype=np.int64)

    def _after_segment(self) -> list[int]:
        tokens = self.tokens
        if self._segment_end is SegmentEnd.STOP:
            return [tokens.end]
        if self._segment_end is SegmentEnd.EDGE:
            return [tokens.partial3]
        donor = self._segments[-1][1]
        legal = [tokens.cds] if self._five_candidates().mask.any() else []
        return legal + ([tokens.partial3] if self._edge_cuts_intron(donor) else [])

    def advance(self, token: int, force: bool = False) -> None:
        """Take ``token``. An illegal one raises ``GrammarViolation``; with ``force`` it is taken and counted.

        ``force`` is for reading reference genes the rules do not cover; even then the token must be of the right kind.
        """
        if token not in self.legal_ids():
            if not force:
                raise GrammarViolation(f"{self.tokens.token(token)} is not allowed at step {self.step.name}")
            self.violations += 1
        self._legal = None
        tokens = self.tokens
        step = self.step
        if step is Step.GENE:
            if token == tokens.eos:
                self.step = Step.DONE
            else:
                self._begin_gene("+" if token == tokens.plus else "-")
                self.step = Step.OPEN
        elif step is Step.OPEN:
            self._partial5 = token == tokens.partial5
            self.step = Step.PHASE if self._partial5 else Step.FIVE_LOC
        elif step is Step.PHASE:
            self._phase = token - tokens.phase(0)
            self.cut_strands |= {self.strand}
            self._missing, self._carry = self._phase, None
            self.step = Step.CDS
        elif step is Step.CDS:
            self.step = Step.FIVE_LOC
        elif step in (Step.FIVE_LOC, Step.THREE_LOC):
            self._loc = token - tokens.loc_base
            self.step = Step.FIVE_OFF if step is Step.FIVE_LOC else Step.THREE_OFF
        elif step in (Step.FIVE_OFF, Step.THREE_OFF):
            forward = self._loc * tokens.segment_bp + token - tokens.off_base
            position = self.forward(self.strand, forward)
            if step is Step.FIVE_OFF:
                self._take_five(position)
            else:
                self._take_three(position)
            self._candidates = None
        elif step is Step.AFTER:
            self.step = {tokens.cds: Step.FIVE_LOC, tokens.partial3: Step.END}.get(token, Step.GENE)
            if token == tokens.end:
                self._close_gene()
        elif step is Step.END:
            self._close_gene()
            self.step = Step.GENE

    def _take_five(self, position: int) -> None:
        if not self._segments:
            self._first_key = self.forward(self.strand, position)
        self._open = position
        self.step = Step.THREE_LOC

    def _take_three(self, position: int) -> None:
        candidates = self.candidates
        strand_sites = self.sites.strand(self.strand)
        begin = self._open
        self._segments.append((begin, position))
        is_donor = [pair for pair, donors in enumerate(strand_sites.donors) if donors[position]]
        if position == candidates.terminal and position < self.window_bp:
            self._segment_end = SegmentEnd.STOP
        elif position == candidates.terminal:
            ends_with_stop = strand_sites.reading_end(begin, self._carry, self._missing) == self.window_bp
            self._segment_end = SegmentEnd.STOP if ends_with_stop else SegmentEnd.EDGE
        else:
            self._segment_end = SegmentEnd.DONOR
        self._donor_pairs = tuple(is_donor)
        missing, carry = self._missing, self._carry
        length = position - begin
        if length < missing:  # the exon is shorter than the rest of the split codon
            bases = _letters(strand_sites.codes[begin:position])
            self._carry = None if carry is None else carry + bases
            self._missing = missing - length
        else:
            left = (length - missing) % 3
            self._carry = _letters(strand_sites.codes[position - left : position])
            self._missing = (3 - left) % 3
        self.step = Step.AFTER

    def _close_gene(self) -> None:
        occupied = np.zeros(self.window_bp + 1, dtype=np.int64)
        for begin, end in self._segments:
            occupied[begin + 1 : end + 1] = 1
        occupied = np.cumsum(occupied)
        before = self._occupied[self.strand]
        self._occupied[self.strand] = occupied if before is None else occupied + before
        self._previous_key = self._first_key
        self._previous_strand = self.strand
        self._gene_starts, self._cut_phases, self._reach = {}, {}, {}

    @property
    def finished(self) -> bool:
        return self.step is Step.DONE

    @property
    def previous_key(self) -> int:
        """Forward coordinate of the last gene's first boundary, -1 before the first gene."""
        return self._previous_key

    @property
    def loc(self) -> int:
        """Segment of the mile-post just written (steps FIVE_OFF and THREE_OFF)."""
        return self._loc


def _letters(codes: np.ndarray) -> str:
    return "".join("ACGTN"[code] for code in codes)
