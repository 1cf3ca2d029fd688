"""The spread of first weights, by the part of the network."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers.models.qwen2_moe.modeling_qwen2_moe import (
    Qwen2MoeAttention,
    Qwen2MoeExperts,
    Qwen2MoeMLP,
    Qwen2MoeTopKRouter,
)


@torch.no_grad()
def scale_first_weights(model: nn.Module) -> None:
    """Give parts the standard deviations that ``model.config`` has for them; all weights were drawn with ``init_std``.

    Weights are scaled, not drawn again: one seed gives one pattern, whatever the spread.
    """
    config = model.config
    for std, weights in (
        (config.init_embedding_std, _embeddings(model)),
        (config.init_attention_std, _matrices(model, Qwen2MoeAttention)),
        (config.init_feed_forward_std, _matrices(model, Qwen2MoeMLP, Qwen2MoeExperts)),
        (config.init_router_std, _matrices(model, Qwen2MoeTopKRouter)),
    ):
        if std and std != config.init_std:
            for weight in weights:
                weight.mul_(std / config.init_std)


def _embeddings(model: nn.Module) -> Iterator[Tensor]:
    tables = (model.get_input_embeddings(), model.output_embeddings, model.latents)
    yield from (table.weight for table in tables if table is not None)


def _matrices(model: nn.Module, *kinds: type[nn.Module]) -> Iterator[Tensor]:
    for module in model.backbone.modules():
        if isinstance(module, kinds):
            yield from (parameter for parameter in module.parameters() if parameter.ndim > 1)
