"""All chains of genes of a strand at once: their partition function, marginals and the loss of the right chain.

A chain scores as ``best_chain.py`` scores it: per-base potentials of coding (by codon position) and intron
against neither, potentials of its sites, minus a penalty per gene. Where the dynamic program there takes the best
chain, this one sums over all of them (a conditional random field, Lafferty et al. 2001), so that training raises
exactly the score that decoding maximises: log Z of all chains minus log Z of the chains that agree with the labels.

States of a base: neither; coding at codon position 0, 1, 2; intron by the codon position of the base that follows it.
Start and stop codons, the first in-frame stop, splice dinucleotides and the reading frame over introns are binding.
Left to the decoder: least and greatest lengths, and stop codons that an intron splits.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from genet5.crf.labels import IGNORED, INTRON
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, SHARED_STOP_BP, START_SITE, STOP_SITE

NUM_STATES = 7  # those of ``labels.py``; 5 and 6 are introns of further phases


@numba.njit(cache=True, inline="always")
def _add(one: float, two: float) -> float:
    """log(exp(one) + exp(two))."""
    if one < two:
        one, two = two, one
    if two == -np.inf:
        return one
    return one + np.log1p(np.exp(two - one))


@numba.njit(cache=True, inline="always")
def _score(state: int, base: int, potentials: np.ndarray, labels: np.ndarray, clamped: bool) -> float:
    """Potential of a state at a base; -inf where the labels say otherwise."""
    kind = min(state, INTRON)
    if clamped and labels[base] != IGNORED and labels[base] != kind:
        return -np.inf
    return 0.0 if kind == 0 else potentials[base, kind - 1]


@numba.njit(cache=True, inline="always")
def _overlap_stop(at: int, site: np.ndarray, allowed: np.ndarray) -> float:
    """What stops of a gene add that shares its last bases with a gene starting ``at``; -inf for none.

    Both begin after a base at codon position 1.
    """
    total = -np.inf
    size = allowed.shape[1] - 1
    for shared in SHARED_STOP_BP:
        if at + shared <= size and allowed[STOP_SITE, at + shared]:
            total = _add(total, site[STOP_SITE, at + shared])
    return total


@numba.njit(cache=True, nogil=True)
def _forward(potentials, site, allowed, penalty, labels, clamped, alpha):
    """Log-sums of all prefixes by the state of their last base; alpha: float64 [W, 7]."""
    size = len(potentials)
    for state in range(NUM_STATES):
        alpha[0, state] = _score(state, 0, potentials, labels, clamped) - (penalty if state else 0.0)
    if allowed[START_SITE, 0]:  # a gene that begins here, beside one that the edge cuts
        alpha[0, 1] += _add(0.0, site[START_SITE, 0])
    for at in range(1, size):
        old, new = alpha[at - 1], alpha[at]
        stops = allowed[STOP_SITE, at]
        neither = old[0]
        if stops:
            neither = _add(neither, old[3] + site[STOP_SITE, at])
        new[0] = neither
        first = -np.inf if stops else old[3]
        if allowed[START_SITE, at]:
            begin = site[START_SITE, at] - penalty
            first = _add(first, neither + begin)
            first = _add(first, old[2] + begin + _overlap_stop(at, site, allowed))
        new[1], new[2], new[3] = first, old[1], old[2]
        new[4], new[5], new[6] = old[4], old[5], old[6]
        if allowed[DONOR_SITE, at]:
            donor = site[DONOR_SITE, at]
            if not stops:
                new[4] = _add(new[4], old[3] + donor)
            new[5] = _add(new[5], old[1] + donor)
            new[6] = _add(new[6], old[2] + donor)
        if allowed[ACCEPTOR_SITE, at]:
            acceptor = site[ACCEPTOR_SITE, at]
            for phase in range(3):
                new[1 + phase] = _add(new[1 + phase], old[4 + phase] + acceptor)
        for state in range(NUM_STATES):
            new[state] += _score(state, at, potentials, labels, clamped)
    total = -np.inf
    for state in range(NUM_STATES):
        total = _add(total, alpha[size - 1, state])
    return total


@numba.njit(cache=True, nogil=True)
def _backward(potentials, site, allowed, penalty, labels, clamped, beta):
    """Log-sums of all continuations after a base in a state, the base itself not counted; beta: float64 [W, 7]."""
    size = len(potentials)
    beta[size - 1] = 0.0
    ahead = np.empty(NUM_STATES)
    for at in range(size - 1, 0, -1):
        for state in range(NUM_STATES):
            ahead[state] = beta[at, state] + _score(state, at, potentials, labels, clamped)
        old = beta[at - 1]
        stops = allowed[STOP_SITE, at]
        neither = ahead[0]
        if allowed[START_SITE, at]:
            begin = site[START_SITE, at] - penalty + ahead[1]
            neither = _add(neither, begin)
        old[0] = neither
        old[1], old[2] = ahead[2], ahead[3]
        old[3] = neither + site[STOP_SITE, at] if stops else ahead[1]
        if allowed[START_SITE, at]:
            old[2] = _add(old[2], begin + _overlap_stop(at, site, allowed))
        old[4], old[5], old[6] = ahead[4], ahead[5], ahead[6]
        if allowed[DONOR_SITE, at]:
            donor = site[DONOR_SITE, at]
            if not stops:
                old[3] = _add(old[3], ahead[4] + donor)
            old[1] = _add(old[1], ahead[5] + donor)
            old[2] = _add(old[2], ahead[6] + donor)
        if allowed[ACCEPTOR_SITE, at]:
            for phase in range(3):
                old[4 + phase] = _add(old[4 + phase], ahead[1 + phase] + site[ACCEPTOR_SITE, at])


@numba.njit(cache=True, nogil=True)
def _marginals(potentials, site, allowed, penalty, labels, clamped, alpha, beta, total, sign, of_base, of_site):
    """Adds sign * P(class of a base) to of_base [W, 4] and sign * P(site) to of_site [4, W + 1]; returns genes."""
    size = len(potentials)
    genes = 0.0
    for state in range(1, NUM_STATES):
        genes += np.exp(alpha[0, state] + beta[0, state] - total)
    if allowed[START_SITE, 0]:
        of_site[START_SITE, 0] += sign * np.exp(alpha[0, 1] + beta[0, 1] - total - _add(0.0, -site[START_SITE, 0]))
    for at in range(size):
        for state in range(1, NUM_STATES):
            of_base[at, min(state, INTRON) - 1] += sign * np.exp(alpha[at, state] + beta[at, state] - total)
    for at in range(1, size):
        old, new = alpha[at - 1], beta[at]
        first = new[1] + _score(1, at, potentials, labels, clamped) - total
        neither = new[0] + _score(0, at, potentials, labels, clamped) - total
        if allowed[STOP_SITE, at]:
            ended = old[3] + site[STOP_SITE, at]
            of_site[STOP_SITE, at] += sign * np.exp(ended + neither)
        if allowed[START_SITE, at]:
            begin = site[START_SITE, at] - penalty + first
            started = np.exp(old[0] + begin)
            if allowed[STOP_SITE, at]:
                both = np.exp(ended + begin)
                of_site[STOP_SITE, at] += sign * both
                started += both
            for shift in SHARED_STOP_BP:
                if at + shift <= size and allowed[STOP_SITE, at + shift]:
                    shared = np.exp(old[2] + begin + site[STOP_SITE, at + shift])
                    of_site[STOP_SITE, at + shift] += sign * shared
                    started += shared
            of_site[START_SITE, at] += sign * started
            genes += started
        if allowed[DONOR_SITE, at]:
            for phase in range(3):
                before = 1 + (phase + 2) % 3
                if phase == 0 and allowed[STOP_SITE, at]:
                    continue
                inside = new[4 + phase] + _score(4 + phase, at, potentials, labels, clamped) - total
                of_site[DONOR_SITE, at] += sign * np.exp(old[before] + site[DONOR_SITE, at] + inside)
        if allowed[ACCEPTOR_SITE, at]:
            for phase in range(3):
                coding = new[1 + phase] + _score(1 + phase, at, potentials, labels, clamped) - total
                of_site[ACCEPTOR_SITE, at] += sign * np.exp(old[4 + phase] + site[ACCEPTOR_SITE, at] + coding)
    return genes


@numba.njit(cache=True, nogil=True)
def _losses(potentials, site, allowed, penalty, labels, sizes, loss, of_base, of_site, of_penalty):
    """Per strand: log Z minus log Z of what the labels allow, and its gradient; a strand they refuse counts 0."""
    for row in range(len(potentials)):
        size = sizes[row]
        base, sites, open_, label = potentials[row, :size], site[row], allowed[row, :, : size + 1], labels[row, :size]
        alpha, beta = np.empty((size, NUM_STATES)), np.empty((size, NUM_STATES))
        right = _forward(base, sites, open_, penalty, label, True, alpha)
        if right == -np.inf:
            loss[row] = -1.0
            continue
        _backward(base, sites, open_, penalty, label, True, beta)
        genes = -_marginals(
            base, sites, open_, penalty, label, True, alpha, beta, right, -1.0, of_base[row], of_site[row]
        )
        total = _forward(base, sites, open_, penalty, label, False, alpha)
        _backward(base, sites, open_, penalty, label, False, beta)
        genes += _marginals(
            base, sites, open_, penalty, label, False, alpha, beta, total, 1.0, of_base[row], of_site[row]
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


# -------------------------------------------------------------------- sums of one strand


class StrandSums(NamedTuple):
    """Sums over the chains of one strand, by the state of a base; float64.

    before: [W, 7], of all beginnings up to and with a base. after: [W, 7], of all that may follow it, itself not
    counted. total: of all chains, log Z.
    """

    before: np.ndarray
    after: np.ndarray
    total: float


def strand_sums(potentials: np.ndarray, site: np.ndarray, allowed: np.ndarray, penalty: float) -> StrandSums:
    """potentials: float64 [W, 4], site: float64 [4, W + 1], allowed: bool [4, W + 1], W > 0; as in ``chain_loss``."""
    before, after = (np.empty((len(potentials), NUM_STATES)) for _ in range(2))
    nothing = np.zeros(1, np.int64)
    total = _forward(potentials, site, allowed, penalty, nothing, False, before)
    _backward(potentials, site, allowed, penalty, nothing, False, after)
    return StrandSums(before, after, total)


# -------------------------------------------------------------------- what may follow

LEAST_HAZARD = 1e-7


@numba.njit(cache=True, nogil=True)
def _messages(potentials, site, allowed, penalty, sizes, forward, after, start, skipped, cut):
    """Fills the arrays of ``Messages`` for rows of strands; ``forward``: the strand is the forward one."""
    nothing = np.zeros(1, np.int64)
    for row in range(len(potentials)):
        size = sizes[row]
        if size == 0:
            continue
        base, sites, open_ = potentials[row, :size], site[row], allowed[row, :, : size + 1]
        alpha, beta = np.empty((size, NUM_STATES)), np.empty((size, NUM_STATES))
        total = _forward(base, sites, open_, penalty, nothing, False, alpha)
        _backward(base, sites, open_, penalty, nothing, False, beta)
        for at in range(size):
            for state in range(NUM_STATES):
                after[row, at, state] = beta[at, state] + _score(state, at, base, nothing, False)
        for phase in range(3):
            within = _add(after[row, 0, 1 + phase], after[row, 0, 4 + phase]) - penalty - total
            cut[row, phase] = within
        # Starts of one open reading frame are alternatives: each one's chance once those seen before it are ruled out.
        seen = np.zeros(3)
        for step in range(size):
            at = step if forward[row] else size - 1 - step
            frame = at % 3
            if forward[row] and allowed[row, STOP_SITE, at]:
                seen[frame] = 0.0
            if allowed[row, START_SITE, at]:
                begin = sites[START_SITE, at] - penalty + after[row, at, 1] - total
                before = 0.0
                if at > 0:
                    before = _add(alpha[at - 1, 0], alpha[at - 1, 2] + _overlap_stop(at, sites, open_))
                    if allowed[row, STOP_SITE, at]:
                        before = _add(before, alpha[at - 1, 3] + sites[STOP_SITE, at])
                share = np.exp(min(before + begin, 0.0))
                hazard = min(max(share / max(1.0 - seen[frame], LEAST_HAZARD), LEAST_HAZARD), 1.0 - LEAST_HAZARD)
                seen[frame] = min(seen[frame] + share, 1.0)
                start[row, at] = np.log(hazard)
                skipped[row, at] = -np.log1p(-hazard)
            if not forward[row] and allowed[row, STOP_SITE, at]:
                seen[frame] = 0.0


class Messages(NamedTuple):
    """What the CRF holds of ways to go on along a strand; float32, R strands.

    after: [R, W + 1, 7], log-sum of all chains from a base on, given its state; 0 at the end. start: [R, W + 1], log of
    the chance that a gene starts here, if none of those starts of its reading frame does that come before it in forward
    coordinates; that of ``LEAST_HAZARD`` where no start codon stands. skipped: [R, W + 1], minus the log of the chance
    that it does not. cut: [R, 3], log-probability that the strand begins within a gene, by the codon position of the
    next coding base.
    """

    after: Tensor
    start: Tensor
    skipped: Tensor
    cut: Tensor


@torch.no_grad()
def chain_messages(
    potentials: Tensor, site: Tensor, penalty: Tensor, allowed: Tensor, sizes: Tensor, forward: Tensor
) -> Messages:
    """Arguments as in ``chain_loss``; forward: bool [R], strands whose coordinates are the forward ones."""
    rows, width = potentials.shape[:2]
    arrays = [tensor.detach().to("cpu", torch.float64).numpy() for tensor in (potentials, site)]
    allowed, sizes, forward = (tensor.cpu().numpy() for tensor in (allowed, sizes, forward))
    after = np.zeros((rows, width + 1, NUM_STATES))
    start, skipped = np.full((rows, width + 1), np.log(LEAST_HAZARD)), np.zeros((rows, width + 1))
    cut = np.full((rows, 3), -np.inf)
    _messages(*arrays, allowed, float(penalty), sizes, forward, after, start, skipped, cut)
    found = (torch.from_numpy(array).to(potentials) for array in (after, start, skipped, cut))
    return Messages(*found)
