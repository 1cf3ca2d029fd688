"""The parts of the training loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from genet5.crf.labels import IGNORED
from genet5.writer.crf_scores import group_logsumexp


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


def base_losses(class_logits: Tensor, site_logits: Tensor, labels: Tensor, sites: Tensor) -> dict[str, Tensor]:
    """Means over labelled bases and sites.

    base: cross-entropy of per-base classes. site: binary cross-entropy at sites. soft_f1: one minus the F1 of coding
    probabilities against coding labels (strand and codon position must agree), Tiberius' second loss term.
    class_logits: [B, 2, W, 5], site_logits: [B, 2, 4, W + 1], labels: int8 [B, 2, W], sites: int8 [B, 2, 4, W + 1].
    """
    labels = labels.long()
    log_probability = F.log_softmax(class_logits.float(), dim=-1)
    known = (labels != IGNORED).unsqueeze(-1)
    # Not nll_loss's own mean, which is not a number where every base is ignored.
    base = F.nll_loss(log_probability.flatten(0, 2), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    base = base / known.sum().clamp(min=1)
    coding = log_probability[..., 1:4].exp() * known
    wanted = F.one_hot(labels.clamp(min=0), class_logits.shape[-1])[..., 1:4] * known
    overlap = (coding * wanted).sum()
    soft_f1 = 1 - (2 * overlap + 1) / (coding.sum() + wanted.sum() + 1)
    scored = sites >= 0
    site = (
        F.binary_cross_entropy_with_logits(site_logits.float()[scored], sites[scored].float())
        if scored.any()
        else base * 0
    )
    return {"base": base, "site": site, "soft_f1": soft_f1}
