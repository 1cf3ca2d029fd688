"""Losses of single bases and sites."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from genet5.crf.labels import IGNORED


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
