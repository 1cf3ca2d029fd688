"""An order-k Markov chain of bases: what counting alone knows of the next base."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

PSEUDOCOUNT = 1.0


class MarkovChain:
    """Counts of the base that follows each context of 0 to ``order`` bases; pseudocount 1 per base."""

    def __init__(self, order: int):
        self.order = order
        self.counts = [np.full((4**k, 4), PSEUDOCOUNT) for k in range(order + 1)]

    def fit(self, sequences: Iterable[np.ndarray], both_strands: bool = True) -> MarkovChain:
        """Count in sequences of base codes 0 to 3 (4: none, a context or base with one is left out)."""
        for codes in sequences:
            strands = [codes] + ([np.where(codes < 4, 3 - codes, 4)[::-1]] if both_strands else [])
            for strand in strands:
                for k in range(self.order + 1):
                    contexts, bases = _contexts(strand[None], k)
                    known = (contexts >= 0) & (bases < 4)
                    pairs = contexts[known] * 4 + bases[known]
                    self.counts[k] += np.bincount(pairs, minlength=4 ** (k + 1)).reshape(-1, 4)
        return self

    def bits_per_base(self, windows: np.ndarray) -> float:
        """Mean surprise in bits at bases 1.. of ``windows`` (codes, int64, [windows, length]).

        Only bases of the window are context, as for a network that reads it: the first ones have a shorter one.
        """
        total, count = 0.0, 0
        for position in range(1, windows.shape[1]):
            k = min(position, self.order)
            chances = self.counts[k] / self.counts[k].sum(axis=1, keepdims=True)
            contexts, bases = _contexts(windows[:, position - k : position + 1], k)
            known = (contexts[:, 0] >= 0) & (bases[:, 0] < 4)
            total -= np.log2(chances[contexts[known, 0], bases[known, 0]]).sum()
            count += int(known.sum())
        return total / count


def _contexts(codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the ``k`` bases before each base from the k-th on (-1: not all known), and that base."""
    length = codes.shape[1] - k
    contexts = np.zeros((codes.shape[0], length), dtype=np.int64)
    for offset in range(k):
        base = codes[:, offset : offset + length]
        contexts = np.where((contexts < 0) | (base > 3), -1, contexts * 4 + base)
    return contexts, codes[:, k:]
