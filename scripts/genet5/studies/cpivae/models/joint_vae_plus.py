"""Joint VAE with spectral norm, planar flows behind the encoders, cyclical KL weight, total-correlation penalty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genet5.studies.cpivae import losses
from genet5.studies.cpivae.models.base import Batch
from genet5.studies.cpivae.models.joint_vae import JointVae
from genet5.studies.cpivae.networks import PlanarFlows
from genet5.studies.cpivae.paired_data import PLATFORMS


class JointVaePlus(JointVae):
    """The posterior is what flows make of a diagonal Gaussian; their log-determinants are part of its density."""

    def __init__(self, settings: Mapping[str, Any], width_a: int, width_b: int) -> None:
        super().__init__(settings, width_a, width_b)
        model = self.model_settings
        number = model["num_flows"] if model["use_flows"] else 0
        self.flows = nn.ModuleDict({p: PlanarFlows(number, model["latent_dim"]) for p in PLATFORMS})

    def layer_options(self) -> dict[str, Any]:
        return {**super().layer_options(), "spectral_norm": self.model_settings["spectral_norm"]}

    def terms(self, batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        posteriors = {p: self.encoders[p](inputs[p]) for p in PLATFORMS}
        z, kl, correlation = {}, [], []
        for p in PLATFORMS:
            mean, log_variance = posteriors[p]
            # Drawn in evaluation, too: with flows the KL divergence is known at a point alone.
            drawn = mean + self.noise(mean, *mean.shape) * (0.5 * log_variance).exp()
            moved, log_det = self.flows[p](drawn)
            density = losses.gaussian_log_density(drawn, mean, log_variance) - log_det
            kl.append((density - losses.standard_log_density(moved)).mean() / mean.shape[1])
            correlation.append(losses.total_correlation(drawn, mean, log_variance))
            z[p] = moved if self.training else self.flows[p](mean)[0]
        terms = {**self.decoding_terms(batch, z), "kl": sum(kl), "align": self.alignment(posteriors, z)}
        return {**terms, "tc": sum(correlation)}

    def term_weights(self) -> dict[str, float]:
        training, weight = self.settings["training"], self.loss_weights["total_correlation"]
        if self.training and training["tc_anneal_schedule"] == "linear":
            weight *= min(self.global_step / training["tc_anneal_length"], 1.0)
        return {**super().term_weights(), "tc": weight}

    def embed(self, values: Tensor, platform: str) -> Tensor:
        return self.flows[platform](super().embed(values, platform))[0]

    def sample_latent(self, values: Tensor, source: str, generator: torch.Generator) -> Tensor:
        return self.flows[source](super().sample_latent(values, source, generator))[0]
