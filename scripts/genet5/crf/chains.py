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

_NOTHING_BESIDE = -40.0  # exp of it added to 1 is 1 in float64
NUM_STATES = 7  # those of ``labels.py``; 5 and 6 are introns of further phases


@numba.njit(cache=True, inline="always")
def _add(one: float, two: float) -> float:
    """log(exp(one) + exp(two))."""
    if one < two:
        one, two = two, one
    if not two - one > _NOTHING_BESIDE:  # also where both are -inf
        return one
    return one + np.log1p(np.exp(two - one))


@numba.njit(cache=True, inline="always")
def _share(log_share: float) -> float:
    """exp, 0 where nothing would be left of it."""
    return np.exp(log_share) if log_share > _NOTHING_BESIDE else 0.0


@numba.njit(cache=True, inline="always")
def _score(state: int, base: int, potentials: np.ndarray, labels: np.ndarray, clamped: bool) -> float:
    """Potential of a state at a base; -inf where the labels say otherwise."""
    kind = min(state, INTRON)
    if clamped and labels[base] != IGNORED and labels[base] != kind:
        return -np.inf
    return 0.0 if kind == 0 else potentials[base, kind - 1]


@numba.njit(cache=True, inline="always")
def _overlap_stop(at: int, size: int, site: np.ndarray, allowed: np.ndarray) -> float:
    """What stops of a gene add that shares its last bases with a gene starting ``at``; -inf for none.

    Both begin after a base at codon position 1.
    """
    total = -np.inf
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
    # States of the base before, as scalars: a view of a row of alpha costs more than what is computed with it.
    old0, old1, old2, old3 = alpha[0, 0], alpha[0, 1], alpha[0, 2], alpha[0, 3]
    old4, old5, old6 = alpha[0, 4], alpha[0, 5], alpha[0, 6]
    for at in range(1, size):
        stops = allowed[STOP_SITE, at]
        neither, first = old0, old3
        if stops:
            neither, first = _add(old0, old3 + site[STOP_SITE, at]), -np.inf
        if allowed[START_SITE, at]:
            begin = site[START_SITE, at] - penalty
            first = _add(first, neither + begin)
            first = _add(first, old2 + begin + _overlap_stop(at, size, site, allowed))
        new1, new2, new3, new4, new5, new6 = first, old1, old2, old4, old5, old6
        if allowed[DONOR_SITE, at]:
            donor = site[DONOR_SITE, at]
            if not stops:
                new4 = _add(new4, old3 + donor)
            new5 = _add(new5, old1 + donor)
            new6 = _add(new6, old2 + donor)
        if allowed[ACCEPTOR_SITE, at]:
            acceptor = site[ACCEPTOR_SITE, at]
            new1 = _add(new1, old4 + acceptor)
            new2 = _add(new2, old5 + acceptor)
            new3 = _add(new3, old6 + acceptor)
        intron = potentials[at, 3]
        old0, old1, old2 = neither, new1 + potentials[at, 0], new2 + potentials[at, 1]
        old3, old4, old5, old6 = new3 + potentials[at, 2], new4 + intron, new5 + intron, new6 + intron
        if clamped and labels[at] != IGNORED:
            label = labels[at]
            old0 = old0 if label == 0 else -np.inf
            old1 = old1 if label == 1 else -np.inf
            old2 = old2 if label == 2 else -np.inf
            old3 = old3 if label == 3 else -np.inf
            if label != INTRON:
                old4 = old5 = old6 = -np.inf
        alpha[at, 0], alpha[at, 1], alpha[at, 2], alpha[at, 3] = old0, old1, old2, old3
        alpha[at, 4], alpha[at, 5], alpha[at, 6] = old4, old5, old6
    total = -np.inf
    for state in range(NUM_STATES):
        total = _add(total, alpha[size - 1, state])
    return total


@numba.njit(cache=True, nogil=True)
def _backward(potentials, site, allowed, penalty, labels, clamped, beta):
    """Log-sums of all continuations after a base in a state, the base itself not counted; beta: float64 [W, 7]."""
    size = len(potentials)
    for state in range(NUM_STATES):
        beta[size - 1, state] = 0.0
    old0 = old1 = old2 = old3 = old4 = old5 = old6 = 0.0
    for at in range(size - 1, 0, -1):
        intron = potentials[at, 3]
        neither, ahead1, ahead2 = old0, old1 + potentials[at, 0], old2 + potentials[at, 1]
        ahead3, ahead4, ahead5, ahead6 = old3 + potentials[at, 2], old4 + intron, old5 + intron, old6 + intron
        if clamped and labels[at] != IGNORED:
            label = labels[at]
            neither = neither if label == 0 else -np.inf
            ahead1 = ahead1 if label == 1 else -np.inf
            ahead2 = ahead2 if label == 2 else -np.inf
            ahead3 = ahead3 if label == 3 else -np.inf
            if label != INTRON:
                ahead4 = ahead5 = ahead6 = -np.inf
        stops = allowed[STOP_SITE, at]
        begin = -np.inf
        if allowed[START_SITE, at]:
            begin = site[START_SITE, at] - penalty + ahead1
            neither = _add(neither, begin)
        old0, old1, old2, old4, old5, old6 = neither, ahead2, ahead3, ahead4, ahead5, ahead6
        old3 = neither + site[STOP_SITE, at] if stops else ahead1
        if allowed[START_SITE, at]:
            old2 = _add(old2, begin + _overlap_stop(at, size, site, allowed))
        if allowed[DONOR_SITE, at]:
            donor = site[DONOR_SITE, at]
            if not stops:
                old3 = _add(old3, ahead4 + donor)
            old1 = _add(old1, ahead5 + donor)
            old2 = _add(old2, ahead6 + donor)
        if allowed[ACCEPTOR_SITE, at]:
            acceptor = site[ACCEPTOR_SITE, at]
            old4 = _add(old4, ahead1 + acceptor)
            old5 = _add(old5, ahead2 + acceptor)
            old6 = _add(old6, ahead3 + acceptor)
        beta[at - 1, 0], beta[at - 1, 1], beta[at - 1, 2], beta[at - 1, 3] = old0, old1, old2, old3
        beta[at - 1, 4], beta[at - 1, 5], beta[at - 1, 6] = old4, old5, old6


