"""The last layer of a pass over prompts, for the few tokens whose states are asked for.

What continues a prompt reads its keys and values, and pointers its mile-posts: in the last layer nine of ten tokens are
keys and values only, and need neither attention nor a feed-forward layer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import Qwen2MoeModel
from transformers.cache_utils import Cache
from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeDecoderLayer, apply_rotary_pos_emb

from genet5.writer.attention import FULL, Mask, attend


def read_ends(
    backbone: Qwen2MoeModel, embedded: Tensor, masks: dict[str, Mask], positions: Tensor, cache: Cache, index: Tensor
) -> Tensor:
    """What ``backbone`` gives, at the tokens ``index`` [B, E] alone, [B, E, H]; ``cache`` gets keys and values of all.

    embedded: [B, N, H]. masks: by kind of layer. The tokens asked for must be among those that see everything in every
    kind of layer.
    """
    rotary = backbone.rotary_emb(embedded, positions)
    hidden = embedded
    for layer, kind in zip(backbone.layers[:-1], backbone.config.layer_types[:-1], strict=True):
        hidden = layer(
            hidden,
            attention_mask=masks[kind],
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            position_embeddings=rotary,
            is_causal=False,
        )
    return backbone.norm(_read_last(backbone.layers[-1], hidden, masks[FULL], rotary, cache, index))


def _read_last(
    layer: Qwen2MoeDecoderLayer, hidden: Tensor, mask: Mask, rotary: tuple[Tensor, Tensor], cache: Cache, index: Tensor
) -> Tensor:
    """As the layer's own ``forward``, with queries at ``index`` alone."""
    row = torch.arange(len(hidden), device=hidden.device)[:, None]
    attention, normed = layer.self_attn, layer.input_layernorm(hidden)
    cos, sin = (part.expand(len(hidden), -1, -1) for part in rotary)

    def heads(values: Tensor) -> Tensor:
        return values.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

    key, value = heads(attention.k_proj(normed)), heads(attention.v_proj(normed))
    query = heads(attention.q_proj(normed[row, index]))
    query, _ = apply_rotary_pos_emb(query, query, cos[row, index], sin[row, index])
    key, _ = apply_rotary_pos_emb(key, key, cos, sin)
    key, value = cache.update(key, value, attention.layer_idx)
    seen, _ = attend(attention, query, key, value, mask, attention.scaling, is_causal=False)
    hidden = hidden[row, index] + attention.o_proj(seen.flatten(2))
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))
