"""The parts of the training loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def group_logsumexp(values: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """Log of summed exponentials of ``values`` [N] per group, [num_groups]; -inf for a group without members."""
    highest = torch.full((num_groups,), -torch.inf, device=values.device, dtype=values.dtype)
    highest = highest.scatter_reduce(0, group, values.detach(), "amax")
    shifted = torch.exp(values - highest[group])
    total = torch.zeros(num_groups, device=values.device, dtype=values.dtype).index_add(0, group, shifted)
    filled = total > 0
    return torch.where(filled, torch.log(torch.where(filled, total, 1.0)) + highest.clamp(min=-1e30), -torch.inf)


def choice_loss(logits: Tensor, group: Tensor, target: Tensor, num_groups: int, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of choices among options of different number, summed over choices.

    logits: [N] options. group: [N] the choice each belongs to. target: [num_groups] index of the right option of each.
    smoothing: share of the target spread evenly over a choice's options.
    """
    total = group_logsumexp(logits, group, num_groups)
    loss = total - logits[target]
    if smoothing:
        count = torch.zeros_like(total).index_add(0, group, torch.ones_like(logits))
        mean = torch.zeros_like(total).index_add(0, group, logits) / count
        loss = (1 - smoothing) * loss + smoothing * (total - mean)
    return loss.sum()


def router_loss(logits: Sequence[Tensor], real: Tensor, experts_per_token: int) -> Tensor:
    """How unevenly tokens go to experts, mean over layers; 1 if all experts get the same (Switch Transformer, eq. 4).

    logits: [N, experts] of every layer. real: bool [N], tokens that count: padding does not.
    """
    layers = []
    for layer in logits:
        probability = torch.softmax(layer[real].float(), dim=-1)
        chosen = probability.topk(experts_per_token, dim=-1).indices
        share = F.one_hot(chosen, probability.shape[-1]).float().mean(dim=(0, 1))  # of all choices, per expert
        layers.append(probability.shape[-1] * (share * probability.mean(0)).sum())
    return torch.stack(layers).mean()
