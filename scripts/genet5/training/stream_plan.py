"""Which samples of streamed shards each process reads in which step: arithmetic on counts, before anything is read.

Everything here depends on the numbers of samples of the shards, the options, the seed and the number of processes
alone. So all processes agree without talking, and a resumed run finds its place.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from genet5.errors import InputError
from genet5.training.sampler import balanced_shares

_ORDER_OF_SHARDS, _ORDER_OF_GROUPS = 0x5A4D, 0x617E  # tell the draws of one seed apart


class Visit(NamedTuple):
    """Samples ``first`` .. ``first + count - 1`` of a shard, by the number of the shard."""

    shard: int
    first: int
    count: int


@dataclass(frozen=True)
class StreamPlan:
    """Epochs over streamed shards, as process ``rank`` of ``processes`` sees them.

    groups: the group (species) of each shard. sizes: its samples, int64 [shards]. rows: samples of a batch, on average
    (1 or more). shuffled: samples that a process holds and shuffles at a time. balance: a group's share of an epoch
    grows as its size ** balance, as with ``balanced_repeats``.

    Shards are handed out to processes once, whole, so that all have about as much to read. A group is an endless stream
    to each process: its own shards of the group, pass after pass, each pass in another order. An epoch takes the next
    part of every stream. Without balancing this is one pass: each sample once an epoch over all processes.
    """

    groups: Sequence[str]
    sizes: np.ndarray
    rows: float
    shuffled: int
    seed: int = 0
    balance: float = 1.0
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", np.asarray(self.sizes, dtype=np.int64))
        if (self.sizes < 1).any():
            raise InputError("a shard without samples: bake again")
        if len(self.sizes) < self.processes:
            raise InputError(
                f"{len(self.sizes)} training shards for {self.processes} processes: each needs one of its own; "
                "start fewer, or bake with a smaller samples_per_shard"
            )

    @property
    def num_samples(self) -> int:
        return int(self.sizes.sum())

    @cached_property
    def names(self) -> list[str]:
        """The groups, each once, in the order of their first shards."""
        return list(dict.fromkeys(self.groups))

    @cached_property
    def repeats(self) -> np.ndarray:
        """How often a sample of each group is expected in an epoch, float64 [groups]."""
        if self.balance == 1:
            return np.ones(len(self.names))
        numbers = np.array([self.names.index(group) for group in self.groups])
        sizes = np.bincount(numbers, weights=self.sizes)
        return balanced_shares(sizes, self.balance) * self.num_samples / sizes

    @cached_property
    def shards(self) -> list[list[list[int]]]:
        """Numbers of the shards of each process and group, [processes][groups]."""
        handed: list[list[list[int]]] = [[[] for _ in self.names] for _ in range(self.processes)]
        sizes = zip(self.groups, self.sizes.tolist(), strict=True)
        weights = [float(self.repeats[self.names.index(group)]) * size for group, size in sizes]
        loads = [(0.0, rank) for rank in range(self.processes)]
        # The heaviest first, each to whom has least: no process gets more than a shard above the mean.
        for shard in sorted(range(len(weights)), key=lambda shard: (-weights[shard], shard)):
            load, rank = loads[0]
            handed[rank][self.names.index(self.groups[shard])].append(shard)
            heapq.heapreplace(loads, (load + weights[shard], rank))
        return [[sorted(of_group) for of_group in of_rank] for of_rank in handed]

    # ---------------------------------------------------------------- numbers of an epoch

    def begins(self, epoch: int, rank: int | None = None) -> np.ndarray:
        """Where an epoch begins in the endless stream of each group, int64 [groups]."""
        held = self.shards[self.rank if rank is None else rank]
        sizes = np.array([sum(int(self.sizes[shard]) for shard in of_group) for of_group in held])
        return np.floor(epoch * self.repeats * sizes).astype(np.int64)

    def draws(self, epoch: int, rank: int | None = None) -> np.ndarray:
        """Samples of each group that a process reads in an epoch, int64 [groups]."""
        return self.begins(epoch + 1, rank) - self.begins(epoch, rank)

    def steps(self, epoch: int, group: int) -> int:
        """Optimizer steps of an epoch with ``group`` batches over all processes; every process has samples in each.

        Raises InputError for a process that would read nothing.
        """
        draws = [int(self.draws(epoch, rank).sum()) for rank in range(self.processes)]
        if min(draws) < 1:
            raise InputError(
                f"process {draws.index(min(draws))} of {self.processes} reads no sample in epoch {epoch + 1}: "
                "start fewer processes"
            )
        return min(math.ceil(sum(draws) / (self.rows * group)), min(draws))

    # ---------------------------------------------------------------- order of an epoch

    def slots(self, epoch: int) -> np.ndarray:
        """The group of each sample that this process reads, in the order of reading: all groups mixed evenly."""
        draws = self.draws(epoch)
        rng = np.random.default_rng([self.seed, epoch, self.rank, _ORDER_OF_GROUPS])
        places = [(np.arange(count) + rng.random(count)) / max(count, 1) for count in draws.tolist()]
        return np.repeat(np.arange(len(draws)), draws)[np.argsort(np.concatenate(places), kind="stable")]

    def visits(self, epoch: int, group: int, skipped: int = 0) -> Iterator[Visit]:
        """The parts of shards that this process reads of a group in an epoch, without the first ``skipped`` samples."""
        at = int(self.begins(epoch)[group]) + skipped
        end = int(self.begins(epoch + 1)[group])
        held = np.array(self.shards[self.rank][group], dtype=np.int64)
        size = int(self.sizes[held].sum())
        while at < end:
            number, place = divmod(at, size)
            order = np.random.default_rng([self.seed, number, group, _ORDER_OF_SHARDS]).permutation(held)
            ends = np.cumsum(self.sizes[order])
            index = int(np.searchsorted(ends, place, side="right"))
            count = min(int(ends[index]) - place, end - at)
            yield Visit(int(order[index]), int(self.sizes[order[index]] - ends[index]) + place, count)
            at += count

    def pools(self, epoch: int, group: int) -> list[tuple[int, int]]:
        """The steps of an epoch, first and one after the last, whose samples are shuffled together."""
        steps = self.steps(epoch, group)
        at_once = max(1, self.shuffled * steps // int(self.draws(epoch).sum()))
        cuts = np.linspace(0, steps, -(-steps // at_once) + 1).round().astype(np.int64).tolist()
        return list(pairwise(cuts))

    def slots_before(self, epoch: int, step: int, group: int) -> int:
        """Samples that this process reads before a step of an epoch."""
        return step * int(self.draws(epoch).sum()) // self.steps(epoch, group)
