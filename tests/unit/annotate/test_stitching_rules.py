"""The rules of stitching, one by one: joining, copies, conflicts, order and ids."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from annotate_toy_contig import (
    CODE,
    World,
    expected_in,
    mirrored_structure,
    mirrored_tiles,
    mirrored_windows,
    perfect,
    plant,
    planted_gene,
    run,
    structures,
)

from genet5.annotate.stitching import StitchResult, number_genes, stitch
from genet5.annotate.tiling import Tile, tile_region
from genet5.genome.genes import Interval, Region, Transcript
from genet5.genome.window_genes import ScoredGene, WindowGene


def long_world(strand: str = "+", cds: list[tuple[int, int]] | None = None) -> World:
    """One gene of 600 coding bases on 900 bp; tiles are 400 bp with 200 bp of overlap."""
    rng = random.Random(7)
    gene = planted_gene("+", cds or [(130, 730)])
    bases = rng.choices("ACGT", k=900)
    plant(bases, gene, rng)
    world = World("".join(bases), [gene])
    return world if strand == "+" else world.mirrored()


LONG_TILES = [
    Tile("c", 0, 400, True, False),
    Tile("c", 200, 600, False, False),
    Tile("c", 400, 800, False, False),
    Tile("c", 500, 900, False, True),
]


@pytest.mark.parametrize("strand", ["+", "-"])
def test_a_gene_longer_than_the_window_is_joined_over_several_tiles(strand: str) -> None:
    world = long_world(strand)
    tiles = LONG_TILES if strand == "+" else mirrored_tiles(LONG_TILES, 900)
    windows = perfect(tiles, world.genes)
    assert [(gene.partial5, gene.partial3) for window in windows for gene, _ in window].count((True, True)) >= 1
    result = run(world, tiles, windows)
    assert structures(result.genes) == expected_in(Region("c", 0, 900), world.genes)
    assert result.counts["joined"] == 1
    # 0-400, 200-600 and 400-800 make the gene, 500-900 adds nothing. They show 270 + 400 + 330 of its 600 bp.
    chain = [window[0].log_probability for tile, window in sorted(zip(tiles, windows, strict=True))]
    assert result.genes[0].score == round(math.exp(0.6 * sum(chain[:3] if strand == "+" else chain[1:])), 3)
    assert result.counts["pieces_explained"] == 1


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("tail", [(330, 400), (350, 380)])
def test_a_piece_that_goes_wrong_near_the_edge_is_still_joined(strand: str, tail: tuple[int, int]) -> None:
    """Past the middle of the overlap, 200-400, the other tile is believed."""
    world = long_world()
    windows = perfect(LONG_TILES, world.genes)
    windows[0] = [ScoredGene(WindowGene("+", (Interval(130, 310), Interval(*tail)), partial3=True), -0.01)]
    tiles = LONG_TILES
    if strand == "-":
        windows, tiles, world = mirrored_windows(tiles, windows), mirrored_tiles(tiles, 900), world.mirrored()
    assert structures(run(world, tiles, windows).genes) == expected_in(Region("c", 0, 900), world.genes)


@pytest.mark.parametrize("intron", [(199, 401), (200, 400), (180, 420), (399, 460), (560, 600), (590, 650)])
def test_introns_across_the_edges_are_joined(intron: tuple[int, int]) -> None:
    length = 1000 - intron[1] + intron[0]
    end = 860 - (length - 140 - 130 - 10) % 3
    cds = [(130, intron[0]), (intron[1], end)]
    cds[1] = (intron[1], end - sum(right - left for left, right in cds) % 3)
    forward = long_world(cds=cds)
    for world, tiles in ((forward, LONG_TILES), (forward.mirrored(), mirrored_tiles(LONG_TILES, 900))):
        result = run(world, tiles, perfect(tiles, world.genes))
        assert structures(result.genes) == expected_in(Region("c", 0, 900), world.genes)


TWO_TILES = [Tile("c", 0, 400, True, False), Tile("c", 200, 600, False, True)]


def two_tiles(
    left: list[ScoredGene], right: list[ScoredGene], bases: str | None = None, **options: int
) -> StitchResult:
    """Tiles 0-400 and 200-600 of the long world, genes given in genome coordinates."""
    shifted = [
        ScoredGene(replace(gene, cds=tuple(Interval(start - 200, end - 200) for start, end in gene.cds)), score)
        for gene, score in right
    ]
    world = World(bases or long_world().bases[:600], [])
    return run(world, TWO_TILES, [left, shifted], **options)


def scored(strand: str, *cds: tuple[int, int], score: float = -0.1, **marks: bool | int) -> ScoredGene:
    return ScoredGene(WindowGene(strand, tuple(Interval(*segment) for segment in cds), **marks), score)


def open_frame_world(end: int = 490) -> str:
    """A gene at 130..490 of 600 bp."""
    rng = random.Random(11)
    bases = rng.choices("ACGT", k=600)
    plant(bases, planted_gene("+", [(130, end)]), rng)
    return "".join(bases)


def test_joined_genes_must_be_sound() -> None:
    bases = open_frame_world()
    pieces = [scored("+", (130, 400), partial3=True)], [scored("+", (200, 490), partial5=True, phase=2)]
    assert structures(two_tiles(*pieces, bases).genes) == [("+", ((130, 490),), (0,), True, True)]
    faults = {
        "stop in frame": bases[:250] + "TAA" + bases[253:],
        "no start": bases[:130] + "CCC" + bases[133:],
        "no stop": bases[:487] + "CCC" + bases[490:],
    }
    for fault in faults.values():
        result = two_tiles(*pieces, fault)
        assert result.genes == [] and result.counts["invalid_joins"] == 1 and result.counts["joined"] == 0
    # A stop codon beside the frame ends no gene.
    pieces = pieces[0], [scored("+", (200, 491), partial5=True, phase=2)]
    assert two_tiles(*pieces, bases[:488] + "TAA" + bases[491:]).genes == []


def test_pieces_in_another_frame_or_on_another_strand_are_not_joined() -> None:
    left = [scored("+", (130, 400), partial3=True)]
    for right in (
        scored("+", (200, 490), partial5=True, phase=1),
        scored("-", (200, 490), partial3=True),
        scored("+", (401, 490), partial5=True, phase=2),
    ):
        result = two_tiles(left, [right], open_frame_world())
        assert result.genes == []
        assert result.counts["pieces_unexplained"] == 2 and result.counts["invalid_joins"] == 0


def test_pieces_that_show_only_intron_in_the_overlap_must_go_on_in_frame() -> None:
    left = scored("+", (100, 199), partial3=True)
    for right, unexplained in (
        (scored("+", (420, 490), partial5=True, phase=1), 2),
        (scored("+", (420, 490), partial5=True, phase=0), 0),  # tried, but the bases are at random
    ):
        counts = two_tiles([left], [right]).counts
        assert (counts["pieces_unexplained"], counts["invalid_joins"]) == (unexplained, unexplained == 0)


def test_an_exon_in_the_overlap_that_one_tile_lacks_is_no_agreement() -> None:
    rng = random.Random(5)
    bases = rng.choices("ACGT", k=600)
    plant(bases, planted_gene("+", [(130, 250), (430, 490)]), rng)
    pieces = [scored("+", (130, 250), partial3=True)], [scored("+", (430, 490), partial5=True)]
    assert two_tiles(*pieces, "".join(bases)).counts["pieces_unexplained"] == 2


def turned(tiles: list[Tile], windows: list[list[ScoredGene]], world: World) -> StitchResult:
    """The result for the other strand, after checking that it is the mirror image."""
    result, length = run(world, tiles, windows), len(world.bases)
    mirrored = run(world.mirrored(), mirrored_tiles(tiles, length), mirrored_windows(tiles, windows))
    assert [mirrored_structure(gene, length) for gene in mirrored.genes][::-1] == structures(result.genes)
    return result


def spliced_pieces(extra_left: bool, cds: list[tuple[int, int]]) -> StitchResult:
    """Four exons; one of the two tiles shows one more, 291..300, just before the middle of the overlap."""
    rng = random.Random(13)
    bases = rng.choices("ACGT", k=600)
    gene = planted_gene("+", cds)
    plant(bases, gene, rng)
    bases[291:300] = "GCAGCAGCA"
    windows = perfect(TWO_TILES, [gene])
    number = 0 if extra_left else 1
    ((shown, score),) = windows[number]
    extra = Interval(291 - 200 * number, 300 - 200 * number)
    windows[number] = [ScoredGene(replace(shown, cds=tuple(sorted((*shown.cds, extra)))), score)]
    return turned(TWO_TILES, windows, World("".join(bases), [gene]))


def test_pieces_are_joined_near_the_middle_of_the_overlap() -> None:
    """Left of the exon nearest to the middle the left tile is believed, right of it the right tile."""
    cds = [(130, 181), (210, 240), (320, 350), (430, 490)]
    for extra_left in (True, False):
        (gene,) = spliced_pieces(extra_left, cds).genes
        assert (Interval(291, 300) in gene.canonical.cds) == extra_left
    # Exons as near on either side: the 5' one, on both strands.
    cds = [(130, 181), (210, 252), (348, 390), (430, 490)]
    for extra_left in (True, False):
        (gene,) = spliced_pieces(extra_left, cds).genes
        assert (Interval(291, 300) in gene.canonical.cds) != extra_left


def test_the_partner_that_agrees_everywhere_is_taken() -> None:
    right = [
        scored("+", (200, 490), partial5=True, phase=2, score=-1.0),
        scored("+", (260, 380), (420, 490), partial5=True, phase=2, score=-0.1),
    ]
    result = two_tiles([scored("+", (130, 400), partial3=True)], right, open_frame_world())
    assert structures(result.genes) == [("+", ((130, 490),), (0,), True, True)]


def test_a_gene_joined_near_an_edge_gives_way() -> None:
    """The tiles agree on no more than 200..212; a whole gene lies 90 bp from the nearest inner edge."""
    left, right = scored("+", (130, 212), partial3=True), scored("+", (200, 490), partial5=True, phase=2)
    assert structures(two_tiles([left], [right], open_frame_world()).genes) == [("+", ((130, 490),), (0,), True, True)]
    result = two_tiles([left, scored("+", (220, 310), score=-4.0)], [right], open_frame_world())
    assert [gene.start for gene in result.genes] == [220]
    assert result.counts["joined"] == 1 and result.counts["conflicts"] == 1


def test_a_tile_that_missed_the_gene_is_skipped_where_others_overlap() -> None:
    world = World(open_frame_world(), [planted_gene("+", [(130, 490)])])
    tiles = tile_region(Region("c", 0, 600), 600, 300, 250)
    windows = perfect(tiles, world.genes)
    windows[3] = []
    assert structures(turned(tiles, windows, world).genes) == expected_in(Region("c", 0, 600), world.genes)


def test_links_that_contradict_each_other_make_no_gene() -> None:
    """The first two tiles agree only right of where the last two do."""
    tiles = tile_region(Region("c", 0, 600), 600, 400, 300)
    windows = [
        [scored("+", (50, 80), (300, 330), partial3=True)],
        [scored("+", (150, 180), (200, 230), partial5=True, partial3=True)],
        [scored("+", (50, 80), (320, 350), partial5=True)],
    ]
    result = run(World("", []), tiles, windows)
    assert result.genes == []
    assert result.counts["invalid_joins"] == 0 and result.counts["pieces_unexplained"] == 3


def test_an_intron_made_by_joining_is_not_too_short() -> None:
    rng = random.Random(5)
    bases = rng.choices("ACGT", k=600)
    plant(bases, planted_gene("+", [(100, 199), (401, 500)]), rng)
    windows = perfect(TWO_TILES, [planted_gene("+", [(100, 199), (401, 500)])])
    world = World("".join(bases), [])
    for min_intron, found in ((202, 1), (203, 0)):
        result = stitch(TWO_TILES, windows, world.sequence, CODE, max_overlap_bp=0, min_intron_bp=min_intron)
        assert len(result.genes) == found


def test_a_piece_that_a_whole_gene_explains_is_dropped() -> None:
    whole = scored("+", (250, 490))
    result = two_tiles([scored("+", (250, 400), partial3=True)], [whole])
    assert structures(result.genes) == [("+", ((250, 490),), (0,), True, True)]
    assert result.counts["pieces_explained"] == 1 and result.counts["pieces_unexplained"] == 0
    result = two_tiles([scored("+", (251, 400), partial3=True)], [whole])
    assert len(result.genes) == 1
    assert result.counts["pieces_explained"] == 0 and result.counts["pieces_unexplained"] == 1


def test_of_copies_the_best_placed_gives_the_score() -> None:
    left, right = scored("-", (220, 340), score=-2.0), scored("-", (220, 340), score=-0.5)
    result = two_tiles([left], [right])
    assert [gene.score for gene in result.genes] == [round(math.exp(-2.0), 3)]  # 60 bp from an edge, against 20
    assert result.counts["duplicates"] == 1
    left, right = scored("-", (260, 340), score=-2.0), scored("-", (260, 340), score=-0.5)
    assert [gene.score for gene in two_tiles([left], [right]).genes] == [round(math.exp(-0.5), 3)]


def test_the_gene_farther_from_inner_edges_stays() -> None:
    result = two_tiles([scored("+", (250, 370), score=0.0)], [scored("+", (250, 373), score=-5.0)])  # 30 and 50 bp
    assert [gene.end for gene in result.genes] == [373] and result.counts["conflicts"] == 1


def test_beyond_half_the_overlap_margin_says_nothing() -> None:
    """Half the overlap is 100 bp. The ends of a region are no inner edges, nor does the next region come into it."""
    rivals = [scored("+", (40, 250), score=-2.0), scored("+", (50, 260), score=-1.0)]  # 150 and 140 bp
    assert [gene.end for gene in two_tiles(rivals, []).genes] == [260]
    rivals = [scored("+", (40, 325), score=-2.0), scored("+", (50, 335), score=-1.0)]  # 75 and 65 bp
    assert [gene.end for gene in two_tiles(rivals, []).genes] == [325]
    tiles = [*TWO_TILES, Tile("c", 600, 700, True, True)]
    assert [gene.end for gene in run(World("", []), tiles, [rivals, [], []]).genes] == [325]


def test_conflicts_of_equally_placed_genes() -> None:
    tiles = [Tile("c", 0, 600, True, True)]
    world = World("A" * 600, [])

    def kept(*genes: ScoredGene, max_overlap_bp: int = 10) -> list[tuple[int, int]]:
        found = run(world, tiles, [list(genes)], max_overlap_bp=max_overlap_bp).genes
        return [(gene.start, gene.end) for gene in found]

    assert kept(scored("+", (0, 90), score=-1), scored("+", (79, 169), score=-2)) == [(0, 90)]
    assert kept(scored("+", (0, 90), score=-1), scored("+", (80, 170), score=-2)) == [(0, 90), (80, 170)]
    assert kept(scored("+", (0, 90), score=-2), scored("+", (79, 169), score=-1)) == [(79, 169)]
    assert kept(scored("+", (0, 90)), scored("+", (79, 172))) == [(79, 172)]  # the longer
    assert kept(scored("+", (79, 169)), scored("+", (0, 90))) == [(0, 90)]  # the first
    assert kept(scored("+", (0, 90)), scored("-", (0, 90))) == [(0, 90), (0, 90)]  # other strand
    nested = scored("+", (0, 30), (300, 330)), scored("+", (60, 120))
    assert kept(*nested) == [(0, 330), (60, 120)]  # a gene in an intron shares no coding base
    # The best of three in a row removes its neighbour, and the third stays.
    assert kept(
        scored("+", (0, 90), score=-1), scored("+", (60, 180), score=-2), scored("+", (150, 240), score=-3)
    ) == [(0, 90), (150, 240)]


def test_sequences_keep_their_order_and_genes_are_numbered() -> None:
    tiles = [Tile("z", 0, 600, True, True), Tile("a", 0, 600, True, True)]
    windows = [[scored("-", (300, 390)), scored("+", (0, 90))], [scored("-", (5, 95)), scored("+", (5, 95))]]
    genes = number_genes(run(World("", []), tiles, windows).genes, "demo_")
    assert [(gene.id, gene.strand, gene.start) for gene in genes] == [
        ("demo_z.g00001", "+", 0),
        ("demo_z.g00002", "-", 300),
        ("demo_a.g00001", "+", 5),
        ("demo_a.g00002", "-", 5),
    ]
    assert [gene.canonical.id for gene in genes] == [f"{gene.id}.t1" for gene in genes]
    two = replace(genes[0], transcripts=(genes[0].canonical, Transcript("x", (Interval(0, 60),), (0,))))
    assert [transcript.id for transcript in number_genes([two])[0].transcripts] == ["z.g00001.t1", "z.g00001.t2"]


def test_genes_and_tiles_must_fit() -> None:
    tiles = [Tile("c", 0, 400, True, True)]
    world = World("A" * 400, [])
    with pytest.raises(ValueError, match="outside its tile"):
        run(world, tiles, [[scored("+", (300, 401))]])
    with pytest.raises(ValueError):
        run(world, tiles, [])
    assert run(world, [], []).genes == []
