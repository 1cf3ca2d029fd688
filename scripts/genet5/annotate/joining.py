"""Genes that tile edges cut, joined from the pieces that overlapping tiles show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from typing import NamedTuple

from genet5.annotate.tiling import Tile
from genet5.genome.genes import Interval, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode, reverse_complement

NO_EDGE = 1 << 60
"""Margin of a gene that no inner tile edge is near to."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A gene, or what one tile shows of it, in genome coordinates.

    ``phase``: of the 5'-most segment. ``margin``: bp to the nearest inner tile edge that could have misled the network.
    ``kind``: what it is counted as (``stitching.COUNTS``).
    """

    strand: str
    cds: tuple[Interval, ...]
    partial5: bool
    partial3: bool
    phase: int
    log_probability: float
    margin: int
    kind: str = ""

    @property
    def start(self) -> int:
        return self.cds[0].start

    @property
    def end(self) -> int:
        return self.cds[-1].end

    @property
    def phases(self) -> tuple[int, ...]:
        return phases_from_lengths(self.cds, self.strand, self.phase)

    @property
    def frames(self) -> tuple[int, ...]:
        """Per segment: where its codons begin, modulo 3. On one strand, equal frames mean the same codons."""
        if self.strand == "+":
            return tuple((start + phase) % 3 for (start, _), phase in zip(self.cds, self.phases, strict=True))
        return tuple((end - phase) % 3 for (_, end), phase in zip(self.cds, self.phases, strict=True))


@dataclass(frozen=True, slots=True)
class Piece:
    """What tile number ``tile`` shows of a gene that its inner left edge, its inner right edge or both cut."""

    tile: int
    shown: Structure
    cut_left: bool
    cut_right: bool


class _Link(NamedTuple):
    """Pieces number ``left`` and ``right`` are the same gene.

    Segments ``left_segment`` of the one and ``right_segment`` of the other are one exon; both are -1 where an intron
    lies between the last and the first. ``exact``: no difference anywhere in the overlap of the tiles. ``margin``: bp
    from the place where they are joined to the nearer of the two tile edges.
    """

    left: int
    right: int
    left_segment: int
    right_segment: int
    exact: bool
    margin: int


def left_margin(tile: Tile, start: int) -> int:
    """Bases between the tile's left edge and a gene's first base; ``NO_EDGE`` where the region begins there."""
    return NO_EDGE if tile.at_left_end else start - tile.start


def right_margin(tile: Tile, end: int) -> int:
    """Bases between a gene's end and the tile's right edge; ``NO_EDGE`` where the region ends there."""
    return NO_EDGE if tile.at_right_end else tile.end - end


def join_pieces(tiles: Sequence[Tile], pieces: Sequence[Piece], min_intron_bp: int) -> tuple[list[Structure], set[int]]:
    """Genes made of linked pieces (not yet checked against the bases), and the numbers of the pieces in them."""
    following = _link_pieces(tiles, pieces, min_intron_bp)
    joined: list[Structure] = []
    used: set[int] = set()
    for number, piece in enumerate(pieces):
        if piece.cut_left:
            continue
        chain, links = [number], []
        while chain[-1] in following:
            links.append(following[chain[-1]])
            chain.append(links[-1].right)
        members = [pieces[member] for member in chain]
        cds = None if members[-1].cut_right else _assemble(members, links)
        if cds is not None:
            joined.append(_joined_structure(tiles, members, links, cds))
            used.update(chain)
    return joined, used


def _link_pieces(tiles: Sequence[Tile], pieces: Sequence[Piece], min_intron_bp: int) -> dict[int, _Link]:
    """Piece number -> its link to the right. Each piece has at most one link on either side, the nearest tile first."""
    cut_left: list[list[int]] = [[] for _ in tiles]
    cut_right: list[list[int]] = [[] for _ in tiles]
    for number, piece in enumerate(pieces):
        if piece.cut_left:
            cut_left[piece.tile].append(number)
        if piece.cut_right:
            cut_right[piece.tile].append(number)
    following: dict[int, _Link] = {}
    preceding: set[int] = set()
    for distance in range(1, len(tiles)):
        neighbours = [
            (first, first + distance)
            for first in range(len(tiles) - distance)
            if tiles[first + distance].start <= tiles[first].end
        ]
        if not neighbours:
            break
        possible = []
        for first, second in neighbours:
            overlap = Interval(tiles[second].start, tiles[first].end)
            for left in cut_right[first]:
                for right in cut_left[second]:
                    if left not in following and right not in preceding:
                        link = _link(pieces, left, right, overlap, min_intron_bp)
                        possible += [link] if link is not None else []
        for link in sorted(possible, key=lambda link: _link_order(pieces, link)):
            if link.left not in following and link.right not in preceding:
                following[link.left] = link
                preceding.add(link.right)
    return following


def _link_order(pieces: Sequence[Piece], link: _Link) -> tuple:
    """Best first."""
    left, right = pieces[link.left].shown, pieces[link.right].shown
    return not link.exact, -link.margin, -(left.log_probability + right.log_probability), left.cds, right.cds


def _link(pieces: Sequence[Piece], left: int, right: int, overlap: Interval, min_intron_bp: int) -> _Link | None:
    """How two pieces of tiles that share ``overlap`` are one gene; None if they are not."""
    one, other = pieces[left].shown, pieces[right].shown
    if one.strand != other.strand:
        return None
    seen = [_seen(shown, overlap) for shown in (one, other)]
    if not any(seen):
        gap = other.start - one.end
        up, down = (one, other) if one.strand == "+" else (other, one)
        if _phase_after(up) != down.phase or 0 < gap < min_intron_bp:
            return None
        # Tiles that only touch may cut an exon exactly between them; then there is no intron.
        segments = (-1, -1) if gap else (len(one.cds) - 1, 0)
        return _Link(left, right, *segments, True, overlap.length // 2)
    middle_twice = overlap.start + overlap.end
    frames = one.frames, other.frames
    shared = []
    for i, j, start, end in common_segments(one.cds, other.cds):
        if frames[0][i] == frames[1][j]:
            from_middle_twice = max(2 * start - middle_twice, middle_twice - 2 * end, 0)
            shared.append((from_middle_twice, start if one.strand == "+" else -end, i, j))
    if not shared:
        return None
    from_middle_twice, _, i, j = min(shared)
    exact = seen[0] == seen[1]
    return _Link(left, right, i, j, exact, (overlap.length - (0 if exact else from_middle_twice)) // 2)


def _seen(shown: Structure, overlap: Interval) -> list[tuple[int, int, int]]:
    """(start, end, frame) of the parts of segments inside ``overlap``."""
    return [
        (max(start, overlap.start), min(end, overlap.end), frame)
        for (start, end), frame in zip(shown.cds, shown.frames, strict=True)
        if start < overlap.end and end > overlap.start
    ]


def _phase_after(shown: Structure) -> int:
    """Phase of a segment that follows the 3'-most one."""
    return (shown.phase - coding_bp(shown.cds)) % 3


