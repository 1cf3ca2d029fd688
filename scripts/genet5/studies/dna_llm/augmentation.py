"""Windows moved by a few bases and read from the other strand, with labels that move along.

A score belongs to a site of `SITE_BP` bases and is given to the window its first base lies in: at the right edge of a
window sites are labelled whose end lies outside, at the left edge sites that began outside are not. Bases whose label
a changed window could not explain (what was beyond the edge is unknown) have weight 0.
"""

from __future__ import annotations

import numpy as np

SITE_BP = 10


def shift_range(scores: np.ndarray, max_shift: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each window may move left (<= 0) and right without a scored base leaving it; int64, [rows] each."""
    length = scores.shape[1]
    scored = scores > 0
    any_scored = scored.any(axis=1)
    first = np.where(any_scored, scored.argmax(axis=1), length)
    last = np.where(any_scored, length - 1 - scored[:, ::-1].argmax(axis=1), -1)
    return -np.minimum(first, max_shift), np.minimum(length - 1 - last, max_shift)


def shift_windows(
    bases: np.ndarray, scores: np.ndarray, weights: np.ndarray, shifts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows moved by ``shifts`` (to the right where positive); arrays of shape [rows, bp].

    Bases that come in are random, with score and weight 0. The bases of the old edge beside them lose their weight,
    too: a site that it cut is cut no longer at an edge but by random letters.
    """
    length = bases.shape[1]
    source = np.arange(length) - shifts[:, None]
    inside = (source >= 0) & (source < length)
    take = source.clip(0, length - 1)
    rows = np.arange(len(bases))[:, None]
    random_bases = rng.integers(0, 4, size=bases.shape, dtype=np.uint8)
    cut = ((shifts[:, None] < 0) & (source > length - SITE_BP)) | ((shifts[:, None] > 0) & (source < SITE_BP - 1))
    return (
        np.where(inside, bases[rows, take], random_bases),
        np.where(inside, scores[rows, take], np.float32(0)),
        np.where(inside & ~cut, weights[rows, take], np.float32(0)),
    )


def reverse_complement_windows(
    bases: np.ndarray, scores: np.ndarray, weights: np.ndarray, turned: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of ``turned`` (bool, [rows]) read from the other strand; the edges of these, which differ, get weight 0."""
    bases, scores, weights = bases.copy(), scores.copy(), weights.copy()
    bases[turned] = 3 - bases[turned][:, ::-1]
    scores[turned] = scores[turned][:, ::-1]
    other = weights[turned][:, ::-1].copy()
    other[:, : SITE_BP - 1] = other[:, 1 - SITE_BP :] = 0
    weights[turned] = other
    return bases, scores, weights


def augment(
    bases: np.ndarray, scores: np.ndarray, max_shift: int, reverse_complement: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A training batch (bases, scores, weights): half of the rows as they are, half moved; half of all turned round."""
    weights = np.ones(scores.shape, dtype=np.float32)
    if max_shift:
        low, high = shift_range(scores, max_shift)
        shifts = np.where(rng.random(len(bases)) < 0.5, rng.integers(low, high + 1), 0)
        bases, scores, weights = shift_windows(bases, scores, weights, shifts, rng)
    if reverse_complement:
        bases, scores, weights = reverse_complement_windows(bases, scores, weights, rng.random(len(bases)) < 0.5)
    return bases, scores, weights
