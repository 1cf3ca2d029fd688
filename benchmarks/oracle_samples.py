#!/usr/bin/env python
"""How much better than the Viterbi annotation the best of some samples is: where learning or choosing can help at all.

Held-out DNA is cut into windows. On each strand of a window that has a reference gene, the shipped model of the clade
gives its Viterbi annotation and, exactly, samples of all its annotations. Shown are exon and gene F1, as means over
these strands: of Viterbi, of the mean sample, and of the sample with the highest reward (.6 x exon F1 + .4 x gene F1).
No decoder can choose the best sample, for it asks the reference; the column says what there is to choose from. Genes
that the edge of a window cuts are neither right nor wrong.

Sets are those of ``any_genome_sets.py``:

    python benchmarks/oracle_samples.py --sets S.pombe.III --windows 20
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from any_genome import Scored, prepare  # noqa: E402
from any_genome_sets import TARGETS, targets_of  # noqa: E402

from genet5.annotate.shipped import load_shipped  # noqa: E402
from genet5.clades import read_clades  # noqa: E402
from genet5.crf.decoding import best_genes  # noqa: E402
from genet5.crf.sampled_genes import sample_genes  # noqa: E402
from genet5.crf.window_decoder import WindowDecoder  # noqa: E402
from genet5.errors import run_command  # noqa: E402
from genet5.genome.genes import Interval  # noqa: E402
from genet5.genome.sites import WindowSites  # noqa: E402
from genet5.genome.window_genes import WindowGene  # noqa: E402
from genet5.grpo.rewards import RewardWeights  # noqa: E402

SETS = ("S.pombe.III", "C.elegans.IV.V", "A.thaliana.Chr4.Chr5", "D.melanogaster.2L.contigs", "P.falciparum")
REWARD = RewardWeights()


class Piece(NamedTuple):
    """A window: its bases, its whole reference genes, and what is neither right nor wrong there."""

    bases: str
    genes: list[WindowGene]
    dont_care: list[tuple[int, int, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=TARGETS, metavar="SET",
                        help=f"of any_genome_sets.py (default: {' '.join(SETS)})")  # fmt: skip
    parser.add_argument("--samples", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--temperature", type=float, default=1.0, help="(%(default)s)")
    parser.add_argument("--window-bp", type=int, default=24_000, help="(%(default)s)")
    parser.add_argument("--windows", type=int, default=0, help="of a set at most, evenly spread; 0: all (%(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="(%(default)s)")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "data/studies/any_genome", help="(%(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    best = f"best of {arguments.samples}"
    print(f"| set | strands | Viterbi | mean sample | {best} | ms a sample |\n|---|---|---|---|---|---|", flush=True)
    for name, target in targets_of(arguments.sets).items():
        scored = prepare(name, target, data, arguments.cache, target.limit_bp)
        with scored.genome:
            rows, sample_s = measured(scored, arguments)
        shown = " | ".join(f"{exon:.3f} / {gene:.3f}" for exon, gene in np.mean(rows, axis=0))
        print(f"| {name} | {len(rows)} | {shown} | {1000 * sample_s:.1f} |", flush=True)


def measured(scored: Scored, arguments: argparse.Namespace) -> tuple[np.ndarray, float]:
    """[strands, 3, 2]: of Viterbi, the mean sample and the best one, exon and gene F1; and CPU seconds of a sample."""
    clades = read_clades()
    model = load_shipped(clades, scored.target.clade)
    rules = model.clade.gene_rules(scored.target.code)
    decoder = WindowDecoder(model.model.crf, rules)
    rows, sampling_s, drawn = [], 0.0, 0
    for number, piece in enumerate(pieces(scored, arguments.window_bp, arguments.windows)):
        sites = WindowSites(piece.bases, rules)
        (potentials,) = decoder.read_windows([sites])
        viterbi = [gene for gene, _ in best_genes(*potentials, sites, decoder.gene_penalty)]
        started = time.process_time()
        samples = sample_genes(*potentials, sites.allowed, decoder.gene_penalty, arguments.samples,
                               arguments.seed + number, arguments.temperature)  # fmt: skip
        sampling_s, drawn = sampling_s + time.process_time() - started, drawn + arguments.samples
        for sign in "+-":
            if any(gene.strand == sign for gene in piece.genes):
                found = [reward_of(piece, genes, sign) for genes in (viterbi, *samples)]
                best = max(found[1:], key=lambda reward: reward.reward)
                mean = np.mean([(reward.exon_f1, reward.gene_f1) for reward in found[1:]], axis=0)
                rows.append([(found[0].exon_f1, found[0].gene_f1), mean, (best.exon_f1, best.gene_f1)])
    return np.array(rows), sampling_s / max(drawn, 1)


def reward_of(piece: Piece, genes: list[WindowGene], sign: str):
    """Of the genes of one strand."""
    sides = ([gene for gene in side if gene.strand == sign] for side in (piece.genes, genes))
    return REWARD.of(*sides, piece.dont_care)


def pieces(scored: Scored, window_bp: int, most: int) -> Iterator[Piece]:
    """Windows of the scored regions; of more than ``most`` (0: all), evenly spread ones."""
    places = [(region.seqid, start, min(start + window_bp, region.end))
              for region in scored.regions for start in range(region.start, region.end, window_bp)]  # fmt: skip
    if most and len(places) > most:
        places = [places[place] for place in np.linspace(0, len(places) - 1, most).round().astype(int)]
    for seqid, start, end in places:
        genes, dont_care = [], []
        for gene in scored.annotation.genes:
            if gene.seqid != seqid or gene.end <= start or gene.start >= end:
                continue
            cds = gene.canonical.cds
            if gene.start >= start and gene.end <= end and not gene.flags:
                genes.append(WindowGene(gene.strand, tuple(Interval(a - start, b - start) for a, b in cds)))
            else:
                dont_care.append((max(gene.start - start, 0), min(gene.end, end) - start, gene.strand))
        for area in scored.annotation.dont_care:
            if area.seqid == seqid and area.end > start and area.start < end:
                dont_care.append((max(area.start - start, 0), min(area.end, end) - start, area.strand))
        yield Piece(scored.genome.sequence(seqid, start, end).upper(), genes, dont_care)


if __name__ == "__main__":
    run_command(main)