def coding_bp(cds: Sequence[Interval]) -> int:
    return sum(end - start for start, end in cds)


def common_segments(one: Sequence[Interval], other: Sequence[Interval]) -> Iterator[tuple[int, int, int, int]]:
    """(index in ``one``, index in ``other``, start, end) wherever segments of two ascending lists overlap."""
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i].start, other[j].start), min(one[i].end, other[j].end)
        if start < end:
            yield i, j, start, end
        if one[i].end <= other[j].end:
            i += 1
        else:
            j += 1


def _assemble(members: Sequence[Piece], links: Sequence[_Link]) -> tuple[Interval, ...] | None:
    """CDS of a chain of pieces: each gives its segments up to the link to the next. None where links contradict."""
    cds = list(members[0].shown.cds)
    offset = joined_at = 0  # cds[offset + k] is segment k of the last member, from joined_at on
    for member, link in zip(members[1:], links, strict=True):
        segments = member.shown.cds
        if link.left_segment < 0:
            joined_at = offset = len(cds)
            cds += segments
            continue
        place = offset + link.left_segment
        if place < joined_at:
            return None
        cds[place:] = [
            Interval(cds[place].start, segments[link.right_segment].end),
            *segments[link.right_segment + 1 :],
        ]
        offset, joined_at = place - link.right_segment, place
    ascending = all(left.end <= right.start for left, right in pairwise(cds))
    return tuple(cds) if ascending and all(start < end for start, end in cds) else None


def _joined_structure(
    tiles: Sequence[Tile], members: Sequence[Piece], links: Sequence[_Link], cds: tuple[Interval, ...]
) -> Structure:
    first, last = members[0], members[-1]
    five, three = (first, last) if first.shown.strand == "+" else (last, first)
    ends = left_margin(tiles[first.tile], cds[0].start), right_margin(tiles[last.tile], cds[-1].end)
    # What overlapping tiles both wrote must not count twice.
    once = coding_bp(cds) / sum(coding_bp(member.shown.cds) for member in members)
    return Structure(
        first.shown.strand,
        cds,
        five.shown.partial5,
        three.shown.partial3,
        five.shown.phase,
        once * fsum(member.shown.log_probability for member in members),
        min(*ends, *(link.margin for link in links)),
        "joined",
    )


def is_sound(gene: Structure, seqid: str, sequence: Callable[[str, int, int], str], code: GeneticCode) -> bool:
    """Whether the bases of a joined gene spell one: start and stop where it has these ends, no stop in frame."""
    bases = "".join(sequence(seqid, start, end) for start, end in gene.cds).upper()
    bases = (bases if gene.strand == "+" else reverse_complement(bases))[gene.phase :]
    if not gene.partial5 and bases[:3] not in code.starts:
        return False
    if not gene.partial3 and (len(bases) % 3 or bases[-3:] not in code.stops):
        return False
    return not code.has_in_frame_stop(bases if gene.partial3 else bases[:-3])
