"""Who sees whom: masks of prompts, of structure sequences that continue them, and of layers with a window.

A mask is None (everything is seen), a bool tensor [B, 1, N, K], a ``Band``, a ``PromptAndSequences``, or a
``Continuation`` of prompts whose keys are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, Union

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from genet5.writer.banded import Band
from genet5.writer.growing_cache import Continuation
from genet5.writer.passes import Branches

#: the name that transformers' models know ``attend`` by
ATTENTION = "genet5"
FULL, SLIDING = "full_attention", "sliding_attention"  # kinds of layers, in transformers' words


Mask: TypeAlias = Union[Tensor, Band, Continuation, "PromptAndSequences", None]


@dataclass(frozen=True)
class PromptAndSequences:
    """Masks of a pass in which prompt tokens and structure tokens go through the layers together."""

    num_prompt: int
    prompt: Mask
    sequences: Mask


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Mask, scaling: float, **kwargs: object
) -> tuple[Tensor, None]:
    """transformers' interface of attention, for all kinds of masks.

    query: [B, H, N, D]; key, value: [B, H or a divisor of it, K, D]. Returns [B, N, H, D].
    """
    mask = attention_mask
    if isinstance(mask, PromptAndSequences):
        at = mask.num_prompt
        prompt = (query[:, :, :at], key[:, :, :at], value[:, :, :at], mask.prompt)
        parts = (prompt, (query[:, :, at:], key, value, mask.sequences))
        return torch.cat([attend(module, *part, scaling, **kwargs)[0] for part in parts], dim=1), None
    if isinstance(mask, Continuation):
        return mask.attend(query, key, value, module.layer_idx, scaling).transpose(1, 2), None
    if isinstance(mask, Band):
        return mask.attend(query, key, value, scaling).transpose(1, 2).contiguous(), None
    return sdpa_attention_forward(module, query, key, value, mask, scaling=scaling, **kwargs)


AttentionInterface.register(ATTENTION, attend)


def real_tokens(lengths: Tensor, width: int) -> Tensor:
    """Which of ``width`` tokens are no padding; bool [B, width]."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def prompt_masks(real: Tensor, local: Tensor, window: int, block: int) -> dict[str, Mask]:
    """What prompt tokens see, by kind of layer: in a layer with a window, local tokens see near ones and all others.

    real, local: bool [B, N], no padding, and DNA. window, block: 0 for none.
    """
    full = None if bool(real.all()) else real[:, None, None]  # without a mask attention is several times faster
    if not window or window >= real.shape[1]:
        return {FULL: full, SLIDING: full}
    sequence = torch.where(real, 0, -1)
    return {FULL: full, SLIDING: Band.make(real & ~local, sequence, real.shape[1], window, window, block)}


def sequence_masks(in_prompt: Tensor, branches: Branches, window: int, block: int) -> dict[str, Mask]:
    """What structure tokens see, by kind of layer: the prompt, and what is before them in their own sequence.

    in_prompt: bool [B, P]. window, block: 0 for none.
    """
    sequence, place = branches
    width = sequence.shape[1]
    same = sequence[:, :, None] == sequence[:, None, :]
    mine = same & (place[:, None, :] <= place[:, :, None]) & (sequence >= 0)[:, None]
    mine |= torch.eye(width, dtype=torch.bool, device=place.device)  # padding sees itself: no empty softmax
    full = torch.cat([in_prompt[:, None].expand(-1, width, -1), mine], dim=2)[:, None]
    if not window or window > int(place.max()):
        return {FULL: full, SLIDING: full}
    everywhere = F.pad(in_prompt, (0, width))
    owner = torch.cat([torch.where(in_prompt, 0, -1), sequence], dim=1)
    return {FULL: full, SLIDING: Band.make(everywhere, owner, width, window, 1, block)}


def joined_masks(num_prompt: int, prompt: dict[str, Mask], sequences: dict[str, Mask]) -> dict[str, Mask]:
    """Masks of prompt and structure tokens that go through the layers together."""
    return {kind: PromptAndSequences(num_prompt, prompt[kind], sequences[kind]) for kind in prompt}
