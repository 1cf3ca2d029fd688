"""Hexamers of strands, and sums of their scores along reading frames: compiled loops.

Arrays of sums are float32, or bfloat16 as uint16 (``stored_numbers.py``).
"""

from __future__ import annotations

import numba
import numpy as np

from genet5.crf.stored_numbers import stored_as, value_of

HEXAMERS = 4**6 + 1  # the last id stands for a hexamer with an unknown base or beyond the end
CODON_REACHES = (10, 40)  # codons a frame mean covers, before and after each base

_SUMS = {"reassoc", "contract"}  # additions may change their order: processors add several numbers at a time


@numba.njit(cache=True, nogil=True)
def hexamer_ids(codes, padded):
    """As ``stem.hexamer_ids``, int32 [N, padded]; codes: uint8 [N, W], beyond which nothing is known."""
    ids = np.full((len(codes), padded), HEXAMERS - 1, np.int32)
    for row in range(len(codes)):
        known, hexamer = 0, 0
        for at in range(codes.shape[1]):
            code = codes[row, at]
            known = known + 1 if code < 4 else 0
            hexamer = (hexamer * 4 + min(code, 3)) % (HEXAMERS - 1)
            if known >= 6:
                ids[row, at - 5] = hexamer
    return ids


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_SUMS)
def frame_means(widths, ids, scores, means):
    """As ``stem.frame_means``, into means [N, padded, 4 * K].

    widths: [N], bases of each strand. ids: int32 [N, padded]. scores: float32 [HEXAMERS, K].
    """
    padded, kinds = ids.shape[1], scores.shape[1]
    ahead, behind = np.empty(kinds), np.empty(kinds)
    for number, reach in enumerate(CODON_REACHES):
        scale, span = 1 / np.sqrt(reach), 3 * reach
        to_ahead = 2 * number * kinds
        to_behind = to_ahead + kinds
        for row in range(len(ids)):
            width = widths[row]
            for frame in range(3):
                ahead[:] = 0
                behind[:] = 0
                for at in range(frame, min(frame + span, width), 3):
                    for kind in range(kinds):
                        ahead[kind] += scores[ids[row, at], kind]
                for at in range(frame, padded, 3):
                    for kind in range(kinds):
                        value = stored_as(ahead[kind] * scale, means[row, at, kind])
                        means[row, at, to_ahead + kind] = value
                    if at >= span:  # what lies behind a base lay ahead of one before it
                        for kind in range(kinds):
                            means[row, at, to_behind + kind] = means[row, at - span, to_ahead + kind]
                    else:
                        for kind in range(kinds):
                            value = stored_as(behind[kind] * scale, means[row, at, kind])
                            means[row, at, to_behind + kind] = value
                            if at < width:
                                behind[kind] += scores[ids[row, at], kind]
                    if at < width:
                        leave = ids[row, at]
                        enter = ids[row, at + span] if at + span < width else -1
                        for kind in range(kinds):
                            ahead[kind] -= scores[leave, kind]
                        if enter >= 0:
                            for kind in range(kinds):
                                ahead[kind] += scores[enter, kind]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_SUMS)
def frame_means_gradient(gradient, widths, ids, of_scores):
    """The way back through ``frame_means``, added to of_scores, float64 [HEXAMERS, K].

    gradient: [N, padded, 4 * K]. widths: [N]. ids: int32 [N, padded].
    """
    kinds = of_scores.shape[1]
    ahead, behind = np.empty(kinds), np.empty(kinds)
    for number, reach in enumerate(CODON_REACHES):
        scale, span = 1 / np.sqrt(reach), 3 * reach
        to_ahead = 2 * number * kinds
        to_behind = to_ahead + kinds
        for row in range(len(ids)):
            padded, width = ids.shape[1], widths[row]
            for frame in range(3):
                # A base counts in the sums ahead of the last ``reach`` codons up to its own, and in those behind the
                # next ``reach`` ones.
                ahead[:] = 0
                behind[:] = 0
                for at in range(frame + 3, min(frame + 3 + span, padded), 3):
                    for kind in range(kinds):
                        behind[kind] += value_of(gradient[row, at, to_behind + kind])
                for at in range(frame, width, 3):
                    for kind in range(kinds):
                        ahead[kind] += value_of(gradient[row, at, to_ahead + kind])
                    if at >= span:
                        for kind in range(kinds):
                            ahead[kind] -= value_of(gradient[row, at - span, to_ahead + kind])
                    hexamer = ids[row, at]
                    for kind in range(kinds):
                        of_scores[hexamer, kind] += (ahead[kind] + behind[kind]) * scale
                    if at + 3 < padded:
                        for kind in range(kinds):
                            behind[kind] -= value_of(gradient[row, at + 3, to_behind + kind])
                    if at + 3 + span < padded:
                        for kind in range(kinds):
                            behind[kind] += value_of(gradient[row, at + 3 + span, to_behind + kind])


@numba.njit(cache=True, nogil=True)
def table_gradient(gradient, ids, found):
    """Rows of gradient [R, C] added to the rows ``ids`` [R] of found, float64 [HEXAMERS, C]."""
    for row in range(len(ids)):
        hexamer = ids[row]
        for channel in range(gradient.shape[1]):
            found[hexamer, channel] += value_of(gradient[row, channel])
