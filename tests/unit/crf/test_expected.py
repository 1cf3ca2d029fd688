"""Expected F1: posteriors of exons, and the best legal chain under them, against a list of all chains."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from all_chains import PENALTY, RULES, WINDOWS, all_paths, case, genes_of, log_sum

from genet5.crf.best_chain import Found, StrandPotentials, best_chain
from genet5.crf.exon_posterior import exon_posteriors
from genet5.crf.expected import (
    ExpectedOptions,
    Offer,
    StrandReader,
    _order,
    exons_of,
    expected_genes,
    gene_of,
    ratio_of,
)
from genet5.crf.gain_chain import END
from genet5.crf.sampled_genes import StrandGene
from genet5.crf.sampling import Strand
from genet5.genome.sites import GeneRules, WindowSites

#: none where a gene could share either of two stop codons in a row: the list of chains does not tell which one it was
BASES = [*WINDOWS[:3], *WINDOWS[4:], "ATGGTAGTGACATGTAA", "CATGAGTCCAGTAGATGA", "ATGTAATGTAGCC", "TATGACGAC"]
THRESHOLDS = (0.05, 0.2, 0.5, 0.9)


def strand_of(bases: str, seed: int) -> Strand:
    return Strand.of(*(part[0].numpy() for part in case(bases, seed)), PENALTY)


def all_chains(bases: str, seed: int) -> dict[tuple[StrandGene, ...], float]:
    """Every chain of genes that the CRF holds, with its probability."""
    given = case(bases, seed)
    paths = all_paths(given)
    found: dict[tuple, list[float]] = defaultdict(list)
    for path in paths:
        genes = genes_of(path, given.allowed[0].numpy())
        chain = (StrandGene(tuple(map(tuple, gene.cds)), gene.phase if gene.partial5 else None, gene.partial3)
                 for gene in genes)  # fmt: skip
        found[tuple(chain)].append(path.score)
    total = log_sum([path.score for path in paths])
    return {genes: float(np.exp(log_sum(scores) - total)) for genes, scores in found.items()}


@pytest.mark.parametrize("bases", BASES)
def test_the_posterior_of_an_exon_is_the_share_of_the_chains_that_have_it(bases):
    shares: dict[tuple[int, int], float] = defaultdict(float)
    for genes, share in all_chains(bases, 3).items():
        for exon in {segment for gene in genes for segment in gene.segments}:
            shares[exon] += share
    strand = strand_of(bases, 3)
    found = exon_posteriors(strand, strand.sums(), np.array(sorted(shares)))
    assert found.tolist() == pytest.approx([shares[exon] for exon in sorted(shares)], abs=1e-9)


class Given(StrandReader):
    """All genes of a strand on offer, with shares that a list of all chains gives."""

    def __init__(self, bases: str, seed: int, options: ExpectedOptions) -> None:
        self.chains = all_chains(bases, seed)
        super().__init__(WindowSites(bases, RULES).plus, strand_of(bases, seed), options)

    def _offer(self, _genes) -> Offer:
        return super()._offer(sorted({gene for genes in self.chains for gene in genes}, key=_order))

    def is_legal(self, genes: tuple[StrandGene, ...]) -> bool:
        """Rules that the CRF leaves to the decoder; genes that share bases are not offered here (max_overlap_bp 0)."""
        size = self.sites.window_bp
        apart = all(one.segments[-1][1] <= other.segments[0][0] for one, other in pairwise(genes))
        return apart and all(self.rules.is_legal(exons_of(gene, size)) for gene in genes)

    def gain(self, genes: tuple[StrandGene, ...], threshold: float) -> float:
        weight, total = self.options.gene_weight, 0.0
        for gene in genes:
            of_exons, of_gene = self.shares(gene)
            total += sum(2 * share - threshold for share in of_exons) + weight * (2 * of_gene - threshold)
        return total

    def ratio(self, genes: tuple[StrandGene, ...]) -> float:
        return ratio_of([self], [genes], self.options.gene_weight)


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("bases", BASES)
def test_the_chain_is_the_best_of_all_legal_ones(bases, weight):
    reader = Given(bases, 3, ExpectedOptions(samples=1, gene_weight=weight))
    legal = [genes for genes in reader.chains if reader.is_legal(genes)]
    for threshold in THRESHOLDS:
        found = tuple(StrandGene(gene.segments, gene.phase, gene.partial3) for gene in reader.read(threshold))
        assert reader.is_legal(found)
        best = max(reader.gain(genes, threshold) for genes in legal)
        assert reader.gain(found, threshold) == pytest.approx(best, abs=1e-9)
        assert sum(gene.score for gene in reader.read(threshold)) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("seed", [3, 4, 5])
@pytest.mark.parametrize("bases", BASES)
def test_the_iteration_ends_with_the_best_ratio_of_all_legal_chains(bases, seed):
    reader = Given(bases, seed, ExpectedOptions(samples=1))
    threshold, ratio = 1.0, -1.0
    while abs(ratio - threshold) > 1e-12:
        threshold = ratio if ratio >= 0 else threshold
        ratio = ratio_of([reader], [reader.read(threshold)], 1.0)
    best = max(reader.ratio(genes) for genes in reader.chains if reader.is_legal(genes))
    assert ratio == pytest.approx(best, abs=1e-9)


def test_the_ratio_counts_exons_and_weighed_genes_of_all_strands():
    """Two of what is probable, over what is found and what is expected."""
    exons, gene = [0.5, 0.25], StrandGene(((0, 5), (9, 12)), None, False)
    found = [[Found(gene.segments, None, False, 1.0)], []]
    readers = [
        SimpleNamespace(offer=SimpleNamespace(expected=(2.0, 1.5)), shares=lambda one: (exons, 0.75 * (one == gene))),
        SimpleNamespace(offer=SimpleNamespace(expected=(1.0, 0.5)), shares=None),
    ]
    # 2 (0.75 + 3 * 0.75) / (2 + 3 * 1.5 + 1 + 3 * 0.5 + 2 + 3)
    assert ratio_of(readers, found, 3.0) == pytest.approx(6 / 14)
    nothing = SimpleNamespace(offer=SimpleNamespace(expected=(0.0, 0.0)))
    assert ratio_of([nothing], [[]], 3.0) == 0.0
    few = SimpleNamespace(offer=SimpleNamespace(expected=(0.25, 0.0)), shares=lambda _: ([0.125], 0.0))
    assert ratio_of([few], [[Found(((0, 9),), None, False, 1.0)]], 0.0) == pytest.approx(0.2)


def test_expected_counts_are_those_of_the_chains():
    for bases in BASES:
        reader, exons, whole = Given(bases, 3, ExpectedOptions(samples=1)), 0.0, 0.0
        for genes, share in reader.chains.items():
            exons += share * sum(len(gene.segments) for gene in genes)
            whole += share * len(genes)
        # Genes of which the strand shows no coding base count there, and here as genes alone.
        assert reader.offer.expected[0] == pytest.approx(exons, abs=1e-9)
        assert reader.offer.expected[1] >= whole - 1e-9


def test_exons_tell_their_gene():
    all_genes = [(gene, len(bases)) for bases in BASES for genes in all_chains(bases, 3) for gene in genes]
    assert len(all_genes) > 10
    for gene, size in all_genes:
        exons = exons_of(gene, size)
        assert gene_of(exons, size) == gene and exons[-1][END] == gene.segments[-1][1]


@pytest.fixture(scope="module")
def window():
    rng = np.random.default_rng(11)
    bases = "".join(rng.choice(list("ACGT"), size=1500))
    sites = WindowSites(bases, RULES)
    potentials, site = rng.normal(0, 0.4, (2, 1500, 4)), rng.normal(0, 2, (2, 4, 1501))
    return potentials, site, sites


def test_threshold_0_is_found_for_the_window_and_is_not_the_number_0(window):
    of_each = expected_genes(*window, PENALTY, ExpectedOptions(threshold=0))
    fixed = [expected_genes(*window, PENALTY, ExpectedOptions(threshold=at)) for at in (0.02, 1.99)]
    assert of_each and all(of_each != genes for genes in fixed)


def test_a_low_threshold_finds_more_and_a_high_one_less(window):
    numbers = [len(expected_genes(*window, PENALTY, ExpectedOptions(threshold=at))) for at in (0.02, 0.5, 1.99)]
    assert numbers[0] > numbers[1] > numbers[2] >= 0


def test_a_cold_crf_decodes_as_viterbi(window):
    """At a low temperature one chain has all the weight: the most probable one.

    On a strand without introns where no two genes share a stop codon: viterbi weighs that otherwise.
    """
    potentials, site, sites = window
    potentials = potentials[1] - np.array([0, 0, 0, 5.0])  # the CRF could else take the whole strand for an intron
    rules = GeneRules(min_gene_bp=0, max_overlap_bp=0)
    strand = WindowSites("".join("ACGT"[code] for code in sites.codes), rules).minus
    best = best_chain(strand, StrandPotentials.of(potentials, site[1]), PENALTY)
    cold = Strand.of(potentials, site[1], strand.allowed, PENALTY, 1e-3)
    found = StrandReader(strand, cold, ExpectedOptions(samples=8)).read(1.0)
    assert len(best) > 5 and [gene[:3] for gene in found] == [gene[:3] for gene in best]


def test_the_same_seed_gives_the_same_genes(window):
    one, two = (expected_genes(*window, PENALTY, ExpectedOptions(samples=16)) for _ in range(2))
    assert one == two
