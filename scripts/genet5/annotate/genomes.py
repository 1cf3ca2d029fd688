"""A genome, or regions of it, to genes: tiles, decoding in batches, stitching, and the tracks that the report draws."""

from __future__ import annotations

import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import exp

import numpy as np
import torch

from genet5.annotate.stitching import ScoredGene, number_genes, stitch
from genet5.annotate.tiling import Tile, tile_region
from genet5.crf.decoding import best_genes
from genet5.crf.labels import PADDING
from genet5.crf.posterior import gene_log_posteriors
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sites import WindowSites
from genet5.tokens.grammar import Grammar
from genet5.writer.batch import NOT_A_SITE, site_labels
from genet5.writer.decoding import write_genes
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import Reading
from genet5.writer.prompt_cache import read_windows_apart

DECODERS = ("lm", "viterbi", "joint")


@dataclass(frozen=True)
class AnnotationOptions:
    """How a genome is annotated; lengths in bases.

    beam_width: texts of a tile that the language model keeps at a time; 1 is greedy. precision: of the reader,
    ``auto``, ``fp32`` or ``bf16`` (``training/precision.py``).
    """

    decoder: str = "lm"
    window_bp: int = 10_000
    overlap_bp: int = 4_000
    batch_size: int = 8
    beam_width: int = 1
    precision: str = "auto"


@dataclass
class GenomeAnnotation:
    """Genes with ids, in genomic order, and what happened on the way."""

    genes: list[Gene]
    counts: dict[str, int] = field(default_factory=dict)
    bases: int = 0


def annotate_regions(
    model: GeneT5Model,
    grammar: Grammar,
    genome: Genome,
    regions: Sequence[Region],
    clade: str,
    code: GeneticCode,
    options: AnnotationOptions,
    score: Callable[[float], float] = exp,
) -> GenomeAnnotation:
    """Genes of ``regions``; ``score``: what their log-probabilities are shown as.

    On a CPU the result does not depend on ``batch_size``; a GPU rounds batches of other shapes otherwise.
    """
    tiles = [
        tile
        for region in regions
        for tile in tile_region(region, genome.lengths[region.seqid], options.window_bp, options.overlap_bp)
    ]
    windows: list[list[ScoredGene]] = [[] for _ in tiles]
    counts = {"tiles": len(tiles), "tiles_unknown": 0, "texts_truncated": 0}
    progress = _Progress(len(tiles), options.window_bp - options.overlap_bp)
    for done, numbers, bases in _batches(genome, tiles, options.batch_size, grammar.rules.min_gene_bp, counts):
        by_evidence = []
        if options.decoder == "viterbi" or (options.decoder == "joint" and not grammar.rules.splice_pairs):
            by_evidence = decode_by_evidence(model, grammar, bases, options.precision)
        if options.decoder == "viterbi":
            for number, found in zip(numbers, by_evidence, strict=True):
                windows[number] = found
        else:
            frames = [[scored.gene for scored in found] for found in by_evidence] or None
            texts = write_genes(model, grammar, bases, clade, frames, options.beam_width, options.precision)
            for number, written in zip(numbers, texts, strict=True):
                windows[number] = [
                    ScoredGene(*pair) for pair in zip(written.genes, written.gene_log_probability, strict=True)
                ]
                counts["texts_truncated"] += written.truncated
        progress.show(done)
    progress.show(len(tiles))
    result = stitch(
        tiles,
        windows,
        lambda seqid, start, end: genome.sequence(seqid, start, end),
        code,
        max_overlap_bp=grammar.rules.max_overlap_bp,
        min_intron_bp=grammar.rules.min_intron_bp,
        score=score,
    )
    bases_read = sum(region.end - region.start for region in regions)
    return GenomeAnnotation(number_genes(result.genes), counts | result.counts, bases_read)


