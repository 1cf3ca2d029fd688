"""What counting alone knows of the next base: a Markov chain of one order, and a mixture of all orders up to one.

Contexts are the bases before a base, the oldest first, as a number in base 4. Counts of all orders lie in one array
(`ContextCounts`), so that 12 bases of context take 360 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numba
import numpy as np

PSEUDOCOUNT = 1.0
#: Strengths that an order of the mixture may have; the last one leaves the order out.
STRENGTHS = (*np.geomspace(0.25, 2.0**22, 47).tolist(), float("inf"))
TUNING_PIECE_BP = 5_000
TUNING_EVERY = 10  # one piece in so many tells the strengths
TUNING_BASES = 1_000_000


class ContextCounts:
    """How often each base follows each context of 0 to ``order`` bases."""

    def __init__(self, order: int):
        self.order = order
        self._longest = np.zeros(4 ** (order + 1), dtype=np.uint32)
        self._shorter = np.zeros(_first_cell(order), dtype=np.uint32)  # at the start of a sequence

    def add(self, sequences: Iterable[np.ndarray], both_strands: bool) -> ContextCounts:
        """Count in sequences of base codes 0 to 3 (4: none, a context or base with one is left out)."""
        for codes in sequences:
            for strand in _strands(codes, both_strands):
                _count(np.ascontiguousarray(strand, dtype=np.uint8), self.order, self._longest, self._shorter)
        return self

    def all_orders(self) -> np.ndarray:
        """Counts of order 0, then 1, and so on, float32: 4 cells for each context of each order."""
        cells = np.empty(_first_cell(self.order + 1), dtype=np.float32)
        counts: np.ndarray = self._longest
        for order in range(self.order, -1, -1):
            cells[_first_cell(order) : _first_cell(order + 1)] = counts
            if order:
                # The counts of an order are those of the next one, whatever the oldest base was.
                short = self._shorter[_first_cell(order - 1) : _first_cell(order)]
                counts = counts.reshape(4, -1).sum(0, dtype=np.int64) + short
        return cells


class MarkovChain:
    """Probability of a base after a context of ``order`` bases: its count and 1, of all counts of this context."""

    def __init__(self, order: int):
        self.order = order
        self.counts = [np.full((4**k, 4), PSEUDOCOUNT) for k in range(order + 1)]

    def fit(self, sequences: Iterable[np.ndarray], both_strands: bool = True) -> MarkovChain:
        """Count in sequences of base codes 0 to 3 (4: none, a context or base with one is left out)."""
        return self.take(ContextCounts(self.order).add(sequences, both_strands).all_orders())

    def take(self, cells: np.ndarray) -> MarkovChain:
        """Add counts that are there already, of this order or a higher one (`ContextCounts.all_orders`)."""
        for k, counts in enumerate(self.counts):
            counts += cells[_first_cell(k) : _first_cell(k + 1)].reshape(-1, 4)
        return self

    def bits_per_base(self, windows: np.ndarray) -> float:
        """Mean surprise in bits at bases 1.. of ``windows`` (codes, int64, [windows, length]).

        Only bases of the window are context, as for a network that reads it: the first ones have a shorter one.
        """
        cells = np.concatenate([counts.ravel() for counts in self.counts])
        surprises = []
        for seen, total, depth in _looked_up(cells, windows, self.order):
            rows = np.arange(len(depth))
            surprises.append(-np.log2(seen[rows, depth] / total[rows, depth]))
        return float(np.concatenate(surprises).mean())


class MarkovMixture:
    """Orders 0 to ``order`` together: each leans on the one below it where its context was seldom seen.

    p_k(base) = (count_k(base) + s_k p_(k-1)(base)) / (count_k + s_k), and p_(-1) = 1/4: the hierarchy of Dirichlet
    priors of MacKay and Peto (1995). An infinite strength s_k leaves order k out. One piece in ten of the training DNA
    is not counted at first and tells the strengths, order by order from below; then it is counted, too. So nothing is
    drawn at random, and an order that only memorises is not believed.
    """

    def __init__(self, order: int):
        self.order = order
        self.strengths = [float("inf")] * (order + 1)
        self.cells = np.zeros(_first_cell(order + 1), dtype=np.float32)

    def fit(self, sequences: Sequence[np.ndarray], both_strands: bool = True) -> MarkovMixture:
        """Choose the strengths and count, in sequences of base codes 0 to 3 (4: none)."""
        counts, pieces = ContextCounts(self.order), _tuning_pieces(sequences)
        counts.add((_without(*pair) for pair in zip(sequences, pieces, strict=True)), both_strands)
        kept = [sequence[a:b] for sequence, spans in zip(sequences, pieces, strict=True) for a, b in spans]
        self.cells = counts.all_orders()
        self.strengths = self._tuned(kept)
        self.cells = counts.add(kept, both_strands).all_orders()
        return self

    def bits_per_base(self, windows: np.ndarray) -> float:
        """Mean surprise in bits at bases 1.. of ``windows`` (codes, int64, [windows, length]); see `MarkovChain`."""
        surprises = []
        for seen, total, depth in _looked_up(self.cells, windows, self.order):
            chances = np.full(len(depth), 0.25)
            for order, strength in enumerate(self.strengths):
                known = depth >= order
                chances[known] = _mixed(seen[known, order], total[known, order], chances[known], strength)
            surprises.append(-np.log2(chances))
        return float(np.concatenate(surprises).mean())

    def _tuned(self, pieces: Sequence[np.ndarray]) -> list[float]:
        """The strength of each order that serves these pieces best, given those of the orders below."""
        step = max(1, sum(map(len, pieces)) // TUNING_BASES)
        parts = [found for piece in pieces[::step] for found in _looked_up(self.cells, piece[None], self.order)]
        seen, total, depth = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        chances, strengths = np.full(len(depth), 0.25), []
        for order in range(self.order + 1):
            known = depth >= order
            counts = seen[known, order], total[known, order]
            bits = [-np.log2(_mixed(*counts, chances[known], strength)).sum() for strength in STRENGTHS]
            strengths.append(STRENGTHS[int(np.argmin(bits))])
            chances[known] = _mixed(*counts, chances[known], strengths[-1])
        return strengths


def _mixed(seen: np.ndarray, total: np.ndarray, below: np.ndarray, strength: float) -> np.ndarray:
    return below if strength == float("inf") else (seen + strength * below) / (total + strength)


def _first_cell(order: int) -> int:
    """Where the counts of an order begin, behind those of all lower ones."""
    return (4 ** (order + 1) - 4) // 3


def _strands(codes: np.ndarray, both: bool) -> Iterator[np.ndarray]:
    yield codes
    if both:
        yield np.where(codes < 4, 3 - codes, 4)[::-1]


def _tuning_pieces(sequences: Sequence[np.ndarray]) -> list[list[tuple[int, int]]]:
    """Spans of each sequence that tell the strengths: every tenth piece, of a short corpus of shorter pieces."""
    total = sum(map(len, sequences))
    length = max(1, min(TUNING_PIECE_BP, total // (2 * TUNING_EVERY)))
    spans, number = [], 0
    for sequence in sequences:
        found = []
        for start in range(0, len(sequence), length):
            number += 1
            if number % TUNING_EVERY == 0:
                found.append((start, min(start + length, len(sequence))))
        spans.append(found)
    return spans


def _without(codes: np.ndarray, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """``codes`` with unknown bases in these spans."""
    kept = np.array(codes, dtype=np.uint8)
    for start, end in spans:
        kept[start:end] = 4
    return kept


def _looked_up(
    cells: np.ndarray, windows: np.ndarray, order: int, rows: int = 1000
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of bases 1.. of windows, ``rows`` windows at a time: counts of the base and of all bases after its context, for
    each order, [bases, order + 1]; and the bases of its context, [bases].

    Left out are unknown bases, and those with an unknown one in their context.
    """
    for first in range(0, len(windows), rows):
        yield _look_up(cells, np.ascontiguousarray(windows[first : first + rows], dtype=np.uint8), order)


