"""What goes into and comes out of the parts of the network; B windows, W bases, T tokens of structure sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.cache_utils import DynamicCache

from genet5.writer.crf_scores import ScoreSums


class WindowScores(NamedTuple):
    """What the CRF says of the windows of a batch.

    features: [B, 2, W + 2, C], of its network, strand coordinates, a zero base at either end. sums: what the scores of
    boundaries are looked up in.
    """

    features: Tensor
    sums: ScoreSums


class Branches(NamedTuple):
    """Structure sequences that continue one prompt, side by side in a row; each sees the prompt and itself.

    sequence: [B, T], which of the row's sequences a token belongs to, -1 for padding. place: [B, T], its place in it.
    """

    sequence: Tensor
    place: Tensor

    @classmethod
    def single(cls, lengths: Tensor, width: int) -> Branches:
        """One sequence a row, of ``lengths`` [B] tokens."""
        place = torch.arange(width, device=lengths.device).expand(len(lengths), -1)
        return cls(torch.where(place < lengths[:, None], 0, -1), place)


class Choices(NamedTuple):
    """Real choices of one kind in a batch.

    logits: [M], of everything that could be chosen. decision: [M], the choice each belongs to. chosen: [Q], index in
    ``logits`` of the taken one. sample, step: [Q], row and token of each choice.
    """

    logits: Tensor
    decision: Tensor
    chosen: Tensor
    sample: Tensor
    step: Tensor


class PromptPass(NamedTuple):
    """What the backbone made of prompts.

    posts: [B, L, H], states at mile-posts. last: [B, H], states at the last token. cache: keys and values of all
    tokens. router_logits: [B * P, experts] of every layer, none in a dense network.
    """

    posts: Tensor
    last: Tensor
    cache: DynamicCache
    router_logits: list[Tensor]

    def branch(self, detached: bool = False) -> PromptPass:
        """The same with a cache of its own, for sequences that go on from it; ``detached``: no gradient flows back."""
        cache = DynamicCache()
        for number, layer in enumerate(self.cache.layers):
            keys, values = (part.detach() if detached else part for part in (layer.keys, layer.values))
            cache.update(keys, values, number)
        posts, last = (part.detach() if detached else part for part in (self.posts, self.last))
        return PromptPass(posts, last, cache, self.router_logits)


def joined_passes(passes: Sequence[PromptPass]) -> PromptPass:
    """Passes over one prompt each as one over all, padded at their end; without router logits."""

    def joined(parts: Sequence[Tensor]) -> Tensor:
        """Tensors [1, ..., tokens, size] on top of each other."""
        most = max(part.shape[-2] for part in parts)
        return torch.cat([F.pad(part, (0, 0, 0, most - part.shape[-2])) for part in parts])

    cache = DynamicCache()
    for number, layers in enumerate(zip(*(one.cache.layers for one in passes), strict=True)):
        cache.update(joined([layer.keys for layer in layers]), joined([layer.values for layer in layers]), number)
    return PromptPass(joined([one.posts for one in passes]), torch.cat([one.last for one in passes]), cache, [])


class Pass(NamedTuple):
    """What the backbone made of prompts and structure sequences.

    states: [B, T, H] before each token. post_keys: [B, L, D]. router_loss: a number, None in a dense network.
    """

    states: Tensor
    post_keys: Tensor
    router_loss: Tensor | None
