"""How many bits DNA, or codes of it, take: adaptive models of order k, arithmetic coding, and a mixture of models.

An arithmetic coder takes the sum of -log2 of the probabilities that its model gives to what comes, and a few bits
more (Witten, Neal and Cleary 1987); the coder here shows it. Models count as they go, so a decoder can follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np

STATE_BITS = 32
_HALF, _QUARTER = 1 << (STATE_BITS - 1), 1 << (STATE_BITS - 2)
_MOST_COUNTS = 1 << 16  # of a context: so that ranges divide without loss
MIXED_ORDERS = (1, 2, 3, 4, 6, 8, 9, 10, 11)
_GAMMA = 0.95  # how fast the mixture forgets which model was right


class CountModel(NamedTuple):
    """Symbols 0 .. ``alphabet`` - 1 after the ``order`` symbols before them; each occurrence counts ``step``, first 1.

    So a symbol seen n times among m of its context has probability (step n + 1) / (step m + alphabet).
    """

    alphabet: int
    order: int
    step: int = 1


def code_length(symbols: np.ndarray, model: CountModel) -> float:
    """Bits that the model's probabilities take, counting as it goes; ``symbols`` integers, [n]."""
    return float(_code_length(np.asarray(symbols, dtype=np.int64), *model))


def arithmetic_encode(symbols: np.ndarray, model: CountModel) -> bytes:
    """The symbols as bytes of an arithmetic coder."""
    symbols = np.asarray(symbols, dtype=np.int64)
    room = int(code_length(symbols, model)) + 8 * STATE_BITS + len(symbols) // 1000
    bits = np.zeros(room, dtype=np.uint8)
    used = _encode(symbols, bits, *model)
    return np.packbits(bits[:used]).tobytes()


def arithmetic_decode(data: bytes, count: int, model: CountModel) -> np.ndarray:
    """The ``count`` symbols that ``arithmetic_encode`` wrote; int64, [count]."""
    return _decode(np.unpackbits(np.frombuffer(data, dtype=np.uint8)), count, *model)


def static_bits(counts: np.ndarray, pieces: Sequence[np.ndarray], order: int) -> tuple[float, int]:
    """Bits of known bases under fixed counts (``order_counts``), and how many bases these are."""
    chances = np.log2(counts / counts.sum(1, keepdims=True))
    total, number = 0.0, 0
    for piece in pieces:
        contexts, bases = _contexts(piece, order)
        total -= chances[contexts, bases].sum()
        number += len(bases)
    return float(total), number


def order_counts(pieces: Sequence[np.ndarray], order: int, pseudocount: float = 1.0) -> np.ndarray:
    """How often each base follows each context of ``order`` bases, both strands; float64, [4**order, 4]."""
    counts = np.full(4 ** (order + 1), pseudocount)
    for piece in pieces:
        for strand in (piece, np.where(piece < 4, 3 - piece, 4)[::-1]):
            contexts, bases = _contexts(strand, order)
            counts += np.bincount(contexts * 4 + bases, minlength=len(counts))
    return counts.reshape(-1, 4)


def mixture_bits(learned: np.ndarray, coded: np.ndarray, orders: Sequence[int] = MIXED_ORDERS) -> float:
    """Bits of the bases ``coded`` under a mixture of models of several orders that read ``learned`` first.

    The class of models of GeCo (Pratas, Pinho and Ferreira 2016): finite-context models that also count inverted
    repeats, each weighted by how well it did lately. Bases are 0 to 3, without unknown ones.
    """
    sequence = np.concatenate([learned, coded]).astype(np.int64)
    return float(_mixture(sequence, len(learned), np.array(sorted(orders), dtype=np.int64), _GAMMA))


