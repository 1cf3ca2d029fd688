"""The cost of a token is what PyTorch counts in a pass."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from model_toy import SHAPES, toy_model
from torch.utils.flop_counter import FlopCounterMode

from genet5.writer.attention import FULL, SLIDING
from genet5.writer.cost import PASSES, flops_per_token, weights_per_token
from genet5.writer.network import GeneT5Model


def counted(model: GeneT5Model, tokens: int) -> int:
    """Operations of all matrices, forward and backward, without attention, for which PyTorch has no count on a CPU."""
    vectors = torch.randn(1, tokens, model.config.hidden_size, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        model.run_backbone(vectors, {FULL: None, SLIDING: None}, torch.arange(tokens)[None]).sum().backward()
    counts = counter.get_flop_counts()["Global"]
    return sum(count for operation, count in counts.items() if "attention" not in str(operation))


@pytest.mark.parametrize("shape", [{}, {"num_experts": 3}, {"num_experts": 5, "experts_per_token": 1}])
def test_the_weights_a_token_meets_are_those_that_pytorch_multiplies_with(shape: dict):
    model = toy_model(**shape).train()
    model.backbone.config._experts_implementation = "eager"  # PyTorch does not count the usual one, grouped products
    assert counted(model, 30) == pytest.approx(PASSES * 2 * weights_per_token(model.config) * 30, rel=1e-6)


def test_pairs_of_tokens_count_up_to_the_window():
    full, sliding = toy_model(num_layers=4).config, toy_model(**SHAPES["sliding"]).config
    pairs = PASSES * 4 * 32
    assert flops_per_token(full, 100) - flops_per_token(full, 0) == pairs * 4 * 100
    assert flops_per_token(sliding, 100) - flops_per_token(sliding, 0) == pairs * (3 * 32 + 100)
    assert flops_per_token(sliding, 20) == flops_per_token(full, 20)


def test_every_fourth_layer_sees_the_whole_row_and_each_weight_costs_six_operations() -> None:
    config = toy_model(**SHAPES["sliding"]).config
    assert flops_per_token(config, 0) == 6 * weights_per_token(config)
    pairs = [0.0]
    for layers in range(1, 10):
        config.num_layers = layers
        pairs.append(flops_per_token(config, 100) - flops_per_token(config, 0))
    near, far = PASSES * 4 * 32 * 32, PASSES * 4 * 32 * 100
    assert [after - before for before, after in pairwise(pairs)] == [near, near, near, far] * 2 + [near]
