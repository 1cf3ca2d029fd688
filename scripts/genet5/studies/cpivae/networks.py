"""Building blocks of the models: multilayer perceptrons, encoders to a Gaussian, planar flows."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalised

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}
_LOG_VARIANCE = (-8.0, 4.0)


class HiddenLayer(nn.Module):
    """Linear, batch norm, activation, dropout; residual: added to the input, which is projected if widths differ."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        activation: str,
        dropout: float,
        batch_norm: bool,
        residual: bool = False,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        linear = nn.Linear(width_in, width_out)
        parts = [normalised(linear) if spectral_norm else linear]
        if batch_norm:
            parts.append(nn.BatchNorm1d(width_out))
        parts += [ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.layer = nn.Sequential(*parts)
        self.skip: nn.Module | None = None
        if residual:
            self.skip = nn.Identity() if width_in == width_out else nn.Linear(width_in, width_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y if self.skip is None else y + self.skip(x)


def hidden_layers(width_in: int, widths: Sequence[int], **options) -> tuple[nn.Sequential, int]:
    """A stack of hidden layers (see ``HiddenLayer``) and the width of what it gives."""
    sizes = [width_in, *widths]
    layers = [HiddenLayer(a, b, **options) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*layers), sizes[-1]


class Mlp(nn.Module):
    """Hidden layers and a linear one: [rows, width_in] -> [rows, width_out]."""

    def __init__(self, width_in: int, widths: Sequence[int], width_out: int, **options) -> None:
        super().__init__()
        self.hidden, last = hidden_layers(width_in, widths, **options)
        self.output = nn.Linear(last, width_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.hidden(x))


class GaussianEncoder(nn.Module):
    """Mean and log variance of a diagonal Gaussian over the latent space, each [rows, latent_dim]."""

    def __init__(self, width_in: int, widths: Sequence[int], latent_dim: int, **options) -> None:
        super().__init__()
        self.hidden, last = hidden_layers(width_in, widths, **options)
        self.mean = nn.Linear(last, latent_dim)
        self.log_variance = nn.Linear(last, latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(x)
        return self.mean(hidden), self.log_variance(hidden).clamp(*_LOG_VARIANCE)


class PlanarFlow(nn.Module):
    """z + u tanh(w z + b), invertible (Rezende & Mohamed 2015, appendix A.1: u is moved so that w u >= -1)."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(latent_dim)
        self.u = nn.Parameter(torch.empty(latent_dim).uniform_(-bound, bound))
        self.w = nn.Parameter(torch.empty(latent_dim).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Moved points, and log |det dz'/dz| of each row."""
        inner = self.w @ self.u
        u = self.u + (nn.functional.softplus(inner) - 1 - inner) * self.w / (self.w @ self.w + 1e-8)
        activation = torch.tanh(z @ self.w + self.b)
        slope = (1 - activation**2) * (self.w @ u)
        return z + activation[:, None] * u, torch.log1p(slope)


class PlanarFlows(nn.Module):
    """Several of them, one after another."""

    def __init__(self, number: int, latent_dim: int) -> None:
        super().__init__()
        self.flows = nn.ModuleList(PlanarFlow(latent_dim) for _ in range(number))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        log_det = z.new_zeros(len(z))
        for flow in self.flows:
            z, change = flow(z)
            log_det = log_det + change
        return z, log_det


@contextlib.contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norm inside uses its running statistics and leaves them as they are; parameters still get gradients."""
    changed = [part for part in module.modules() if isinstance(part, nn.BatchNorm1d) and part.training]
    for part in changed:
        part.eval()
    try:
        yield
    finally:
        for part in changed:
            part.train()
