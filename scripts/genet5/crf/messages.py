"""What the sums over chains hold of ways to go on along a strand: what the writer reads of the CRF."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from genet5.crf.chain_sums import NUM_STATES, _add, _backward, _forward, _overlap_stop, _score
from genet5.genome.sites import START_SITE, STOP_SITE

LEAST_HAZARD = 1e-7


@numba.njit(cache=True, nogil=True)
def _messages(potentials, site, allowed, penalty, sizes, forward, after, start, skipped, cut):
    """Fills the arrays of ``Messages`` for rows of strands; ``forward``: the strand is the forward one."""
    nothing, introns, ends = np.zeros(1, np.int64), np.empty(0), np.empty((3, 0))
    for row in range(len(potentials)):
        size = sizes[row]
        if size == 0:
            continue
        base, sites, open_ = potentials[row, :size], site[row], allowed[row]
        alpha, beta = np.empty((size, NUM_STATES)), np.empty((size, NUM_STATES))
        total = _forward(base, sites, open_, penalty, introns, nothing, False, alpha, ends)
        _backward(base, sites, open_, penalty, introns, nothing, False, beta, ends)
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
