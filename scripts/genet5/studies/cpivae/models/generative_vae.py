"""VAE encoders with decoders that describe a whole distribution: autoregressive, diffusion, or adversarial."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from genet5.studies.cpivae.models.adversarial import AdversarialDecoder
from genet5.studies.cpivae.models.autoregressive import AutoregressiveDecoder
from genet5.studies.cpivae.models.base import Batch
from genet5.studies.cpivae.models.diffusion import DiffusionDecoder
from genet5.studies.cpivae.models.joint_vae import JointVae
from genet5.studies.cpivae.networks import GaussianEncoder
from genet5.studies.cpivae.paired_data import PLATFORMS, other


class GenerativeVae(JointVae):
    """Reconstruction and cross-reconstruction are the decoder's own loss: a likelihood, a denoising error, or a squared
    error beside the game with a discriminator. Point predictions are means given the posterior mean; samples are drawn
    from the decoder at draws of the posterior.
    """

    def make_encoder(self, width: int) -> nn.Module:
        encoder = self.model_settings["encoder"]
        return GaussianEncoder(
            width,
            encoder["hidden_dims"],
            self.model_settings["latent_dim"],
            activation=encoder["activation"],
            dropout=encoder["dropout_rate"],
            batch_norm=encoder["batch_norm"],
        )

    def make_decoder(self, width: int) -> nn.Module:
        decoder, latent_dim = self.model_settings["decoder"], self.model_settings["latent_dim"]
        sizes = (latent_dim, width, decoder["hidden_dim"], decoder["n_layers"])
        kind = self.model_settings["decoder_type"]
        if kind == "autoregressive":
            return AutoregressiveDecoder(*sizes, decoder["n_groups"], decoder["group_dropout"])
        if kind == "diffusion":
            return DiffusionDecoder(*sizes, decoder["n_timesteps"])
        return AdversarialDecoder(*sizes, decoder["noise_dim"])

    def decode(self, z: Tensor, platform: str) -> Tensor:
        return self.decoders[platform].decode(z)

    def decoding_terms(self, batch: Batch, z: Mapping[str, Tensor]) -> dict[str, Tensor]:
        noise = functools.partial(self.noise, z["a"])

        def loss(target: str, source: str) -> Tensor:
            decoder = self.decoders[target]
            return decoder.loss(z[source], batch[target], batch[f"observed_{target}"], noise)

        terms = {
            "recon": sum(loss(p, p) for p in PLATFORMS),
            "cross": sum(loss(p, other(p)) for p in PLATFORMS),
        }
        if self.model_settings["decoder_type"] == "gan":
            terms["adversarial"] = sum(
                self.decoders[p].game(z[q], batch[p], batch[f"observed_{p}"], noise)
                for p in PLATFORMS
                for q in PLATFORMS
            )
        return terms

    def term_weights(self) -> dict[str, float]:
        return {**super().term_weights(), "adversarial": self.loss_weights["adversarial"]}

    def sample(self, values: Tensor, source: str, target: str, generator: torch.Generator) -> Tensor:
        return self.decoders[target].draw(self.sample_latent(values, source, generator), generator)
