"""Compiled loops of the annotating network: what is no convolution.

Arrays of activations are float32, or bfloat16 as uint16 (``stored_numbers.py``); sums are made in float32.
"""

from __future__ import annotations

import numba
import numpy as np

from genet5.crf.stem import CODON_REACHES, HEXAMERS
from genet5.crf.stored_numbers import stored_as, value_of

_SUMS = {"reassoc", "contract"}  # additions may change their order: processors add several numbers at a time


@numba.njit(cache=True, nogil=True)
def hexamer_ids(codes, padded):
    """As ``stem.hexamer_ids``, int32 [2, padded]; codes: uint8 [2, W], beyond which nothing is known."""
    ids = np.full((2, padded), HEXAMERS - 1, np.int32)
    for row in range(2):
        known, hexamer = 0, 0
        for at in range(codes.shape[1]):
            code = codes[row, at]
            known = known + 1 if code < 4 else 0
            hexamer = (hexamer * 4 + min(code, 3)) % (HEXAMERS - 1)
            if known >= 6:
                ids[row, at - 5] = hexamer
    return ids


@numba.njit(cache=True, nogil=True, fastmath=_SUMS)
def frame_means(width, ids, scores, means):
    """As ``stem.frame_means``, into means [2, padded, 4 * K], reaches and directions before kinds.

    ids: int32 [2, padded], those of ``width`` bases. scores: float32 [HEXAMERS, K].
    """
    padded, kinds = ids.shape[1], scores.shape[1]
    ahead, behind = np.empty(kinds), np.empty(kinds)
    for number, reach in enumerate(CODON_REACHES):
        scale, span = 1 / np.sqrt(reach), 3 * reach
        to_ahead = 2 * number * kinds
        to_behind = to_ahead + kinds
        for row in range(2):
            for frame in range(3):
                ahead[:] = 0
                behind[:] = 0
                for at in range(frame, min(frame + span, width), 3):
                    for kind in range(kinds):
                        ahead[kind] += scores[ids[row, at], kind]
                for at in range(frame, padded, 3):
                    of_ahead, of_behind = (
                        means[row, at, to_ahead:to_behind],
                        means[row, at, to_behind : to_behind + kinds],
                    )
                    for kind in range(kinds):
                        of_ahead[kind] = stored_as(ahead[kind] * scale, of_ahead[kind])
                    if at >= span:  # what lies behind a base lay ahead of one before it
                        of_behind[:] = means[row, at - span, to_ahead:to_behind]
                    else:
                        for kind in range(kinds):
                            of_behind[kind] = stored_as(behind[kind] * scale, of_behind[kind])
                            if at < width:
                                behind[kind] += scores[ids[row, at], kind]
                    if at < width:
                        for kind in range(kinds):
                            ahead[kind] -= scores[ids[row, at], kind]
                    if at + span < width:
                        for kind in range(kinds):
                            ahead[kind] += scores[ids[row, at + span], kind]


@numba.njit(cache=True, nogil=True, fastmath=_SUMS)
def norms(values, eps, found):
    """Into found, float32 [N]: what RMSNorm multiplies each row of values [N, C] with."""
    channels = values.shape[1]
    for row in range(len(values)):
        total = np.float32(0)
        for channel in range(channels):
            value = value_of(values[row, channel])
            total += value * value
        found[row] = 1 / np.sqrt(total / channels + eps)


@numba.njit(cache=True, nogil=True, fastmath=_SUMS)
def normed_product(values, scale, weight, bias, found):
    """Into found, float32 [N, K]: (scale [N] times values [N, C]) weight [K, C] transposed, plus bias [K]."""
    channels = values.shape[1]
    row_values = np.empty(channels, np.float32)
    for row in range(len(values)):
        for channel in range(channels):
            row_values[channel] = value_of(values[row, channel])
        for out in range(len(weight)):
            total = np.float32(0)
            for channel in range(channels):
                total += row_values[channel] * weight[out, channel]
            found[row, out] = total * scale[row] + bias[out]


@numba.njit(cache=True, nogil=True)
def rows_around(features, feature_scale, near, near_scale, at, around):
    """Into around [N, 2 * (C + D)]: what stands before and behind each boundary ``at``, scaled; 0 beyond the ends.

    features: [W, C] and near: [W, D], with what to multiply their rows with.
    """
    width, channels, more = len(features), features.shape[1], near.shape[1]
    for row in range(len(at)):
        for side in range(2):
            base, first = at[row] - 1 + side, side * (channels + more)
            inside = 0 <= base < width
            of_features, of_near = np.float32(0), np.float32(0)
            if inside:
                of_features, of_near = feature_scale[base], near_scale[base]
            else:
                base = 0
            for channel in range(channels):
                value = value_of(features[base, channel]) * of_features
                around[row, first + channel] = stored_as(value, around[row, 0])
            for channel in range(more):
                value = value_of(near[base, channel]) * of_near
                around[row, first + channels + channel] = stored_as(value, around[row, 0])
