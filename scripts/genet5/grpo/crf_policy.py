"""The CRF as a policy: exact samples of a strand's genes, what they earn locus by locus, and what to learn from it.

The gradient of a chain's log-probability is what the chain holds less what all chains hold on average. Advantages of a
group add up to nothing, so the average falls away: a step needs no more than the features of the samples. This is
REINFORCE with a leave-one-out baseline (Kool et al. 2019, "Buy 4 REINFORCE Samples, Get a Baseline for Free!"; Ahmadian
et al. 2024, arXiv:2402.14740).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genet5.crf.sampled_genes import genes_of
from genet5.crf.sampling import Chain, Features, Strand, add_features, expected_features, sample_chains
from genet5.genome.sites import STOP_SITE
from genet5.genome.window_genes import WindowGene
from genet5.grpo.rewards import Reward, RewardWeights

LOCUS, STRAND = "locus", "strand"


class Sampled(NamedTuple):
    """A group of annotations of one strand. genes: of each chain, as the window shows them. loci: [low, high) each."""

    chains: list[Chain]
    genes: list[list[WindowGene]]
    loci: list[tuple[int, int]]


class Lesson(NamedTuple):
    """What a strand teaches. features: gradient of the policy's loss by the potentials, that of the penalty negated.

    rewards: of each sample, on the whole strand. varied: whether any locus has rewards that differ.
    """

    features: Features
    rewards: list[Reward]
    varied: bool


def leave_one_out(rewards: np.ndarray) -> np.ndarray:
    """Each reward of a group [G] minus the mean of the others; they add up to 0, and are 0 where all are equal."""
    if np.ptp(rewards) == 0:
        return np.zeros_like(rewards)
    return (rewards - rewards.mean()) * len(rewards) / (len(rewards) - 1)


def sample_strand(
    strand: Strand, sign: str, reference: Sequence[WindowGene], group_size: int, seed: int, credit: str
) -> Sampled:
    """``group_size`` annotations of a strand. reference: genes of this strand, which loci are made around, too."""
    size, stops = len(strand.potentials), strand.allowed[STOP_SITE]
    chains = sample_chains(strand, strand.sums(), group_size, seed)
    genes = [[gene.of_window(sign, size) for gene in genes_of(chain, stops)] for chain in chains]
    if credit == STRAND:
        return Sampled(chains, genes, [(0, size + 1)])
    return Sampled(chains, genes, _loci([*reference, *(gene for group in genes for gene in group)], size))


def _span(gene: WindowGene, size: int) -> tuple[int, int]:
    """In strand coordinates; introns that the window cuts belong to it."""
    segments = gene.on_strand(size)
    return 0 if gene.partial5 else segments[0].start, size if gene.partial3 else segments[-1].end


def _loci(genes: Sequence[WindowGene], size: int) -> list[tuple[int, int]]:
    """Stretches that genes of the reference or of any sample reach over; those that touch are one.

    Outside, and at their borders, no sample has a gene. Each includes the boundary at its end.
    """
    found: list[list[int]] = []
    for begin, end in sorted({_span(gene, size) for gene in genes}):
        if found and begin <= found[-1][1]:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([begin, end])
    return [(begin, end + 1) for begin, end in found]


def learn(
    sampled: Sampled,
    reference: Sequence[WindowGene],
    dont_care: Sequence[tuple[int, int, str]],
    weights: RewardWeights,
    size: int,
    temperature: float,
) -> Lesson:
    """What the samples of a strand teach: their advantages at each locus, on the features that they have there.

    The loss is minus the mean over samples of advantage x log-probability, summed over loci. size: bases of the window.
    """
    features = Features(np.zeros((size, 4)), np.zeros((4, size + 1)), 0.0)
    group, genes_begun, varied = len(sampled.chains), 0.0, False
    for low, high in sampled.loci:
        right = _within(reference, low, high, size)
        known: dict[tuple[WindowGene, ...], float] = {}
        earned = np.empty(group)
        for number, genes in enumerate(sampled.genes):
            here = tuple(_within(genes, low, high, size))
            if here not in known:
                known[here] = weights.of(right, here, dont_care).reward
            earned[number] = known[here]
        for chain, advantage in zip(sampled.chains, leave_one_out(earned), strict=True):
            if advantage:
                varied = True
                genes_begun += add_features(chain, -advantage / (group * temperature), low, high, features)
    rewards = [weights.of(reference, genes, dont_care) for genes in sampled.genes]
    return Lesson(features._replace(genes=genes_begun), rewards, varied)


def _within(genes: Sequence[WindowGene], low: int, high: int, size: int) -> list[WindowGene]:
    """Genes of a locus; no gene reaches over its borders."""
    return [gene for gene in genes if low <= _span(gene, size)[0] < high]


def divergence(strand: Strand, start: Strand) -> tuple[float, Features]:
    """KL divergence of the policy from the CRF that it started from, in nats, and its gradient by the potentials.

    KL(start || policy), exactly: E_start[score of the start - score of the policy] + log Z of the policy - log Z of the
    start. Its gradient is the difference of what chains hold on average.
    """
    sums, first = strand.sums(), start.sums()
    now, before = expected_features(strand, sums), expected_features(start, first)
    apart = (before.of_base * (start.potentials - strand.potentials)).sum()
    apart += (before.of_site * (start.site - strand.site))[strand.allowed].sum()
    apart -= before.genes * (start.penalty - strand.penalty)
    gradient = Features(now.of_base - before.of_base, now.of_site - before.of_site, now.genes - before.genes)
    return max(float(apart + sums.total - first.total), 0.0), gradient
