"""Chains of genes drawn from the CRF: as often as they are probable.

The sums of ``chain_sums.py`` say how much all beginnings weigh that reach a base in a state. So a chain is drawn from
the 3' end to the 5' end: first the state of the last base, then, base by base, where it came from, in proportion to the
weights (forward filtering, backward sampling; Scott 2002, J. Am. Stat. Assoc. 97:337). Where lengths of introns count,
an acceptor draws its donor at once. Draws are independent and exact. A temperature divides all potentials: above 1 it
levels the probabilities.

A chain is a list of events, 5' to 3': the sites where its genes begin, end and are spliced, and the edges that cut it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from genet5.crf.chain_sums import NO_LENGTHS, NUM_STATES, StrandSums, _marginals, _overlap_stop, strand_sums
from genet5.crf.labels import INTRON
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, SHARED_STOP_BP, START_SITE, STOP_SITE

CUT5, CUT3 = 4, 5  # kinds of events beside the four kinds of sites: the strand begins or ends within a gene
KIND, AT, STATE = range(3)  # columns of events; the state of the first or last base where an edge cuts, else 0
_COLUMNS = 3
_SHORT, _LONG = SHARED_STOP_BP


class Chain(NamedTuple):
    """A chain of genes. events: int64 [E, 3], columns ``KIND``, ``AT`` (a boundary) and ``STATE``, 5' to 3'."""

    events: np.ndarray


class Strand(NamedTuple):
    """What a strand's chains are weighed by; float64. potentials: [W, 4], site: [4, W + 1], allowed: bool [4, W + 1].

    As in ``chain_loss``. penalty: per gene. introns: [L], what an intron of each length below L adds.
    """

    potentials: np.ndarray
    site: np.ndarray
    allowed: np.ndarray
    penalty: float
    introns: np.ndarray = NO_LENGTHS

    @classmethod
    def of(
        cls,
        potentials: np.ndarray,
        site: np.ndarray,
        allowed: np.ndarray,
        penalty: float,
        temperature: float = 1.0,
        introns: np.ndarray = NO_LENGTHS,
    ) -> Strand:
        """Potentials as the network gives them, divided by a temperature above 0."""
        return cls(
            np.ascontiguousarray(potentials, dtype=np.float64) / temperature,
            np.ascontiguousarray(site, dtype=np.float64) / temperature,
            np.ascontiguousarray(allowed),
            float(penalty) / temperature,
            np.asarray(introns, dtype=np.float64) / temperature,
        )

    def sums(self) -> StrandSums:
        """Of all its chains."""
        return strand_sums(*self)


def sample_chains(strand: Strand, sums: StrandSums, number: int, seed: int) -> list[Chain]:
    """``number`` independent chains. Chain number k depends on the strand, on ``seed`` (at least 0) and on k alone."""
    size = len(strand.potentials)
    room = np.empty((2 * size + 4, _COLUMNS), dtype=np.int64)
    found = []
    for chain in range(number):
        state = np.random.SeedSequence([seed, chain]).generate_state(1, np.uint64)
        count = _draw(*strand, sums.before, sums.ended, state, room)
        found.append(Chain(room[:count][::-1].copy()))
    return found


@numba.njit(cache=True)
def _uniform(state):
    """The next number of [0, 1): splitmix64 (Steele et al. 2014). state: uint64 [1]."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    mixed = state[0]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return np.float64(mixed >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@numba.njit(cache=True)
def _pick(weights, count, state):
    """One of the first ``count`` log-weights, in proportion to what they are the logarithms of."""
    most = weights[:count].max()
    total = 0.0
    for one in range(count):
        total += np.exp(weights[one] - most)
    left = _uniform(state) * total
    chosen = -1
    for one in range(count):
        share = np.exp(weights[one] - most)
        if share > 0.0:
            chosen = one
            left -= share
            if left < 0.0:
                break
    return chosen


@numba.njit(cache=True)
def _second(first, second, state):
    """Whether the second of two log-weights is picked."""
    return second > -np.inf and _uniform(state) * (1.0 + np.exp(min(first - second, 700.0))) < 1.0


@numba.njit(cache=True)
def _note(events, count, kind, at, state):
    events[count, KIND], events[count, AT], events[count, STATE] = kind, at, state
    return count + 1


