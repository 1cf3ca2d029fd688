"""Tokens as vectors: their own embedding, the CRF's features of their bases, and their place in the window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genet5.writer.batch import Prompts
from genet5.writer.config import GeneT5Config

NUM_WAVES = 16


def wave_rates() -> Tensor:
    """Radians per base of the waves that tell a token's place: periods of 10 bp to 100 kbp."""
    return 2 * torch.pi / torch.logspace(1, 5, NUM_WAVES)


def features_at(features: Tensor, lengths: Tensor, sample: Tensor, forward: Tensor) -> Tensor:
    """Features around forward boundaries: base before and after on +, the same two on -; [N, 4C].

    features: [B, 2, W + 2, C] with a zero base at either end. sample, forward: [N].
    """
    mirrored = (lengths[sample] - forward).clamp(min=0)
    plus = (features[sample, 0, forward], features[sample, 0, forward + 1])  # entry i + 1 is base i
    minus = (features[sample, 1, mirrored], features[sample, 1, mirrored + 1])
    return torch.cat([*plus, *minus], dim=-1)


class Embedder(nn.Module):
    """Adds to a token's own vector what its bases look like and where it is."""

    def __init__(self, config: GeneT5Config) -> None:
        super().__init__()
        self.config = config
        self.channels = config.crf_config.stem_channels
        self.base_to_token = nn.Linear(2 * self.channels, config.hidden_size)
        self.place_to_token = nn.Linear(2 * NUM_WAVES, config.hidden_size)
        self.register_buffer("waves", wave_rates(), persistent=False)

    def _waves_at(self, position: Tensor) -> Tensor:
        angle = position.unsqueeze(-1).float() * self.waves
        return torch.cat([angle.sin(), angle.cos()], dim=-1)

    def _is_loc(self, ids: Tensor) -> Tensor:
        return (ids >= self.config.loc_base) & (ids < self.config.loc_base + self.config.num_loc)

    def prompt(self, tokens: nn.Embedding, prompts: Prompts, features: Tensor) -> Tensor:
        """Vectors of prompt tokens, [B, P, H]; features: [B, 2, W + 2, C], of which each token gets its bases' mean."""
        lengths, start, end = prompts.lengths, prompts.start, prompts.end
        sums = features.float().cumsum(2)  # entry p: sum of the first p bases
        # Empty spans (mile-posts, <sep>) look at the base that follows, at the window's end at its last one.
        stop = torch.maximum(end, torch.minimum(start + 1, lengths[:, None]))
        begin = torch.minimum(start, stop - 1)
        row = torch.arange(len(prompts.ids), device=start.device)[:, None]
        bases = (stop - begin).unsqueeze(-1)
        plus = (sums[row, 0, stop] - sums[row, 0, begin]) / bases
        low, high = (lengths[:, None] - stop).clamp(min=0), (lengths[:, None] - begin).clamp(min=0)
        minus = (sums[row, 1, high] - sums[row, 1, low]) / bases
        dtype = features.dtype
        # All mile-posts share one vector: what they mean is where they are.
        ids = torch.where(self._is_loc(prompts.ids), self.config.loc_base, prompts.ids)
        return (
            tokens(ids)
            + self.base_to_token(torch.cat([plus, minus], dim=-1).to(dtype))
            + self.place_to_token(self._waves_at(start).to(dtype))
        )

    def structure(
        self,
        tokens: nn.Embedding,
        features: Tensor,
        lengths: Tensor,
        ids: Tensor,
        forward: Tensor,
        windows: Tensor | None = None,
    ) -> Tensor:
        """Vectors of structure tokens [B, T]; mile-posts and offsets show the bases around their place.

        windows: [B], rows of ``features`` and ``lengths``; None: each its own.
        """
        config = self.config
        windows = torch.arange(len(ids), device=ids.device) if windows is None else windows
        is_loc = self._is_loc(ids)
        is_off = (ids >= config.off_base) & (ids < config.off_base + config.segment_bp)
        is_place = is_loc | is_off
        shared = torch.where(is_loc, config.loc_base, torch.where(is_off, config.off_base, ids))
        place = torch.where(is_loc, forward // config.segment_bp * config.segment_bp, forward)
        place = torch.where(is_place, torch.minimum(place, lengths[windows, None]), 0)
        sample = windows[:, None].expand_as(ids)
        around = features_at(features, lengths, sample.flatten(), place.flatten()).view(*ids.shape, -1)
        after_plus = around[..., self.channels : 2 * self.channels]
        before_minus = around[..., 2 * self.channels : 3 * self.channels]
        seen = torch.cat([after_plus, before_minus], dim=-1)
        shown = self.base_to_token(seen) + self.place_to_token(self._waves_at(place).to(seen.dtype))
        return tokens(shared) + shown * is_place.unsqueeze(-1)
