"""Two encoders, two decoders and one latent space that both platforms share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genet5.studies.cpivae import losses
from genet5.studies.cpivae.models.base import Batch, PlatformModel
from genet5.studies.cpivae.networks import GaussianEncoder, Mlp
from genet5.studies.cpivae.paired_data import PLATFORMS, other


class JointVae(PlatformModel):
    """Each platform is reconstructed from its own latent vector and from that of the other platform.

    Loss: reconstruction and cross-reconstruction (mean squared errors), KL to N(0, 1), and alignment of the two
    posteriors.
    """

    def __init__(self, settings: Mapping[str, Any], width_a: int, width_b: int) -> None:
        super().__init__(settings, width_a, width_b)
        self.encoders = nn.ModuleDict({p: self.make_encoder(width) for p, width in self.widths.items()})
        self.decoders = nn.ModuleDict({p: self.make_decoder(width) for p, width in self.widths.items()})

    def layer_options(self) -> dict[str, Any]:
        """Options of hidden layers."""
        model = self.model_settings
        return {
            "activation": model["activation"],
            "dropout": model["dropout_rate"],
            "batch_norm": model["batch_norm"],
            "residual": model["use_residual_blocks"],
        }

    def make_encoder(self, width: int) -> nn.Module:
        """From values of a platform to mean and log variance."""
        model = self.model_settings
        return GaussianEncoder(width, model["encoder_layers"], model["latent_dim"], **self.layer_options())

    def make_decoder(self, width: int) -> nn.Module:
        """From the latent space to values of a platform."""
        model = self.model_settings
        return Mlp(model["latent_dim"], model["decoder_layers"], width, **self.layer_options())

    def decode(self, z: Tensor, platform: str) -> Tensor:
        """Values of a platform at points of the latent space."""
        return self.decoders[platform](z)

    def draw(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """A point of the posterior while training, its mean in evaluation."""
        return mean + self.noise(mean, *mean.shape) * (0.5 * log_variance).exp() if self.training else mean

    def alignment(self, posteriors: Mapping[str, tuple[Tensor, Tensor]], z: Mapping[str, Tensor]) -> Tensor:
        """How far the posteriors of the two platforms are apart, by ``loss_weights.alignment_type``."""
        kind = self.loss_weights["alignment_type"]
        if kind == "mse":
            return (posteriors["a"][0] - posteriors["b"][0]).square().mean()
        if kind == "kl_divergence":
            return losses.symmetric_kl(*posteriors["a"], *posteriors["b"])
        return losses.mmd(z["a"], z["b"])

    def terms(self, batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        posteriors = {p: self.encoders[p](inputs[p]) for p in PLATFORMS}
        z = {p: self.draw(*posteriors[p]) for p in PLATFORMS}
        return {
            **self.decoding_terms(batch, z),
            "kl": sum(losses.kl_to_standard(*posteriors[p]) for p in PLATFORMS),
            "align": self.alignment(posteriors, z),
        }

    def decoding_terms(self, batch: Batch, z: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Squared errors of both platforms from their own (recon) and from the other latent vector (cross)."""

        def error(target: str, source: str) -> Tensor:
            return losses.masked_mse(self.decode(z[source], target), batch[target], batch[f"observed_{target}"])

        return {
            "recon": sum(error(p, p) for p in PLATFORMS),
            "cross": sum(error(p, other(p)) for p in PLATFORMS),
        }

    def term_weights(self) -> dict[str, float]:
        weights = self.loss_weights
        return {
            "recon": weights["reconstruction"],
            "cross": weights["cross_reconstruction"],
            "kl": weights["kl_divergence"] * self.beta,
            "align": weights["latent_alignment"],
        }

    def embed(self, values: Tensor, platform: str) -> Tensor:
        return self.encoders[platform](values)[0]

    def predict(self, values: Tensor, source: str, target: str) -> Tensor:
        return self.decode(self.embed(values, source), target)

    def sample(self, values: Tensor, source: str, target: str, generator: torch.Generator) -> Tensor:
        return self.decode(self.sample_latent(values, source, generator), target)

    def sample_latent(self, values: Tensor, source: str, generator: torch.Generator) -> Tensor:
        """A draw from the posterior of each row."""
        mean, log_variance = self.encoders[source](values)
        return mean + torch.randn(mean.shape, generator=generator).to(mean) * (0.5 * log_variance).exp()
