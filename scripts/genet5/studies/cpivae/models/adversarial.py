"""A decoder that competes with a discriminator (GAN)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from genet5.studies.cpivae.losses import masked_mse
from genet5.studies.cpivae.networks import Mlp


class _Reversed(torch.autograd.Function):
    """Identity forwards; the gradient comes back with the other sign (Ganin & Lempitsky 2015)."""

    @staticmethod
    def forward(_context, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(_context, gradient: Tensor) -> Tensor:
        return -gradient


class AdversarialDecoder(nn.Module):
    """A generator that reads z and random numbers, and a discriminator that tells its values from measured ones.

    The generator also keeps near the values by squared error: in imputation there is one right answer for a sample.
    The discriminator minimises its cross-entropy and the generator, behind a reversed gradient, raises it: the
    minimax game of Goodfellow et al. 2014 with one optimizer. Cells that were not measured are 0 for the
    discriminator on both sides.
    """

    def __init__(self, latent_dim: int, width: int, hidden: int, layers: int, noise_dim: int) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        options = {"dropout": 0.0, "batch_norm": False}
        self.generator = Mlp(latent_dim + noise_dim, [hidden] * layers, width, activation="relu", **options)
        options["dropout"] = 0.2
        self.discriminator = Mlp(width, [hidden] * layers, 1, activation="leaky_relu", **options)

    def loss(self, z: Tensor, x: Tensor, observed: Tensor, noise) -> Tensor:
        """Squared error of the generated values."""
        return masked_mse(self._generate(z, noise(len(z), self.noise_dim)), x, observed)

    def game(self, z: Tensor, x: Tensor, observed: Tensor, noise) -> Tensor:
        """The discriminator's cross-entropy on measured and generated values; log 2 is a draw."""
        made = self._generate(z, noise(len(z), self.noise_dim))
        real = self.discriminator(x * observed)
        false = self.discriminator(_Reversed.apply(made) * observed)
        of_real = functional.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        return 0.5 * (of_real + functional.binary_cross_entropy_with_logits(false, torch.zeros_like(false)))

    def decode(self, z: Tensor) -> Tensor:
        """What is generated when the random numbers are at their mean."""
        return self._generate(z, z.new_zeros(len(z), self.noise_dim))

    def draw(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """One sample of each row."""
        return self._generate(z, torch.randn(len(z), self.noise_dim, generator=generator).to(z))

    def _generate(self, z: Tensor, noise: Tensor) -> Tensor:
        return self.generator(torch.cat([z, noise], dim=1))
