"""The loss of the right chain of genes: log Z of all chains minus log Z of the chains that agree with the labels.

So training raises exactly the score that decoding maximises (a conditional random field, Lafferty et al. 2001).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from genet5.crf.chain_sums import NUM_STATES, _backward, _forward, _marginals


@numba.njit(cache=True, nogil=True)
def _losses(potentials, site, allowed, penalty, labels, sizes, loss, of_base, of_site, of_penalty):
    """Per strand: log Z minus log Z of what the labels allow, and its gradient; a strand they refuse counts 0."""
    introns, ends = np.empty(0), np.empty((3, 0))  # of all lengths alike
    for row in range(len(potentials)):
        size = sizes[row]
        base, sites, open_, label = potentials[row, :size], site[row], allowed[row], labels[row, :size]
        alpha, beta = np.empty((size, NUM_STATES)), np.empty((size, NUM_STATES))
        right = _forward(base, sites, open_, penalty, introns, label, True, alpha, ends)
        if right == -np.inf:
            loss[row] = -1.0
            continue
        _backward(base, sites, open_, penalty, introns, label, True, beta, ends)
        genes = -_marginals(
            base, sites, open_, penalty, label, True, alpha, beta, right, ends, ends, -1.0, of_base[row], of_site[row]
        )
        total = _forward(base, sites, open_, penalty, introns, label, False, alpha, ends)
        _backward(base, sites, open_, penalty, introns, label, False, beta, ends)
        genes += _marginals(
            base, sites, open_, penalty, label, False, alpha, beta, total, ends, ends, 1.0, of_base[row], of_site[row]
        )
        loss[row] = max(total - right, 0.0)
        of_penalty[row] = -genes


class _ChainLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, potentials, site, penalty, allowed, labels, sizes):
        arrays = [tensor.detach().to("cpu", torch.float64).numpy() for tensor in (potentials, site)]
        loss = np.zeros(len(arrays[0]))
        gradients = [np.zeros_like(array) for array in arrays] + [np.zeros(len(loss))]
        _losses(
            *arrays, allowed.cpu().numpy(), float(penalty), labels.cpu().numpy(), sizes.cpu().numpy(), loss, *gradients
        )
        ctx.save_for_backward(*(torch.from_numpy(array).to(potentials) for array in gradients))
        return torch.from_numpy(loss).to(potentials)

    @staticmethod
    def backward(ctx, gradient):
        base, site, penalty = ctx.saved_tensors
        return (
            gradient[:, None, None] * base,
            gradient[:, None, None] * site,
            (gradient * penalty).sum(),
            None,
            None,
            None,
        )


class ChainLoss(NamedTuple):
    """loss: nats per strand, 0 where the labels allow no chain; refused: bool, those strands."""

    loss: Tensor
    refused: Tensor


def chain_loss(
    potentials: Tensor, site: Tensor, penalty: Tensor, allowed: Tensor, labels: Tensor, sizes: Tensor
) -> ChainLoss:
    """Negative log-likelihood of the labels under the CRF, differentiable in potentials, sites and penalty.

    potentials: [R, W, 4], coding at codon position 0, 1, 2 and intron, against neither, of R strands in their own
    coordinates. site: [R, 4, W + 1]. penalty: scalar, per gene. allowed: bool [R, 4, W + 1], sites that the bases
    allow. labels: integers [R, W], 0..4 or ``IGNORED``. sizes: [R], bases of each strand.
    """
    loss = _ChainLoss.apply(potentials, site, penalty, allowed, labels, sizes)
    refused = loss < 0
    return ChainLoss(loss.masked_fill(refused, 0.0), refused)
