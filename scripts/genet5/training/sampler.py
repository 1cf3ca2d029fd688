"""Which samples make which batch: a plan that depends on seed and epoch alone, the same on every process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genet5.errors import InputError

POOL_BATCHES = 50  # samples of about this many batches are sorted by length together: little padding, still random


@dataclass(frozen=True)
class BatchPlan:
    """Batches within a token budget.

    Args:
        lengths: tokens of each sample (int64, shape [samples], or [samples, parts] if its parts are padded apart).
        token_budget: rows x longest row of a batch, at most; with parts, rows x the sum of the longest of each part.
        max_batch_size: rows of a batch, at most.
        seed: with the epoch, decides the order.
        repeats: how often each sample is expected in an epoch (float64, [samples]); None: once. A value of 2.3 means
            twice, and a third time in 30 % of the epochs. `balanced_repeats` makes them for species.
        names: names of the samples for messages; their index otherwise.
        long_alone: a sample longer than the budget makes a batch of its own; else it is an InputError.
        shuffle: False keeps the given order of batches and drops randomness (validation).
    """

    lengths: np.ndarray
    token_budget: int
    max_batch_size: int
    seed: int = 0
    repeats: np.ndarray | None = None
    names: Sequence[str] | None = None
    long_alone: bool = False
    shuffle: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "lengths", np.asarray(self.lengths, dtype=np.int64))
        if self.lengths.ndim not in (1, 2) or self.lengths.size == 0:
            raise InputError("no samples to make batches of: the list of lengths is empty")
        totals = self._totals
        if totals.min() < 1:
            raise InputError(f"sample {self._name(int(totals.argmin()))} has no tokens")
        longest = int(totals.argmax())
        if totals[longest] > self.token_budget and not self.long_alone:
            raise InputError(
                f"sample {self._name(longest)} has {totals[longest]} tokens, more than token_budget "
                f"{self.token_budget}: raise token_budget or bake shorter windows"
            )
        if self.repeats is not None:
            repeats = np.asarray(self.repeats, dtype=np.float64)
            if repeats.shape != totals.shape or not np.isfinite(repeats).all() or (repeats < 0).any():
                raise InputError("repeats need one finite number >= 0 for each sample")
            object.__setattr__(self, "repeats", repeats)

    def batches(self, epoch: int, multiple_of: int = 1, repeat: bool = True) -> list[np.ndarray]:
        """The batches of an epoch: arrays of sample indices, shape [rows].

        Their number is a multiple of ``multiple_of`` (the batches of a step), so that processes take
        the same number of steps. To get there the fullest batches are halved; no sample is dropped. Only when
        every batch has one row already are batches repeated, and with ``repeat=False`` not even then.
        """
        rng = np.random.default_rng([self.seed, epoch, 0x5A3B1E])
        order = self._order(rng)
        batches = self._fill(order)
        if self.shuffle:
            batches = [batches[i] for i in rng.permutation(len(batches))]
        return self._complete(batches, multiple_of, repeat)

    def tokens(self, batch: np.ndarray) -> int:
        """Tokens of a batch without padding."""
        return int(self.lengths[batch].sum())

    def padded_tokens(self, batch: np.ndarray) -> int:
        """Tokens of a batch with padding: what the budget limits."""
        return len(batch) * int(self._parts[batch].max(axis=0).sum())

    def padding(self, batches: list[np.ndarray]) -> float:
        """Share of padding in batches: 0 for none."""
        return 1 - sum(map(self.tokens, batches)) / sum(map(self.padded_tokens, batches))

    @property
    def _parts(self) -> np.ndarray:
        """Lengths, [samples, parts]."""
        return self.lengths.reshape(len(self.lengths), -1)

    @property
    def _totals(self) -> np.ndarray:
        return self._parts.sum(axis=1)

    def _name(self, index: int) -> str:
        return str(self.names[index]) if self.names is not None else str(index)

    def _order(self, rng: np.random.Generator) -> np.ndarray:
        """Sample indices in random order, sorted by length inside pools."""
        order = np.arange(len(self.lengths))
        if self.repeats is not None:
            whole = np.floor(self.repeats)
            counts = whole + (rng.random(len(order)) < self.repeats - whole)
            order = np.repeat(order, counts.astype(np.int64))
            if len(order) == 0:
                order = np.array([int(self.repeats.argmax())])
        if not self.shuffle:
            return order[np.argsort(self._totals[order], kind="stable")]
        order = rng.permutation(order)
        totals = self._totals[order]
        rows = np.clip(self.token_budget / totals.mean(), 1, self.max_batch_size)
        pool = np.arange(len(order)) // max(1, round(POOL_BATCHES * rows))
        return order[np.lexsort((totals, pool))]

    def _fill(self, order: np.ndarray) -> list[np.ndarray]:
        """Cut the order into runs within the budget and the number of rows."""
        cuts, start, longest = [], 0, [0] * self._parts.shape[1]
        for i, parts in enumerate(self._parts[order].tolist()):
            rows, widest = i - start + 1, list(map(max, longest, parts))
            if rows > 1 and (rows > self.max_batch_size or rows * sum(widest) > self.token_budget):
                cuts.append(i)
                start, widest = i, parts
            longest = widest
        return np.split(order, cuts)

    def _complete(self, batches: list[np.ndarray], multiple_of: int, repeat: bool) -> list[np.ndarray]:
        """Halve the fullest batches until the number is a multiple, see `batches`."""
        missing = -len(batches) % multiple_of
        while missing:
            rows = np.array([len(batch) for batch in batches])
            # Each halving adds one batch, so one round over the fullest batches is often enough.
            fullest = np.argsort(-rows, kind="stable")[:missing]
            fullest = set(fullest[rows[fullest] > 1].tolist())
            if not fullest:
                return batches + [batches[i % len(batches)] for i in range(missing if repeat else 0)]
            halves = [np.array_split(b, 2) if i in fullest else [b] for i, b in enumerate(batches)]
            batches = [half for pair in halves for half in pair]
            missing -= len(fullest)
        return batches


def balanced_repeats(groups: Sequence[str], power: float) -> np.ndarray | None:
    """Repeats that give a group (a species) a share of the epoch that grows as its size ** ``power``.

    0 gives all groups the same share; the length of the epoch stays. Shape [samples]. With 1, and for a single group,
    there are none: every sample comes once.
    """
    _, inverse, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if power == 1 or len(sizes) == 1:
        return None
    return (balanced_shares(sizes, power) * len(inverse) / sizes)[inverse]


def balanced_shares(sizes: np.ndarray, power: float) -> np.ndarray:
    """The share of an epoch that groups of these sizes have, float64 [groups]: it grows as size ** ``power``."""
    share = np.asarray(sizes).astype(np.float64) ** power
    return share / share.sum()
