"""First weights of the gene finder, and how potentials come of what its heads say."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from toy_bacterium import toy_crf

from genet5.crf.network import CrfNetwork

CODES = torch.randint(0, 5, (2, 2, 31), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)


@pytest.fixture
def network() -> CrfNetwork:
    return toy_crf(3).networks[0]


def test_first_weights_trust_the_classes_little_and_expect_few_sites(network: CrfNetwork) -> None:
    assert network.chain_scale.exp().tolist() == pytest.approx([0.015, 0.015, 0.015, 0.005])
    assert (network.site_scale.tolist(), network.site_bias.tolist()) == ([1.0] * 4, [0.0] * 4)
    assert network.site_head[-1].bias.tolist() == [-2.0] * 4
    assert network.gene_penalty.item() == 3.0
    assert not network.chain_head.weight.any() and not network.chain_head.bias.any()
    shapes = network.class_head.weight.shape[0], network.chain_head.weight.shape[0]
    assert shapes == (5, 4)


@torch.no_grad()
def test_potentials_are_scaled_odds_against_neither_and_what_the_chain_head_adds(network: CrfNetwork) -> None:
    generator = torch.Generator().manual_seed(1)
    for part in (network.chain_head.weight, network.chain_head.bias, network.site_scale, network.site_bias):
        part.normal_(generator=generator)
    network.chain_scale.copy_(torch.tensor([0.5, 2, 3, 4]).log())
    found = network(CODES)
    classes = F.linear(found.features, network.class_head.weight, network.class_head.bias)
    torch.testing.assert_close(found.class_logits, classes)
    added = F.linear(found.features, network.chain_head.weight, network.chain_head.bias)
    expected = (classes[..., 1:] - classes[..., [0]]) * torch.tensor([0.5, 2, 3, 4]) + added
    torch.testing.assert_close(found.potentials, expected)
    sites = torch.stack(
        [found.site_logits[:, :, kind] * network.site_scale[kind] + network.site_bias[kind] for kind in range(4)], 2
    )
    torch.testing.assert_close(found.site_potentials, sites)
    assert found.site_logits.shape == (2, 2, 4, 32)


@torch.no_grad()
def test_sites_read_the_bases_before_and_behind_a_boundary_and_nothing_beyond_the_ends(network: CrfNetwork) -> None:
    features, near = network.stem(CODES), network._near(CODES)
    both = torch.cat([features, near], -1)
    outside = torch.zeros_like(both[:, :, :1])
    around = torch.cat([torch.cat([outside, both], 2), torch.cat([both, outside], 2)], -1)
    expected = network.site_head(around).transpose(-1, -2)
    torch.testing.assert_close(network(CODES).site_logits, expected, rtol=1e-4, atol=1e-5)
    places = torch.arange(128).view(2, 2, 32) % 3 == 0
    found = network(CODES, places).site_logits
    torch.testing.assert_close(found, expected * places[:, :, None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("places", [None, torch.ones(2, 2, 32, dtype=torch.bool)])
def test_a_twentieth_of_the_gradient_of_sites_reaches_the_stem(
    network: CrfNetwork, places: torch.Tensor | None
) -> None:
    with torch.no_grad():
        features, near = network.stem(CODES), network._near(CODES)
    features.requires_grad_()
    near.requires_grad_()
    found = torch.autograd.grad(network._site_logits(features, near, places).square().sum(), (features, near))
    outside = torch.zeros_like(torch.cat([features, near], -1)[:, :, :1])
    both = torch.cat([features, near], -1)
    around = torch.cat([torch.cat([outside, both], 2), torch.cat([both, outside], 2)], -1)
    whole = torch.autograd.grad(network.site_head(around).square().sum(), (features, near))
    torch.testing.assert_close(found[0], whole[0] / 20, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found[1], whole[1], rtol=1e-3, atol=1e-5)
