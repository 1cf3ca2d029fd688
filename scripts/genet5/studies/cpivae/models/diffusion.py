"""A decoder that turns noise into values step by step, given the latent vector (DDPM)."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

_SAMPLING_STEPS = 20


def cosine_signal(steps: int) -> Tensor:
    """Share of signal, alpha-bar, after each step: a cosine (Nichol & Dhariwal 2021) that ends at exactly 0
    (Lin et al. 2024), so that the last step is noise alone. [steps + 1], the first 1."""
    times = torch.arange(steps + 1, dtype=torch.float64) / steps
    return (torch.cos(times * math.pi / 2) ** 2).clamp(0, 1).float()


class DiffusionDecoder(nn.Module):
    """p(x | z) as a denoising diffusion model (Ho et al. 2020) in the v parametrisation (Salimans & Ho 2022).

    v = sqrt(s) noise - sqrt(1 - s) x at signal share s. At the last step s = 0, so what the network says of x there
    rests on z alone: it is the mean of x given z, in one pass.
    """

    def __init__(self, latent_dim: int, width: int, hidden: int, layers: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.register_buffer("signal", cosine_signal(steps))
        self.time = nn.Sequential(nn.Linear(32, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.latent = nn.Linear(latent_dim, hidden)
        self.read = nn.Linear(width, hidden)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, hidden)) for _ in range(layers)
        )
        self.write = nn.Linear(hidden, width)
        self.write_latent = nn.Linear(latent_dim, width, bias=False)

    def velocity(self, noisy: Tensor, step: Tensor, z: Tensor) -> Tensor:
        """v at ``step`` (1 to steps, [rows]) for values [rows, features]."""
        given = self.latent(z) + self.time(self._embedded(step))
        h = self.read(noisy) + given
        for layer in self.layers:
            h = h + layer(h + given)
        return self.write(h) - (1 - self.signal[step, None]).sqrt() * self.write_latent(z)

    def clean(self, noisy: Tensor, step: Tensor, z: Tensor) -> Tensor:
        """The values that are meant, x-hat = sqrt(s) noisy - sqrt(1 - s) v."""
        signal = self.signal[step, None]
        return signal.sqrt() * noisy - (1 - signal).sqrt() * self.velocity(noisy, step, z)

    def loss(self, z: Tensor, x: Tensor, observed: Tensor, noise) -> Tensor:
        """Squared error of v over observed cells. A quarter of the rows is at the last step, where imputation reads.

        ``noise(*shape)`` gives standard normal numbers.
        """
        step = 1 + (torch.special.ndtr(noise(len(x))) * self.steps).long().clamp(0, self.steps - 1)
        step[: -(-len(x) // 4)] = self.steps
        drawn = noise(*x.shape)
        signal = self.signal[step, None]
        noisy = torch.where(observed, signal.sqrt() * x, 0.0) + (1 - signal).sqrt() * drawn
        wanted = signal.sqrt() * drawn - (1 - signal).sqrt() * x
        error = torch.where(observed, self.velocity(noisy, step, z) - wanted, 0.0)
        return error.square().sum() / observed.sum().clamp(min=1)

    def decode(self, z: Tensor) -> Tensor:
        """Mean of x given z."""
        step = torch.full((len(z),), self.steps, device=z.device)
        return self.clean(z.new_zeros(len(z), self.write.out_features), step, z)

    def draw(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """One sample of each row, by at most 20 of the steps, evenly spaced: x given x-hat and the noisier x has the
        variance (1 - s') / (1 - s) (1 - s / s')."""
        times = torch.linspace(self.steps, 0, min(_SAMPLING_STEPS, self.steps) + 1).round().long().tolist()
        x = torch.randn(len(z), self.write.out_features, generator=generator).to(z)
        for now, then in itertools.pairwise(times):
            meant = self.clean(x, torch.full((len(z),), now, device=z.device), z)
            if then:
                s, t = self.signal[now], self.signal[then]
                ratio = s / t
                mean = (t.sqrt() * (1 - ratio) * meant + ratio.sqrt() * (1 - t) * x) / (1 - s)
                variance = (1 - t) / (1 - s) * (1 - ratio)
                x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator).to(z)
        return meant

    def _embedded(self, step: Tensor) -> Tensor:
        frequencies = torch.exp(torch.linspace(0, math.log(100), 16, device=step.device))
        angles = step[:, None] / self.steps * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)
