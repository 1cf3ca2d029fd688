"""Joint VAE on the importance-weighted bound (Burda et al. 2016)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from genet5.studies.cpivae import losses
from genet5.studies.cpivae.models.base import Batch
from genet5.studies.cpivae.models.joint_vae import JointVae
from genet5.studies.cpivae.paired_data import PLATFORMS


class JointIwae(JointVae):
    """Each posterior draws k points. The bound of its own platform, -log mean p(x, z) / q(z | x), stands in for
    reconstruction and KL divergence, with the weight of reconstruction. Likelihoods are Gaussian with unit variance;
    the bound is per feature, so that weights mean what they do in the other models.
    """

    def terms(self, batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        number = self.model_settings["k_samples"]
        posteriors = {p: self.encoders[p](inputs[p]) for p in PLATFORMS}
        z = {p: self.draw(*posteriors[p]) for p in PLATFORMS}
        bound = 0.0
        for p, (mean, log_variance) in posteriors.items():
            drawn = mean + self.noise(mean, number, *mean.shape) * (0.5 * log_variance).exp()
            decoded = self.decode(drawn.flatten(0, 1), p).unflatten(0, drawn.shape[:2])
            log_weight = (
                losses.masked_log_likelihood(decoded, batch[p], batch[f"observed_{p}"])
                + losses.standard_log_density(drawn)
                - losses.gaussian_log_density(drawn, mean, log_variance)
            )
            bound = bound - (torch.logsumexp(log_weight, dim=0) - math.log(number)).mean() / self.widths[p]
        cross = self.decoding_terms(batch, z)["cross"]
        return {"bound": bound, "cross": cross, "align": self.alignment(posteriors, z)}

    def term_weights(self) -> dict[str, float]:
        weights = super().term_weights()
        return {"bound": weights["recon"], "cross": weights["cross"], "align": weights["align"]}
