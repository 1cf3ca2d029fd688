"""Stitching what a faultless and a faulty predictor wrote for the tiles of made-up contigs."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

from annotate_toy_contig import (
    CODE,
    MIN_INTRON,
    World,
    expected_in,
    make_world,
    mirrored_structure,
    mirrored_tiles,
    mirrored_windows,
    perfect,
    plant,
    planted_gene,
    run,
    structure,
    structures,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from genet5.annotate.tiling import Tile, tile_region
from genet5.bake.samples import SampleGene, clip_gene, visible_genes
from genet5.genome.genes import Interval, Region
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.window_genes import ScoredGene, WindowGene

MAX_INTRON = 150
SEEDS = st.integers(0, 2**32 - 1).map(random.Random)
WORLDS = {
    "rng": SEEDS,
    "num_genes": st.integers(1, 8),
    "max_exons": st.sampled_from([1, 2, 6]),
    "max_exon_bp": st.sampled_from([12, 80, 700]),
    "window": st.integers(160, 600),
    "overlap_share": st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9]),
}


def assume_no_tile_within_an_intron(tiles: list[Tile]) -> None:
    """No gene is joined across one (``stitch``). Tiles of a region may be shorter than the window."""
    assume(len(tiles) == 1 or all(tile.end - tile.start > MAX_INTRON for tile in tiles))


@given(**WORLDS)
@settings(max_examples=150, deadline=None)
def test_cut_by_tiles_and_stitched_gives_the_genes(
    rng: random.Random, num_genes: int, max_exons: int, max_exon_bp: int, window: int, overlap_share: float
) -> None:
    world = make_world(rng, num_genes, max_exons, max_exon_bp, max_intron_bp=MAX_INTRON)
    region = Region("c", 0, len(world.bases))
    tiles = tile_region(region, region.end, window, int(window * overlap_share))
    assume_no_tile_within_an_intron(tiles)
    windows = perfect(tiles, world.genes)
    result = run(world, tiles, windows)
    assert structures(result.genes) == expected_in(region, world.genes)
    counts = result.counts
    assert counts["conflicts"] == counts["invalid_joins"] == counts["pieces_unexplained"] == 0
    assert all(gene.id == "" and gene.seqid == "c" and 0 < gene.score < 1 for gene in result.genes)


@given(**WORLDS)
@settings(max_examples=100, deadline=None)
def test_genes_cut_by_the_region_stay_cut(
    rng: random.Random, num_genes: int, max_exons: int, max_exon_bp: int, window: int, overlap_share: float
) -> None:
    world = make_world(rng, num_genes, max_exons, max_exon_bp, max_intron_bp=MAX_INTRON)
    start, end = sorted(rng.sample(range(len(world.bases) + 1), 2))
    region = Region("c", start, end)
    tiles = tile_region(region, len(world.bases), window, int(window * overlap_share))
    assume_no_tile_within_an_intron(tiles)
    result = run(world, tiles, perfect(tiles, world.genes))
    assert structures(result.genes) == expected_in(region, world.genes)
    assert result.counts["pieces_unexplained"] == 0


@given(SEEDS, st.integers(30, 150))
@settings(max_examples=50, deadline=None)
def test_pieces_too_small_to_be_written_are_not_missed(rng: random.Random, overlap: int) -> None:
    """Samples hide pieces of less than 30 bp from the network; with an overlap of 30 bp no gene hangs on them."""
    world = make_world(rng, 8, 1, 900, max_intron_bp=MIN_INTRON)
    region = Region("c", 0, len(world.bases))
    tiles = tile_region(region, region.end, 300, overlap)
    windows = [
        [ScoredGene(gene, -0.5) for gene in visible_genes(world.genes, tile.start, tile.end)[0]] for tile in tiles
    ]
    assert structures(run(world, tiles, windows).genes) == expected_in(region, world.genes)


def test_adjoining_regions_are_not_joined() -> None:
    rng = random.Random(1)
    gene = planted_gene("+", [(50, 650)])
    bases = rng.choices("ACGT", k=800)
    plant(bases, gene, rng)
    world = World("".join(bases), [gene])
    regions = [Region("c", 0, 400), Region("c", 400, 800)]
    tiles = [tile for region in regions for tile in tile_region(region, 800, 300, 100)]
    result = run(world, tiles, perfect(tiles, world.genes))
    assert structures(result.genes) == [item for region in regions for item in expected_in(region, world.genes)]
    assert [gene.canonical.complete3 for gene in result.genes] == [False, True]


def test_neighbours_that_share_bases_are_both_kept() -> None:
    """The common ATGA of bacteria, and on the other strand its mirror image, right where tiles overlap."""
    rng = random.Random(3)
    first, second = planted_gene("+", [(30, 330)]), planted_gene("+", [(326, 626)])
    bases = rng.choices("ACGT", k=700)
    plant(bases, second, rng)
    head = "".join(bases[330:333])
    plant(bases, first, rng)
    bases[326:333] = ["A", "T", "G", "A", *head[1:], "C"]
    world = World("".join(bases), [first, second])
    for seen in (world, world.mirrored()):
        for window in (120, 200, 333, 500):
            for overlap in (0, 3, 5, 60, 100):
                tiles = tile_region(Region("c", 0, 700), 700, window, overlap)
                result = run(seen, tiles, perfect(tiles, seen.genes), max_overlap_bp=10)
                assert structures(result.genes) == expected_in(Region("c", 0, 700), seen.genes)


def damaged(rng: random.Random, tiles: list[Tile], windows: list[list[ScoredGene]]) -> list[list[ScoredGene]]:
    """Genes lost, boundaries moved, flags and phases changed, genes made up; log-probabilities all different."""
    spoilt = []
    for tile, window in zip(tiles, windows, strict=True):
        length = tile.end - tile.start
        genes = [gene for gene, _ in window if rng.random() < 0.9]
        for place, gene in enumerate(genes):
            if rng.random() < 0.3:
                cds = list(gene.cds)
                start, end = cds[0]
                cds[0] = Interval(max(0, min(end - 1, start + rng.randint(-9, 9))), end)
                start, end = cds[-1]
                cds[-1] = Interval(start, min(length, max(start + 1, end + rng.randint(-9, 9))))
                genes[place] = replace(gene, cds=tuple(cds))
            if rng.random() < 0.1:
                genes[place] = replace(genes[place], partial5=True, phase=rng.randrange(3))
            if rng.random() < 0.1:
                genes[place] = replace(genes[place], partial3=not gene.partial3)
        for _ in range(rng.randrange(3)):
            ends = sorted(rng.sample(range(length + 1), 2 * rng.randint(1, 3)))
            cds = tuple(Interval(*pair) for pair in zip(ends[::2], ends[1::2], strict=True))
            partial5 = rng.random() < 0.5
            phase = rng.randrange(3) if partial5 else 0
            genes.append(WindowGene(rng.choice("+-"), cds, partial5, rng.random() < 0.5, phase))
        spoilt.append([ScoredGene(gene, -rng.random()) for gene in genes])
    return spoilt


@given(**WORLDS)
@settings(max_examples=100, deadline=None)
def test_order_of_tiles_and_strand_do_not_matter(
    rng: random.Random, num_genes: int, max_exons: int, max_exon_bp: int, window: int, overlap_share: float
) -> None:
    world = make_world(rng, num_genes, max_exons, max_exon_bp, max_intron_bp=MAX_INTRON)
    length = len(world.bases)
    tiles = tile_region(Region("c", 0, length), length, window, int(window * overlap_share))
    windows = damaged(rng, tiles, perfect(tiles, world.genes))
    result = run(world, tiles, windows, max_overlap_bp=10)

    order = rng.sample(range(len(tiles)), len(tiles))
    shuffled = [rng.sample(windows[place], len(windows[place])) for place in order]
    assert run(world, [tiles[place] for place in order], shuffled, max_overlap_bp=10) == result

    turned = run(world.mirrored(), mirrored_tiles(tiles, length), mirrored_windows(tiles, windows), max_overlap_bp=10)
    mirrored = sorted((mirrored_structure(gene, length), gene.score) for gene in turned.genes)
    assert mirrored == sorted((structure(gene), gene.score) for gene in result.genes)
    assert turned.counts == result.counts


@given(**WORLDS)
@settings(max_examples=100, deadline=None)
def test_whatever_is_written_the_result_is_consistent(
    rng: random.Random, num_genes: int, max_exons: int, max_exon_bp: int, window: int, overlap_share: float
) -> None:
    world = make_world(rng, num_genes, max_exons, max_exon_bp, max_intron_bp=MAX_INTRON)
    region = Region("c", 0, len(world.bases))
    tiles = tile_region(region, region.end, window, int(window * overlap_share))
    windows = damaged(rng, tiles, perfect(tiles, world.genes))
    genes = run(world, tiles, windows, max_overlap_bp=10).genes
    shown = {
        (gene.strand, tuple(Interval(start + tile.start, end + tile.start) for start, end in gene.cds))
        for tile, window in zip(tiles, windows, strict=True)
        for gene, _ in window
    }
    occupied = [set().union(*(range(start, end) for start, end in gene.canonical.cds)) for gene in genes]
    for place, gene in enumerate(genes):
        transcript = gene.canonical
        for other in range(place):
            if genes[other].strand == gene.strand:
                assert len(occupied[other] & occupied[place]) <= 10
        if transcript.complete5 and transcript.complete3 and (gene.strand, transcript.cds) not in shown:
            text = "".join(world.bases[start:end] for start, end in transcript.cds)
            text = text if gene.strand == "+" else reverse_complement(text)
            protein = CODE.translate(text)
            assert len(text) % 3 == 0 and protein[0] == "M" and protein.index("*") == len(protein) - 1
            assert all(intron.length >= 0 for intron in transcript.introns)


@given(**(WORLDS | {"overlap_share": st.sampled_from([0.3, 0.5, 0.7])}))
@settings(max_examples=100, deadline=None)
def test_the_tile_that_sees_a_gene_better_wins(
    rng: random.Random, num_genes: int, max_exons: int, max_exon_bp: int, window: int, overlap_share: float
) -> None:
    """One tile cuts a gene short near its edge, and is sure of it; another shows the gene farther from its edges."""
    world = make_world(rng, num_genes, max_exons, max_exon_bp, max_intron_bp=MAX_INTRON)
    region = Region("c", 0, len(world.bases))
    overlap = int(window * overlap_share)
    tiles = tile_region(region, region.end, window, overlap)
    windows = perfect(tiles, world.genes)
    for gene in world.genes:
        margins = {number: margin(tile, gene.start, gene.end) for number, tile in enumerate(tiles)}
        best = min(max(margins.values()), least_overlap(tiles) // 2)
        for number, tile in enumerate(tiles):
            wrong = clip_gene(shortened(gene, rng), tile.start, tile.end)
            right = clip_gene(gene, tile.start, tile.end)
            if right is None or wrong is None or margins[number] < 0 or rng.random() < 0.2:
                continue
            if margin(tile, tile.start + wrong.start, tile.start + wrong.end) < best:
                kept = [item for item in windows[number] if item.gene != right]
                windows[number] = [*kept, ScoredGene(wrong, 0.0)]
    assert structures(run(world, tiles, windows).genes) == expected_in(region, world.genes)


def margin(tile: Tile, start: int, end: int) -> float:
    left = math.inf if tile.at_left_end and start >= tile.start else start - tile.start
    right = math.inf if tile.at_right_end and end <= tile.end else tile.end - end
    return min(left, right)


def least_overlap(tiles: list[Tile]) -> int:
    return min((left.end - right.start for left, right in pairwise(tiles)), default=0)


def shortened(gene: SampleGene, rng: random.Random) -> SampleGene:
    """The gene with some bases off either end of its outer segments."""
    (start, end), last = gene.cds[0], gene.cds[-1]
    cds = [Interval(start + rng.randint(0, (end - start) // 2), end), *gene.cds[1:]]
    cds[-1] = Interval(cds[-1].start, last.end - rng.randint(0, (last.end - cds[-1].start) // 2))
    return planted_gene(gene.strand, cds)