def _batches(
    genome: Genome, tiles: Sequence[Tile], batch_size: int, least_known_bp: int, counts: dict[str, int]
) -> Iterator[tuple[int, list[int], list[str]]]:
    """(tiles done so far, tile numbers, bases) with ``batch_size`` tiles at a time that hold as much DNA as a gene."""
    numbers: list[int] = []
    bases: list[str] = []
    for number, tile in enumerate(tiles):
        window = genome.sequence(tile.seqid, tile.start, tile.end).upper()
        known = sum(window.count(letter) for letter in "ACGT")
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

    def __init__(self, total: int, step_bp: int) -> None:
        self.total, self.step_bp, self.started = total, step_bp, time.monotonic()
        self.shown = 0

    def show(self, done: int) -> None:
        """``done`` tiles of all; twice the same says nothing."""
        if done == self.shown:
            return
        seconds = time.monotonic() - self.started
        rate = done * self.step_bp / max(seconds, 1e-9) / 1000
        left = seconds / done * (self.total - done)
        line = f"annotated {done}/{self.total} windows, {rate:.0f} kb/s, {left:.0f} s left"
        if sys.stderr.isatty():
            print(f"\r{line} ", end="\n" if done == self.total else "", file=sys.stderr, flush=True)
        elif done == self.total or done * 10 // self.total != self.shown * 10 // self.total:
            print(line, flush=True)
        else:
            return
        self.shown = done


# -------------------------------------------------------------------- the reader alone


@torch.inference_mode()
def read_windows(model: GeneT5Model, sites: Sequence[WindowSites], precision: str = "fp32") -> Reading:
    """What the reader makes of windows, padded to the longest."""
    width = max(site.window_bp for site in sites)
    codes = np.full((len(sites), 2, width), PADDING, dtype=np.uint8)
    labels = np.full((len(sites), 2, 4, width + 1), -2, dtype=np.int8)
    for row, site in enumerate(sites):
        codes[row, :, : site.window_bp] = np.stack([site.plus.codes, site.minus.codes])
        labels[row, ..., : site.window_bp + 1] = site_labels(site)
    lengths = torch.tensor([site.window_bp for site in sites])
    device = model.device
    tensors = (torch.from_numpy(codes), lengths, torch.from_numpy(labels))
    return read_windows_apart(model, *(tensor.to(device) for tensor in tensors), precision)


def decode_by_evidence(
    model: GeneT5Model, grammar: Grammar, windows: Sequence[str], precision: str = "fp32"
) -> list[list[ScoredGene]]:
    """Genes by dynamic programming over the reader's potentials, without the language model."""
    sites = [grammar.sites(window) for window in windows]
    reading = read_windows(model, sites, precision)
    potentials = reading.potentials.cpu().numpy()
    boundaries = reading.site_potentials.cpu().numpy()
    penalty = model.gene_penalty.item()
    found = []
    for row, site in enumerate(sites):
        field = potentials[row, :, : site.window_bp], boundaries[row, :, :, : site.window_bp + 1]
        genes = [gene for gene, _ in best_genes(*field, site, penalty)]
        probable = gene_log_posteriors(*field, site_labels(site) > NOT_A_SITE, penalty, genes)
        found.append([ScoredGene(*pair) for pair in zip(genes, probable, strict=True)])
    return found


def evidence_tracks(
    model: GeneT5Model, grammar: Grammar, genome: Genome, loci: Sequence[Region]
) -> dict[str, np.ndarray]:
    """Per-base probabilities of coding and intron on either strand at ``loci``, for the report.

    ``names``: ``seqid:start-end`` (0-based half-open); ``locus_{i}_{coding,intron}_{plus,minus}``: float16 [end -
    start].
    """
    tracks: dict[str, np.ndarray] = {"names": np.array([f"{seqid}:{start}-{end}" for seqid, start, end in loci])}
    for number, (seqid, start, end) in enumerate(loci):
        site = grammar.sites(genome.sequence(seqid, start, end).upper())
        probabilities = read_windows(model, [site]).class_logits[0].float().softmax(-1).cpu().numpy()
        for row, strand in enumerate(("plus", "minus")):
            values = probabilities[row] if row == 0 else probabilities[row, ::-1]
            tracks[f"locus_{number}_coding_{strand}"] = values[:, 1:4].sum(-1).astype(np.float16)
            tracks[f"locus_{number}_intron_{strand}"] = values[:, 4].astype(np.float16)
    return tracks


def spread_loci(regions: Sequence[Region], number: int, length_bp: int) -> list[Region]:
    """``number`` loci of at most ``length_bp``, evenly spread over the bases of ``regions``; each one once."""
    ends = list(accumulate(region.end - region.start for region in regions))
    chosen = set()
    for index in range(number if regions else 0):
        offset = (2 * index + 1) * ends[-1] // (2 * number)
        place = bisect_right(ends, offset)
        region, middle = regions[place], regions[place].end - (ends[place] - offset)
        start = max(region.start, min(middle - length_bp // 2, region.end - length_bp))
        chosen.add(Region(region.seqid, start, min(start + length_bp, region.end)))
    return sorted(chosen)