def _contexts(piece: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Number of the ``order`` bases before each base from the order-th on, and that base; only where all are known."""
    piece = piece.astype(np.int64)
    length = len(piece) - order
    if length <= 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    contexts, known = np.zeros(length, dtype=np.int64), piece[order:] < 4
    for offset in range(order):
        part = piece[offset : offset + length]
        contexts = contexts * 4 + part
        known &= part < 4
    return contexts[known], piece[order:][known]


@numba.njit(cache=True)
def _code_length(symbols, alphabet, order, step):
    contexts = alphabet**order
    counts = np.ones((contexts, alphabet), dtype=np.int64)
    totals = np.full(contexts, alphabet, dtype=np.int64)
    context, bits = 0, 0.0
    for symbol in symbols:
        bits += np.log2(totals[context] / counts[context, symbol])
        context = _count(counts, totals, context, symbol, alphabet, contexts, step)
    return bits


@numba.njit(cache=True)
def _count(counts, totals, context, symbol, alphabet, contexts, step):
    """Count a symbol, halve counts that grow too large; returns the next context."""
    counts[context, symbol] += step
    totals[context] += step
    if totals[context] > _MOST_COUNTS:
        totals[context] = 0
        for other in range(alphabet):
            counts[context, other] = (counts[context, other] + 1) // 2
            totals[context] += counts[context, other]
    return (context * alphabet + symbol) % contexts


@numba.njit(cache=True)
def _encode(symbols, bits, alphabet, order, step):
    contexts = alphabet**order
    counts = np.ones((contexts, alphabet), dtype=np.int64)
    totals = np.full(contexts, alphabet, dtype=np.int64)
    context, used, waiting = 0, 0, 0
    low, high = 0, 2 * _HALF - 1
    for symbol in symbols:
        below = 0
        for other in range(symbol):
            below += counts[context, other]
        span = high - low + 1
        high = low + span * (below + counts[context, symbol]) // totals[context] - 1
        low = low + span * below // totals[context]
        while True:
            if high < _HALF:
                used = _write(bits, used, 0, waiting)
                waiting = 0
            elif low >= _HALF:
                used = _write(bits, used, 1, waiting)
                waiting = 0
                low -= _HALF
                high -= _HALF
            elif low >= _QUARTER and high < 3 * _QUARTER:
                waiting += 1
                low -= _QUARTER
                high -= _QUARTER
            else:
                break
            low, high = 2 * low, 2 * high + 1
        context = _count(counts, totals, context, symbol, alphabet, contexts, step)
    return _write(bits, used, 0 if low < _QUARTER else 1, waiting + 1)


@numba.njit(cache=True)
def _write(bits, used, bit, opposites):
    """Write a bit, and the opposite one as often as it was put off."""
    bits[used] = bit
    bits[used + 1 : used + 1 + opposites] = 1 - bit
    return used + 1 + opposites


@numba.njit(cache=True)
def _decode(bits, count, alphabet, order, step):
    contexts = alphabet**order
    counts = np.ones((contexts, alphabet), dtype=np.int64)
    totals = np.full(contexts, alphabet, dtype=np.int64)
    symbols = np.zeros(count, dtype=np.int64)
    context, low, high, value, place = 0, 0, 2 * _HALF - 1, 0, 0
    for _ in range(STATE_BITS):
        value = 2 * value + (bits[place] if place < len(bits) else 0)
        place += 1
    for position in range(count):
        span = high - low + 1
        target = ((value - low + 1) * totals[context] - 1) // span
        symbol, below = 0, 0
        while below + counts[context, symbol] <= target:
            below += counts[context, symbol]
            symbol += 1
        symbols[position] = symbol
        high = low + span * (below + counts[context, symbol]) // totals[context] - 1
        low = low + span * below // totals[context]
        while True:
            if low >= _HALF:
                low, high, value = low - _HALF, high - _HALF, value - _HALF
            elif high >= _HALF and low >= _QUARTER and high < 3 * _QUARTER:
                low, high, value = low - _QUARTER, high - _QUARTER, value - _QUARTER
            elif high >= _HALF:
                break
            low, high = 2 * low, 2 * high + 1
            value = 2 * value + (bits[place] if place < len(bits) else 0)
            place += 1
        context = _count(counts, totals, context, symbol, alphabet, contexts, step)
    return symbols


@numba.njit(cache=True)
def _mixture(sequence, first, orders, gamma):
    """Bits from position ``first`` on. Counts of a model with many contexts weigh more: what it has seen, it trusts."""
    models = len(orders)
    sizes = 4**orders
    starts = np.zeros(models, dtype=np.int64)
    for model in range(1, models):
        starts[model] = starts[model - 1] + 4 * sizes[model - 1]
    counts = np.zeros(starts[-1] + 4 * sizes[-1], dtype=np.uint16)
    steps = np.where(orders >= 11, 16, np.where(orders >= 9, 4, 1))
    weights = np.full(models, 1.0 / models)
    forward = np.zeros(models, dtype=np.int64)
    inverted = np.zeros(models, dtype=np.int64)
    chances = np.zeros((models, 4))
    bits = 0.0
    for position in range(len(sequence)):
        symbol = sequence[position]
        for model in range(models):
            place = starts[model] + 4 * forward[model]
            total = 0.0
            for base in range(4):
                chances[model, base] = steps[model] * counts[place + base] + 1.0
                total += chances[model, base]
            for base in range(4):
                chances[model, base] /= total
        mixed, norm = 0.0, 0.0
        for model in range(models):
            mixed += weights[model] * chances[model, symbol]
        if position >= first:
            bits -= np.log2(mixed)
        for model in range(models):
            weights[model] = weights[model] ** gamma * chances[model, symbol]
            norm += weights[model]
        for model in range(models):
            weights[model] /= norm
            order = orders[model]
            _raise(counts, starts[model] + 4 * forward[model], symbol)
            forward[model] = (forward[model] * 4 + symbol) % sizes[model]
            # The other strand reads the complements of this base and those before it, and then that of one more.
            inverted[model] = inverted[model] // 4 + (3 - symbol) * (sizes[model] // 4)
            if position >= order:
                _raise(counts, starts[model] + 4 * inverted[model], 3 - sequence[position - order])
    return bits


@numba.njit(cache=True)
def _raise(counts, place, symbol):
    counts[place + symbol] += 1
    if counts[place + symbol] >= 60000:
        for base in range(4):
            counts[place + base] //= 2