@numba.njit(cache=True)
def _draw_donor(at, state, potentials, site, allowed, introns, before, random, weights):
    """Where the intron begins that ends at ``at``; -1 where it is so long that its length adds nothing."""
    edge, last = max(at - len(introns), 0), 1 + (state - INTRON + 2) % 3
    along = 0.0  # potentials of intron
    weights[: at - edge] = -np.inf
    for donor in range(at - 1, edge, -1):
        along += potentials[donor, 3]
        if allowed[DONOR_SITE, donor] and not (last == 3 and allowed[STOP_SITE, donor]):
            weights[donor - edge] = before[donor - 1, last] + site[DONOR_SITE, donor] + along + introns[at - donor]
    weights[0] = before[edge, state] + along
    chosen = _pick(weights, at - edge, random)
    return edge + chosen if chosen else -1


@numba.njit(cache=True, nogil=True)
def _draw(potentials, site, allowed, penalty, introns, before, ended, random, events):
    """Draws one chain into ``events``, 3' to 5'; returns how many there are. Its steps undo those of ``_forward``."""
    size, count, lengths = len(before), 0, len(introns)
    weights = np.empty(max(NUM_STATES, lengths + 1))
    donor, edge = -1, size  # of the intron: where it begins, if that is drawn, or the last boundary where it may
    weights[:NUM_STATES] = before[size - 1]
    state = _pick(weights, NUM_STATES, random)
    if state:
        count = _note(events, count, CUT3, size, state)
    for at in range(size - 1, 0, -1):
        old, stops = before[at - 1], allowed[STOP_SITE, at]
        if state == 0:
            if stops and _second(old[0], old[3] + site[STOP_SITE, at], random):
                count = _note(events, count, STOP_SITE, at, 0)
                state = 3
        elif state == 1:
            starts, acceptor = allowed[START_SITE, at], allowed[ACCEPTOR_SITE, at]
            if not starts and not acceptor:
                state = 3
                continue
            weights[:5] = -np.inf
            if not stops:
                weights[0] = old[3]
            if starts:
                begin = site[START_SITE, at] - penalty
                weights[1] = old[0] + begin
                if stops:
                    weights[2] = old[3] + site[STOP_SITE, at] + begin
                weights[3] = old[2] + begin + _overlap_stop(at, size, site, allowed)
            if acceptor:
                weights[4] = ended[0, at] if lengths else old[4] + site[ACCEPTOR_SITE, at]
            way = _pick(weights, 5, random)
            if way == 0:
                state = 3
            elif way == 4:
                count = _note(events, count, ACCEPTOR_SITE, at, 0)
                state = 4
                if lengths:
                    donor = _draw_donor(at, state, potentials, site, allowed, introns, before, random, weights)
                    edge = max(at - lengths, 0)
            else:
                count = _note(events, count, START_SITE, at, 0)
                state = 0
                if way == 2:
                    count = _note(events, count, STOP_SITE, at, 0)
                    state = 3
                elif way == 3:  # the stop codon of the gene before shares its last bases with this start
                    for place, shared in enumerate(SHARED_STOP_BP):
                        weights[place] = -np.inf
                        if at + shared <= size and allowed[STOP_SITE, at + shared]:
                            weights[place] = site[STOP_SITE, at + shared]
                    shared = _LONG if _pick(weights, 2, random) else _SHORT
                    count = _note(events, count, STOP_SITE, at + shared, 0)
                    state = 2
        elif state < INTRON:
            other, behind = state + 3, -np.inf
            if allowed[ACCEPTOR_SITE, at]:
                behind = ended[state - 1, at] if lengths else old[other] + site[ACCEPTOR_SITE, at]
            if _second(old[state - 1], behind, random):
                count = _note(events, count, ACCEPTOR_SITE, at, 0)
                state = other
                if lengths:
                    donor = _draw_donor(at, state, potentials, site, allowed, introns, before, random, weights)
                    edge = max(at - lengths, 0)
            else:
                state -= 1
        elif donor >= 0:
            if at == donor:
                count = _note(events, count, DONOR_SITE, at, 0)
                state, donor, edge = 1 + (state - INTRON + 2) % 3, -1, size
        elif at <= edge and allowed[DONOR_SITE, at]:
            last = 1 + (state - INTRON + 2) % 3
            if not (last == 3 and stops) and _second(old[state], old[last] + site[DONOR_SITE, at], random):
                count = _note(events, count, DONOR_SITE, at, 0)
                state, edge = last, size
    if state == 1 and allowed[START_SITE, 0] and _second(0.0, site[START_SITE, 0], random):
        count = _note(events, count, START_SITE, 0, 0)
    elif state:
        count = _note(events, count, CUT5, 0, state)
    return count


