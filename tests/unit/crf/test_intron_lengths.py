"""Introns whose length adds something: sums, shares and samples against a list of all chains."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from all_chains import PENALTY, WINDOWS, Case, Path, all_paths, case, genes_of, log_sum, with_lengths

from genet5.crf.chain_sums import strand_marginals
from genet5.crf.exon_posterior import exon_posteriors
from genet5.crf.posterior import gene_log_posteriors
from genet5.crf.sampled_genes import sample_genes
from genet5.crf.sampling import Strand, chain_score, sample_chains
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, START_SITE
from genet5.genome.window_genes import WindowGene

#: introns of several lengths that share donors and acceptors, one that the 5' edge cuts, one beside a stop codon
BASES = [*WINDOWS[:2], "ATGGTAGTGACATGTAA", "ATGGTAGGTCAGATAG", "CAGATGGTAGCAGTGA", "TATGACGAC", "A"]
LENGTHS = (1, 5, 8, 30)


def lengths(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(0, 2, number)


def probable(bases: str) -> Case:
    """A strand on which introns are likely."""
    given = case(bases, 4, 0.5)
    given.site[:, [START_SITE, DONOR_SITE, ACCEPTOR_SITE]] += 2.5
    return given


def strand_of(bases: str, number: int) -> Strand:
    return Strand.of(*(part[0].numpy() for part in probable(bases)), PENALTY, introns=lengths(number))


def paths_of(bases: str, number: int) -> list[Path]:
    return with_lengths(all_paths(probable(bases)), lengths(number))


@pytest.mark.parametrize("number", LENGTHS)
@pytest.mark.parametrize("bases", BASES)
def test_sums_and_marginals_are_those_of_all_chains(bases, number):
    paths, strand = paths_of(bases, number), strand_of(bases, number)
    total = log_sum([path.score for path in paths])
    assert strand.sums().total == pytest.approx(total, abs=1e-9)
    of_base, of_site = np.zeros((len(bases), 4)), np.zeros((2, len(bases) + 1))
    for path in paths:
        share = math.exp(path.score - total)
        for at, state in enumerate(path.states):
            if state:
                of_base[at, min(state, 4) - 1] += share
            if at:
                of_site[0, at] += share * (state > 3 >= path.states[at - 1])
                of_site[1, at] += share * (path.states[at - 1] > 3 >= state)
    found = strand_marginals(*strand)
    np.testing.assert_allclose(found.of_base, of_base, atol=1e-9)
    np.testing.assert_allclose(found.of_site[[DONOR_SITE, ACCEPTOR_SITE]], of_site, atol=1e-9)


def test_lengths_change_what_is_probable():
    bases = BASES[3]
    plain = strand_of(bases, 0)
    changed = np.abs(strand_marginals(*plain).of_base - strand_marginals(*strand_of(bases, 8)).of_base)
    assert changed.max() > 0.05
    zeros = strand_marginals(*plain._replace(introns=np.zeros(8)))
    np.testing.assert_allclose(zeros.of_base, strand_marginals(*plain).of_base, atol=1e-12)


@pytest.mark.parametrize("number", LENGTHS)
@pytest.mark.parametrize("bases", BASES)
def test_shares_of_genes_and_exons_are_those_of_the_chains_with_them(bases, number):
    strand, paths = strand_of(bases, number), paths_of(bases, number)
    total = log_sum([path.score for path in paths])
    genes: dict[WindowGene, list[float]] = defaultdict(list)
    exons: dict[tuple[int, int], list[float]] = defaultdict(list)
    for path in paths:
        found = genes_of(path, strand.allowed)
        for gene in found:
            genes[gene].append(path.score)
        for exon in {tuple(cds) for gene in found for cds in gene.cds}:
            exons[exon].append(path.score)
    assert genes and exons
    both = [np.stack([part, part]) for part in (strand.potentials, strand.site, strand.allowed)]
    shares = gene_log_posteriors(*both, PENALTY, list(genes), strand.introns)
    assert shares == pytest.approx([log_sum(scores) - total for scores in genes.values()], abs=1e-9)
    table = np.array(list(exons))
    found = exon_posteriors(strand, strand.sums(), table)
    assert found.tolist() == pytest.approx([math.exp(log_sum(one) - total) for one in exons.values()], abs=1e-9)


@pytest.mark.parametrize("number", LENGTHS)
@pytest.mark.parametrize("bases", BASES[:5])
def test_chains_are_sampled_as_often_as_they_are_probable(bases, number):
    draws, strand, paths = 4000, strand_of(bases, number), paths_of(bases, number)
    total = log_sum([path.score for path in paths])
    expected: dict[tuple, float] = defaultdict(float)
    for path in paths:
        expected[tuple(genes_of(path, strand.allowed))] += math.exp(path.score - total)
    arrays = [np.stack([part, np.zeros_like(part)]) for part in (strand.potentials, strand.site, strand.allowed)]
    samples = sample_genes(*arrays, PENALTY, draws, 1, introns=strand.introns)
    counts = Counter(tuple(gene for gene in genes if gene.strand == "+") for genes in samples)
    assert set(counts) <= set(expected)
    for genes, share in expected.items():
        assert counts[genes] / draws == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / draws) + 1e-3)


def test_the_score_of_a_sampled_chain_has_its_lengths():
    strand, possible = strand_of(BASES[3], 30), [path.score for path in paths_of(BASES[3], 30)]
    chains = sample_chains(strand, strand.sums(), 200, 1)
    with_introns = [chain for chain in chains if ACCEPTOR_SITE in chain.events[:, 0].tolist()]
    assert len(with_introns) > 10
    for chain in with_introns:
        assert min(abs(chain_score(chain, strand) - score) for score in possible) < 1e-9
