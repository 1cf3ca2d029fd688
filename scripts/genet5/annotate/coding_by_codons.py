"""Coding DNA found by its codons alone, without a trained model and without knowing which codons are stops.

A hidden Markov model of seven states (neither, and three reading frames of both strands) learns from the DNA which
codons are frequent in frame (unsupervised training as in GeneMarkS, Besemer et al. 2001). TAA, TAG and TGA say nothing
in it: they are as probable in frame as elsewhere. So what it finds runs across them, and they can be counted in frame.
Training starts with the longest open reading frames; which codons end these is a guess, and the caller tries several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np

from genet5.genome.sites import encode_bases

STOPS = ("TAA", "TAG", "TGA")
ROUNDS = 8
#: Chance per base that a coding stretch begins in one of the six frames, and that it ends.
_BEGINS, _ENDS = 1 / 6_000, 1 / 600
_SEED_SHARE = 0.25  # of all bases, at most, in the first open reading frames
_SEED_CODONS = 60  # that one of them has at least
_INNER_CODONS = 20  # from the edge of a coding stretch, where it may be too long
_SURE = 0.95


def _index(codon: str) -> int:
    first, second, third = map(int, encode_bases(codon))
    return 16 * first + 4 * second + third


STOP_NUMBERS = tuple(_index(codon) for codon in STOPS)


def codons_at(bases: str) -> np.ndarray:
    """Codon number 0..63 that begins at each base, -1 where it holds an unknown base or the DNA ends; int64 [W]."""
    codes = encode_bases(bases).astype(np.int64)
    found = np.full(len(codes), -1, dtype=np.int64)
    if len(codes) > 2:
        first, second, third = codes[:-2], codes[1:-1], codes[2:]
        known = (first < 4) & (second < 4) & (third < 4)
        found[:-2] = np.where(known, 16 * first + 4 * second + third, -1)
    return found


#: Number of the codon on the other strand.
OPPOSITE = np.array([16 * (3 - n % 4) + 4 * (3 - n // 4 % 4) + 3 - n // 16 for n in range(64)])


class CodonModel(NamedTuple):
    """scores: float64 [64], log of how much more frequent a codon is in frame than anywhere. likelihood: nats by
    which the DNA is more probable with coding stretches than without. in_frame: float64 [64], codons well within sure
    coding stretches. anywhere: float64 [64], share of a codon among all of both strands.
    """

    scores: np.ndarray
    likelihood: float
    in_frame: np.ndarray
    anywhere: np.ndarray


def learn_codons(windows: Sequence[np.ndarray], ends: frozenset[int]) -> CodonModel | None:
    """Train on the codons of windows (``codons_at``), first on open reading frames that ``ends`` (numbers) end.

    None where no open reading frame is long enough.
    """
    anywhere = np.zeros(64)
    for codons in windows:
        counts = np.bincount(codons[codons >= 0], minlength=64)
        anywhere += counts + counts[OPPOSITE]
    share = (anywhere + 1) / (anywhere + 1).sum()
    counts = _first_counts(windows, ends)
    if not counts.any():
        return None
    for _ in range(ROUNDS):
        scores = _scores(counts, share)
        counts, inner, likelihood = np.zeros(64), np.zeros(64), 0.0
        for codons in windows:
            likelihood += _expect(codons, scores, OPPOSITE, _BEGINS, _ENDS, counts, inner)
    return CodonModel(scores, likelihood, inner, share)


def _scores(counts: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Log-odds of codons, 0 for the three stops; the others share what these leave."""
    senses = np.ones(64, dtype=bool)
    senses[list(STOP_NUMBERS)] = False
    of_senses = share[senses].sum()
    wanted = counts[senses] + 64 * share[senses]
    scores = np.zeros(64)
    scores[senses] = np.log(wanted / wanted.sum() * of_senses / share[senses])
    return scores


