"""Two residual U-Nets, one for each direction, without a shared latent space."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genet5.studies.cpivae import losses
from genet5.studies.cpivae.models.base import Batch, PlatformModel
from genet5.studies.cpivae.networks import HiddenLayer
from genet5.studies.cpivae.paired_data import PLATFORMS, other

_GROUPS = 32


class FeatureAttention(nn.Module):
    """Attention between groups of features (the rows of a table as tokens, as in SAINT; Somepalli et al. 2021)."""

    def __init__(self, width: int, heads: int, token_width: int = 64) -> None:
        super().__init__()
        self.groups = min(_GROUPS, width)
        self.token_width = -(-token_width // heads) * heads
        self.read = nn.Linear(width, self.groups * self.token_width)
        self.norm = nn.LayerNorm(self.token_width)
        self.attention = nn.MultiheadAttention(self.token_width, heads, batch_first=True)
        self.write = nn.Linear(self.groups * self.token_width, width)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.read(x).unflatten(1, (self.groups, self.token_width))
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return x + self.write(tokens.flatten(1))


class ResUnet(nn.Module):
    """Residual layers down to a bottleneck and up again; each level up also reads what its level down had."""

    def __init__(
        self, width_in: int, widths: Sequence[int], bottleneck: int, width_out: int, heads: int, **options
    ) -> None:
        super().__init__()
        options = {**options, "residual": True}
        sizes = [width_in, *widths]
        self.attention = FeatureAttention(width_in, heads) if heads else nn.Identity()
        self.down = nn.ModuleList(HiddenLayer(a, b, **options) for a, b in itertools.pairwise(sizes))
        self.bottom = HiddenLayer(sizes[-1], bottleneck, **options)
        up = [bottleneck, *reversed(widths)]
        self.up = nn.ModuleList(HiddenLayer(a + b, b, **options) for a, b in itertools.pairwise(up))
        self.output = nn.Linear(up[-1], width_out)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The bottleneck, and what each level down gave."""
        x = self.attention(x)
        levels = []
        for layer in self.down:
            x = layer(x)
            levels.append(x)
        return self.bottom(x), levels

    def forward(self, x: Tensor) -> Tensor:
        x, levels = self.encode(x)
        for layer, level in zip(self.up, reversed(levels), strict=True):
            x = layer(torch.cat([x, level], dim=1))
        return self.output(x)


class ResUnets(PlatformModel):
    """Loss: squared error of the other platform, and of the platform itself after the way there and back."""

    def __init__(self, settings: Mapping[str, Any], width_a: int, width_b: int) -> None:
        super().__init__(settings, width_a, width_b)
        model = self.model_settings
        self.nets = nn.ModuleDict({
            p: ResUnet(
                self.widths[p],
                model["unet_layers"],
                model["bottleneck_dim"],
                self.widths[other(p)],
                model["attention_heads"] if model["use_attention"] else 0,
                activation=model["activation"],
                dropout=model["dropout_rate"],
                batch_norm=model["batch_norm"],
            )
            for p in PLATFORMS
        })  # fmt: skip

    def terms(self, batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        there = {p: self.nets[p](inputs[p]) for p in PLATFORMS}

        def error(predicted: Tensor, p: str) -> Tensor:
            return losses.masked_mse(predicted, batch[p], batch[f"observed_{p}"])

        return {
            "cross": sum(error(there[p], other(p)) for p in PLATFORMS),
            "cycle": sum(error(self.nets[other(p)](there[p]), p) for p in PLATFORMS),
        }

    def term_weights(self) -> dict[str, float]:
        return {"cross": self.loss_weights["imputation"], "cycle": self.loss_weights["cycle_consistency"]}

    def predict(self, values: Tensor, source: str, target: str) -> Tensor:
        """The other platform; the platform itself by the way there and back."""
        there = self.nets[source](values)
        return there if source != target else self.nets[other(source)](there)

    def sample(self, values: Tensor, source: str, target: str, generator: torch.Generator) -> None:
        """A U-Net has no belief: its intervals come from validation errors alone."""

    def embed(self, values: Tensor, platform: str) -> Tensor:
        return self.nets[platform].encode(values)[0]
