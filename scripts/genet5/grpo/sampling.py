"""Sampling one option of a decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sampling:
    """Temperature first, then the ``top_k`` most probable options (0: all), then the nucleus of mass ``top_p``."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def pick(self, logits: np.ndarray, uniform: float) -> int:
        """Index into ``logits`` [n] that a number drawn evenly from [0, 1) stands for; the most probable come first."""
        order = np.argsort(-logits, kind="stable")
        if self.top_k:
            order = order[: self.top_k]
        share = np.exp((logits[order] - logits[order[0]]) / self.temperature)
        reached = np.cumsum(share)
        # The nucleus is the shortest run of options that reaches top_p; the option that crosses it belongs to it.
        size = int(np.searchsorted(reached, self.top_p * reached[-1] * (1 - 1e-12))) + 1
        reached = reached[:size]
        return int(order[min(np.searchsorted(reached, uniform * reached[-1], side="right"), len(reached) - 1)])