def _first_counts(windows: Sequence[np.ndarray], ends: frozenset[int]) -> np.ndarray:
    """Codons of the longest open reading frames, most of which do not overlap."""
    found = []
    for number, codons in enumerate(windows):
        for reverse in (False, True):
            for frame in range(3):
                column = codons[frame::3]
                column = np.where(column >= 0, OPPOSITE[column], -1) if reverse else column
                edges = np.flatnonzero(np.isin(column, [-1, *ends]))
                bounds = np.concatenate([[-1], edges, [len(column)]])
                for begin, end in zip(bounds[:-1] + 1, bounds[1:], strict=True):
                    if end - begin >= _SEED_CODONS:
                        found.append((int(end - begin), number, frame, int(begin), reverse))
    found.sort(key=lambda one: (-one[0], one[1:]))
    counts, taken = np.zeros(64), [np.zeros(len(codons), dtype=bool) for codons in windows]
    left = _SEED_SHARE * sum(map(len, windows))
    for codons_long, number, frame, begin, reverse in found:
        place = slice(frame + 3 * begin, frame + 3 * (begin + codons_long))
        if taken[number][place].mean() > 0.2:
            continue
        taken[number][place] = True
        column = windows[number][place][::3]
        counts += np.bincount(OPPOSITE[column] if reverse else column, minlength=64)
        left -= 3 * codons_long
        if left < 0:
            break
    return counts


@numba.njit(cache=True)
def _expect(codons, scores, opposite, begins, ends, counts, inner):
    """Forward and backward sums of a window: adds expected codons in frame to counts, sure and inner ones to inner.

    Returns log-odds of the window against no coding stretch at all. A state is a frame: a stretch in it scores the
    codons that begin at bases of its frame.
    """
    size = len(codons)
    forward, scale = np.zeros((size, 7)), np.zeros(size)
    stay, quiet = 1.0 - ends, 1.0 - 6 * begins
    old = np.full(7, begins)
    old[0] = quiet
    total = 0.0
    for at in range(size):
        new = np.zeros(7)
        if at == 0:
            new[:] = old
        else:
            coding = 0.0
            for state in range(1, 7):
                coding += old[state]
            new[0] = old[0] * quiet + coding * ends
            for state in range(1, 7):
                new[state] = old[state] * stay + old[0] * begins
        codon = codons[at]
        if codon >= 0:
            new[1 + at % 3] *= np.exp(scores[codon])
            new[4 + at % 3] *= np.exp(scores[opposite[codon]])
        amount = new.sum()
        scale[at] = amount
        total += np.log(amount)
        for state in range(7):
            new[state] /= amount
            forward[at, state] = new[state]
        old = new
    after = np.ones(7)
    sure = np.zeros((size, 2), dtype=np.bool_)
    for at in range(size - 1, -1, -1):
        codon = codons[at]
        plus, minus = forward[at, 1 + at % 3] * after[1 + at % 3], forward[at, 4 + at % 3] * after[4 + at % 3]
        if codon >= 0:
            counts[codon] += plus
            counts[opposite[codon]] += minus
        sure[at, 0], sure[at, 1] = plus > _SURE, minus > _SURE
        emitted = after.copy()
        if codon >= 0:
            emitted[1 + at % 3] *= np.exp(scores[codon])
            emitted[4 + at % 3] *= np.exp(scores[opposite[codon]])
        begun = 0.0
        for state in range(1, 7):
            begun += emitted[state]
        new = np.empty(7)
        new[0] = (emitted[0] * quiet + begun * begins) / scale[at]
        for state in range(1, 7):
            new[state] = (emitted[state] * stay + emitted[0] * ends) / scale[at]
        after = new
    reach = 3 * _INNER_CODONS
    for strand in range(2):
        for frame in range(3):
            run = 0
            for at in range(frame, size, 3):
                run = run + 3 if sure[at, strand] else 0
                middle = at - reach
                if run > 2 * reach and codons[middle] >= 0:
                    codon = codons[middle] if strand == 0 else opposite[codons[middle]]
                    inner[codon] += 1.0
    return total
