"""A decoder that writes features group after group: a masked autoencoder given the latent vector (MADE)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class MaskedLinear(nn.Linear):
    """A linear layer whose weights are multiplied by a constant mask [out, in]."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight * self.mask, self.bias)


class AutoregressiveDecoder(nn.Module):
    """p(x | z) as a product over groups of features, each Gaussian given z and earlier groups (Germain et al. 2015).

    Group g sees groups below g alone: the masks make it so in every layer. One pass for each group writes a sample,
    so groups instead of single features keep that affordable for thousands of features. While training, whole groups
    of what is read are hidden at random: else the values before a feature would explain it, and the latent vector
    would stay unused.
    """

    def __init__(
        self, latent_dim: int, width: int, hidden: int, layers: int, groups: int, group_dropout: float
    ) -> None:
        super().__init__()
        self.groups, self.group_dropout = min(groups, width), group_dropout
        order = torch.randperm(width, generator=torch.Generator().manual_seed(0))
        group = torch.empty(width, dtype=torch.long)
        group[order] = torch.arange(width) * self.groups // width
        self.register_buffer("group", group)
        # Hidden units of degree d have seen groups up to d - 1, so group g may read those of degree g and below.
        degree = torch.arange(hidden) % self.groups
        self.read = MaskedLinear(degree[:, None] > group[None])
        self.read_latent = nn.Linear(latent_dim, hidden)
        self.hidden = nn.ModuleList(MaskedLinear(degree[:, None] >= degree[None]) for _ in range(layers - 1))
        self.hidden_latent = nn.ModuleList(nn.Linear(latent_dim, hidden, bias=False) for _ in range(layers - 1))
        self.write = MaskedLinear(group[:, None] >= degree[None])
        self.write_latent = nn.Linear(latent_dim, width, bias=False)
        self.log_variance = nn.Parameter(torch.zeros(width))

    def means(self, x: Tensor, z: Tensor) -> Tensor:
        """Mean of every feature given z and the groups before its own in ``x``; both [rows, ...]."""
        h = functional.relu(self.read(x) + self.read_latent(z))
        for layer, latent in zip(self.hidden, self.hidden_latent, strict=True):
            h = functional.relu(layer(h) + latent(z)) + h
        return self.write(h) + self.write_latent(z)

    def loss(self, z: Tensor, x: Tensor, observed: Tensor, _noise: object) -> Tensor:
        """Negative log-likelihood of observed cells without its constant, a mean over cells: half a squared error for
        unit variance."""
        shown = x
        if self.training:
            kept = torch.rand(len(x), self.groups, device=x.device) >= self.group_dropout
            shown = x * kept[:, self.group]
        # Padding must not tell of cells that were not measured.
        shown = shown * observed
        precision = (-self.log_variance).exp()
        cells = 0.5 * ((self.means(shown, z) - x).square() * precision + self.log_variance)
        return torch.where(observed, cells, 0.0).sum() / observed.sum().clamp(min=1)

    def decode(self, z: Tensor) -> Tensor:
        """The mean path: each group is written as its mean given the means before it."""
        return self._write(z, None)

    def draw(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """One sample of each row."""
        return self._write(z, torch.randn(len(z), len(self.group), generator=generator).to(z))

    def _write(self, z: Tensor, noise: Tensor | None) -> Tensor:
        x = z.new_zeros(len(z), len(self.group))
        deviation = (0.5 * self.log_variance).exp()
        for number in range(self.groups):
            written = self.means(x, z)
            if noise is not None:
                written = written + deviation * noise
            x = torch.where(self.group == number, written, x)
        return x
