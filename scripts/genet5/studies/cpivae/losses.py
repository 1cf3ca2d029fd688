"""Terms of the losses. Whatever compares values counts observed cells alone; all are scalars unless said otherwise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


def masked_mse(predicted: Tensor, values: Tensor, observed: Tensor) -> Tensor:
    """Mean squared error over observed cells; 0 when there is none. All [rows, features]."""
    error = torch.where(observed, predicted - values, 0.0)
    return error.square().sum() / observed.sum().clamp(min=1)


def masked_log_likelihood(predicted: Tensor, values: Tensor, observed: Tensor) -> Tensor:
    """Log density of the observed cells of each row, [..., rows], under Gaussians of unit variance."""
    error = torch.where(observed, predicted - values, 0.0)
    return -0.5 * (error.square().sum(-1) + LOG_2PI * observed.sum(-1))


def gaussian_log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log density of a diagonal Gaussian, summed over the last dimension."""
    return -0.5 * (LOG_2PI + log_variance + (z - mean).square() * (-log_variance).exp()).sum(-1)


def standard_log_density(z: Tensor) -> Tensor:
    """Log density of the standard normal distribution, summed over the last dimension."""
    return -0.5 * (LOG_2PI + z.square()).sum(-1)


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence from N(0, 1), a mean over rows and latent dimensions."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()


def symmetric_kl(mean_a: Tensor, log_variance_a: Tensor, mean_b: Tensor, log_variance_b: Tensor) -> Tensor:
    """Half the sum of both KL divergences of two diagonal Gaussians, a mean over rows and latent dimensions."""
    distance = (mean_a - mean_b).square()
    ratio_a = (log_variance_a.exp() + distance) * (-log_variance_b).exp()
    ratio_b = (log_variance_b.exp() + distance) * (-log_variance_a).exp()
    return 0.25 * (ratio_a + ratio_b - 2).mean()


def mmd(x: Tensor, y: Tensor, scales: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)) -> Tensor:
    """Squared maximum mean discrepancy of two samples [rows, dimensions], mean over Gaussian kernels (Gretton 2012).

    Bandwidths are multiples of the median squared distance of the pooled sample. A fixed bandwidth of 1 in 128
    dimensions gives a kernel of e^-128 between any two points, so neither a value nor a gradient.
    """
    both = torch.cat([x, y]).float()
    distances = torch.cdist(both, both, compute_mode="donot_use_mm_for_euclid_dist").square()
    upper = torch.triu_indices(len(both), len(both), offset=1, device=both.device)
    median = distances.detach()[upper[0], upper[1]].median().clamp(min=1e-8)
    kernel = torch.stack([torch.exp(-distances / (2 * scale * median)) for scale in scales]).mean(0)
    n = len(x)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def total_correlation(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z) || prod_j q(z_j)) by minibatch sampling (Chen et al. 2018, beta-TCVAE), in nats per latent dimension.

    The batch stands for the data: log q(z) is the log mean density under the posteriors of the batch.
    """
    densities = -0.5 * (LOG_2PI + log_variance[None] + (z[:, None] - mean[None]).square() * (-log_variance[None]).exp())
    log_rows = math.log(len(z))
    joint = torch.logsumexp(densities.sum(-1), dim=1) - log_rows
    marginals = (torch.logsumexp(densities, dim=1) - log_rows).sum(-1)
    return (joint - marginals).mean() / z.shape[1]
