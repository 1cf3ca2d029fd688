"""What else the CRF holds for probable at the place of a gene: its further transcripts, or what a judge chooses from.

Candidates are genes of sampled chains, each with its exact posterior. One belongs to a gene if it shares coding bases
with that gene and with no other one of its strand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from genet5.crf.chain_sums import NO_LENGTHS
from genet5.crf.expected import StrandRules, exons_of
from genet5.crf.posterior import gene_log_posteriors
from genet5.crf.sampled_genes import StrandGene, sample_genes
from genet5.genome.sites import WindowSites
from genet5.genome.window_genes import ScoredGene, WindowGene


@dataclass(frozen=True)
class IsoformOptions:
    """number: transcripts of a gene at most, 1: no further ones. posterior: least probability of a further one.

    samples: chains of each strand that are drawn to find them.
    """

    number: int = 1
    posterior: float = 0.1
    samples: int = 64
    seed: int = 42


def other_transcripts(
    potentials: np.ndarray,
    site_potentials: np.ndarray,
    sites: WindowSites,
    gene_penalty: float,
    genes: Sequence[WindowGene],
    options: IsoformOptions,
    introns: np.ndarray = NO_LENGTHS,
) -> Mapping[WindowGene, list[ScoredGene]]:
    """Further transcripts of complete genes of a window with their log-posteriors, the most probable first.

    Arguments as in ``best_genes``.
    """
    allowed, size = sites.allowed, sites.window_bp
    samples = sample_genes(
        potentials, site_potentials, allowed, gene_penalty, options.samples, options.seed, 1.0, introns
    )
    rules = {sign: StrandRules(sites.strand(sign)) for sign in "+-"}
    counts = Counter(gene for sample in samples for gene in set(sample))
    candidates = [
        gene
        for gene, count in counts.items()
        if not gene.partial5
        and not gene.partial3
        and gene not in genes
        and 2 * count >= options.posterior * options.samples
        and rules[gene.strand].is_legal(exons_of(_on_strand(gene, size), size))
    ]
    probable = gene_log_posteriors(potentials, site_potentials, allowed, gene_penalty, candidates, introns)
    ranked = sorted(zip(probable, candidates, strict=True), key=lambda pair: (-pair[0], pair[1].cds))
    found: dict[WindowGene, list[ScoredGene]] = {}
    for log_share, gene in ranked:
        if log_share < log(options.posterior):
            break
        touched = [one for one in genes if one.strand == gene.strand and _share_bases(one, gene)]
        if len(touched) == 1 and not touched[0].partial5 and not touched[0].partial3:
            others = found.setdefault(touched[0], [])
            if len(others) < options.number - 1:
                others.append(ScoredGene(gene, log_share))
    return found


def _on_strand(gene: WindowGene, size: int) -> StrandGene:
    return StrandGene(tuple(map(tuple, gene.on_strand(size))), None, False)


def _share_bases(one: WindowGene, other: WindowGene) -> bool:
    return any(a.start < b.end and b.start < a.end for a in one.cds for b in other.cds)
