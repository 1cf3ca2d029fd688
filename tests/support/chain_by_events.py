"""The best chain of genes of a strand as a loop over events in plain Python: what ``best_chain`` is compared with.

It was written before the compiled one, and shares no code with it but the shape of what is found.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from genet5.crf.best_chain import Found, StrandPotentials
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, NO_STOP, START_SITE, STOP_SITE, GeneRules, StrandSites

LEAST_EXON_BP = 3  # of exons with a donor: a split codon then never spans three exons
SHORT_OVERLAP_BP = 8  # most genes that overlap share 1 or 4 bases of a start and a stop codon

NOTHING = -np.inf


def chain_by_events(strand: StrandSites, scores: StrandPotentials, gene_penalty: float) -> list[Found]:
    """As ``best_chain``."""
    carries = _Carries.of(strand.stops)
    chain = _Chain(strand.rules, strand.window_bp, gene_penalty, scores, carries.counts)
    handlers = (chain.stop, chain.credit, chain.donor, chain.acceptor, chain.start, chain.foresee)
    for event in _events(strand, scores, gene_penalty, carries):
        handlers[event[0]](event)
    return chain.finish()


@dataclass(frozen=True)
class _Carries:
    """Split codons. Carried bases that the same completions turn into a stop are one class.

    classes: [5 * 5] class of two carried bases (one is missing) and [5] of one (two are missing); code 4 is unknown.
    stops: bit masks over classes, [5] by the one completing base and [5 * 5] by the two. counts: classes when 0, 1 and
    2 bases are missing.
    """

    classes: tuple[np.ndarray, np.ndarray]
    stops: tuple[np.ndarray, np.ndarray]
    counts: tuple[int, int, int]

    @classmethod
    def of(cls, stops: np.ndarray) -> _Carries:
        codons = np.zeros((5, 5, 5), dtype=bool)
        codons[:4, :4, :4] = stops[:64].reshape(4, 4, 4)
        classes, masks, counts = [], [], [1]
        for table in (codons.reshape(25, 5), codons.reshape(5, 25)):  # [carried, completing]
            distinct, class_of = np.unique(table, axis=0, return_inverse=True)
            classes.append(class_of.reshape(-1))
            masks.append((distinct.astype(np.int64) << np.arange(len(distinct))[:, None]).sum(0))
            counts.append(len(distinct))
        return cls(tuple(classes), tuple(masks), tuple(counts))


# -------------------------------------------------------------------- events

# What can happen at a boundary, in the order in which it must be looked at there.
STOP, CREDIT, DONOR, ACCEPTOR, START, FORESEE = range(6)
_ORDERS = 8  # acceptors take three, the one whose segment begins farthest back first


def _events(strand: StrandSites, scores: StrandPotentials, gene_penalty: float, carries: _Carries) -> list[tuple]:
    """What the chain meets, 5' to 3'; a tuple per event, its kind first."""
    rules, coding, intron, site = strand.rules, scores.coding, scores.intron, scores.sites
    keys: list[np.ndarray] = []
    events: list[tuple] = []

    def add(kind: int, at: np.ndarray, order: np.ndarray | int, *columns: np.ndarray) -> None:
        keys.append(at * _ORDERS + order)
        events.extend(zip(repeat(kind), *(column.tolist() for column in columns), strict=False))

    starts = np.flatnonzero(strand.start)
    if not rules.splice_pairs:  # these could never end
        ends = strand.stop_end[starts]
        starts = starts[(ends >= NO_STOP) | (ends - starts >= rules.min_gene_bp)]
    add(START, starts, 6, starts, site[START_SITE, starts] - gene_penalty - coding[starts % 3, starts])
    stops = np.flatnonzero(strand.stop_here)
    stop_gain = coding[stops % 3, stops] + site[STOP_SITE, stops]
    add(STOP, stops, 0, stops, stops % 3, stop_gain)
    for tier, overlap in enumerate(_overlaps(rules)):
        seen = stops - rules.max_overlap_bp - overlap
        alone = seen >= 0  # and no other stop codon of the frame ends from there on
        least = np.maximum(seen[alone] - 2, 0)
        alone[alone] = strand.stop_end[least + (stops[alone] - least) % 3] == stops[alone]
        ahead = stops[alone]
        tiers = np.full_like(ahead, tier)
        add(FORESEE, seen[alone], 7, ahead, ahead % 3, stop_gain[alone], tiers)
        add(CREDIT, ahead - overlap, 1, ahead, tiers)
    if rules.splice_pairs:
        codes = strand.codes.astype(np.int64)
        for group, motif in enumerate(_acceptor_motifs(rules)):
            pairs = [pair for pair, (_, acceptor) in enumerate(rules.splice_pairs) if acceptor == motif]
            donors = np.flatnonzero(np.logical_or.reduce([strand.donors[pair] for pair in pairs]))
            donors = donors[donors >= LEAST_EXON_BP]
            gain = site[DONOR_SITE, donors] - intron[donors]
            gains = [gain + coding[(donors + missing) % 3, donors] for missing in range(3)]
            one_missing = carries.classes[0][5 * codes[donors - 2] + codes[donors - 1]]
            two_missing = carries.classes[1][codes[donors - 1]]
            add(DONOR, donors, 2, donors, *gains, one_missing, two_missing, np.full_like(donors, group))
            acceptors = np.flatnonzero(strand.acceptors[pairs[0]][: strand.window_bp])
            after = np.append(codes, [4, 4])
            completed = (
                np.zeros_like(acceptors),
                carries.stops[0][after[acceptors]],
                carries.stops[1][5 * after[acceptors] + after[acceptors + 1]],
            )
            for missing in range(3):
                whole = acceptors + missing  # where the split codon is complete: the segment is looked at there
                frame = whole % 3
                gain = intron[acceptors] + site[ACCEPTOR_SITE, acceptors] - coding[frame, acceptors]
                inside = np.minimum(whole, strand.window_bp)
                ends = coding[frame, inside] + site[STOP_SITE, inside]
                columns = (acceptors, np.full_like(acceptors, missing), np.full_like(acceptors, group), gain)
                add(ACCEPTOR, whole, 5 - missing, *columns, completed[missing], ends)
    order = np.argsort(np.concatenate(keys), kind="stable")
    return [events[index] for index in order.tolist()]


def _overlaps(rules: GeneRules) -> list[int]:
    """Overlaps offered to the gene that follows, in bases."""
    return sorted({rules.max_overlap_bp, min(rules.max_overlap_bp, SHORT_OVERLAP_BP)} - {0})


def _acceptor_motifs(rules: GeneRules) -> list[str]:
    """Acceptor dinucleotides, each once."""
    return list(dict.fromkeys(acceptor for _, acceptor in rules.splice_pairs))


# -------------------------------------------------------------------- the best chain of a strand


class _Chain:
    """Running bests while a strand is read.

    A *value* is the score of all genes up to a boundary, less the prefix sums there, so that values of one frame
    compare wherever they began. A segment being read is a node (begin, end of the segment before or -1, parent); the
    parent is that segment, or for a gene's first (phase or None, score before the gene, genes before it). A closed gene
    is (end, node, partial3, score including it).
    """

    def __init__(
        self,
        rules: GeneRules,
        window_bp: int,
        gene_penalty: float,
        scores: StrandPotentials,
        carry_counts: tuple[int, int, int],
    ) -> None:
        self.size = window_bp
        self.penalty = gene_penalty
        self.min_gene_bp = rules.min_gene_bp
        self.min_exon_bp = max(rules.min_exon_bp, LEAST_EXON_BP)
        self.min_intron_bp = rules.least_intron_bp
        self.max_intron_bp = rules.max_intron_bp
        self.edge_coding = scores.coding[:, -1].tolist()
        self.edge_intron = float(scores.intron[-1])
        self.lengths = scores.introns.tolist()
        self.spliced = bool(rules.splice_pairs)
        #: best score of genes that have ended, and the last of them
        self.value, self.last = 0.0, None
        #: best score with a last gene that the 3' edge cuts
        self.cut_value, self.cut = NOTHING, None
        # Per frame: the best segment that may end at any stop; complete starts, which may be too near to it; segments
        # on their way to the shortest exon; the best segment that may end at a donor.
        self.open_value, self.open_node = [NOTHING] * 3, [None] * 3
        self.starts: tuple[list, ...] = ([], [], [])
        self.growing = (deque(), deque(), deque())
        self.ready_value, self.ready_node = [NOTHING] * 3, [None] * 3
        # Per acceptor motif and number of missing bases: donors too near for an intron, and per class of carried bases
        # donors in reach, best and first one in front.
        groups = range(len(_acceptor_motifs(rules)))
        self.near = [(deque(), deque(), deque()) for _ in groups]
        self.reach = [tuple([deque() for _ in range(count)] for count in carry_counts) for _ in groups]
        #: per overlap offered, genes that end ahead
        self.foreseen = [deque() for _ in _overlaps(rules)]
        if window_bp:
            for phase in range(3):  # genes cut within a segment by the 5' edge
                self._open(phase, -gene_penalty, (0, -1, (phase, 0.0, None)))

    def _open(self, frame: int, value: float, node: tuple) -> None:
        if value > self.open_value[frame]:
            self.open_value[frame], self.open_node[frame] = value, node
        if self.spliced and value > self.ready_value[frame]:
            self.growing[frame].append((node[0] + self.min_exon_bp, value, node))

    def _best_open(self, frame: int, latest: int) -> tuple[float, tuple | None]:
        """Best segment of a frame to end; complete genes in one piece begin at ``latest`` at the latest."""
        best, node = self.open_value[frame], self.open_node[frame]
        for value, start in self.starts[frame]:
            if value > best and start[0] <= latest:
                best, node = value, start
        return best, node

    def stop(self, event: tuple) -> None:
        """A stop codon ends here: close the best segment of its frame, forget the others."""
        _, at, frame, gain = event
        value, node = self._best_open(frame, at - self.min_gene_bp)
        value += gain
        if value > self.value:
            self.value, self.last = value, (at, node, False, value)
        self.open_value[frame] = self.ready_value[frame] = NOTHING
        self.starts[frame].clear()
        self.growing[frame].clear()

    def foresee(self, event: tuple) -> None:
        """A stop codon ends so far ahead that another gene may begin before it: the gene that reads on to it."""
        _, at, frame, gain, tier = event
        value, node = self._best_open(frame, at - self.min_gene_bp)
        self.foreseen[tier].append((value + gain, node))

    def credit(self, event: tuple) -> None:
        """From here on, genes may follow the one foreseen to end at ``at``."""
        _, at, tier = event
        value, node = self.foreseen[tier].popleft()
        if value > self.value:
            self.value, self.last = value, (at, node, False, value)

    def start(self, event: tuple) -> None:
        """A gene may begin here, after the best chain so far."""
        _, at, gain = event
        frame = at % 3
        value = self.value + gain
        if value > self.open_value[frame]:
            node = (at, -1, (None, self.value, self.last))
            self.starts[frame].append((value, node))
            if self.spliced and value > self.ready_value[frame]:
                self.growing[frame].append((at + self.min_exon_bp, value, node))

    def donor(self, event: tuple) -> None:
        """An exon may end here, in each of the three frames."""
        at, one_missing, two_missing = event[1], event[5], event[6]
        near = self.near[event[7]]
        edge_cuts = self.size - at <= self.max_intron_bp
        for missing, carried in ((0, 0), (1, one_missing), (2, two_missing)):
            frame = (at + missing) % 3
            growing = self.growing[frame]
            while growing and growing[0][0] <= at:
                _, value, node = growing.popleft()
                if value > self.ready_value[frame]:
                    self.ready_value[frame], self.ready_node[frame] = value, node
            value = self.ready_value[frame]
            if value == NOTHING:
                continue
            value += event[2 + missing]
            node = self.ready_node[frame]
            near[missing].append((at, value, carried, node))
            if edge_cuts and value + self.edge_intron > self.cut_value:
                self.cut_value = value + self.edge_intron
                self.cut = (at, node, True, self.cut_value)

    def acceptor(self, event: tuple) -> None:
        """An exon may begin ``missing`` bases ago; they complete the codon split by the intron."""
        _, begin, missing, group, gain, stops, stop_gain = event
        near, reach = self.near[group][missing], self.reach[group][missing]
        least = begin - max(self.min_intron_bp, len(self.lengths))
        while near and near[0][0] <= least:
            donor, value, carried, node = near.popleft()
            line = reach[carried]
            while line and line[-1][0] < value:
                line.pop()
            line.append((value, donor, node))
        # The intron may also be cut by the 5' edge.
        best, donor, parent = NOTHING, -1, None
        if begin <= self.max_intron_bp:
            best, parent = -self.penalty, (missing, 0.0, None)
        farthest = begin - self.max_intron_bp
        for carried, line in enumerate(reach):
            while line and line[0][1] < farthest:
                line.popleft()
            if not line:
                continue
            if stops >> carried & 1:
                value = line[0][0] + gain + stop_gain
                if value > self.value:
                    self.value, self.last = value, (begin + missing, (begin, *line[0][1:]), False, value)
            elif line[0][0] > best:
                best, donor, parent = line[0]
        for at, value, carried, node in near:  # of introns whose length counts
            if self.min_intron_bp <= begin - at <= self.max_intron_bp:
                value += self.lengths[begin - at]
                if stops >> carried & 1:
                    closed = value + gain + stop_gain
                    if closed > self.value:
                        self.value, self.last = closed, (begin + missing, (begin, at, node), False, closed)
                elif value > best:
                    best, donor, parent = value, at, node
        if best > NOTHING:
            self._open((begin + missing) % 3, best + gain, (begin, donor, parent))

    def finish(self) -> list[Found]:
        """At the 3' edge: genes it cuts within a segment, then the best chain of all."""
        for frame in range(3):
            value, node = self._best_open(frame, self.size)
            value += self.edge_coding[frame]
            if value > self.cut_value:
                self.cut_value, self.cut = value, (self.size, node, True, value)
        closed = self.cut if self.cut_value > self.value else self.last
        genes: list[Found] = []
        while closed is not None:
            end, node, partial3, score = closed
            segments = []
            while True:
                begin, donor, parent = node
                segments.append((begin, end))
                if donor < 0:
                    break
                end, node = donor, parent
            phase, before, closed = parent
            genes.append(Found(tuple(segments[::-1]), phase, partial3, score - before))
        return genes[::-1]
