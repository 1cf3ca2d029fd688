"""The compiled chain of genes is the one that plain Python finds, to the last bit of its scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from chain_by_events import chain_by_events
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.crf.best_chain import StrandPotentials, best_chain
from genet5.crf.decoding import best_genes
from genet5.crf.posterior import gene_log_posteriors
from genet5.genome.sites import GeneRules, WindowSites

SPLICED = GeneRules(splice_pairs=(("GT", "AG"), ("GC", "AG"), ("AT", "AC")), min_gene_bp=30)
BACTERIA = GeneRules(starts=("ATG", "GTG", "TTG"), min_gene_bp=30)
SPLICED_TINY = replace(SPLICED, min_intron_bp=5, max_intron_bp=40, min_gene_bp=12, min_exon_bp=1, max_overlap_bp=0)
PAIRS = (SPLICED.splice_pairs, (("GT", "AG"),), (("GT", "AG"), ("GT", "AC")))
STOPS = (("TAA", "TAG", "TGA"), ("TGA",), ("TAA", "CAG", "CAC", "GGG", "TGT", "ACA"))


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([0, 1, 2, 3, 5, 30, 200, 1500, 5000]),
    rules=st.sampled_from([SPLICED, BACTERIA]),
    pairs=st.sampled_from(PAIRS),
    stops=st.sampled_from(STOPS),
    min_exon_bp=st.sampled_from([1, 3, 7]),
    max_overlap_bp=st.sampled_from([0, 4, 30, 60]),
    introns=st.sampled_from([(4, 9), (10, 50), (10, 400), (30, 3000)]),
    whole=st.booleans(),
    penalty=st.sampled_from([0.0, 1.0, 4.0]),
    lengths=st.sampled_from([0, 1, 7, 60, 500]),
)
@settings(max_examples=150, deadline=None)
def test_it_is_the_chain_of_plain_python(
    seed: int,
    size: int,
    rules: GeneRules,
    pairs: tuple,
    stops: tuple[str, ...],
    min_exon_bp: int,
    max_overlap_bp: int,
    introns: tuple[int, int],
    whole: bool,
    penalty: float,
    lengths: int,
) -> None:
    """Whole numbers make ties, which must be settled alike."""
    rng = np.random.default_rng(seed)
    rules = replace(
        rules,
        splice_pairs=rules.splice_pairs and pairs,
        stops=frozenset(stops),
        min_exon_bp=min_exon_bp,
        max_overlap_bp=max_overlap_bp,
        min_intron_bp=introns[0],
        max_intron_bp=introns[1],
    )
    sites = WindowSites("".join(rng.choice(list("ACGT" * 10 + "N"), size=size)), rules)
    stretches = rng.normal([0.2, 0.2, 0.2, -0.1], 1, (size // 20 + 1, 4))  # neighbours say nearly the same
    odds, of_sites = stretches.repeat(20, axis=0)[:size], rng.normal(0, 3, (4, size + 1))
    of_lengths = rng.normal(0, 2, lengths)
    if whole:
        odds, of_sites, of_lengths = odds.round(), of_sites.round(), of_lengths.round()
    scores = StrandPotentials.of(odds, of_sites, of_lengths)
    for strand in (sites.plus, sites.minus):
        found = best_chain(strand, scores, penalty)
        assert found == chain_by_events(strand, scores, penalty)
        # The network scores some boundaries alone: nothing looks at the others.
        elsewhere = np.where(strand.scored, of_sites, 1e9)
        assert best_chain(strand, StrandPotentials.of(odds, elsewhere, of_lengths), penalty) == found


def test_probabilities_look_at_scored_boundaries_alone() -> None:
    """Also at stop codons that an intron splits, of which the CRF knows nothing."""
    rng, split = np.random.default_rng(3), 0
    for _ in range(60):
        sites = WindowSites("".join(rng.choice(["ATG", "GT", "AG", "TAA", "TGA", *"ACGT"], size=90)), SPLICED_TINY)
        size = sites.window_bp
        odds = rng.normal(0, 1, (2, size, 4))
        of_sites = rng.normal(2, 3, (2, 4, size + 1))
        scored = np.stack([sites.plus.scored, sites.minus.scored])[:, None]
        genes = [gene for gene, _ in best_genes(odds, of_sites, sites, 1.0)]
        known = gene_log_posteriors(odds, of_sites, sites.allowed, 1.0, genes)
        elsewhere = np.where(scored, of_sites, 1e9)
        assert gene_log_posteriors(odds, elsewhere, sites.allowed, 1.0, genes) == known
        for gene in genes:
            last = gene.on_strand(size)[-1][1]
            split += not gene.partial3 and not sites.strand(gene.strand).stop_here[last]
    assert split > 3


def test_prefix_sums_are_of_the_frame() -> None:
    odds = np.arange(20, dtype=float).reshape(5, 4)
    sums = StrandPotentials.of(odds, np.zeros((4, 6)))
    np.testing.assert_array_equal(sums.coding[0], [0, 0, 5, 15, 27, 44])
    np.testing.assert_array_equal(sums.coding[2], [0, 1, 7, 15, 28, 46])
    np.testing.assert_array_equal(sums.intron, [0, 3, 10, 21, 36, 55])
