"""One strand read 5' to 3' for its best chain of genes: the compiled loop of ``best_chain.py``.

A *value* is the score of all genes up to a boundary, less the prefix sums there, so that values of one frame compare
wherever they began. A segment being read is a *node*: where it begins, the donor of the segment before it with that
segment's node, or for a gene's first segment the gene's phase and the score and the last closed gene before it. A
*closed* gene is its end, its last node and the score of the chain with it. Nodes and closed genes are numbers of rows;
-1 stands for none.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, START_SITE, STOP_SITE

NOTHING = -np.inf
NO_NODE = NO_DONOR = NO_GENE = COMPLETE = -1


class Marks(NamedTuple):
    """What may happen at each boundary of a strand; [W + 1] each, [tiers, W + 1] the last.

    start, stop: bool. donor, acceptor: uint16, a bit for each acceptor motif whose introns may begin or end there.
    foreseen: bool, for each overlap on offer (``Limits.overlaps``) the stops whose gene the next one may overlap by it.
    """

    start: np.ndarray
    stop: np.ndarray
    donor: np.ndarray
    acceptor: np.ndarray
    foreseen: np.ndarray


class Carries(NamedTuple):
    """Split codons. Carried bases that the same completions turn into a stop are one class.

    class_of_two: [5 * 5] class of two carried bases (one is missing), class_of_one: [5] of one (two are missing); code
    4 is unknown. stops_by_one: [5], stops_by_two: [5 * 5], bit masks over classes, by the completing bases. counts:
    [3], classes when 0, 1 and 2 bases are missing.
    """

    class_of_two: np.ndarray
    class_of_one: np.ndarray
    stops_by_one: np.ndarray
    stops_by_two: np.ndarray
    counts: np.ndarray


class Limits(NamedTuple):
    """Lengths in bases. overlaps: that are offered to the gene that follows; int64 [tiers]. motifs: of acceptors."""

    min_gene_bp: int
    min_exon_bp: int
    min_intron_bp: int
    max_intron_bp: int
    max_overlap_bp: int
    overlaps: np.ndarray
    motifs: int


# Tables of the loop. Records of one array: fields of tuples of arrays cost the compiled code a count of references.
_NODE = np.dtype(
    [("begin", "i8"), ("donor", "i8"), ("parent", "i8"), ("phase", "i8"), ("before", "f8"), ("closed", "i8")]
)
_GENE = np.dtype([("end", "i8"), ("node", "i8"), ("partial3", "i8"), ("value", "f8")])
#: Per frame: the best segment that may end at any stop; number of ``_START``; first and end of the ``_GROWING``; the
#: best segment that may end at a donor.
_FRAME = np.dtype(
    [
        ("value", "f8"),
        ("node", "i8"),
        ("starts", "i8"),
        ("growing", "i8"),
        ("grown", "i8"),
        ("ready_value", "f8"),
        ("ready_node", "i8"),
    ]
)
#: Of a frame: complete starts, which may be too near to a stop.
_START = np.dtype([("value", "f8"), ("node", "i8")])
#: Of a frame: segments on their way to the shortest exon.
_GROWING = np.dtype([("at", "i8"), ("value", "f8"), ("node", "i8")])
#: Of a row (3 * acceptor motif + missing bases): donors in the order in which they were read.
_DONOR = np.dtype([("at", "i8"), ("value", "f8"), ("carried", "i8"), ("node", "i8")])
#: Per row: number of donors, and the first that is still too near for an intron.
_ROW = np.dtype([("count", "i8"), ("near", "i8")])
#: Per row and class of carried bases: first and end of a line of donors in reach, values falling.
_LINE = np.dtype([("first", "i8"), ("end", "i8")])
NODES, GENES = 0, 1  # of counts, rows in use
ENDED, CUT = 0, 1  # of best, [2]: the best gene that ended, and the best one that the 3' edge cuts


@numba.njit(cache=True)
def _new_node(nodes, counts, begin, donor, parent, phase, before, closed):
    node = nodes[counts[NODES]]
    node.begin, node.donor, node.parent = begin, donor, parent
    node.phase, node.before, node.closed = phase, before, closed
    counts[NODES] += 1
    return counts[NODES] - 1


@numba.njit(cache=True)
def _close(genes, counts, best, last, kind, value, end, node):
    """Keep a gene if its chain is the best of its kind. Of genes that the edge cuts, row 0 holds the best."""
    if value > best[kind]:
        number = counts[GENES] if kind == ENDED else 0
        gene = genes[number]
        gene.end, gene.node, gene.partial3, gene.value = end, node, kind == CUT, value
        best[kind], last[kind] = value, number
        if kind == ENDED:
            counts[GENES] += 1


@numba.njit(cache=True)
def _grow(frames, growing, frame, ready_at, value, node):
    """A segment that may end at a donor from ``ready_at`` on."""
    if value > frames[frame].ready_value:
        place = growing[frame, frames[frame].grown]
        place.at, place.value, place.node = ready_at, value, node
        frames[frame].grown += 1


@numba.njit(cache=True)
def _make_ready(frames, growing, frame, at):
    """Segments that are long enough for an exon at a donor ``at``."""
    one = frames[frame]
    while one.growing < one.grown and growing[frame, one.growing].at <= at:
        segment = growing[frame, one.growing]
        if segment.value > one.ready_value:
            one.ready_value, one.ready_node = segment.value, segment.node
        one.growing += 1


@numba.njit(cache=True)
def _best_open(frames, starts, nodes, frame, latest):
    """Best segment of a frame to end; complete genes in one piece begin at ``latest`` at the latest."""
    best, node = frames[frame].value, frames[frame].node
    for index in range(frames[frame].starts):
        start = starts[frame, index]
        if start.value > best and nodes[start.node].begin <= latest:
            best, node = start.value, start.node
    return best, node


@numba.njit(cache=True)
def _line_up(row_of, donors, line_of, lines, row, latest):
    """Donors up to ``latest`` come in reach: each joins the line of its class, and those of less value leave it."""
    read = row_of[row]
    while read.near < read.count and donors[row, read.near].at <= latest:
        donor = donors[row, read.near]
        place = line_of[row, donor.carried]
        while place.end > place.first and donors[row, lines[row, donor.carried, place.end - 1]].value < donor.value:
            place.end -= 1
        lines[row, donor.carried, place.end] = read.near
        place.end += 1
        read.near += 1


@numba.njit(cache=True)
def _best_in_reach(donors, line_of, lines, row, carried, farthest):
    """Number of the best donor of a class that is at ``farthest`` or nearer; -1 for none."""
    place = line_of[row, carried]
    while place.first < place.end and donors[row, lines[row, carried, place.first]].at < farthest:
        place.first += 1
    return lines[row, carried, place.first] if place.first < place.end else NO_DONOR


@numba.njit(cache=True, nogil=True)
def prefix_sums(odds):
    """Sums of potentials [W, 4] before each boundary, float64 [4, W + 1]: of coding in each frame, and of intron."""
    size = len(odds)
    sums = np.zeros((4, size + 1))
    for base in range(size):
        for frame in range(3):
            sums[frame, base + 1] = sums[frame, base] + odds[base, (base + 3 - frame) % 3]
        sums[3, base + 1] = sums[3, base] + odds[base, 3]
    return sums


@numba.njit(cache=True, nogil=True)
def read_strand(codes, marks, coding, intron, site, introns, carries, limits, penalty):
    """The best chain of a strand's genes, the last one first.

    codes: uint8 [W], 4 for unknown. coding, intron, site, introns: as in ``StrandPotentials``. Returns genes, float64
    [G, 5], where each begins and ends among the segments, its phase (-1: complete), whether the 3' edge cuts it, its
    score; and segments, int64 [S, 2], begin and end, 3' to 5'.
    """
    start_mark, stop_mark, donor_mark, acceptor_mark, foreseen_mark = marks
    class_of_two, class_of_one, stops_by_one, stops_by_two, class_counts = carries
    min_gene_bp, min_exon_bp, min_intron_bp, max_intron_bp, max_overlap_bp, overlaps, motifs = limits
    size, spliced, tiers = len(codes), motifs > 0, len(overlaps)
    num_starts, num_stops = start_mark.sum(), stop_mark.sum()
    num_donors, num_acceptors = (donor_mark > 0).sum(), (acceptor_mark > 0).sum()
    classes, rows = class_counts.max(), 3 * motifs

    nodes = np.empty(3 + num_starts + 3 * num_acceptors * (classes + 2), _NODE)
    genes = np.empty(num_stops * (1 + tiers) + 3 * num_acceptors * (classes + 1) + 1, _GENE)
    counts = np.array([0, 1])
    best, last = np.array([0.0, NOTHING]), np.array([NO_GENE, NO_GENE])
    frames = np.zeros(3, _FRAME)
    starts, growing = np.empty((3, num_starts), _START), np.empty((3, 1 + num_starts + num_acceptors), _GROWING)
    donors, lines = np.empty((rows, num_donors), _DONOR), np.empty((rows, classes, num_donors), np.int32)
    row_of, line_of = np.zeros(rows, _ROW), np.zeros((rows, classes), _LINE)
    foreseen_value, foreseen_node = np.empty((tiers, size + 1)), np.empty((tiers, size + 1), np.int64)
    for frame in range(3):
        frames[frame].value = frames[frame].ready_value = NOTHING
        frames[frame].node = frames[frame].ready_node = NO_NODE
        if size:  # genes cut within a segment by the 5' edge
            node = _new_node(nodes, counts, 0, NO_DONOR, NO_NODE, frame, 0.0, NO_GENE)
            frames[frame].value, frames[frame].node = -penalty, node
            if spliced:
                _grow(frames, growing, frame, min_exon_bp, -penalty, node)

    for at in range(size + 3 if spliced else size + 1):
        if at <= size:
            if stop_mark[at]:  # close the best segment of its frame, forget the others
                frame = at % 3
                value, node = _best_open(frames, starts, nodes, frame, at - min_gene_bp)
                value += coding[frame, at] + site[STOP_SITE, at]
                _close(genes, counts, best, last, ENDED, value, at, node)
                one = frames[frame]
                one.value = one.ready_value = NOTHING
                one.starts = one.growing = one.grown = 0
            for tier in range(tiers):  # from here on, genes may follow one that was foreseen to end
                end = at + overlaps[tier]
                if end <= size and foreseen_mark[tier, end]:
                    _close(genes, counts, best, last, ENDED, foreseen_value[tier, end], end, foreseen_node[tier, end])
            if donor_mark[at]:  # an exon may end here, in each of the three frames
                carried = 0, class_of_two[5 * codes[at - 2] + codes[at - 1]], class_of_one[codes[at - 1]]
                splice = site[DONOR_SITE, at] - intron[at]
                for missing in range(3):
                    frame = (at + missing) % 3
                    _make_ready(frames, growing, frame, at)
                    if frames[frame].ready_value == NOTHING:
                        continue
                    value, node = frames[frame].ready_value + (splice + coding[frame, at]), frames[frame].ready_node
                    for motif in range(motifs):
                        if donor_mark[at] >> motif & 1:
                            row = 3 * motif + missing
                            donor = donors[row, row_of[row].count]
                            donor.at, donor.value, donor.carried, donor.node = at, value, carried[missing], node
                            row_of[row].count += 1
                    if size - at <= max_intron_bp:  # the 3' edge may cut the intron
                        _close(genes, counts, best, last, CUT, value + intron[size], at, node)
        for missing in range(2, -1, -1):  # an exon may begin here or before; the one that begins farthest back first
            begin = at - missing
            if begin < 0 or begin >= size or not acceptor_mark[begin]:
                continue
            stops = 0  # bit mask of the classes of carried bases that the missing ones complete to a stop codon
            if missing == 1:
                stops = stops_by_one[codes[begin]]
            elif missing == 2:
                stops = stops_by_two[5 * codes[begin] + (codes[begin + 1] if begin + 1 < size else 4)]
            frame, inside = at % 3, min(at, size)
            gain = intron[begin] + site[ACCEPTOR_SITE, begin] - coding[frame, begin]
            stop_gain = coding[frame, inside] + site[STOP_SITE, inside]
            for motif in range(motifs):
                if not acceptor_mark[begin] >> motif & 1:
                    continue
                row = 3 * motif + missing
                _line_up(row_of, donors, line_of, lines, row, begin - max(min_intron_bp, len(introns)))
                most, chosen = NOTHING, NO_DONOR
                if begin <= max_intron_bp:  # the 5' edge may cut the intron
                    most = -penalty
                for carried_class in range(class_counts[missing]):
                    number = _best_in_reach(donors, line_of, lines, row, carried_class, begin - max_intron_bp)
                    if number == NO_DONOR:
                        continue
                    donor = donors[row, number]
                    if stops >> carried_class & 1:
                        value = donor.value + gain + stop_gain
                        if value > best[ENDED]:
                            node = _new_node(nodes, counts, begin, donor.at, donor.node, COMPLETE, 0.0, NO_GENE)
                            _close(genes, counts, best, last, ENDED, value, at, node)
                    elif donor.value > most:
                        most, chosen = donor.value, number
                split, stopping = NOTHING, NO_DONOR  # the best near donor whose codon becomes a stop
                for number in range(row_of[row].near, row_of[row].count):  # of introns whose length counts
                    donor = donors[row, number]
                    length = begin - donor.at
                    if length < min_intron_bp:
                        break
                    if length > max_intron_bp:
                        continue
                    value = donor.value + introns[length]
                    if stops >> donor.carried & 1:
                        if value > split:
                            split, stopping = value, number
                    elif value > most:
                        most, chosen = value, number
                if split + gain + stop_gain > best[ENDED]:
                    donor = donors[row, stopping]
                    node = _new_node(nodes, counts, begin, donor.at, donor.node, COMPLETE, 0.0, NO_GENE)
                    _close(genes, counts, best, last, ENDED, split + gain + stop_gain, at, node)
                if most == NOTHING:
                    continue
                value = most + gain
                one = frames[frame]
                if value > one.value or value > one.ready_value:
                    if chosen == NO_DONOR:
                        node = _new_node(nodes, counts, begin, NO_DONOR, NO_NODE, missing, 0.0, NO_GENE)
                    else:
                        donor = donors[row, chosen]
                        node = _new_node(nodes, counts, begin, donor.at, donor.node, COMPLETE, 0.0, NO_GENE)
                    if value > one.value:
                        one.value, one.node = value, node
                    _grow(frames, growing, frame, begin + min_exon_bp, value, node)
        if at > size:
            continue
        if start_mark[at]:  # a gene may begin here, after the best chain so far
            frame = at % 3
            value = best[ENDED] + (site[START_SITE, at] - penalty - coding[frame, at])
            if value > frames[frame].value:
                node = _new_node(nodes, counts, at, NO_DONOR, NO_NODE, COMPLETE, best[ENDED], last[ENDED])
                start = starts[frame, frames[frame].starts]
                start.value, start.node = value, node
                frames[frame].starts += 1
                if spliced:
                    _grow(frames, growing, frame, at + min_exon_bp, value, node)
        for tier in range(tiers):  # a stop so far ahead that another gene may begin before it: who reads on to it
            end = at + max_overlap_bp + overlaps[tier]
            if end <= size and foreseen_mark[tier, end]:
                frame = end % 3
                value, node = _best_open(frames, starts, nodes, frame, end - min_gene_bp)
                foreseen_value[tier, end] = value + (coding[frame, end] + site[STOP_SITE, end])
                foreseen_node[tier, end] = node
    for frame in range(3):  # genes that the 3' edge cuts within a segment
        value, node = _best_open(frames, starts, nodes, frame, size)
        _close(genes, counts, best, last, CUT, value + coding[frame, size], size, node)
    return _trace(genes, nodes, counts, last[CUT] if best[CUT] > best[ENDED] else last[ENDED])


@numba.njit(cache=True)
def _trace(genes, nodes, counts, last):
    """The genes of the chain that ends with gene number ``last``, as ``read_strand`` returns them."""
    chain, found = np.empty((counts[GENES], 5)), 0
    segments, pieces = np.empty((counts[NODES], 2), np.int64), 0
    while last != NO_GENE:
        first, end, node = pieces, genes[last].end, nodes[genes[last].node]
        while True:
            segments[pieces, 0], segments[pieces, 1] = node.begin, end
            pieces += 1
            if node.donor == NO_DONOR:
                break
            end, node = node.donor, nodes[node.parent]
        chain[found, 0], chain[found, 1], chain[found, 2] = first, pieces, node.phase
        chain[found, 3], chain[found, 4] = genes[last].partial3, genes[last].value - node.before
        found += 1
        last = node.closed
    return chain[:found], segments[:pieces]