@numba.njit(cache=True)
def _count(codes, order, longest, shorter):
    contexts = 4**order
    context, known = 0, 0
    for code in codes:
        if code > 3:
            context, known = 0, 0
            continue
        if known == order:
            longest[4 * context + code] += 1
        else:
            shorter[(4 ** (known + 1) - 4) // 3 + 4 * context + code] += 1
            known += 1
        context = (4 * context + code) % contexts


@numba.njit(cache=True)
def _look_up(cells, windows, order):
    rows, length = windows.shape
    seen = np.zeros((rows * length, order + 1), dtype=np.float32)
    total = np.zeros((rows * length, order + 1), dtype=np.float32)
    depth = np.zeros(rows * length, dtype=np.int64)
    found = 0
    for row in range(rows):
        context, known = 0, 0
        for position in range(length):
            code = windows[row, position]
            if code > 3:
                context, known = 0, 0
                continue
            if position and known == min(position, order):
                depth[found] = known
                for k in range(known + 1):
                    first = (4 ** (k + 1) - 4) // 3 + 4 * (context % 4**k)
                    seen[found, k] = cells[first + code]
                    total[found, k] = cells[first] + cells[first + 1] + cells[first + 2] + cells[first + 3]
                found += 1
            known = min(known + 1, order)
            context = (4 * context + code) % 4**order
    return seen[:found], total[:found], depth[:found]
