"""A predictor without fault: it writes every trusted gene of a reference into the windows of a genome."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from reference_sets import ReadSet

from genet5.annotate.stitching import StitchResult, number_genes, stitch
from genet5.annotate.tiling import Tile, tile_region
from genet5.bake.samples import SampleGene, gene_key, visible_genes
from genet5.bake.windows import SpanIndex, canonical_gene
from genet5.evaluate.predictions import read_predictions
from genet5.genome.genes import Annotation, Gene, Region
from genet5.genome.window_genes import ScoredGene, WindowGene
from genet5.genome.writing import write_gff3
from genet5.tokens.codec import decode_genes, encode_genes
from genet5.tokens.tokenizer import GeneTokenizer

NO_LIMIT_BP = 1 << 40  # the reference may hold any overlap: no conflict is to be settled


class Written(NamedTuple):
    """``windows[i]``: the genes written for ``tiles[i]``; ``result``: what they are stitched to."""

    tiles: list[Tile]
    windows: list[list[WindowGene]]
    result: StitchResult


def reference_genes(annotation: Annotation) -> dict[str, list[SampleGene]]:
    """Canonical transcripts of the trusted genes by contig, in ``gene_key`` order."""
    genes: dict[str, list[SampleGene]] = {}
    for gene in annotation.trusted:
        genes.setdefault(gene.seqid, []).append(canonical_gene(gene))
    return {seqid: sorted(members, key=gene_key) for seqid, members in genes.items()}


def through_tokens(genes: list[WindowGene], window_bp: int, tokenizer: GeneTokenizer) -> list[WindowGene]:
    """The genes after they were written as ids and read again."""
    ids = encode_genes(genes, window_bp, tokenizer)
    assert ids.dtype == np.int32 and ids.max() < tokenizer.size
    return decode_genes(ids, window_bp, tokenizer)


def write_windows(read: ReadSet, window_bp: int, overlap_bp: int, tokenizer: GeneTokenizer) -> Written:
    """Write what each tile shows, as a network would be taught to, read it again, and stitch."""
    genes = reference_genes(read.annotation)
    tiles: list[Tile] = []
    windows: list[list[WindowGene]] = []
    for seqid, length in read.genome.lengths.items():
        members = genes.get(seqid, [])
        index = SpanIndex((gene.start for gene in members), (gene.end for gene in members))
        for tile in tile_region(Region(seqid, 0, length), length, window_bp, overlap_bp):
            near = [members[number] for number in index.overlapping(tile.start, tile.end)]
            shown, _ = visible_genes(near, tile.start, tile.end)
            decoded = through_tokens(shown, tile.end - tile.start, tokenizer)
            assert decoded == shown
            tiles.append(tile)
            windows.append(decoded)
    result = stitch(
        tiles,
        [[ScoredGene(gene, 0.0) for gene in window] for window in windows],
        read.genome.sequence,
        read.code,
        max_overlap_bp=NO_LIMIT_BP,
        min_intron_bp=1,
    )
    return Written(tiles, windows, result)


def through_gff3(genes: list[Gene], read: ReadSet, path: Path) -> list[Gene]:
    """The genes with fresh ids, written as GFF3 and read as the predictions of any program are."""
    write_gff3(path, number_genes(genes), read.genome.lengths)
    predicted, left_out = read_predictions(path, read.genome, read.code)
    assert not left_out
    return predicted


def structures(genes: list[Gene] | tuple[Gene, ...]) -> list[tuple]:
    """Everything about the canonical transcripts but ids and scores, sorted."""
    return sorted(
        (gene.seqid, gene.strand, t.cds, t.phases, t.complete5, t.complete3)
        for gene in genes
        for t in (gene.canonical,)
    )
