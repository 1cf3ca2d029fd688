"""A genome, or regions of it, to genes: tiles, decoding in batches (all of them, or those of a part), stitching."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp

from genet5.annotate.decoders import Decoder
from genet5.annotate.parts import WHOLE, Part
from genet5.annotate.stitching import number_genes, stitch
from genet5.annotate.tiling import Tile, tile_region
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Interval, Region, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sites import GeneRules
from genet5.genome.window_genes import ScoredGene

#: Sequence, strand and CDS of a gene.
Place = tuple[str, str, tuple[Interval, ...]]


@dataclass(frozen=True)
class Tiling:
    """How a genome is cut into tiles; lengths in bases. batch_size: tiles decoded together."""

    window_bp: int = 10_000
    overlap_bp: int = 4_000
    batch_size: int = 8


@dataclass
class GenomeAnnotation:
    """Genes with ids, in genomic order, and what happened on the way."""

    genes: list[Gene]
    counts: dict[str, int] = field(default_factory=dict)
    bases: int = 0


@dataclass
class DecodedTiles:
    """What was written for the tiles of a genome.

    windows: genes of each tile, none for a tile that was not decoded. done: numbers of the tiles that were. counts:
    tiles, those of unknown DNA, and structure sequences that were cut. cpu_s, wall_s: seconds that it took. others:
    CDS of further transcripts, by sequence, strand and CDS of a gene; in genome coordinates.
    """

    windows: list[list[ScoredGene]]
    done: list[int]
    counts: dict[str, int]
    cpu_s: float = 0.0
    wall_s: float = 0.0
    others: dict[Place, dict[tuple[Interval, ...], None]] = field(default_factory=dict)


def annotate_regions(
    decoder: Decoder,
    rules: GeneRules,
    genome: Genome,
    regions: Sequence[Region],
    code: GeneticCode,
    tiling: Tiling,
    score: Callable[[float], float] = exp,
) -> GenomeAnnotation:
    """Genes of ``regions``; ``score``: what their log-probabilities are shown as.

    On a CPU the result does not depend on ``batch_size``; a GPU rounds batches of other shapes otherwise.
    """
    tiles = tiles_of(genome, regions, tiling)
    decoded = decode_tiles(decoder, rules, genome, tiles, tiling)
    return genes_of_tiles(tiles, decoded, rules, genome, regions, code, score)


def tiles_of(genome: Genome, regions: Sequence[Region], tiling: Tiling) -> list[Tile]:
    """The tiles of all regions, in their order."""
    return [
        tile
        for region in regions
        for tile in tile_region(region, genome.lengths[region.seqid], tiling.window_bp, tiling.overlap_bp)
    ]


def decode_tiles(
    decoder: Decoder,
    rules: GeneRules,
    genome: Genome,
    tiles: Sequence[Tile],
    tiling: Tiling,
    part: Part = WHOLE,
    placed: bool = False,
) -> DecodedTiles:
    """Decode the tiles in batches; of a part, only the batches that are its own. placed: tell where tiles lie.

    A part takes whole batches as one job forms them: a network rounds otherwise in a batch of other tiles.
    """
    found = DecodedTiles([[] for _ in tiles], [], {"tiles": len(tiles), "tiles_unknown": 0, "sequences_truncated": 0})
    progress = _Progress(len(tiles), tiling.window_bp - tiling.overlap_bp, part)
    batches = _batches(genome, tiles, tiling.batch_size, rules.min_gene_bp, found.counts)
    for batch, (seen, numbers, bases) in enumerate(batches):
        if part.takes(batch):
            places = [Region(*tiles[number][:3]) for number in numbers]
            decoded = decoder.decode(bases, places) if placed else decoder.decode(bases)
            for number, written in zip(numbers, decoded, strict=True):
                found.windows[number] = written.genes
                found.counts["sequences_truncated"] += written.truncated
                for gene, others in written.others.items():
                    tile = tiles[number]
                    known = found.others.setdefault((tile.seqid, gene.strand, _moved(gene.cds, tile.start)), {})
                    known |= dict.fromkeys(_moved(other.cds, tile.start) for other in others)
            found.done += numbers
        progress.show(seen, part.takes(batch))
    progress.show(len(tiles))
    return found


def genes_of_tiles(
    tiles: Sequence[Tile],
    decoded: DecodedTiles,
    rules: GeneRules,
    genome: Genome,
    regions: Sequence[Region],
    code: GeneticCode,
    score: Callable[[float], float] = exp,
    most_isoforms: int = 1,
) -> GenomeAnnotation:
    """Stitch what was written for all tiles, and number the genes. most_isoforms: transcripts of a gene."""
    result = stitch(
        tiles,
        decoded.windows,
        lambda seqid, start, end: genome.sequence(seqid, start, end),
        code,
        max_overlap_bp=rules.max_overlap_bp,
        min_intron_bp=rules.min_intron_bp,
        score=score,
    )
    bases = sum(region.end - region.start for region in regions)
    genes = with_isoforms(result.genes, decoded.others, most_isoforms)
    return GenomeAnnotation(number_genes(genes), decoded.counts | result.counts, bases)


def with_isoforms(
    genes: Sequence[Gene], others: Mapping[Place, Iterable[tuple[Interval, ...]]], most: int
) -> list[Gene]:
    """The genes with further transcripts, at most ``most`` each; none that shares coding bases with another gene."""
    if most < 2:
        return list(genes)
    occupied: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for number, gene in enumerate(genes):
        spans = occupied.setdefault((gene.seqid, gene.strand), [])
        spans += [(start, end, number) for start, end in gene.canonical.cds]
    found = []
    for number, gene in enumerate(genes):
        more = []
        for cds in others.get((gene.seqid, gene.strand, gene.canonical.cds), ()):
            taken = any(
                start < high and low < end and number != other
                for low, high, other in occupied[gene.seqid, gene.strand]
                for start, end in cds
            )
            if not taken and len(more) < most - 1:
                more.append(Transcript("", cds, phases_from_lengths(cds, gene.strand, 0)))
        found.append(replace(gene, transcripts=(*gene.transcripts, *more)))
    return found


def _moved(cds: Sequence[Interval], by: int) -> tuple[Interval, ...]:
    return tuple(Interval(start + by, end + by) for start, end in cds)


def _batches(
    genome: Genome, tiles: Sequence[Tile], batch_size: int, least_known_bp: int, counts: dict[str, int]
) -> Iterator[tuple[int, list[int], list[str]]]:
    """(tiles seen so far, tile numbers, bases) with ``batch_size`` tiles at a time that hold as much DNA as a gene."""
    numbers: list[int] = []
    bases: list[str] = []
    for number, tile in enumerate(tiles):
        window = genome.sequence(tile.seqid, tile.start, tile.end, keep_case=True)
        known = sum(window.count(letter) for letter in "ACGTacgt")
        if known < min(least_known_bp, len(window)) or known < 3:
            counts["tiles_unknown"] += 1
            continue
        numbers.append(number)
        bases.append(window)
        if len(numbers) == batch_size:
            yield number + 1, numbers, bases
            numbers, bases = [], []
    if numbers:
        yield len(tiles), numbers, bases


class _Progress:
    """A line that overwrites itself on a terminal; in a log one when another tenth is done."""

    def __init__(self, total: int, step_bp: int, part: Part) -> None:
        self.total, self.step_bp, self.started = total, step_bp, time.monotonic()
        self.said = "annotated" if part.of == 1 else f"part {part}: its share of"
        self.seen = self.own = self.shown = 0

    def show(self, done: int, own: bool = True) -> None:
        """``done`` tiles of all, the last ones decoded here (``own``) or by another part.

        Twice the same says nothing.
        """
        self.own += (done - self.seen) * own
        self.seen = done
        if done == self.shown:
            return
        seconds = time.monotonic() - self.started
        rate = self.own * self.step_bp / max(seconds, 1e-9) / 1000
        left = seconds / done * (self.total - done)
        line = f"{self.said} {done}/{self.total} tiles, {rate:.0f} kb/s, {left:.0f} s left"
        if sys.stderr.isatty():
            print(f"\r{line} ", end="\n" if done == self.total else "", file=sys.stderr, flush=True)
        elif done == self.total or done * 10 // self.total != self.shown * 10 // self.total:
            print(line, flush=True)
        else:
            return
        self.shown = done
