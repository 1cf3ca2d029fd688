"""Who sees whom: masks of prompts, of structure sequences that continue them, and of layers with a window."""

from __future__ import annotations

import torch
from torch import Tensor

from genet5.writer.passes import Branches


def real_tokens(lengths: Tensor, width: int) -> Tensor:
    """Which of ``width`` tokens are no padding; bool [B, width]."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def sequence_mask(in_prompt: Tensor, branches: Branches) -> Tensor:
    """What structure tokens see: the prompt, and what is before them in their own sequence.

    in_prompt: bool [B, P]. Returns bool [B, 1, T, P + T].
    """
    sequence, place = branches
    width = sequence.shape[1]
    same = sequence[:, :, None] == sequence[:, None, :]
    mine = same & (place[:, None, :] <= place[:, :, None]) & (sequence >= 0)[:, None]
    mine |= torch.eye(width, dtype=torch.bool, device=place.device)  # padding sees itself: no empty softmax
    return torch.cat([in_prompt[:, None].expand(-1, width, -1), mine], dim=2)[:, None]


def whole_mask(in_prompt: Tensor, of_sequences: Tensor) -> Tensor:
    """What prompt and structure tokens see when both go through the backbone at once.

    in_prompt: bool [B, P]. of_sequences: bool [B, 1, T, P + T]. Returns bool [B, 1, P + T, P + T].
    """
    num_prompt, num_sequence = in_prompt.shape[1], of_sequences.shape[2]
    of_prompt = in_prompt[:, None, None].expand(-1, -1, num_prompt, -1)
    whole = torch.cat([torch.nn.functional.pad(of_prompt, (0, num_sequence)), of_sequences], dim=2)
    return whole | torch.eye(whole.shape[-1], dtype=torch.bool, device=whole.device)


def layer_masks(mask: Tensor | None, local: Tensor | None, window: int) -> dict[str, Tensor | None]:
    """Masks by kind of layer; layers with a window see DNA less than ``window`` tokens away, and all mile-posts.

    mask: bool [B, 1, N, K], None for everywhere. local: bool [B, N], tokens that the window binds; None for none.
    """
    if not window or local is None:
        return {"full_attention": mask, "sliding_attention": mask}
    at = torch.arange(local.shape[1], device=local.device)
    near = (at[:, None] - at[None, :]).abs() < window
    near = (near | ~local[:, :, None] | ~local[:, None, :])[:, None]
    return {"full_attention": mask, "sliding_attention": near if mask is None else mask & near}
