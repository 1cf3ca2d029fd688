"""Canonical k-mers of DNA as hashed integers: the same for both strands, computed for whole blocks at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_K = 31
"""Longest k-mer whose 2-bit code fits an unsigned 64-bit integer with room to spare."""

_BASE_CODE = np.full(256, 4, dtype=np.uint8)
for _code, _letters in enumerate((b"Aa", b"Cc", b"Gg", b"Tt")):
    _BASE_CODE[list(_letters)] = _code


def canonical_kmers(bases: bytes, k: int, sampling: int = 1) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Start positions (ascending) and hashes of the k-mers of ``bases``, a sample of one in ``sampling`` of them.

    A k-mer and its reverse complement have one hash. The hash is a bijection of the 2-bit code, so different k-mers
    never collide; which ones are sampled depends on the hash alone (FracMinHash; Irber et al. 2022), so a k-mer is
    sampled wherever it occurs. k-mers with a letter other than A, C, G, T are left out. ``1 <= k <= 31``.
    """
    if not 1 <= k <= MAX_K:
        raise ValueError(f"k is {k}, allowed: 1 to {MAX_K}")
    codes = _BASE_CODE[np.frombuffer(bases, dtype=np.uint8)]
    count = len(codes) - k + 1
    if count <= 0:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    unknown = np.concatenate(([0], np.cumsum(codes == 4, dtype=np.int64)))
    chosen = unknown[k:] == unknown[:-k]
    digits = (codes & 3).astype(np.uint64)
    forward = _windows(digits, k)
    # A reversed complement is the same sum with the weights turned round.
    backward = _windows(digits[::-1] ^ np.uint64(3), k)[::-1]
    hashes = _mixed(np.minimum(forward, backward))
    if sampling > 1:
        chosen &= hashes < np.uint64((1 << 64) // sampling)
    positions = np.flatnonzero(chosen)
    return positions, hashes[positions]


def _windows(digits: NDArray[np.uint64], k: int) -> NDArray[np.uint64]:
    """The base-4 number of every k consecutive digits, by doubling: log2(k) passes instead of k."""
    result, length = np.zeros(len(digits) + 1, np.uint64), 0
    power, width = digits, 1
    while True:
        if k & width:
            # ``result`` covers ``length`` digits; append ``width`` more.
            count = len(digits) - length - width + 1
            result = (result[:count] << np.uint64(2 * width)) | power[length : length + count]
            length += width
        if length == k:
            return result
        power = (power[:-width] << np.uint64(2 * width)) | power[width:]
        width *= 2


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): a bijection that scatters every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
