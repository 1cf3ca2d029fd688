"""The objective: clipped ratios, advantages inside groups, KL divergence from a reference.

Shao et al. 2024 (DeepSeekMath, arXiv:2402.03300, eq. 3 and 4), with token-level normalisation as in DAPO (Yu et al.
2025, arXiv:2503.14476, eq. 10 and 12). A token here is a real choice: tokens that the grammar forces have probability 1
whatever the weights and are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

STD_FLOOR = 1e-4


def group_advantages(rewards: np.ndarray, scale: bool) -> np.ndarray:
    """Rewards [groups, G] minus their group's mean, divided by its (unbiased) standard deviation if ``scale``.

    Exactly 0 where a group's rewards are all equal.
    """
    advantages = rewards - rewards.mean(axis=1, keepdims=True)
    if scale:
        advantages /= rewards.std(axis=1, ddof=1, keepdims=True) + STD_FLOOR
    return np.where(np.ptp(rewards, axis=1, keepdims=True) > 0, advantages, 0.0)


class TokenLoss(NamedTuple):
    """Of each token [Q]: the policy's loss, the KL divergence (0 without a reference), whether clipping took effect."""

    policy: Tensor
    kl: Tensor
    clipped: Tensor


def token_losses(
    log_probability: Tensor,
    old: Tensor,
    reference: Tensor | None,
    advantage: Tensor,
    clip_low: float,
    clip_high: float,
) -> TokenLoss:
    """Losses of tokens [Q].

    ``old`` and ``reference``: log-probabilities under the weights that sampled and under frozen ones.
    """
    ratio = torch.exp(log_probability - old)
    clipped_ratio = ratio.clamp(1 - clip_low, 1 + clip_high)
    policy = -torch.minimum(ratio * advantage, clipped_ratio * advantage)
    clipped = ((ratio < 1 - clip_low) & (advantage < 0)) | ((ratio > 1 + clip_high) & (advantage > 0))
    if reference is None:
        return TokenLoss(policy, torch.zeros_like(policy), clipped)
    # Schulman's k3 estimator of KL(policy || reference): unbiased and never negative.
    log_ratio = reference - log_probability
    return TokenLoss(policy, torch.exp(log_ratio) - log_ratio - 1, clipped)
