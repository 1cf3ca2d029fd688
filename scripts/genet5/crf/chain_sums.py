"""Sums over all chains of genes of a strand: of all of them, of those with a state at a base, of those with a site.

A chain scores as ``best_chain.py`` scores it: per-base potentials of coding (by codon position) and intron
against neither, potentials of its sites, minus a penalty per gene. Where the dynamic program there takes the best
chain, this one sums over all of them.

States of a base: neither; coding at codon position 0, 1, 2; intron by the codon position of the base that follows it.
Start and stop codons, the first in-frame stop, splice dinucleotides and the reading frame over introns are binding.
Left to the decoder: least and greatest lengths, and stop codons that an intron splits.

An intron may add what its length is worth (a semi-Markov chain; Sarawagi and Cohen 2004). Lengths below a limit are
told one by one: an acceptor looks back at the donors within it. Beyond it nothing is added, and a running sum does.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from genet5.crf.labels import IGNORED, INTRON
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, SHARED_STOP_BP, START_SITE, STOP_SITE

NO_LENGTHS = np.zeros(0)  # introns of all lengths are alike
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


@numba.njit(cache=True)
def _intron_sums(potentials):
    """Summed potentials of intron before each boundary; float64 [W + 1]."""
    found = np.zeros(len(potentials) + 1)
    for base in range(len(potentials)):
        found[base + 1] = found[base] + potentials[base, 3]
    return found


@numba.njit(cache=True, inline="always")
def _keep(values, place, first, second, third):
    values[0, place], values[1, place], values[2, place] = first, second, third


@numba.njit(cache=True)
def _sum_introns(far, at, introns, others, values, count, edge):
    """log(exp(far) + the sum of exp(values + what the length adds)) over introns between ``at`` and others.

    others: boundaries, the nearest last of the first ``count``. They count up to ``edge``, which does not.
    """
    most, first = far, count
    while first > 0 and (others[first - 1] > edge if edge < at else others[first - 1] < edge):
        first -= 1
        most = max(most, values[first] + introns[abs(at - others[first])])
    if most == -np.inf:
        return most
    total = np.exp(far - most)
    for row in range(first, count):
        total += _share(values[row] + introns[abs(at - others[row])] - most)
    return most + np.log(total)


@numba.njit(cache=True, nogil=True)
def _forward(potentials, site, allowed, penalty, introns, labels, clamped, alpha, ended):
    """Log-sums of all prefixes by the state of their last base; alpha: float64 [W, 7].

    introns: what an intron of each length adds; of none where labels clamp. An intron that has not ended has no length
    yet. ended: float64 [3, W + 1], of prefixes whose last base is that of an intron which ends at the boundary, by the
    codon position that follows, the acceptor and the length counted; [3, 0] where no length adds anything.
    """
    size, lengths = len(potentials), len(introns)
    sums = _intron_sums(potentials) if lengths else np.zeros(0)
    donors = np.empty(allowed[DONOR_SITE].sum() if lengths else 0, np.int64)
    up_to, count = np.empty((3, len(donors))), 0
    ended[:] = -np.inf
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
        if allowed[ACCEPTOR_SITE, at]:
            acceptor = site[ACCEPTOR_SITE, at]
            end1, end2, end3 = old4 + acceptor, old5 + acceptor, old6 + acceptor
            if lengths:
                edge = max(at - lengths, 0)
                for phase in range(3):
                    far = alpha[edge, 4 + phase] - sums[edge + 1]
                    found = _sum_introns(far, at, introns, donors, up_to[phase], count, edge)
                    ended[phase, at] = found + sums[at] + acceptor
                end1, end2, end3 = ended[0, at], ended[1, at], ended[2, at]
            new1, new2, new3 = _add(new1, end1), _add(new2, end2), _add(new3, end3)
        if allowed[DONOR_SITE, at]:
            donor = site[DONOR_SITE, at]
            begin4 = -np.inf if stops else old3 + donor
            begin5, begin6 = old1 + donor, old2 + donor
            new4, new5, new6 = _add(new4, begin4), _add(new5, begin5), _add(new6, begin6)
            if lengths:
                donors[count] = at
                _keep(up_to, count, begin4 - sums[at], begin5 - sums[at], begin6 - sums[at])
                count += 1
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
def _backward(potentials, site, allowed, penalty, introns, labels, clamped, beta, begun):
    """Log-sums of all continuations after a base in a state, the base itself not counted; beta: float64 [W, 7].

    An intron that goes on is taken for one whose length adds nothing. begun: float64 [3, W + 1], of what follows where
    an intron begins at the boundary, by the codon position after it, the donor and the length counted; or [3, 0].
    """
    size, lengths = len(potentials), len(introns)
    sums = _intron_sums(potentials) if lengths else np.zeros(0)
    acceptors = np.empty(allowed[ACCEPTOR_SITE].sum() if lengths else 0, np.int64)
    from_on, count = np.empty((3, len(acceptors))), 0
    begun[:] = -np.inf
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
            begin1, begin2, begin3 = ahead5 + donor, ahead6 + donor, ahead4 + donor
            if lengths:
                edge = min(at + lengths, size)
                for phase in range(3):
                    far = beta[edge - 1, 4 + phase] + sums[edge]
                    found = _sum_introns(far, at, introns, acceptors, from_on[phase], count, edge)
                    begun[phase, at] = found - sums[at] + donor
                begin3, begin1, begin2 = begun[0, at], begun[1, at], begun[2, at]
            old1, old2 = _add(old1, begin1), _add(old2, begin2)
            if not stops:
                old3 = _add(old3, begin3)
        if allowed[ACCEPTOR_SITE, at]:
            acceptor = site[ACCEPTOR_SITE, at]
            end4, end5, end6 = ahead1 + acceptor, ahead2 + acceptor, ahead3 + acceptor
            old4, old5, old6 = _add(old4, end4), _add(old5, end5), _add(old6, end6)
            if lengths:
                acceptors[count] = at
                _keep(from_on, count, end4 + sums[at], end5 + sums[at], end6 + sums[at])
                count += 1
        beta[at - 1, 0], beta[at - 1, 1], beta[at - 1, 2], beta[at - 1, 3] = old0, old1, old2, old3
        beta[at - 1, 4], beta[at - 1, 5], beta[at - 1, 6] = old4, old5, old6


@numba.njit(cache=True, nogil=True)
def _marginals(
    potentials, site, allowed, penalty, labels, clamped, alpha, beta, total, ended, begun, sign, of_base, of_site
):
    """Adds sign * P(class of a base) to of_base [W, 4] and sign * P(site) to of_site [4, W + 1]; returns genes.

    Where lengths of introns count, their bases lie between donors and acceptors: a sum that runs along the strand.
    """
    size, lengths = len(potentials), ended.shape[1] > 0
    genes = 0.0
    for state in range(1, NUM_STATES):
        genes += _share(alpha[0, state] + beta[0, state] - total)
    if allowed[START_SITE, 0]:
        of_site[START_SITE, 0] += sign * _share(alpha[0, 1] + beta[0, 1] - total - _add(0.0, -site[START_SITE, 0]))
    for at in range(size):
        for state in range(1, INTRON if lengths else NUM_STATES):
            of_base[at, min(state, INTRON) - 1] += sign * _share(alpha[at, state] + beta[at, state] - total)
    inside = 0.0  # of an intron
    if lengths:
        for state in range(INTRON, NUM_STATES):
            inside += _share(alpha[0, state] + beta[0, state] - total)
        of_base[0, INTRON - 1] += sign * inside
    for at in range(1, size):
        before, stops, starts = at - 1, allowed[STOP_SITE, at], allowed[START_SITE, at]
        if stops or starts:
            neither = beta[at, 0] + _score(0, at, potentials, labels, clamped) - total
            closed = alpha[before, 3] + site[STOP_SITE, at]
            if stops:
                of_site[STOP_SITE, at] += sign * _share(closed + neither)
        if starts:
            first = beta[at, 1] + _score(1, at, potentials, labels, clamped) - total
            begin = site[START_SITE, at] - penalty + first
            started = _share(alpha[before, 0] + begin)
            if stops:
                both = _share(closed + begin)
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
                    ahead = begun[phase, at] - total if lengths else intron + beta[at, 4 + phase]
                    share = _share(alpha[before, last] + ahead)
                    of_site[DONOR_SITE, at] += sign * share
                    inside += share
        if allowed[ACCEPTOR_SITE, at]:
            for phase in range(3):
                coding = _score(1 + phase, at, potentials, labels, clamped) - total + beta[at, 1 + phase]
                behind = ended[phase, at] if lengths else alpha[before, 4 + phase] + site[ACCEPTOR_SITE, at]
                share = _share(behind + coding)
                of_site[ACCEPTOR_SITE, at] += sign * share
                inside -= share
        if lengths:
            of_base[at, INTRON - 1] += sign * inside
    return genes


class StrandSums(NamedTuple):
    """Sums over the chains of one strand, by the state of a base; float64.

    before: [W, 7], of all beginnings up to and with a base; an intron that goes on has no length yet. after: [W, 7], of
    all that may follow it, itself not counted; an intron that goes on is taken for a long one. total: of all chains,
    log Z. ended, begun: [3, W + 1], of introns that end or begin at a boundary (``_forward``, ``_backward``); or
    [3, 0].
    """

    before: np.ndarray
    after: np.ndarray
    total: float
    ended: np.ndarray
    begun: np.ndarray


def strand_sums(
    potentials: np.ndarray, site: np.ndarray, allowed: np.ndarray, penalty: float, introns: np.ndarray = NO_LENGTHS
) -> StrandSums:
    """potentials: float64 [W, 4], site: float64 [4, W + 1], allowed: bool [4, W + 1], W > 0; as in ``chain_loss``.

    introns: float64 [L], what an intron of each length below L adds; longer ones add nothing.
    """
    size, nothing = len(potentials), np.zeros(1, np.int64)
    before, after = (np.empty((size, NUM_STATES)) for _ in range(2))
    ended, begun = (np.empty((3, size + 1 if len(introns) else 0)) for _ in range(2))
    total = _forward(potentials, site, allowed, penalty, introns, nothing, False, before, ended)
    _backward(potentials, site, allowed, penalty, introns, nothing, False, after, begun)
    return StrandSums(before, after, total, ended, begun)


class Marginals(NamedTuple):
    """Probabilities under all chains of one strand; float64.

    of_base: [W, 4], that a base is coding at codon position 0, 1, 2 or intron. of_site: [4, W + 1], that a chain has a
    site there.
    """

    of_base: np.ndarray
    of_site: np.ndarray


def strand_marginals(
    potentials: np.ndarray, site: np.ndarray, allowed: np.ndarray, penalty: float, introns: np.ndarray = NO_LENGTHS
) -> Marginals:
    """Arguments as in ``strand_sums``."""
    sums, nothing = strand_sums(potentials, site, allowed, penalty, introns), np.zeros(1, np.int64)
    found = Marginals(np.zeros_like(potentials), np.zeros_like(site))
    _marginals(potentials, site, allowed, penalty, nothing, False, *sums, 1.0, *found)
    return found
