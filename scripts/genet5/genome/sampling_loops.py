"""Loops that draw DNA base by base: compiled by numba, since each base depends on the ones before it."""

from __future__ import annotations

import numba
import numpy as np

NO_STOPS = np.zeros(64, dtype=np.bool_)
"""Codons that must not occur, where there are none."""


@numba.njit(cache=True)
def fill_markov(out, start, table, phase, stops, draws):
    """Fill ``out[start : start + len(draws)]`` from a Markov model of any order.

    ``table`` [planes, 4 ** k, 4]: with three planes, plane ``(phase + i) % 3`` serves base i; it is the codon position.
    The k bases before ``start`` are the first context; those that are missing count as A. ``stops`` [64]: codons that
    get probability 0 where a base at codon position 2 would end them. ``draws``: one number of [0, 1) for each base.
    """
    planes, contexts = table.shape[0], table.shape[1]
    order = 0
    while 4**order < contexts:
        order += 1
    context = 0
    for place in range(max(0, start - order), start):
        context = (context * 4 + out[place]) % contexts
    weights = np.empty(4)
    for index in range(len(draws)):
        place = start + index
        codon_position = (phase + index) % 3
        plane = codon_position if planes == 3 else 0
        total = 0.0
        for base in range(4):
            weight = table[plane, context, base]
            if codon_position == 2 and place >= 2 and stops[16 * out[place - 2] + 4 * out[place - 1] + base]:
                weight = 0.0
            weights[base] = weight
            total += weight
        left = draws[index] * total
        chosen = -1
        for base in range(4):
            if weights[base] > 0:
                chosen = base
                left -= weights[base]
                if left < 0:
                    break
        out[place] = chosen
        context = (context * 4 + chosen) % contexts


@numba.njit(cache=True)
def fill_motif(out, start, table, first, draws):
    """Fill ``out[start : start + len(draws)]`` with the positions of a motif from position ``first`` on.

    ``table`` [width, 4 ** k, 4]: each position has its own Markov model of order k.
    """
    contexts = table.shape[1]
    order = 0
    while 4**order < contexts:
        order += 1
    context = 0
    for place in range(max(0, start - order), start):
        context = (context * 4 + out[place]) % contexts
    for index in range(len(draws)):
        left = draws[index]
        chosen = 3
        for base in range(4):
            left -= table[first + index, context, base]
            if left < 0:
                chosen = base
                break
        out[start + index] = chosen
        context = (context * 4 + chosen) % contexts


@numba.njit(cache=True)
def has_stop(coding, first, end, stops):
    """Whether a codon of ``coding`` that ends in ``[first, end)`` is among ``stops`` [64]; frame 0 begins at base 0."""
    for place in range(first, end):
        if place % 3 == 2 and stops[16 * coding[place - 2] + 4 * coding[place - 1] + coding[place]]:
            return True
    return False
