"""Joint VAE whose prior is a mixture of posteriors of learned inputs (Tomczak & Welling 2018, VampPrior)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genet5.studies.cpivae import losses
from genet5.studies.cpivae.models.base import Batch
from genet5.studies.cpivae.models.joint_vae import JointVae
from genet5.studies.cpivae.networks import frozen_statistics
from genet5.studies.cpivae.paired_data import PLATFORMS, PairedData, other


class JointVaeVampPrior(JointVae):
    """The mixture has ``num_pseudoinputs`` inputs of each platform; it is the prior of both posteriors."""

    def __init__(self, settings: Mapping[str, Any], width_a: int, width_b: int) -> None:
        super().__init__(settings, width_a, width_b)
        self.pseudo_inputs = nn.ParameterDict()
        if self.model_settings["use_vampprior"]:
            number = self.model_settings["num_pseudoinputs"]
            for p, width in self.widths.items():
                self.pseudo_inputs[p] = nn.Parameter(torch.randn(number, width))

    @torch.no_grad()
    def start_from(self, data: PairedData) -> None:
        """Pseudo-inputs begin as training samples with some noise."""
        generator = torch.Generator().manual_seed(self.settings["data"]["random_seed"])
        for p, inputs in self.pseudo_inputs.items():
            rows = torch.from_numpy(data.parts["train"].values[p])
            chosen = torch.randint(len(rows), (len(inputs),), generator=generator)
            inputs.copy_(rows[chosen] + 0.1 * torch.randn(inputs.shape, generator=generator))

    def prior_log_density(self, z: Tensor) -> Tensor:
        """Log density of the mixture at each row of ``z``, [rows]; gradients reach pseudo-inputs and encoders."""
        if not self.pseudo_inputs:
            return losses.standard_log_density(z)
        means, log_variances = [], []
        for p, inputs in self.pseudo_inputs.items():
            # Pseudo-inputs are no samples: they must not move the running statistics of batch norm.
            with frozen_statistics(self.encoders[p]):
                mean, log_variance = self.encoders[p](inputs)
            means.append(mean)
            log_variances.append(log_variance)
        mean, log_variance = torch.cat(means).float(), torch.cat(log_variances).float()
        # The square of z - mean, written out: [rows, components] without an array of [rows, components, dimensions].
        # Its terms cancel, so that half precision would leave noise of them, or infinities.
        with torch.autocast(z.device.type, enabled=False):
            z, precision = z.float(), (-log_variance).exp()
            square = z.square() @ precision.T - 2 * z @ (mean * precision).T + (mean.square() * precision).sum(-1)
            constant = losses.LOG_2PI * z.shape[1] + log_variance.sum(-1)
            return torch.logsumexp(-0.5 * (square + constant), dim=1) - math.log(len(mean))

    def terms(self, batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        posteriors = {p: self.encoders[p](inputs[p]) for p in PLATFORMS}
        z, kl = {}, []
        for p, (mean, log_variance) in posteriors.items():
            drawn = mean + self.noise(mean, *mean.shape) * (0.5 * log_variance).exp()
            density = losses.gaussian_log_density(drawn, mean, log_variance)
            kl.append((density - self.prior_log_density(drawn)).mean() / mean.shape[1])
            z[p] = drawn if self.training else mean
        terms = {**self.decoding_terms(batch, z), "kl": sum(kl), "align": self.alignment(posteriors, z)}
        if self.loss_weights["cyclic"]:
            terms["cyclic"] = sum(self._cycle(batch, z, p) for p in PLATFORMS)
        return terms

    def _cycle(self, batch: Batch, z: Mapping[str, Tensor], p: str) -> Tensor:
        """Squared error of a platform after the way to the other one and back."""
        there = other(p)
        back = self.decode(self.encoders[there](self.decode(z[p], there))[0], p)
        return losses.masked_mse(back, batch[p], batch[f"observed_{p}"])

    def term_weights(self) -> dict[str, float]:
        return {**super().term_weights(), "cyclic": self.loss_weights["cyclic"]}
