"""What follows a convolution of the CRF's network: SiLU, dropout and the sum with its input, in one pass over memory.

Arrays of activations are float32, or bfloat16 as uint16 (``stored_numbers.py``), of any shape, in C order. Whether an
element is dropped is a hash of its place and of a key, so no mask is kept for the way back.
"""

from __future__ import annotations

import numba
import numpy as np

from genet5.crf.stored_numbers import stored_as, value_of

_LOG2_E = np.float32(1.4426950408889634)
# 2^x for x in [-.5, .5]: minimax polynomial, error below 2e-7
_POWERS = tuple(
    np.float32(value)
    for value in (1.0000000, 0.69314718, 0.24022651, 0.055503324, 0.0096181291, 0.0013398874, 0.00015403530)
)
_FIRST, _SECOND = (
    np.uint32(0x7FEB352D),
    np.uint32(0x846CA68B),
)  # lowbias32 (C. Wellons, "Prospecting for hash functions")


@numba.njit(inline="always", error_model="numpy")
def _sigmoid(value):
    power = min(max(-value * _LOG2_E, np.float32(-120)), np.float32(120))
    whole = np.floor(power + np.float32(0.5))
    rest = power - whole
    total = _POWERS[6]
    total = total * rest + _POWERS[5]
    total = total * rest + _POWERS[4]
    total = total * rest + _POWERS[3]
    total = total * rest + _POWERS[2]
    total = total * rest + _POWERS[1]
    total = total * rest + _POWERS[0]
    scale = np.uint32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.float32(1) / (np.float32(1) + total * scale)


@numba.njit(inline="always", error_model="numpy")
def _hash(place, key):
    mixed = np.uint32(np.uint32(place) ^ (np.uint32(place) >> np.uint32(16)))
    mixed = np.uint32(np.uint32(mixed * _FIRST) + key)
    mixed = np.uint32(mixed ^ (mixed >> np.uint32(15)))
    mixed = np.uint32(mixed * _SECOND)
    return np.uint32(mixed ^ (mixed >> np.uint32(16)))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_silu(made, values, found):
    """Into found, which must be memory of its own: values + silu(made); all [N]."""
    for place in range(len(made)):
        one = value_of(made[place])
        found[place] = stored_as(value_of(values[place]) + one * _sigmoid(one), found[place])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def add_dropped_silu(made, values, found, least, scale, key):
    """The same with dropout: elements whose hash is below ``least`` are dropped, the others scaled."""
    for place in range(len(made)):
        one = value_of(made[place])
        added = one * _sigmoid(one) * scale
        kept = np.float32(0) if _hash(place, key) < least else added
        found[place] = stored_as(value_of(values[place]) + kept, found[place])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def silu_gradient(gradient, made, found, of_bias, least, scale, key):
    """The gradient of what was made, from that of ``add_dropped_silu``'s result; all [N, C].

    Into found, and its sums over rows added to of_bias, float64 [C].
    """
    channels = made.shape[1]
    part = np.zeros(channels, np.float32)
    for row in range(len(made)):
        for channel in range(channels):
            one = value_of(made[row, channel])
            share = _sigmoid(one)
            slope = share * (np.float32(1) + one * (np.float32(1) - share)) * scale
            kept = np.float32(0) if _hash(row * channels + channel, key) < least else slope
            value = value_of(gradient[row, channel]) * kept
            part[channel] += value
            found[row, channel] = stored_as(value, found[row, channel])
        if row % 256 == 255:  # sums of many float32 lose digits
            for channel in range(channels):
                of_bias[channel] += part[channel]
                part[channel] = 0
    for channel in range(channels):
        of_bias[channel] += part[channel]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def drop(values, found, least, scale, key):
    """Into found: values, those dropped whose hash is below ``least``, the others scaled."""
    for place in range(len(values)):
        kept = np.float32(0) if _hash(place, key) < least else value_of(values[place]) * scale
        found[place] = stored_as(kept, found[place])
