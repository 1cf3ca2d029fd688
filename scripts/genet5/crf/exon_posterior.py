"""How probable a coding exon is, exactly: the share of the chains of a strand in which these bases are one exon.

The sums of ``chain_sums.py`` at its two ends, times its coding bases. An exon here is a place: whether it is the first,
an inner or the last one of its gene, and in which frame it is read, is summed over, as scores of exons ask for the
place alone.
"""

from __future__ import annotations

import numba
import numpy as np

from genet5.crf.best_chain import StrandPotentials
from genet5.crf.chain_sums import StrandSums, _add, _overlap_stop, _share
from genet5.crf.sampling import Strand
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, SHARED_STOP_BP, START_SITE, STOP_SITE


def exon_posteriors(strand: Strand, sums: StrandSums, exons: np.ndarray) -> np.ndarray:
    """Probability of each exon, float64 [N]. exons: int64 [N, 2], begin and end, in strand coordinates."""
    coding = StrandPotentials.of(strand.potentials, strand.site).coding
    found = np.zeros(len(exons))
    _exon_posteriors(*strand, *sums, coding, np.ascontiguousarray(exons, dtype=np.int64).reshape(-1, 2), found)
    return np.minimum(found, 1.0)


@numba.njit(cache=True, nogil=True)
def _entry(begin, state, potentials, site, allowed, penalty, before, ended):
    """Log-sum of all that may stand before an exon whose first base has a state; that base is not counted."""
    size = len(potentials)
    if begin == 0:
        return before[0, state] - potentials[0, state - 1]
    total = -np.inf
    old = before[begin - 1]
    if state == 1 and allowed[START_SITE, begin]:
        ways = old[0]
        if allowed[STOP_SITE, begin]:
            ways = _add(ways, old[3] + site[STOP_SITE, begin])
        ways = _add(ways, old[2] + _overlap_stop(begin, size, site, allowed))
        total = ways + site[START_SITE, begin] - penalty
    if allowed[ACCEPTOR_SITE, begin]:
        behind = ended[state - 1, begin] if ended.shape[1] else old[state + 3] + site[ACCEPTOR_SITE, begin]
        total = _add(total, behind)
    return total


@numba.njit(cache=True, nogil=True)
def _exit(begin, end, state, potentials, site, allowed, penalty, after, begun, coding, frame):
    """Log-sum of all that may follow an exon whose last base has a state."""
    size = len(potentials)
    total, stops = -np.inf, allowed[STOP_SITE, end]
    if end == size:
        total = 0.0
    elif allowed[DONOR_SITE, end] and not (state == 3 and stops):
        total = site[DONOR_SITE, end] + potentials[end, 3] + after[end, 4 + state % 3]
        if begun.shape[1]:
            total = begun[state % 3, end]
    if state == 3 and stops and end < size:
        ends = after[end, 0]
        if allowed[START_SITE, end]:
            ends = _add(ends, site[START_SITE, end] - penalty + potentials[end, 0] + after[end, 1])
        total = _add(total, ends + site[STOP_SITE, end])
    if state == 3 and stops:
        for shared in SHARED_STOP_BP:  # the next gene begins with the last bases of the stop codon: they are its own
            at = end - shared
            if at > begin and allowed[START_SITE, at]:
                opened = site[START_SITE, at] - penalty + potentials[at, 0] + after[at, 1]
                stop = _overlap_stop(at, size, site, allowed) if shared == 1 else site[STOP_SITE, end]
                total = _add(total, opened + stop - (coding[frame, end] - coding[frame, at]))
    return total


@numba.njit(cache=True, nogil=True)
def _exon_posteriors(
    potentials, site, allowed, penalty, introns, before, after, total, ended, begun, coding, exons, found
):
    for number in range(len(exons)):
        begin, end = exons[number]
        for state in range(1, 4):
            frame = (begin + 4 - state) % 3  # codons begin at boundaries of this frame
            stop = begin + 4 - state
            while stop < end and not allowed[STOP_SITE, stop]:
                stop += 3
            if stop < end:
                continue  # the reading frame is closed
            last = (state - 1 + end - 1 - begin) % 3 + 1
            value = _entry(begin, state, potentials, site, allowed, penalty, before, ended) - total
            value += coding[frame, end] - coding[frame, begin]
            value += _exit(begin, end, last, potentials, site, allowed, penalty, after, begun, coding, frame)
            found[number] += _share(value)
