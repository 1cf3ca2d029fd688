"""Softmax-margin and expected F1 of sites against a list of all chains, and gradients against small differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from all_chains import PENALTY, WINDOWS, Path, all_paths, case, log_sum

from genet5.crf.chains import chain_loss
from genet5.crf.labels import IGNORED, NOT_A_SITE, UNSCORED_SITE
from genet5.crf.objectives import expected_site_f1, margin_costs

BASE_COST, SITE_COST = 0.3, 0.7
#: without genes that share a stop codon: states do not tell which one
BASES = [bases for bases in WINDOWS if bases not in ("CATGTAATGCTAGA", "ATGATGATGACTGA", "ATGTAAATGTGA")]


def sites_of(path: Path, size: int) -> set[tuple[int, int]]:
    """Sites that a path has, off its states."""
    states, found = path.states, {(0, at) for at in path.starts}
    for at in range(1, size):
        before, now = states[at - 1], states[at]
        if before <= 3 < now and before:
            found.add((2, at))
        if now <= 3 < before and now:
            found.add((3, at))
        if before == 3 and (now == 0 or at in path.starts):
            found.add((1, at))
    return found


def labels_of(path: Path, given) -> tuple[torch.Tensor, torch.Tensor]:
    size = given.potentials.shape[1]
    sites = torch.where(given.allowed[0], 0, NOT_A_SITE).to(torch.int8)
    for place in sites_of(path, size):
        sites[place] = 1
    return torch.tensor([min(state, 4) for state in path.states], dtype=torch.int8), sites


@pytest.mark.parametrize("bases", BASES)
def test_the_margin_is_what_a_chain_has_wrong(bases):
    given, size = case(bases), torch.tensor([len(bases)])
    paths = all_paths(given)
    assert len(paths) > 1
    states = np.minimum([path.states for path in paths], 4)
    has_site = np.zeros((len(paths), 4, len(bases) + 1), bool)
    for number, path in enumerate(paths):
        for kind, at in sites_of(path, len(bases)):
            has_site[number, kind, at] = True
    for number in range(0, len(paths), max(1, len(paths) // 5)):
        labels, sites = labels_of(paths[number], given)
        wrong_bases = (states != states[number]).sum(1)
        wrong_sites = (has_site != has_site[number]).sum((1, 2))
        scores = [path.score for path in paths] + BASE_COST * wrong_bases + SITE_COST * wrong_sites
        # The right chains: those with these bases (a start at the first base may be a cut gene's, or not).
        expected = log_sum(scores) - log_sum(scores[wrong_bases == 0])
        of_base, of_site = margin_costs(labels[None], sites[None], BASE_COST, SITE_COST)
        found = chain_loss(
            given.potentials + of_base, given.site + of_site, torch.tensor(PENALTY), given.allowed, labels[None], size
        )
        assert float(found.loss) == pytest.approx(expected, abs=1e-6)


def test_what_is_not_known_costs_nothing():
    labels = torch.tensor([[IGNORED, 0, 2, 4]], dtype=torch.int8)
    sites = torch.tensor([[[NOT_A_SITE, UNSCORED_SITE, 0, 1, 0]] * 4], dtype=torch.int8)
    of_base, of_site = margin_costs(labels, sites, 1.0, 2.0)
    assert of_base[0].tolist() == [[0] * 4, [1] * 4, [0, -1, 0, 0], [0, 0, 0, -1]]
    assert of_site[0, 0].tolist() == [0, 0, 2, -2, 2]


@pytest.mark.parametrize("bases", BASES)
def test_the_expected_f1_is_that_of_all_chains(bases):
    given = case(bases)
    paths = all_paths(given)
    right = max(paths, key=lambda path: len(sites_of(path, len(bases))))
    _, sites = labels_of(right, given)
    total = log_sum([path.score for path in paths])
    truth = sites_of(right, len(bases))
    hit = made = 0.0
    for path in paths:
        share, found = np.exp(path.score - total), sites_of(path, len(bases))
        hit, made = hit + share * len(found & truth), made + share * len(found)
    found = expected_site_f1(*given[:2], torch.tensor(PENALTY), sites[None], torch.tensor([len(bases)]))
    assert float(found) == pytest.approx((2 * hit + 1) / (made + len(truth) + 1), abs=1e-9)


@pytest.mark.parametrize("bases", BASES[:3])
def test_the_gradient_of_expected_f1_is_that_of_small_differences(bases):
    """Of two strands together, the second one shorter than its row."""
    given = case(bases)
    _, sites = labels_of(all_paths(given)[-1], given)
    sizes = torch.tensor([len(bases), len(bases) - 2])
    sites = torch.stack([sites, sites])
    inputs = (
        torch.cat([given.potentials, given.potentials / 2]).requires_grad_(),
        torch.cat([given.site, given.site / 2]).requires_grad_(),
        torch.tensor(PENALTY, requires_grad=True).double(),
    )
    assert torch.autograd.gradcheck(
        lambda *tensors: expected_site_f1(*tensors, sites, sizes), inputs, eps=1e-5, atol=1e-6
    )
