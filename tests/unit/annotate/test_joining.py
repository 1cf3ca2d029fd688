"""Pieces of a gene in tiles that overlap: what is joined, how, and how far from the edges of tiles."""

from __future__ import annotations

import pytest

from genet5.annotate.joining import Piece, Structure, join_pieces
from genet5.annotate.tiling import Tile
from genet5.genome.genes import Interval

MIN_INTRON_BP = 20


def piece(tile: int, *cds: tuple[int, int], phase: int = 0, strand: str = "+") -> Piece:
    """Of a gene that goes on in the next tile, or came from the one before."""
    cut_left = tile == 1
    partial = (cut_left, not cut_left) if strand == "+" else (not cut_left, cut_left)
    shown = Structure(strand, tuple(Interval(*one) for one in cds), *partial, phase, -1.0, 0)
    return Piece(tile, shown, cut_left, not cut_left)


def joined(left: Piece, right: Piece, shared_bp: int = 100) -> Structure | None:
    """The gene of both, in tiles that end at 1,000 and begin ``shared_bp`` before it; None where they stay two."""
    tiles = [Tile("c", 0, 1000, True, False), Tile("c", 1000 - shared_bp, 2000, False, True)]
    genes, used = join_pieces(tiles, [left, right], MIN_INTRON_BP)
    assert used == ({0, 1} if genes else set())
    return genes[0] if genes else None


def test_an_exon_that_both_tiles_show_alike_is_joined_in_the_middle():
    gene = joined(piece(0, (600, 700), (800, 1000)), piece(1, (900, 1200), phase=1))
    assert gene is not None and gene.cds == (Interval(600, 700), Interval(800, 1200))
    assert (gene.partial5, gene.partial3, gene.margin) == (False, False, 50)
    assert gene.log_probability == pytest.approx(-2 * 500 / 600), "what both show counts once"


@pytest.mark.parametrize(("begin", "margin"), [(930, 50), (960, 40), (990, 10)])
def test_an_exon_that_they_show_differently_is_joined_where_they_agree_nearest_to_the_middle(begin, margin):
    gene = joined(piece(0, (801, 1000)), piece(1, (903, 908), (begin, 1200), phase=2))
    assert gene is not None and gene.cds == (Interval(801, 1200),) and gene.margin == margin


def test_an_intron_that_spans_what_both_tiles_show_joins_them():
    gene = joined(piece(0, (500, 800)), piece(1, (1100, 1300)))
    assert gene is not None and gene.cds == (Interval(500, 800), Interval(1100, 1300)) and gene.margin == 50
    assert joined(piece(0, (500, 800)), piece(1, (1100, 1300), phase=1)) is None, "another reading frame"
    assert joined(piece(0, (500, 800)), piece(1, (1100, 1300), strand="-")) is None, "another strand"


def test_tiles_that_touch_cut_an_exon_or_a_long_intron():
    gene = joined(piece(0, (700, 1000)), piece(1, (1000, 1300)), shared_bp=0)
    assert gene is not None and gene.cds == (Interval(700, 1300),) and gene.margin == 0
    assert joined(piece(0, (700, 1000)), piece(1, (1000 + MIN_INTRON_BP - 1, 1300)), shared_bp=0) is None
    gene = joined(piece(0, (700, 1000)), piece(1, (1000 + MIN_INTRON_BP, 1300)), shared_bp=0)
    assert gene is not None and gene.cds == (Interval(700, 1000), Interval(1020, 1300))


def test_the_reverse_strand_reads_on_from_the_right():
    gene = joined(piece(0, (700, 1000), phase=2, strand="-"), piece(1, (900, 1100), strand="-"))
    assert gene is not None and gene.cds == (Interval(700, 1100),) and gene.phase == 0
