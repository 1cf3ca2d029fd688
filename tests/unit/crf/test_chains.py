"""Sums over all chains of genes against a list of them all, and against the decoder's best one."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from all_chains import PENALTY, RULES, WINDOWS, Case, all_paths, case, genes_of, log_sum

from genet5.crf.best_chain import Found, StrandPotentials, best_chain
from genet5.crf.chains import chain_loss
from genet5.crf.labels import IGNORED, INTRON, NEITHER
from genet5.crf.messages import LEAST_HAZARD, chain_messages
from genet5.crf.posterior import gene_log_posteriors
from genet5.genome.genes import Interval
from genet5.genome.sites import WindowSites
from genet5.genome.window_genes import WindowGene, reverse_complement_genes


def loss_of(given: Case, labels: list[int], penalty: float = PENALTY) -> tuple[float, bool]:
    size = torch.tensor([given.potentials.shape[1]])
    found = chain_loss(
        given.potentials,
        given.site,
        torch.tensor(penalty),
        given.allowed,
        torch.tensor([labels], dtype=torch.int8),
        size,
    )
    return float(found.loss), bool(found.refused)


@pytest.mark.parametrize("bases", WINDOWS)
def test_the_loss_is_the_log_share_of_the_chains_that_agree(bases):
    given = case(bases)
    paths = all_paths(given)
    total = log_sum([path.score for path in paths])
    rng = np.random.default_rng(1)
    for number in rng.permutation(len(paths))[:12]:
        labels = [min(state, INTRON) for state in paths[number].states]
        for hidden in (0.0, 0.4):  # of the labels: bases that may be anything
            shown = [IGNORED if rng.random() < hidden else label for label in labels]
            agree = [
                path.score
                for path in paths
                if all(label in (IGNORED, min(state, INTRON)) for label, state in zip(shown, path.states, strict=True))
            ]
            loss, refused = loss_of(given, shown)
            assert loss == pytest.approx(total - log_sum(agree), abs=1e-9) and not refused
    assert loss_of(given, [IGNORED] * len(bases))[0] == pytest.approx(0.0, abs=1e-9)


def test_labels_that_are_no_chain_are_refused_and_teach_nothing():
    given = case("CCCCCC")
    given.potentials.requires_grad_()
    labels = torch.tensor([[0, 1, 2, 3, 0, 0]])  # no start codon there
    found = chain_loss(*given[:2], torch.tensor(PENALTY), given.allowed, labels, torch.tensor([6]))
    found.loss.sum().backward()
    assert bool(found.refused) and float(found.loss.detach()) == 0 and not given.potentials.grad.any()


@pytest.mark.parametrize("bases", WINDOWS[:5])
def test_gradients_are_those_of_small_differences(bases):
    given = case(bases)
    paths = all_paths(given)
    labels = torch.tensor([[min(state, INTRON) for state in paths[len(paths) // 2].states]])
    inputs = (
        given.potentials.requires_grad_(),
        given.site.requires_grad_(),
        torch.tensor(PENALTY, requires_grad=True).double(),
    )
    size = torch.tensor([len(bases)])
    assert torch.autograd.gradcheck(
        lambda *tensors: chain_loss(*tensors, given.allowed, labels, size).loss, inputs, eps=1e-6, atol=1e-6
    )


def test_rows_do_not_see_each_other_nor_what_lies_beyond_their_end():
    cases = [case(bases) for bases in WINDOWS]
    width = max(len(bases) for bases in WINDOWS)
    potentials, site = (
        torch.full((len(cases), width, 4), 7.0).double(),
        torch.full((len(cases), 4, width + 1), 7.0).double(),
    )
    allowed, labels = torch.ones(len(cases), 4, width + 1, dtype=torch.bool), torch.full((len(cases), width), IGNORED)
    for row, given in enumerate(cases):
        size = len(WINDOWS[row])
        potentials[row, :size], site[row, :, : size + 1] = given.potentials[0], given.site[0]
        allowed[row, :, : size + 1] = given.allowed[0]
        labels[row, :size] = 0
    sizes = torch.tensor([len(bases) for bases in WINDOWS])
    together = chain_loss(potentials, site, torch.tensor(PENALTY), allowed, labels, sizes).loss
    alone = [loss_of(given, [0] * len(bases))[0] for given, bases in zip(cases, WINDOWS, strict=True)]
    assert together.tolist() == pytest.approx(alone)


# ---------------------------------------------------------------- what may follow


@pytest.mark.parametrize("bases", WINDOWS)
def test_messages_sum_what_may_follow(bases):
    given = case(bases)
    paths, size = all_paths(given), len(bases)
    found = chain_messages(*given[:2], torch.tensor(PENALTY), given.allowed, torch.tensor([size]), torch.tensor([True]))
    total = log_sum([path.score for path in paths])
    for state in range(7):  # the first base: what it is worth and all that follows, less the price of a cut gene
        after = log_sum([path.score for path in paths if path.states[0] == state and 0 not in path.starts])
        after += PENALTY * (state > 0)
        assert float(found.after[0, 0, state]) == pytest.approx(after, abs=1e-9)
    assert (found.after[0, size] == 0).all()
    for phase in range(3):
        begun = (1 + phase, 4 + phase)
        cut = log_sum([path.score for path in paths if path.states[0] in begun and 0 not in path.starts]) - total
        assert float(found.cut[0, phase]) == pytest.approx(cut, abs=1e-9)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("bases", WINDOWS)
def test_starts_of_a_frame_are_alternatives(bases, forward):
    given = case(bases, scale=0.5)
    paths, size = all_paths(given), len(bases)
    found = chain_messages(
        *given[:2], torch.tensor(PENALTY), given.allowed, torch.tensor([size]), torch.tensor([forward])
    )
    total = log_sum([path.score for path in paths])
    starts = [at for at in range(size) if given.allowed[0, 0, at]]
    elsewhere = [at for at in range(size + 1) if at not in starts]
    assert found.start[0, elsewhere].tolist() == pytest.approx([math.log(LEAST_HAZARD)] * len(elsewhere))
    share = {at: math.exp(log_sum([path.score for path in paths if at in path.starts]) - total) for at in starts}
    for at in starts:
        # Those of the same frame without a stop codon between, which come first in forward coordinates.
        low = {a: min(a, at) + 3 for a in starts}
        apart = {a for a in starts if given.allowed[0, 1, low[a] : max(a, at) + 1 : 3].any()}
        first = {a for a in starts if (a < at if forward else a > at) and a % 3 == at % 3}
        earlier = first - apart
        hazard = share[at] / (1 - sum(share[other] for other in earlier))
        assert float(found.start[0, at]) == pytest.approx(math.log(hazard), abs=1e-6)
        assert float(found.skipped[0, at]) == pytest.approx(-math.log(1 - hazard), abs=1e-6)


# ---------------------------------------------------------------- the share of one gene


def posteriors(given: Case, genes: list[WindowGene], strand: str = "+") -> list[float]:
    """Of genes of the case, seen on either strand of a window."""
    size = given.potentials.shape[1]
    order = [0, 1] if strand == "+" else [1, 0]
    arrays = (torch.stack([part[0], torch.zeros_like(part[0])])[order].numpy() for part in given)
    if strand == "-":
        genes = [turned for gene in genes for turned in reverse_complement_genes([gene], size)]
    return gene_log_posteriors(*arrays, PENALTY, genes)


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("bases", [*WINDOWS[:3], *WINDOWS[4:], "ATGGTAGTGACATGTAA", "CATGAGTCCAGTAGATGA", "TATGACGAC"])
def test_the_share_of_every_gene_is_that_of_the_paths_with_it(bases, strand):
    given = case(bases, 3)
    paths = all_paths(given)
    scores: dict[WindowGene, list[float]] = {}
    for path in paths:
        for gene in genes_of(path, given.allowed[0].numpy()):
            scores.setdefault(gene, []).append(path.score)
    assert scores
    total = log_sum([path.score for path in paths])
    expected = [log_sum(values) - total for values in scores.values()]
    assert posteriors(given, list(scores), strand) == pytest.approx(expected, abs=1e-9)


def test_the_share_of_a_gene_is_the_likelihood_of_its_labels():
    """Of open reading frames: the bases and those beside them clamped, the rest free. Unless others may touch them."""
    rng = np.random.default_rng(5)
    bases = "".join(rng.choice(list("ACGT"), size=600))
    given = case(bases, 5, 0.4)
    start, stop = given.allowed[0, :2].numpy()
    tested = 0
    for first in np.flatnonzero(start[1:]) + 1:
        last = next((at for at in range(first + 3, len(bases), 3) if stop[at]), None)
        if last is None or stop[first : first + 5].any() or start[last - 4 : last + 1].any():
            continue
        labels = np.full(len(bases), IGNORED)
        labels[first - 1 : last + 1] = [NEITHER, *[1, 2, 3] * ((last - first) // 3), NEITHER]
        loss, refused = loss_of(given, labels.tolist())
        assert not refused
        assert posteriors(given, [WindowGene("+", (Interval(int(first), last),))]) == [pytest.approx(-loss, abs=1e-6)]
        tested += 1
    assert tested > 2


def test_a_gene_that_the_crf_refuses_is_one_more_chance():
    """ATG GCA T|AA, a stop codon that an intron splits: its chains come on top of all that the CRF holds."""
    bases = "ATGGCATGTCCAGAACC"
    given = case(bases, 1)
    gene = WindowGene("+", (Interval(0, 7), Interval(13, 15)))
    assert not given.allowed[0, 1].any() and not given.allowed[0, 0, 11:].any()
    total = log_sum([path.score for path in all_paths(given)])
    states = (1, 2, 3, 1, 2, 3, 1, *[5] * 6, 2, 3)
    potentials, site = given.potentials[0].numpy(), given.site[0].numpy()
    score = sum(potentials[at, min(state, 4) - 1] for at, state in enumerate(states)) - PENALTY
    score += site[0, 0] + site[2, 7] + site[3, 13] + site[1, 15]
    (share,) = posteriors(given, [gene])
    # Behind it nothing can start, so one chain holds it.
    assert share == pytest.approx(score - np.logaddexp(total, score), abs=1e-9)


# ---------------------------------------------------------------- the decoder's best chain


def labels_of(genes: list[Found], size: int) -> list[int]:
    labels = np.zeros(size, dtype=int)
    for gene in genes:
        segments = gene.segments
        if gene.phase is not None:
            labels[: segments[0][0]] = INTRON
        if gene.partial3:
            labels[segments[-1][1] :] = INTRON
        for left, right in pairwise(segments):
            labels[left[1] : right[0]] = INTRON
        position = (3 - (gene.phase or 0)) % 3
        for begin, end in segments:
            labels[begin:end] = 1 + (position + np.arange(end - begin)) % 3
            position = (position + end - begin) % 3
    return labels.tolist()


@pytest.mark.parametrize("seed", range(12))
def test_the_decoder_takes_the_chain_that_training_raises(seed):
    """Its score is that of the labels it would be taught with: with it alone certain, the loss is log Z less it."""
    rng = np.random.default_rng(seed)
    bases = "".join(rng.choice(list("ACGT"), size=300))
    given = case(bases, seed, 0.4)
    sites = WindowSites(bases, RULES)
    genes = best_chain(sites.plus, StrandPotentials.of(given.potentials[0].numpy(), given.site[0].numpy()), PENALTY)
    best = sum(gene.score for gene in genes)
    total, _ = loss_of(given, [NEITHER] * len(bases))  # nothing is worth 0, so this is log Z
    loss, refused = loss_of(given, labels_of(genes, len(bases)))
    assert genes and total > best
    if not refused:  # introns that touch, or a gene right behind one that the edge cuts, have no labels of their own
        assert loss == pytest.approx(total - best, abs=1e-6)


# ---------------------------------------------------------------- the shortest strands


def test_messages_of_one_base_are_its_potentials_and_of_no_base_nothing():
    """The base is outside of genes, or a gene cut on both sides costs the penalty: by hand."""
    potentials = torch.tensor([[[1.0, 2, 3, 4], [9, 9, 9, 9]]] * 2)
    nowhere = torch.zeros(2, 4, 3, dtype=torch.bool)
    sizes, forward = torch.tensor([1, 0]), torch.tensor([True, True])
    found = chain_messages(potentials, torch.zeros(2, 4, 3), torch.tensor(2.0), nowhere, sizes, forward)
    nothing = [0.0] * 7
    assert found.after.tolist() == [[[0, 1, 2, 3, 4, 4, 4], nothing, nothing], [nothing] * 3]
    within = [math.exp(one - 2) + math.exp(4 - 2) for one in (1, 2, 3)]
    assert found.cut[0].tolist() == pytest.approx([math.log(one / (1 + sum(within))) for one in within], rel=1e-5)
    assert found.cut[1].tolist() == [-math.inf] * 3
    assert found.start.flatten().tolist() == pytest.approx([math.log(1e-7)] * 6) and not found.skipped.any()
