"""Batches of a stream: all samples, within the budget, and the same from any step on with any number of workers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from genet5.errors import InputError
from genet5.training.batches import make_in_workers
from genet5.training.stream_plan import StreamPlan
from genet5.training.streaming import StreamSource

GROUPS = ["a", "b", "a", "b", "a"]
SIZES = np.array([40, 25, 33, 7, 50])
BUDGET, ROWS = 120, 8


@dataclass
class Shards:
    """Samples (shard, number) of 4 to 40 tokens, in memory; ``opened``: what was asked for. fails: of this shard."""

    opened: list[tuple[int, int]] = field(default_factory=list)
    fails: int = -1
    ended: list[int] = field(default_factory=list)

    def read(self, shard: int, first: int) -> Iterator[tuple[int, int]]:
        self.opened.append((shard, first))
        for number in range(first, int(SIZES[shard])):
            yield shard, number
        self.ended.append(shard)
        if shard == self.fails:
            raise InputError("its sha256 is another")


def length(sample: tuple[int, int]) -> int:
    return 4 + (7 * sample[0] + 13 * sample[1]) % 37


def make_batch(samples: list, rng: np.random.Generator) -> tuple[list, float]:
    return samples, float(rng.random())


def source(shards: Shards | None = None, plan: StreamPlan | None = None, **changed) -> StreamSource:
    plan = plan or StreamPlan(GROUPS, SIZES, 5.0, 60, seed=1)
    made = StreamSource(
        plan, (shards or Shards()).read, lambda one: (length(one),), make_batch, lambda batch: 0, BUDGET, ROWS
    )
    return replace(made, **changed)


def load(made: StreamSource, epoch: int, group: int = 1, start: int = 0, workers: int = 0) -> list:
    plan, loaded = made.plan, made.epoch(epoch, group)
    return list(loaded.load(range(start + plan.rank, len(loaded), plan.processes), 9, workers))


def samples_of(loaded: list) -> list[tuple[int, int]]:
    return [sample for _, batches in loaded for samples, _ in batches for sample in samples]


@pytest.mark.parametrize(("processes", "accumulated"), [(1, 1), (2, 1), (2, 3), (3, 2)])
def test_batches_have_every_sample_once_keep_the_budget_and_no_step_is_empty(processes, accumulated):
    group, read = processes * accumulated, []
    for rank in range(processes):
        made = source(plan=StreamPlan(GROUPS, SIZES, 5.0, 60, 1, rank=rank, processes=processes))
        loaded = load(made, 0, group)
        assert [position for position, _ in loaded] == list(range(rank, made.num_batches(0, group), processes))
        for first in range(0, len(loaded), accumulated):
            assert any(batches for _, batches in loaded[first : first + accumulated])
        for _, batches in loaded:
            for samples, _ in batches:
                assert len(samples) <= ROWS
                assert len(samples) == 1 or len(samples) * max(map(length, samples)) <= BUDGET
        read += samples_of(loaded)
    assert Counter(read) == Counter((shard, n) for shard, size in enumerate(SIZES.tolist()) for n in range(size))


def test_a_process_with_few_samples_has_some_in_every_step():
    """Six samples for six steps of three positions, while the other process has 30."""
    plan = StreamPlan(["a", "a"], np.array([30, 6]), 1.0, 60, 1, rank=1, processes=2)
    loaded = load(source(plan=plan, max_batch_size=1), 0, 6)
    batches = [sum(len(batches) for _, batches in loaded[first : first + 3]) for first in range(0, 18, 3)]
    assert batches == [1] * 6


def test_samples_are_mixed_over_shards_and_lengths_are_alike_in_a_batch():
    loaded = load(source(), 0)
    batches = [samples for _, batches in loaded for samples, _ in batches]
    assert len({shard for batch in batches[:10] for shard, _ in batch}) >= 2
    padded = sum(len(batch) * max(map(length, batch)) for batch in batches)
    assert 1 - sum(length(one) for batch in batches for one in batch) / padded < 0.15
    order = samples_of(loaded)
    assert order != samples_of(load(source(plan=replace(source().plan, seed=2)), 0)) != samples_of(load(source(), 1))


@pytest.mark.parametrize(("processes", "accumulated"), [(1, 1), (2, 2)])
@pytest.mark.parametrize("balance", [1.0, 0.3])
def test_from_any_step_on_batches_and_their_randomness_are_those_of_an_unbroken_run(processes, accumulated, balance):
    plan = StreamPlan(GROUPS, SIZES, 5.0, 40, 1, balance, processes - 1, processes)
    group = processes * accumulated
    whole = load(source(plan=plan), 3, group)
    for step in range(len(whole) // accumulated + 1):
        shards = Shards()
        assert load(source(shards, plan), 3, group, step * group) == whole[step * accumulated :]
    assert len(shards.opened) == 0  # from the end on there is nothing to read


def test_a_resumed_run_opens_no_shard_that_was_read_before(monkeypatch):
    plan = StreamPlan(["a"] * 5, SIZES, 1.0, 10, seed=1)
    order = [visit.shard for visit in plan.visits(0, 0)]
    shards = Shards()
    load(source(shards, plan, max_batch_size=1), 0, 1, int(SIZES[order[:3]].sum()) + 10)
    assert [shard for shard, _ in shards.opened] == order[3:]


def test_workers_make_the_same_batches():
    assert load(source(), 2, workers=2) == load(source(), 2)


def test_the_end_of_every_shard_is_reached_where_it_is_checked():
    shards = Shards()
    load(source(shards), 0)
    assert sorted(shards.ended) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_goes_wrong_while_reading_or_making_ends_the_run_with_its_line(workers):
    with pytest.raises(InputError, match=r"^its sha256 is another$"):
        load(source(Shards(fails=2)), 0, workers=workers)

    def refuse(samples: list, rng: np.random.Generator) -> None:
        raise InputError("not a sample")

    with pytest.raises(InputError, match=r"^not a sample$"):
        load(source(make_batch=refuse), 0, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_stream_comes_after_what_was_read_before_it(workers):
    """A loader draws some orders while it starts, and an error there would leave it half started."""

    def orders() -> Iterator[int]:
        yield from (1, 2)
        raise InputError("the third is damaged")

    made = make_in_workers(lambda order: 10 * order, orders(), workers)
    assert [next(made), next(made)] == [10, 20]
    with pytest.raises(InputError, match=r"^the third is damaged$"):
        next(made)


def test_reading_runs_ahead_but_not_further_than_it_may_and_ends_with_its_reader():
    read = []

    def watched(shard: int, first: int) -> Iterator[tuple[int, int]]:
        for sample in Shards().read(shard, first):
            read.append(sample)
            yield sample

    plan = StreamPlan(["a"] * 5, SIZES, 1.0, 12, seed=1)
    stream = source(plan=plan, read=watched, max_batch_size=1).epoch(0, 1).load(range(155), 9, 0)
    next(stream)
    deadline = time.monotonic() + 60
    while len(read) < 24 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    assert 24 <= len(read) <= 26  # a pool that is used, one that waits, and one sample in the hand
    stream.close()
    while any(thread.name == "stream" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == "stream"]
    assert len(read) <= 26