@numba.njit(cache=True, nogil=True)
def _marginals(potentials, site, allowed, penalty, labels, clamped, alpha, beta, total, sign, of_base, of_site):
    """Adds sign * P(class of a base) to of_base [W, 4] and sign * P(site) to of_site [4, W + 1]; returns genes."""
    size = len(potentials)
    genes = 0.0
    for state in range(1, NUM_STATES):
        genes += _share(alpha[0, state] + beta[0, state] - total)
    if allowed[START_SITE, 0]:
        of_site[START_SITE, 0] += sign * _share(alpha[0, 1] + beta[0, 1] - total - _add(0.0, -site[START_SITE, 0]))
    for at in range(size):
        for state in range(1, NUM_STATES):
            of_base[at, min(state, INTRON) - 1] += sign * _share(alpha[at, state] + beta[at, state] - total)
    for at in range(1, size):
        before, stops, starts = at - 1, allowed[STOP_SITE, at], allowed[START_SITE, at]
        if stops or starts:
            neither = beta[at, 0] + _score(0, at, potentials, labels, clamped) - total
            ended = alpha[before, 3] + site[STOP_SITE, at]
            if stops:
                of_site[STOP_SITE, at] += sign * _share(ended + neither)
        if starts:
            first = beta[at, 1] + _score(1, at, potentials, labels, clamped) - total
            begin = site[START_SITE, at] - penalty + first
            started = _share(alpha[before, 0] + begin)
            if stops:
                both = _share(ended + begin)
                of_site[STOP_SITE, at] += sign * both
                started += both
            for shift in SHARED_STOP_BP:
                if at + shift <= size and allowed[STOP_SITE, at + shift]:
                    shared = _share(alpha[before, 2] + begin + site[STOP_SITE, at + shift])
                    of_site[STOP_SITE, at + shift] += sign * shared
                    started += shared
            of_site[START_SITE, at] += sign * started
            genes += started
        if allowed[DONOR_SITE, at]:
            intron = site[DONOR_SITE, at] + _score(INTRON, at, potentials, labels, clamped) - total
            for phase in range(3):
                last = 1 + (phase + 2) % 3
                if not (phase == 0 and stops):
                    of_site[DONOR_SITE, at] += sign * _share(alpha[before, last] + intron + beta[at, 4 + phase])
        if allowed[ACCEPTOR_SITE, at]:
            for phase in range(3):
                coding = _score(1 + phase, at, potentials, labels, clamped) + site[ACCEPTOR_SITE, at] - total
                of_site[ACCEPTOR_SITE, at] += sign * _share(alpha[before, 4 + phase] + coding + beta[at, 1 + phase])
    return genes


@numba.njit(cache=True, nogil=True)
def _losses(potentials, site, allowed, penalty, labels, sizes, loss, of_base, of_site, of_penalty):
    """Per strand: log Z minus log Z of what the labels allow, and its gradient; a strand they refuse counts 0."""
    for row in range(len(potentials)):
        size = sizes[row]
        base, sites, open_, label = potentials[row, :size], site[row], allowed[row], labels[row, :size]
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


class Marginals(NamedTuple):
    """Probabilities under all chains of one strand; float64.

    of_base: [W, 4], that a base is coding at codon position 0, 1, 2 or intron. of_site: [4, W + 1], that a chain has a
    site there.
    """

    of_base: np.ndarray
    of_site: np.ndarray


def strand_marginals(potentials: np.ndarray, site: np.ndarray, allowed: np.ndarray, penalty: float) -> Marginals:
    """Arguments as in ``strand_sums``."""
    before, after, total = strand_sums(potentials, site, allowed, penalty)
    found, nothing = Marginals(np.zeros_like(potentials), np.zeros_like(site)), np.zeros(1, np.int64)
    _marginals(potentials, site, allowed, penalty, nothing, False, before, after, total, 1.0, *found)
    return found


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
        base, sites, open_ = potentials[row, :size], site[row], allowed[row]
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
                    before = _add(alpha[at - 1, 0], alpha[at - 1, 2] + _overlap_stop(at, size, sites, open_))
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
