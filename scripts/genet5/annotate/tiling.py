"""Windows laid over a region of a contig so that neighbours overlap."""

from __future__ import annotations

from typing import NamedTuple

from genet5.errors import InputError
from genet5.genome.genes import Region


class Tile(NamedTuple):
    """A window of a contig, 0-based half-open.

    ``at_left_end``/``at_right_end``: the tile begins/ends where its region does. A gene cut there stays cut; a gene cut
    at any other (inner) edge goes on in the next tile.
    """

    seqid: str
    start: int
    end: int
    at_left_end: bool
    at_right_end: bool


def tile_region(region: Region, contig_length: int, window_bp: int, overlap_bp: int) -> list[Tile]:
    """Tiles of one length, ``window_bp`` at most, left to right, each sharing ``overlap_bp`` with the one before.

    As few as cover the region, and no longer than they must be, so that no base is read more often than it needs; where
    lengths do not divide, neighbours share a base more. A region that is no longer than a window is one tile. Raises
    InputError for an overlap that is not shorter than the window and for a region outside its contig.
    """
    if not 0 <= overlap_bp < window_bp:
        raise InputError(
            f"overlap_bp {overlap_bp} with window_bp {window_bp}: the overlap of windows must be 0 or more and shorter "
            "than the window"
        )
    seqid, start, end = region
    if not 0 <= start < end <= contig_length:
        raise InputError(
            f"region {seqid}:{start + 1}-{end}: empty or outside the contig, allowed: within 1-{contig_length}"
        )
    number = max(1, -(-(end - start - overlap_bp) // (window_bp - overlap_bp)))
    length = -(-(end - start + (number - 1) * overlap_bp) // number)
    steps = max(number - 1, 1)
    starts = [start + (end - start - length) * tile // steps for tile in range(number)]
    return [Tile(seqid, left, left + length, left == start, left + length == end) for left in starts]
