"""Batches made of streamed samples: shuffled in pools, within a token budget, with exact resume at every step."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from genet5.bake.streamed_shards import StreamedShard
from genet5.training.batches import batch_seed, make_in_workers
from genet5.training.fabric import Fabric
from genet5.training.options import ReadingOptions
from genet5.training.sampler import BatchPlan
from genet5.training.stream_plan import StreamPlan

Raw = Any
"""A sample as it is read, which can be sent to another process."""


def stream_plan(
    shards: Sequence[StreamedShard], rows: float, balance: float, options: ReadingOptions, fabric: Fabric
) -> StreamPlan:
    """The plan of this process for shards; rows: samples of a batch on average, balance: of species."""
    species = [shard.species for shard in shards]
    return StreamPlan(
        species,
        np.array([shard.samples for shard in shards]),
        rows,
        options.shuffle_windows,
        options.seed,
        balance if len(set(species)) > 1 else 1.0,
        fabric.global_rank,
        fabric.world_size,
    )


@dataclass(frozen=True)
class StreamSource:
    """Samples to train on that can be read only in order.

    read(shard, first): the samples of a shard, by its number in the plan, from number ``first`` on. lengths(raw):
    tokens of a sample, one number for each part that is padded apart. make_batch(raws, rng): a batch; all its
    randomness has to come from ``rng``, which depends on seed, epoch and position only. token_budget: rows x longest
    row of a batch at most, 0: any. max_batch_size: rows of a batch at most. count_tokens(batch): tokens without
    padding.
    """

    plan: StreamPlan
    read: Callable[[int, int], Iterator[Raw]]
    lengths: Callable[[Raw], Sequence[int]]
    make_batch: Callable[[list[Raw], np.random.Generator], Any]
    count_tokens: Callable[[Any], int]
    token_budget: int
    max_batch_size: int

    @property
    def num_samples(self) -> int:
        return self.plan.num_samples

    def num_batches(self, epoch: int, group: int) -> int:
        return self.plan.steps(epoch, group) * group

    def epoch(self, epoch: int, group: int) -> StreamedEpoch:
        return StreamedEpoch(self, epoch, group)

    def read_by(self, processes: int) -> StreamSource:
        """Shards stay with the readers that the run began with; each process has the readers whose batches it takes."""
        return replace(self, plan=replace(self.plan, rank=0, processes=processes))

    def reader(self, rank: int) -> StreamSource:
        """The source as one of its readers has it."""
        return replace(self, plan=replace(self.plan, rank=rank))


@dataclass(frozen=True)
class StreamedEpoch:
    """The batches of one epoch of a stream.

    A step takes the same number of samples in every epoch, whatever their lengths. Its ``group`` positions have the
    batches that these samples make within the budget: mostly one each, sometimes none or two.
    """

    source: StreamSource
    number: int
    group: int

    def __len__(self) -> int:
        return self.source.num_batches(self.number, self.group)

    def parts(self, loaded: Sequence[Any]) -> Sequence[Any]:
        return loaded

    def tokens(self, batch: Any, position: int) -> int:
        return self.source.count_tokens(batch)

    def load(self, positions: range, seed: int, num_workers: int) -> Iterator[tuple[int, list[Any]]]:
        """Pairs (position, its batches). The stream is read in this process, ahead of need; workers make batches of it.

        Raises:
            InputError: what reading or ``make_batch`` raised.
        """

        def make(order: tuple[int, list[list[Raw]]]) -> tuple[int, list[Any]]:
            position, parts = order
            rng = np.random.default_rng([seed, self.number, position])
            return position, [self.source.make_batch(part, rng) for part in parts]

        if len(positions):
            yield from make_in_workers(make, _Orders(self, positions), num_workers)

    def at(self, positions: range) -> Iterator[tuple[int, list[list[Raw]]]]:
        """Pairs (position, samples of each of its batches), of one reader or, where their number has changed, several.

        A reader that two processes share is read by both, and each leaves out the batches of the other.
        """
        step, readers = positions.start // self.group, self.source.plan.processes
        ranks = sorted({position % readers for position in positions[: self.group]})
        streams = {rank: replace(self, source=self.source.reader(rank)).orders(step) for rank in ranks}
        try:
            for position in positions:
                yield next(order for order in streams[position % readers] if order[0] == position)
        finally:
            for stream in streams.values():
                stream.close()

    def orders(self, first_step: int) -> Iterator[tuple[int, list[list[Raw]]]]:
        """Pairs (position, samples of each of its batches) of this reader, from a step on.

        The pool of that step is read from its start: shards before it are not opened, and samples before it in the same
        shard are passed over.
        """
        plan = self.source.plan
        pools = [pool for pool in enumerate(plan.pools(self.number, self.group)) if pool[1][1] > first_step]
        slot = plan.slots_before(self.number, pools[0][1][0], self.group)
        samples = _read_ahead(self._samples(slot), plan.shuffled)
        try:
            for number, (first, end) in pools:
                before = slot
                slot = plan.slots_before(self.number, end, self.group)
                parts = self._pool(list(islice(samples, slot - before)), number, end - first)
                for step in range(max(first, first_step), end):
                    for index, batches in enumerate(parts[step - first]):
                        yield step * self.group + index * plan.processes + plan.rank, batches
        finally:
            samples.close()

    def _samples(self, slot: int) -> Iterator[tuple[Raw, Sequence[int]]]:
        """Samples of this process with their lengths, from a slot of the epoch on."""
        plan = self.source.plan
        slots = plan.slots(self.number)
        passed = np.bincount(slots[:slot], minlength=len(plan.names)).tolist()
        streams = [self._of_group(group, skipped) for group, skipped in enumerate(passed)]
        try:
            for group in slots[slot:].tolist():
                raw = next(streams[group])
                yield raw, self.source.lengths(raw)
        finally:
            for stream in streams:
                stream.close()

    def _of_group(self, group: int, skipped: int) -> Iterator[Raw]:
        for visit in self.source.plan.visits(self.number, group, skipped):
            shard = self.source.read(visit.shard, visit.first)
            yield from islice(shard, visit.count - 1)
            last = next(shard)
            if visit.first + visit.count == self.source.plan.sizes[visit.shard]:
                # The end of the file is where its checksum is compared: before its last sample is used.
                for _ in shard:
                    pass
            shard.close()
            yield last

    def _pool(self, samples: list[tuple[Raw, Sequence[int]]], number: int, steps: int) -> list[list[list[list[Raw]]]]:
        """A pool as batches: [steps][positions of this process in a step][batches][rows]."""
        source, plan = self.source, self.source.plan
        lengths = np.array([length for _, length in samples], dtype=np.int64)
        budget = source.token_budget or len(lengths) * int(lengths.max(axis=0).sum())
        seed = batch_seed(plan.seed, plan.rank, number)
        batches_of = BatchPlan(lengths, budget, source.max_batch_size, seed, long_alone=True)
        accumulated = self.group // plan.processes
        positions = steps * accumulated
        batches = batches_of.batches(self.number)
        if len(batches) < positions:
            batches = batches_of.batches(self.number, positions, repeat=False)
        found: list[list[list[list[Raw]]]] = [[[] for _ in range(accumulated)] for _ in range(steps)]
        for place, batch in enumerate(batches):
            # Each step gets its first batch before any gets its second: none stays empty.
            rows = [samples[index][0] for index in batch.tolist()]
            found[place % steps][place // steps % accumulated].append(rows)
        return found


@dataclass(frozen=True)
class _Orders:
    """What a loader draws its orders from: it asks for them once its workers have been started."""

    epoch: StreamedEpoch
    positions: range

    def __iter__(self) -> Iterator[tuple[int, list[list[Raw]]]]:
        return self.epoch.at(self.positions)


_END = object()


def _read_ahead(items: Iterator[Any], size: int) -> Iterator[Any]:
    """The items, read by a thread that is up to ``size`` of them ahead; an error in it is raised in its place.

    Closing the iterator closes ``items``, in the thread.
    """
    waiting: queue.Queue[Any] = queue.Queue(size)
    stopped = threading.Event()

    def put(item: Any) -> None:
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    break
            else:
                put(_END)
        except BaseException as error:
            put(error)
        finally:
            items.close()

    threading.Thread(target=work, daemon=True, name="stream").start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
