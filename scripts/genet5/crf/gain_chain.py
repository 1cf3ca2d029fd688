"""The legal chain of genes with the highest sum of gains, each exon and each whole gene having its own.

The exons on offer are given, in the order of their ends. A chain takes some of them and joins them to genes. An exon
gains what it gains wherever it stands. Each gene costs the same, and genes that are listed gain something on top.
Introns keep their limits, their dinucleotides, the reading frame, and no stop codon is split by one. Genes follow each
other as in ``best_chain.py``. The best chain is exact, by dynamic programming over exons.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

NONE = -1
FIRST, INNER, CUT = range(3)  # left sides of an exon: it has the start codon, follows an intron, or the edge cuts it
LAST, SPLICED = 0, 1  # right sides: it has the stop codon, an intron follows, or CUT
BEGIN, END, LEFT, RIGHT, POSITION = range(5)  # columns of exons; the codon position of the first base


class Room(NamedTuple):
    """Limits of genes, in bases; ``least_exon_bp``: of exons that an intron follows."""

    min_gene_bp: int
    least_exon_bp: int
    min_intron_bp: int
    max_intron_bp: int
    max_overlap_bp: int


class Listed(NamedTuple):
    """Genes that gain something on top. exons: int64, their exons one gene after the other. first: int64 [genes + 1].

    opened: bool [genes], that nothing precedes it (the 5' edge cuts it); closed: that nothing follows. gains: [genes].
    Genes come in the order of their ends.
    """

    exons: np.ndarray
    first: np.ndarray
    opened: np.ndarray
    closed: np.ndarray
    gains: np.ndarray


@numba.njit(cache=True, nogil=True)
def may_join(one, other, codes, stops, donors, acceptors, min_intron_bp, max_intron_bp):
    """Whether an intron may stand between two exons. stops: bool [65]; donors, acceptors: bits as in ``Marks``."""
    donor, acceptor = one[END], other[BEGIN]
    length, missing = acceptor - donor, (one[POSITION] + one[END] - one[BEGIN]) % 3
    if length < min_intron_bp or length > max_intron_bp or missing != other[POSITION]:
        return False
    if not donors[donor] & acceptors[acceptor]:
        return False
    if missing == 0:
        return True
    if other[END] - acceptor < 3 - missing:  # the codon would span three exons
        return False
    if missing == 1:
        first, second, third = codes[donor - 1], codes[acceptor], codes[acceptor + 1]
    else:
        first, second, third = codes[donor - 2], codes[donor - 1], codes[acceptor]
    if first > 3 or second > 3 or third > 3:
        return True
    return not stops[16 * first + 4 * second + third]


@numba.njit(cache=True, nogil=True)
def _prior(begin, end, closing, closed_at, tail, best, count, max_overlap_bp):
    """(value, number) of the best chain of closed genes that a gene may follow; 0 and none at least.

    closing: values. closed_at: ends, ascending. tail: bases of the last exon. best: number of the best one up to each.
    """
    last = np.searchsorted(closed_at[:count], begin, side="right") - 1
    value, number = 0.0, NONE
    if last >= 0 and closing[best[last]] > value:
        value, number = closing[best[last]], best[last]
    for other in range(last + 1, count):
        shared = closed_at[other] - begin
        if shared > max_overlap_bp or closed_at[other] >= end:
            break
        if tail[other] >= max_overlap_bp + shared and closing[other] > value:
            value, number = closing[other], other
    return value, number


@numba.njit(cache=True, nogil=True)
def best_by_gains(exons, gains, gene_gain, listed, room, size, codes, stops, donors, acceptors):
    """Exons of the best chain, the last one first: rows of int64 [N, 2], number of an exon and whether it ends a gene.

    exons: int64 [E, 5], ends ascending. gains: float64 [E]. gene_gain: of each gene, minus its cost. Also returned: the
    sum of gains, which is never below 0, the worth of no gene at all.
    """
    of_exons, first, opened, final, extra = listed
    min_gene_bp, least_exon_bp, min_intron_bp, max_intron_bp, max_overlap_bp = room
    number_of, genes = len(exons), len(first) - 1
    grown = np.full(number_of, -np.inf)  # the best chain whose open gene has come to the exon
    whole = np.zeros(number_of, np.bool_)  # that gene may close here whatever its length
    back, before = np.full(number_of, NONE), np.full(number_of, NONE)
    most = number_of + genes + 1
    closing, closed_at, tail = np.empty(most), np.empty(most, np.int64), np.empty(most, np.int64)
    best, by = np.empty(most, np.int64), np.empty((most, 3), np.int64)  # exon, gene, closing before
    count, gene = 0, 0
    end_value, end_exon, end_gene, end_before = 0.0, NONE, NONE, NONE  # of chains that nothing may follow
    for number in range(number_of):
        one = exons[number]
        begin, end = one[BEGIN], one[END]
        if one[LEFT] == FIRST:
            value, prior = _prior(begin, end, closing, closed_at, tail, best, count, max_overlap_bp)
            grown[number], before[number] = value + gene_gain + gains[number], prior
            whole[number] = one[RIGHT] != LAST or end - begin >= min_gene_bp
        else:
            whole[number] = True
            if one[LEFT] == CUT or begin <= max_intron_bp:
                grown[number] = gene_gain + gains[number]
            if one[LEFT] == INNER:
                other = np.searchsorted(exons[:number, END], begin - max_intron_bp, side="left")
                while other < number and exons[other, END] <= begin - min_intron_bp:
                    value = grown[other] + gains[number]
                    if (
                        exons[other, RIGHT] == SPLICED
                        and value > grown[number]
                        and may_join(exons[other], one, codes, stops, donors, acceptors, min_intron_bp, max_intron_bp)
                    ):
                        grown[number], back[number] = value, other
                    other += 1
        if one[RIGHT] == SPLICED and end - begin < least_exon_bp:
            grown[number] = -np.inf
        if one[RIGHT] == LAST:
            if whole[number] and grown[number] > -np.inf:
                closing[count], closed_at[count], tail[count] = grown[number], end, end - begin
                by[count, 0], by[count, 1], by[count, 2] = number, NONE, NONE
                best[count] = count
                if count and closing[best[count - 1]] >= closing[count]:
                    best[count] = best[count - 1]
                count += 1
        elif (one[RIGHT] == CUT or size - end <= max_intron_bp) and grown[number] > end_value:
            end_value, end_exon, end_gene = grown[number], number, NONE
        while gene < genes and of_exons[first[gene + 1] - 1] == number:
            start = exons[of_exons[first[gene]]]
            value, prior = 0.0, NONE
            if not opened[gene]:
                value, prior = _prior(start[BEGIN], end, closing, closed_at, tail, best, count, max_overlap_bp)
            value += gene_gain + extra[gene]
            for member in of_exons[first[gene] : first[gene + 1]]:
                value += gains[member]
            if final[gene]:
                if value > end_value:
                    end_value, end_exon, end_gene, end_before = value, NONE, gene, prior
            else:
                closing[count], closed_at[count], tail[count] = value, end, end - begin
                by[count, 0], by[count, 1], by[count, 2] = NONE, gene, prior
                best[count] = count
                if count and closing[best[count - 1]] >= closing[count]:
                    best[count] = best[count - 1]
                count += 1
            gene += 1
    # -- which exons these are
    chosen, taken = np.empty((number_of + len(of_exons) + 1, 2), np.int64), 0
    closed, exon, of_gene, prior, total = NONE, end_exon, end_gene, end_before, end_value
    if count and closing[best[count - 1]] > end_value:
        closed, total = best[count - 1], closing[best[count - 1]]
        exon, of_gene, prior = by[closed, 0], by[closed, 1], by[closed, 2]
    while exon != NONE or of_gene != NONE:
        ends = 1
        if of_gene != NONE:
            for place in range(first[of_gene + 1] - 1, first[of_gene] - 1, -1):
                chosen[taken, 0], chosen[taken, 1] = of_exons[place], ends
                taken, ends = taken + 1, 0
        else:
            while exon != NONE:
                chosen[taken, 0], chosen[taken, 1] = exon, ends
                prior = before[exon]
                exon, taken, ends = back[exon], taken + 1, 0
        exon = of_gene = NONE
        if prior != NONE:
            exon, of_gene, prior = by[prior, 0], by[prior, 1], by[prior, 2]
    return chosen[:taken], total
