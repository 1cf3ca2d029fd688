"""Joint VAE with a mixture of experts as posterior (Shi et al. 2019, MMVAE)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from genet5.studies.cpivae import losses
from genet5.studies.cpivae.models.base import Batch
from genet5.studies.cpivae.models.joint_vae import JointVae
from genet5.studies.cpivae.paired_data import PLATFORMS


class JointMm(JointVae):
    """q(z | a, b) is half the one platform's posterior and half the other's. Each is drawn from once (stratified), and
    each draw explains both platforms: a two by two matrix of reconstructions, of which the diagonal is ``recon``."""

    def terms(self, batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not self.model_settings["use_mmvae"]:
            return super().terms(batch, inputs)
        posteriors = {p: self.encoders[p](inputs[p]) for p in PLATFORMS}
        z, kl = {}, []
        for p in PLATFORMS:
            mean, log_variance = posteriors[p]
            # Drawn in evaluation, too: a mixture's KL divergence has no closed form.
            drawn = mean + self.noise(mean, *mean.shape) * (0.5 * log_variance).exp()
            experts = torch.stack([losses.gaussian_log_density(drawn, *posteriors[q]) for q in PLATFORMS])
            mixture = torch.logsumexp(experts, dim=0) - math.log(len(PLATFORMS))
            kl.append((mixture - losses.standard_log_density(drawn)).mean() / mean.shape[1])
            z[p] = drawn if self.training else mean
        terms = {**self.decoding_terms(batch, z), "kl": sum(kl), "align": self.alignment(posteriors, z)}
        if self.loss_weights["mmvae_coherence"]:
            terms["coherence"] = sum(
                losses.masked_mse(self.decode(z["a"], p), self.decode(z["b"], p), torch.ones_like(batch[p]).bool())
                for p in PLATFORMS
            )
        return terms

    def term_weights(self) -> dict[str, float]:
        return {**super().term_weights(), "coherence": self.loss_weights["mmvae_coherence"]}
