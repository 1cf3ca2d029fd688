#!/usr/bin/env python
"""Decoders of the CRF on one set of weights: viterbi, and expected with several temperatures and thresholds.

The networks read each window once; all decoders work on the same potentials, with the tiles that the shipped model
recommends. Differences from viterbi have 95 % intervals of paired resamples of stretches of about 100 kb.

    python benchmarks/decoders.py --validation                            # what chose the defaults
    python benchmarks/decoders.py --expected 1.0:0.8 --sets S.pombe.III   # temperature:threshold; auto: of each tile

    python benchmarks/decoders.py --expected --models a/crf b/crf         # other weights, by viterbi

--validation takes the real genomes that the shipped models were calibrated on, in place of held-out sets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from any_genome import Scored, prepare  # noqa: E402
from any_genome_pieces import gene_free_place  # noqa: E402
from any_genome_sets import TARGETS, Target, targets_of  # noqa: E402
from oracle_samples import SETS  # noqa: E402

from genet5.annotate.decoders import DecodedWindow  # noqa: E402
from genet5.annotate.genomes import Tiling, annotate_regions  # noqa: E402
from genet5.annotate.models import load_annotator  # noqa: E402
from genet5.annotate.shipped import load_shipped  # noqa: E402
from genet5.clades import read_clades  # noqa: E402
from genet5.crf.annotating_network import WindowPotentials  # noqa: E402
from genet5.crf.expected import ExpectedOptions, expected_genes  # noqa: E402
from genet5.crf.window_decoder import WindowDecoder  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.evaluate.scores import score_annotation  # noqa: E402
from genet5.files import read_json  # noqa: E402
from genet5.genome.genes import Gene, Region  # noqa: E402
from genet5.genome.genetic_code import GeneticCode  # noqa: E402
from genet5.genome.sites import WindowSites  # noqa: E402
from genet5.genome.splits import parse_regions  # noqa: E402

#: Real genomes that shipped models were calibrated on, by clade: name of the set there, its folder in the data.
VALIDATION = {
    "fungi": ("S.pombe",),
    "invertebrate": ("D.melanogaster.2R.contigs", "D.melanogaster.chr4"),
    "nematode": ("C.elegans",),
    "plant": ("A.thaliana",),
    "plasmodium": ("P.falciparum.chr3-12",),
}
PIECE_BP = 100_000
RESAMPLES, SEED = 1000, 42


class Cached:
    """A decoder whose networks read each window once, whatever ``choose`` is set to."""

    def __init__(self, decoder: WindowDecoder) -> None:
        self.decoder, self.known = decoder, {}
        self.viterbi = decoder.choose
        self.read = decoder.read
        decoder.read = self._read

    def _read(self, sites: WindowSites) -> WindowPotentials:
        key = sites.codes.tobytes()
        if key not in self.known:
            self.known[key] = self.read(sites)
        return self.known[key]

    def decode(self, windows: Sequence[str]) -> list[DecodedWindow]:
        return [DecodedWindow(genes) for genes in self.decoder.decode(windows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=TARGETS, metavar="SET",
                        help=f"of any_genome_sets.py (default: {' '.join(SETS)})")  # fmt: skip
    parser.add_argument("--validation", action="store_true", help="on the DNA that the models were calibrated on")
    parser.add_argument("--expected", nargs="*", default=["1.0:auto"], metavar="T:THRESHOLD", help="(%(default)s)")
    parser.add_argument("--gene-weight", type=float, default=1.0, help="of a gene beside an exon (%(default)s)")
    parser.add_argument("--samples", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="further CRFs, each decoded by viterbi")
    parser.add_argument("--max-bp", type=int, default=0, help="bases of a set at most; 0: all (%(default)s)")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "data/studies/any_genome", help="(%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    print("| set | decoder | exon F1 | gene F1 | exon, difference | gene, difference |\n|---|---|---|---|---|---|")
    for name, target in chosen(arguments).items():
        scored = prepare(name, target, data, arguments.cache, arguments.max_bp or target.limit_bp)
        with scored.genome:
            for row in rows(scored, target, name, arguments):
                print(row, flush=True)


def chosen(arguments: argparse.Namespace) -> dict[str, Target]:
    if not arguments.validation:
        return targets_of(arguments.sets)
    like = {target.clade: target for target in TARGETS.values()}
    return {
        name: like[clade]._replace(data=name, contigs=(), names=(), loci=False, limit_bp=10**9)
        for clade, names in VALIDATION.items()
        for name in names
    }


def rows(scored: Scored, target: Target, name: str, arguments: argparse.Namespace) -> list[str]:
    """Rows of the table: viterbi, then each variant of expected."""
    clades = read_clades()
    shipped = load_shipped(clades, target.clade)
    use, rules, code = shipped.clade.model, shipped.clade.gene_rules(target.code), GeneticCode.from_table(target.code)
    regions = scored.regions
    if arguments.validation:
        text = ",".join(read_json(use.calibration)["regions"][name])
        regions = list(parse_regions(text, scored.genome.lengths))
    decoder = Cached(WindowDecoder(shipped.model.crf, rules))
    tiling = Tiling(use.window_bp, use.overlap_bp, 1)
    areas = pieces(scored, regions)

    def counts(decoder: Cached) -> np.ndarray:
        genes = annotate_regions(decoder, rules, scored.genome, regions, code, tiling).genes
        return counts_of(scored, genes, areas)

    base = counts(decoder)
    found = [f"| {name} | viterbi | {' | '.join(f'{value:.3f}' for value in f1(base.sum(0)))} | | |"]
    for text in arguments.expected:
        warmth, _, threshold = text.partition(":")
        options = ExpectedOptions(arguments.samples, float(warmth), 0.0 if threshold == "auto" else float(threshold),
                                  arguments.gene_weight)  # fmt: skip
        decoder.decoder.choose = lambda sites, potentials, options=options: expected_genes(
            *potentials, sites, decoder.decoder.gene_penalty, options
        )
        found.append(compared(name, f"expected {text}", base, counts(decoder)))
    for folder in arguments.models:
        other = counts(Cached(WindowDecoder(load_annotator(folder).crf, rules)))
        found.append(compared(name, f"viterbi, {folder}", base, other))
    return found


def counts_of(scored: Scored, genes: Sequence[Gene], areas: Sequence[Region]) -> np.ndarray:
    """[areas, 2, 3]: of exons and genes, how many are right, wrong and missed."""
    found = []
    for area in areas:
        inside = [gene for gene in genes if gene.seqid == area.seqid]
        report = score_annotation(scored.annotation, inside, scored.genome.lengths, regions=[area], bootstrap=0)
        found.append([[report[level][kind] for kind in ("tp", "fp", "fn")] for level in ("exon", "gene")])
    return np.array(found)


def compared(name: str, what: str, base: np.ndarray, other: np.ndarray) -> str:
    """A row of the table."""
    shown = [f"{value:.3f}" for value in f1(other.sum(0))] + intervals(base, other)
    return f"| {name} | {what} | {' | '.join(shown)} |"


def pieces(scored: Scored, regions: Sequence[Region]) -> list[Region]:
    """The regions in stretches of about ``PIECE_BP``, cut where no reference gene lies."""
    found = []
    for region in regions:
        spans = [(gene.start, gene.end) for gene in scored.annotation.genes if gene.seqid == region.seqid]
        start = region.start
        while region.end - start > 1.5 * PIECE_BP:
            end = gene_free_place(spans, start + PIECE_BP)
            end = end if end > start else region.end
            found.append(Region(region.seqid, start, end))
            start = end
        if start < region.end:
            found.append(Region(region.seqid, start, region.end))
    return found


def f1(counts: np.ndarray) -> np.ndarray:
    """Of counts [..., 3]: tp, fp, fn."""
    right = 2 * counts[..., 0]
    return right / np.maximum(right + counts[..., 1] + counts[..., 2], 1)


def intervals(base: np.ndarray, other: np.ndarray) -> list[str]:
    """Differences of exon and gene F1 with 95 % intervals; the same pieces are drawn for both. [pieces, 2, 3] each."""
    drawn = np.random.default_rng(SEED).integers(len(base), size=(RESAMPLES, len(base)))
    differences = f1(other[drawn].sum(1)) - f1(base[drawn].sum(1))
    whole = f1(other.sum(0)) - f1(base.sum(0))
    low, high = np.percentile(differences, [2.5, 97.5], axis=0)
    return [f"{whole[level]:+.3f} [{low[level]:+.3f}, {high[level]:+.3f}]" for level in (0, 1)]


if __name__ == "__main__":
    run_command(main)
