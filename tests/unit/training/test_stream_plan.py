"""The plan of a stream: who reads which sample in which step, by arithmetic on counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genet5.errors import InputError
from genet5.training.sampler import balanced_repeats
from genet5.training.stream_plan import StreamPlan
from genet5.training.streaming import stream_plan

GROUPS = ["a", "a", "b", "a", "c", "b"]
SIZES = np.array([10, 10, 7, 4, 3, 5])


def read(plan: StreamPlan, epoch: int) -> list[tuple[int, int]]:
    """(shard, sample) in the order in which the plan's process reads them."""
    streams = [
        iter([(v.shard, v.first + i) for v in plan.visits(epoch, group) for i in range(v.count)])
        for group in range(len(plan.names))
    ]
    found = [next(streams[group]) for group in plan.slots(epoch).tolist()]
    assert all(next(stream, None) is None for stream in streams)
    return found


def all_samples(plan: StreamPlan) -> list[tuple[int, int]]:
    return [(shard, index) for shard, size in enumerate(plan.sizes.tolist()) for index in range(size)]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30)), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(1, 3),
    st.floats(1, 8),
    st.integers(1, 50),
    st.integers(0, 5),
)
def test_every_sample_is_read_once_an_epoch_by_one_process(shards, processes, accumulated, rows, shuffled, epoch):
    groups, sizes = zip(*shards, strict=True)
    if len(shards) < processes:
        with pytest.raises(InputError, match=rf"^{len(shards)} training shards for {processes} processes: each needs"):
            StreamPlan(groups, np.array(sizes), rows, shuffled, processes=processes)
        return
    plan = StreamPlan(groups, np.array(sizes), rows, shuffled, seed=3, processes=processes)
    plans = [replace(plan, rank=rank) for rank in range(processes)]
    parts = [read(one, epoch) for one in plans]
    owners = [{shard for shard, _ in part} for part in parts]
    assert sum(map(len, owners)) == len(set().union(*owners)) == len(shards)  # shards are handed out whole
    assert sorted(sample for part in parts for sample in part) == all_samples(plan)
    group = processes * accumulated
    steps = plan.steps(epoch, group)
    assert steps * rows * group >= sum(sizes) or steps == min(map(len, parts))
    for one, part in zip(plans, parts, strict=True):
        before = [one.slots_before(epoch, step, group) for step in range(steps + 1)]
        assert before[0] == 0 and before[-1] == len(part) and min(np.diff(before)) >= 1
        assert max(np.diff(before)) - min(np.diff(before)) <= 1
        pools = one.pools(epoch, group)
        assert [first for first, _ in pools] + [steps] == [0] + [end for _, end in pools]
        biggest = max(before[end] - before[first] for first, end in pools)
        assert biggest <= max(shuffled, max(np.diff(before))) + max(np.diff(before))


def test_the_load_of_processes_differs_by_a_shard_at_most():
    sizes = np.random.default_rng(0).integers(100, 5000, 40)
    plan = StreamPlan(["a"] * 40, sizes, 1, 10, processes=7)
    loads = [sum(plan.sizes[shard] for group in of_rank for shard in group) for of_rank in plan.shards]
    assert max(loads) - min(loads) <= sizes.max()
    assert max(loads) / np.mean(loads) < 1.1


def test_orders_of_shards_and_groups_change_with_the_epoch_and_the_seed_and_with_nothing_else():
    plan = StreamPlan(GROUPS, SIZES, 1, 10, seed=5)
    first = read(plan, 0)
    assert read(StreamPlan(GROUPS, SIZES, 1, 10, seed=5), 0) == first
    assert read(plan, 1) != first and read(replace(plan, seed=6), 0) != first
    assert {tuple(v.shard for v in plan.visits(epoch, 0)) for epoch in range(80)} == {
        (0, 1, 3), (0, 3, 1), (1, 0, 3), (1, 3, 0), (3, 0, 1), (3, 1, 0)
    }  # fmt: skip


def test_groups_are_mixed_evenly():
    """Of a group with a third of all samples there are never far more or fewer than a third of those so far."""
    plan = StreamPlan(["a", "b"], np.array([2000, 1000]), 1, 10)
    so_far = np.cumsum(plan.slots(0) == 1)
    expected = np.arange(1, 3001) / 3
    assert abs(so_far - expected).max() <= 2