# -------------------------------------------------------------------- what a chain holds


class Features(NamedTuple):
    """What chains hold, each times its weight: of_base [W, 4], of_site [4, W + 1], genes. Float64.

    The score of a chain is the sum of potentials times of_base, of site times of_site, minus the penalty times genes.
    """

    of_base: np.ndarray
    of_site: np.ndarray
    genes: float


def count_features(chains: list[Chain], weights: np.ndarray, size: int) -> Features:
    """Summed features of chains of a strand of ``size`` bases. weights: [chains]."""
    of_base, of_site, genes = np.zeros((size, 4)), np.zeros((4, size + 1)), 0.0
    for chain, weight in zip(chains, np.asarray(weights, dtype=np.float64), strict=True):
        if weight:
            genes += weight * _add_features(chain.events, weight, size, 0, size + 1, of_base, of_site)
    return Features(of_base, of_site, genes)


def add_features(chain: Chain, weight: float, low: int, high: int, found: Features) -> float:
    """Adds a chain's features at bases and boundaries in [low, high) to ``found``'s arrays; returns genes begun there.

    The genes are weighed too.
    """
    size = len(found.of_base)
    return weight * _add_features(chain.events, weight, size, low, high, found.of_base, found.of_site)


def chain_score(chain: Chain, strand: Strand) -> float:
    """What a chain is worth; minus log Z it is the logarithm of its probability."""
    found = count_features([chain], np.ones(1), len(strand.potentials))
    worth = (found.of_base * strand.potentials).sum() + (found.of_site * strand.site)[strand.allowed].sum()
    return float(worth - found.genes * strand.penalty + _worth_of_lengths(chain, strand.introns))


def _worth_of_lengths(chain: Chain, introns: np.ndarray) -> float:
    """What the lengths of a chain's whole introns add."""
    total, donor = 0.0, -len(introns)
    for kind, at, _ in chain.events.tolist():
        if kind == DONOR_SITE:
            donor = at
        elif kind == ACCEPTOR_SITE:
            total += introns[at - donor] if at - donor < len(introns) else 0.0
            donor = -len(introns)
    return total


@numba.njit(cache=True)
def _fill(begin, end, state, weight, low, high, of_base):
    """Adds the weight at bases of [begin, end) that lie in [low, high); ``state``: of the base at ``begin``."""
    for base in range(max(begin, low), min(end, high)):
        of_base[base, 3 if state >= INTRON else (state - 1 + base - begin) % 3] += weight


@numba.njit(cache=True, nogil=True)
def _add_features(events, weight, size, low, high, of_base, of_site):
    """As ``add_features``; returns the number of genes that begin in [low, high)."""
    genes, begin, state = 0, 0, 0  # where the segment or intron begins, and the state of its first base
    for row in range(len(events)):
        kind, at = events[row, KIND], events[row, AT]
        if kind < CUT5 and low <= at < high:
            of_site[kind, at] += weight
        if kind == CUT5:
            genes += low <= 0 < high
            begin, state = 0, events[row, STATE]
        elif kind == START_SITE:
            genes += low <= at < high
            begin, state = at, 1
        elif kind == CUT3:
            _fill(begin, size, state, weight, low, high, of_base)
        elif kind == STOP_SITE:  # bases that the next gene shares are its own
            end = at
            if row + 1 < len(events) and events[row + 1, KIND] == START_SITE:
                end = min(at, events[row + 1, AT])
            _fill(begin, end, state, weight, low, high, of_base)
        elif kind == DONOR_SITE:
            _fill(begin, at, state, weight, low, high, of_base)
            begin, state = at, INTRON + (state - 1 + at - begin) % 3
        else:
            _fill(begin, at, state, weight, low, high, of_base)
            begin, state = at, state - 3
    return genes


def expected_features(strand: Strand, sums: StrandSums) -> Features:
    """What all chains hold, each times its probability: the gradient of log Z, the sign of genes turned."""
    of_base, of_site = np.zeros_like(strand.potentials), np.zeros_like(strand.site)
    nothing = np.zeros(1, np.int64)
    genes = _marginals(*strand[:4], nothing, False, *sums, 1.0, of_base, of_site)
    return Features(of_base, of_site, genes)
