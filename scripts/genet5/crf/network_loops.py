"""Compiled loops over rows of activations: norms, products with few columns, and what stands around a boundary.

Arrays of activations are float32, or bfloat16 as uint16 (``stored_numbers.py``); sums are made in float32.
"""

from __future__ import annotations

import numba
import numpy as np

from genet5.crf.stored_numbers import stored_as, value_of

_SUMS = {"reassoc", "contract"}  # additions may change their order: processors add several numbers at a time


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_SUMS)
def norms(values, eps, found):
    """Into found, float32 [N]: what RMSNorm multiplies each row of values [N, C] with."""
    channels = values.shape[1]
    for row in range(len(values)):
        total = np.float32(0)
        for channel in range(channels):
            value = value_of(values[row, channel])
            total += value * value
        found[row] = 1 / np.sqrt(total / channels + eps)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_SUMS)
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scaled_rows(values, scale, weight, found):
    """Into found [N, C]: values times scale [N] times weight [C]."""
    for row in range(len(values)):
        for channel in range(values.shape[1]):
            value = value_of(values[row, channel]) * scale[row] * weight[channel]
            found[row, channel] = stored_as(value, found[row, 0])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_SUMS)
def norm_gradient(gradient, values, scale, weight, found, of_weight):
    """The way back through RMSNorm: into found [N, C] the gradient of values, added to of_weight, float64 [C], its own.

    scale: [N], as ``norms`` gave it.
    """
    channels = values.shape[1]
    shown, weighed = np.empty(channels, np.float32), np.empty(channels, np.float32)
    part = np.zeros(channels, np.float32)
    for row in range(len(values)):
        shared = np.float32(0)
        for channel in range(channels):
            shown[channel] = value_of(values[row, channel]) * scale[row]
            slope = value_of(gradient[row, channel])
            weighed[channel] = slope * weight[channel]
            part[channel] += slope * shown[channel]
            shared += weighed[channel] * shown[channel]
        shared /= np.float32(channels)
        for channel in range(channels):
            value = (weighed[channel] - shown[channel] * shared) * scale[row]
            found[row, channel] = stored_as(value, found[row, 0])
        if row % 256 == 255:  # sums of many float32 lose digits
            for channel in range(channels):
                of_weight[channel] += part[channel]
                part[channel] = 0
    for channel in range(channels):
        of_weight[channel] += part[channel]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def rows_around_gradient(gradient, at, share, of_features, of_near):
    """The way back through ``rows_around`` without scales, into of_features [W, C] and of_near [W, D], zero elsewhere.

    at: ascending. share: of the gradient of features that counts.
    """
    width, channels, more = len(of_features), of_features.shape[1], of_near.shape[1]
    half = channels + more
    for row in range(len(at)):
        base = at[row] - 1  # which may also stand behind the boundary before this one
        if base >= 0:
            both = row > 0 and at[row - 1] == base
            for channel in range(channels):
                value = value_of(gradient[row, channel])
                if both:
                    value += value_of(gradient[row - 1, half + channel])
                of_features[base, channel] = stored_as(value * share, of_features[base, channel])
            for channel in range(more):
                value = value_of(gradient[row, channels + channel])
                if both:
                    value += value_of(gradient[row - 1, half + channels + channel])
                of_near[base, channel] = stored_as(value, of_near[base, channel])
        base += 1
        if base < width and not (row + 1 < len(at) and at[row + 1] == base + 1):
            for channel in range(channels):
                value = value_of(gradient[row, half + channel]) * share
                of_features[base, channel] = stored_as(value, of_features[base, channel])
            for channel in range(more):
                value = value_of(gradient[row, half + channels + channel])
                of_near[base, channel] = stored_as(value, of_near[base, channel])