def test_a_part_of_an_epoch_is_read_from_any_place():
    plan = replace(StreamPlan(GROUPS, SIZES, 1, 10, processes=2), rank=1)
    for group in range(3):
        whole = [(v.shard, v.first + i) for v in plan.visits(2, group) for i in range(v.count)]
        for skipped in range(len(whole) + 1):
            rest = [(v.shard, v.first + i) for v in plan.visits(2, group, skipped) for i in range(v.count)]
            assert rest == whole[skipped:]


@pytest.mark.parametrize("balance", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("processes", [1, 3])
def test_shares_of_groups_are_those_of_the_balance(balance: float, processes: int):
    """By hand for sizes 24, 12 and 3: share = size ** balance / their sum; a sample is expected 39 x share / size."""
    shares = np.array([24.0, 12.0, 3.0]) ** balance
    shares /= shares.sum()
    plan = StreamPlan(GROUPS, SIZES, 1, 10, balance=balance, processes=processes)
    assert plan.repeats == pytest.approx(39 * shares / [24, 12, 3])
    groups = [group for group, size in zip(GROUPS, SIZES.tolist(), strict=True) for _ in range(size)]
    local = balanced_repeats(groups, balance) if balance < 1 else np.ones(39)
    assert plan.repeats == pytest.approx([local[groups.index(group)] for group in "abc"])
    epochs = 50
    parts = [read(replace(plan, rank=rank), epoch) for rank in range(processes) for epoch in range(epochs)]
    counted = Counter(GROUPS[shard] for part in parts for shard, _ in part)
    found = np.array([counted[group] for group in "abc"]) / counted.total()
    assert found == pytest.approx(shares, abs=0.002)
    assert counted.total() == pytest.approx(39 * epochs, abs=3 * processes)


def test_a_balanced_group_goes_on_where_the_last_epoch_ended():
    """Samples of a are drawn .75 and of b 1.5 times an epoch: in four epochs each is read three and six times."""
    sizes = np.array([4, 4, 2, 2])  # 8 and 4 samples, so each group has 6 draws an epoch
    plan = StreamPlan(["a", "a", "b", "b"], sizes, 1, 10, balance=0.0)
    assert plan.repeats.tolist() == [0.75, 1.5]
    epochs = [read(plan, epoch) for epoch in range(4)]
    assert [len(epoch) for epoch in epochs] == [12] * 4
    counts = Counter(sample for epoch in epochs for sample in epoch)
    assert {count for (shard, _), count in counts.items() if shard < 2} == {3}
    assert {count for (shard, _), count in counts.items() if shard >= 2} == {6}
    first_pass = [sample for epoch in epochs[:2] for sample in epoch if sample[0] < 2][:8]
    assert sorted(first_pass) == [(shard, index) for shard in (0, 1) for index in range(4)]


def test_no_process_waits_for_another_that_has_read_all():
    plan = StreamPlan(["a", "b"], np.array([1000, 5]), 1, 10, processes=2)
    assert plan.steps(0, 2) == 5  # as many as the process with few samples can take part in


def test_a_process_without_samples_in_an_epoch_is_one_line():
    """Equal shares of one sample of b and five of a: each of the five is drawn .6 times an epoch."""
    plan = StreamPlan(["b", *"aaaaa"], np.ones(6), 1, 10, balance=0.0, processes=6)
    with pytest.raises(InputError, match=r"^process \d of 6 reads no sample in epoch 1: start fewer processes$"):
        plan.steps(0, 6)


@pytest.mark.parametrize(("species", "balance"), [("aaa", 1.0), ("aab", 0.3)])
def test_one_species_is_not_balanced_against_itself(species: str, balance: float) -> None:
    """Then every window comes once an epoch."""
    shards = [SimpleNamespace(species=name, samples=5) for name in species]
    options = SimpleNamespace(shuffle_windows=10, seed=1)
    plan = stream_plan(shards, 1, 0.3, options, SimpleNamespace(global_rank=0, world_size=1))
    assert plan.balance == balance
