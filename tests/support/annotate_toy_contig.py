"""Made-up genes on a contig, what a faultless predictor writes for tiles of it, and both seen from the other strand."""

from __future__ import annotations

import random
from dataclasses import dataclass

from genet5.annotate.stitching import StitchResult, stitch
from genet5.annotate.tiling import Tile
from genet5.bake.samples import SampleGene, clip_gene
from genet5.genome.genes import Gene, Interval, Region, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.window_genes import ScoredGene, reverse_complement_genes

CODE = GeneticCode.from_table(1)
SENSE = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in CODE.stops]
MIN_INTRON = 20


@dataclass
class World:
    """A contig and the genes on it."""

    bases: str
    genes: list[SampleGene]

    def sequence(self, seqid: str, start: int, end: int) -> str:
        assert 0 <= start < end <= len(self.bases)
        return self.bases[start:end]

    def mirrored(self) -> World:
        length = len(self.bases)
        genes = [
            SampleGene(
                gene.id,
                {"+": "-", "-": "+"}[gene.strand],
                tuple(Interval(length - end, length - start) for start, end in reversed(gene.cds)),
                gene.phases[::-1],
            )
            for gene in reversed(self.genes)
        ]
        return World(reverse_complement(self.bases), genes)


def planted_gene(strand: str, cds: list[tuple[int, int]]) -> SampleGene:
    segments = tuple(Interval(*segment) for segment in cds)
    return SampleGene("", strand, segments, phases_from_lengths(segments, strand))


def plant(bases: list[str], gene: SampleGene, rng: random.Random) -> None:
    """Write an open reading frame (start, sense codons, stop) into the gene's segments."""
    codons = sum(end - start for start, end in gene.cds) // 3
    text = "ATG" + "".join(rng.choice(SENSE) for _ in range(codons - 2)) + rng.choice(sorted(CODE.stops))
    text = text if gene.strand == "+" else reverse_complement(text)
    for start, end in gene.cds:
        bases[start:end] = text[: end - start]
        text = text[end - start :]
    assert not text


def make_world(rng: random.Random, num_genes: int, max_exons: int, max_exon_bp: int, max_intron_bp: int) -> World:
    """Genes one after the other on random strands, in random bases."""
    at = rng.randrange(100)
    genes = []
    for _ in range(num_genes):
        lengths = [rng.randint(1, max_exon_bp) for _ in range(rng.randint(1, max_exons))]
        lengths[-1] += -sum(lengths) % 3 + (6 if sum(lengths) < 6 else 0)
        cds = []
        for length in lengths:
            cds.append((at, at + length))
            at += length + rng.randint(MIN_INTRON, max_intron_bp)
        genes.append(planted_gene(rng.choice("+-"), cds))
        at = cds[-1][1] + rng.choice([0, 1, rng.randrange(150)])
    bases = rng.choices("ACGT", k=at + rng.randrange(100) + 1)
    for gene in genes:
        plant(bases, gene, rng)
    return World("".join(bases), genes)


def perfect(tiles: list[Tile], genes: list[SampleGene]) -> list[list[ScoredGene]]:
    """What a predictor without fault writes for each tile; log-probabilities differ from gene to gene."""
    windows = []
    for number, tile in enumerate(tiles):
        shown = [clip_gene(gene, tile.start, tile.end) for gene in genes]
        windows.append(
            [ScoredGene(gene, -0.01 * (number % 7 + 1) - 0.001 * place) for place, gene in enumerate(shown) if gene]
        )
    return windows


def run(world: World, tiles: list[Tile], windows: list[list[ScoredGene]], *, max_overlap_bp: int = 0) -> StitchResult:
    result = stitch(tiles, windows, world.sequence, CODE, max_overlap_bp=max_overlap_bp, min_intron_bp=MIN_INTRON)
    counts = result.counts
    expected = counts["complete"] + counts["partial_at_ends"] + counts["joined"] - counts["conflicts"]
    assert len(result.genes) == expected
    return result


def structure(gene: Gene) -> tuple:
    """All of a gene but its names and score."""
    (transcript,) = gene.transcripts
    return gene.strand, transcript.cds, transcript.phases, transcript.complete5, transcript.complete3


def structures(genes: list[Gene]) -> list[tuple]:
    return [structure(gene) for gene in genes]


def expected_in(region: Region, genes: list[SampleGene]) -> list[tuple]:
    """The genes as the region shows them, by position."""
    expected = []
    for gene in genes:
        shown = clip_gene(gene, region.start, region.end)
        if shown is None:
            continue
        cds = tuple(Interval(start + region.start, end + region.start) for start, end in shown.cds)
        phases = phases_from_lengths(cds, shown.strand, shown.phase)
        expected.append((shown.strand, cds, phases, not shown.partial5, not shown.partial3))
    return sorted(expected, key=lambda item: (item[1][0].start, item[1][-1].end, item[0]))


def mirrored_tiles(tiles: list[Tile], length: int) -> list[Tile]:
    return [
        Tile(seqid, length - end, length - start, at_right_end, at_left_end)
        for seqid, start, end, at_left_end, at_right_end in tiles
    ]


def mirrored_windows(tiles: list[Tile], windows: list[list[ScoredGene]]) -> list[list[ScoredGene]]:
    turned = []
    for tile, window in zip(tiles, windows, strict=True):
        length = tile.end - tile.start
        turned.append([ScoredGene(reverse_complement_genes([gene], length)[0], score) for gene, score in window])
    return turned


def mirrored_structure(gene: Gene, length: int) -> tuple:
    strand, cds, phases, complete5, complete3 = structure(gene)
    cds = tuple(Interval(length - end, length - start) for start, end in reversed(cds))
    return ("-" if strand == "+" else "+", cds, phases[::-1], complete5, complete3)
