"""Reading on from prompts: their keys and values stay where they are, those of what continues them grow behind.

transformers' own cache joins old and new keys at every step, which copies the whole prompt in each layer to add a few
tokens. Here a step writes into a buffer, and attention weighs the two parts side by side under one softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

FIRST_CAPACITY = 64  # tokens of a row; a full buffer doubles


class GrowingCache:
    """Keys and values of B prompts, and of the tokens that continue them; what layers call as transformers' cache.

    prompt: of each layer keys and values [B, G, P, D]; G heads of keys. size: tokens of a row behind its prompt.
    """

    def __init__(self, prompts: DynamicCache) -> None:
        self.prompt = [(layer.keys.detach(), layer.values.detach()) for layer in prompts.layers]
        self.size = 0
        self._grown: list[tuple[Tensor, Tensor] | None] = [None] * len(self.prompt)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_others: object, **_named: object) -> tuple:
        """Write new keys and values [B, G, T, D] of a layer; those of all tokens behind the prompts, [B, G, S, D]."""
        end = self.size + keys.shape[2]
        grown = self._grown[layer]
        if grown is None or grown[0].shape[2] < end:
            grown = self._grown[layer] = self._larger(grown, keys, values, end)
        for buffer, new in zip(grown, (keys, values), strict=True):
            buffer[:, :, self.size : end] = new
        return grown[0][:, :, :end], grown[1][:, :, :end]

    def _larger(
        self, grown: tuple[Tensor, Tensor] | None, keys: Tensor, values: Tensor, end: int
    ) -> tuple[Tensor, Tensor]:
        capacity = FIRST_CAPACITY
        while capacity < end:
            capacity *= 2
        found = tuple(new.new_zeros((*new.shape[:2], capacity, new.shape[3])) for new in (keys, values))
        if grown is not None:
            for buffer, old in zip(found, grown, strict=True):
                buffer[:, :, : self.size] = old[:, :, : self.size]
        return found

    def advance(self, tokens: int) -> None:
        """All layers have written ``tokens`` tokens."""
        self.size += tokens

    def keep(self, rows: Tensor) -> None:
        """Forget all other rows."""
        self.prompt = [(keys[rows], values[rows]) for keys, values in self.prompt]
        self._grown = [None if pair is None else (pair[0][rows], pair[1][rows]) for pair in self._grown]


@dataclass(frozen=True)
class Continuation:
    """The mask of tokens that continue prompts: each sees all of its prompt, and what ``own`` shows of the rest.

    prompt: of each layer keys and values [B, G, P, D]. padding: [B, 1, 1, P], added to scores of the prompt, minus
    infinity where there is none; None without padding. own: bool [B, 1, 1, T, S].
    """

    prompt: Sequence[tuple[Tensor, Tensor]]
    padding: Tensor | None
    own: Tensor

    def attend(self, query: Tensor, key: Tensor, value: Tensor, layer: int, scale: float) -> Tensor:
        """query: [B, H, T, D]; key, value: [B, G, S, D], behind the prompt. Returns [B, H, T, D]."""
        prompt_keys, prompt_values = self.prompt[layer]
        batch, heads, tokens, size = query.shape
        groups, num_prompt = key.shape[1], prompt_keys.shape[2]
        asked = (query * scale).reshape(batch, groups, -1, size).to(prompt_keys.dtype)  # heads that share keys together
        far = asked @ prompt_keys.transpose(2, 3)
        near = asked @ key.transpose(2, 3).to(asked.dtype)
        if self.padding is not None:
            far = far + self.padding
        near = near.view(batch, groups, -1, tokens, near.shape[3]).masked_fill(~self.own, -torch.inf)
        weights = torch.cat([far, near.view(batch, groups, -1, near.shape[4])], dim=3).softmax(3, dtype=torch.float32)
        weights = weights.to(prompt_values.dtype)
        found = weights[..., :num_prompt] @ prompt_values + weights[..., num_prompt:] @ value.to(weights.dtype)
        return found.view(batch, heads, tokens, size)
