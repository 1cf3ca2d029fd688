"""Batches: within the budget, complete, the same for the same seed, the right number for the processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.errors import InputError
from genet5.training.sampler import BatchPlan, balanced_repeats


@settings(max_examples=150, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=120),
    budget=st.integers(50, 400),
    rows=st.integers(1, 12),
    multiple=st.integers(1, 9),
    shuffle=st.booleans(),
)
def test_batches_hold_every_sample_once_within_the_budget(lengths, budget, rows, multiple, shuffle):
    plan = BatchPlan(np.array(lengths), budget, rows, seed=3, shuffle=shuffle)
    batches = plan.batches(0, multiple)
    assert len(batches) % multiple == 0
    for batch in batches:
        assert 1 <= len(batch) <= rows
        assert len(batch) * max(lengths[i] for i in batch) <= budget
    seen = np.bincount(np.concatenate(batches), minlength=len(lengths))
    assert (seen >= 1).all()
    assert (seen == 1).all() or max(map(len, batches)) == 1
    once = np.concatenate(plan.batches(0, multiple, repeat=False))
    assert sorted(once.tolist()) == list(range(len(lengths)))


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=120),
    budget=st.integers(100, 600),
    rows=st.integers(1, 12),
    shuffle=st.booleans(),
)
def test_parts_that_are_padded_apart_share_the_budget(lengths, budget, rows, shuffle):
    """A row that is long in one part and a row that is long in the other take the room of both."""
    plan = BatchPlan(np.array(lengths), budget, rows, seed=3, shuffle=shuffle)
    batches = plan.batches(0)
    for batch in batches:
        padded = len(batch) * (max(lengths[i][0] for i in batch) + max(lengths[i][1] for i in batch))
        assert plan.padded_tokens(batch) == padded <= budget
        assert plan.tokens(batch) == sum(sum(lengths[i]) for i in batch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    one_part = BatchPlan(np.array([first for first, _ in lengths]), budget, rows, seed=3, shuffle=shuffle)
    column = BatchPlan(np.array([[first] for first, _ in lengths]), budget, rows, seed=3, shuffle=shuffle)
    for batch, same in zip(one_part.batches(0), column.batches(0), strict=True):
        assert batch.tolist() == same.tolist()


def test_a_budget_is_shared_by_the_parts_of_a_sample():
    plan = BatchPlan(np.array([[30, 2], [4, 28], [31, 1], [2, 30]]), 70, 8, shuffle=False)
    assert [batch.tolist() for batch in plan.batches(0)] == [[0], [1], [2], [3]]
    with pytest.raises(InputError, match="sample 1 has 80 tokens, more than token_budget 70"):
        BatchPlan(np.array([[30, 2], [40, 40]]), 70, 8)


def test_the_plan_depends_on_seed_and_epoch_alone():
    lengths = np.random.default_rng(0).integers(10, 100, 500)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [b.tolist() for b in BatchPlan(lengths, 800, 16, seed=seed).batches(epoch, 4)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_lengths_are_grouped_so_that_padding_is_small_and_neighbours_still_change():
    lengths = np.random.default_rng(0).integers(100, 2000, 4000)
    plan = BatchPlan(lengths, 32_000, 64)
    first, second = plan.batches(0), plan.batches(1)
    assert plan.padding(first) < 0.05
    random_fill = np.array_split(np.random.default_rng(1).permutation(len(lengths)), len(first))
    assert plan.padding(random_fill) > 0.3
    together = {frozenset(b.tolist()) for b in first} & {frozenset(b.tolist()) for b in second}
    assert not together
    # Long and short batches alternate: the first tenth of the epoch has no bias in length.
    tenth = np.concatenate(first[: len(first) // 10])
    assert abs(lengths[tenth].mean() / lengths.mean() - 1) < 0.2


def test_a_sample_over_the_budget_is_an_error_that_names_it_or_a_batch_of_its_own():
    lengths = [10, 90, 10]
    with pytest.raises(InputError, match=r"sample Y_3 has 90 tokens, more than token_budget 64"):
        BatchPlan(np.array(lengths), 64, 8, names=["Y_1", "Y_3", "Y_2"])
    batches = BatchPlan(np.array(lengths), 64, 8, long_alone=True).batches(0)
    assert sorted(sorted(b.tolist()) for b in batches) == [[0, 2], [1]]


def test_no_samples_is_an_error():
    with pytest.raises(InputError, match="no samples"):
        BatchPlan(np.array([], dtype=np.int64), 64, 8)


def test_processes_and_accumulation_with_the_same_product_share_a_plan_and_halves_fill_it_up():
    lengths = np.full(13 * 4, 16)
    plan = BatchPlan(lengths, 64, 8)
    assert len(plan.batches(0)) == 13
    even = plan.batches(0, 2)
    assert len(even) == 14
    assert sorted(len(b) for b in even) == [2, 2] + [4] * 12


def test_fewer_samples_than_batches_needed_are_repeated():
    batches = BatchPlan(np.array([5, 6, 7]), 64, 8).batches(0, 8)
    assert len(batches) == 8
    assert set(np.concatenate(batches).tolist()) == {0, 1, 2}


def test_repeats_are_met_on_average_and_whole_ones_exactly():
    repeats = np.array([2.0, 0.0, 0.25, 1.0])
    plan = BatchPlan(np.array([5, 5, 5, 5]), 10, 2, repeats=repeats)
    counts = np.array([np.bincount(np.concatenate(plan.batches(e)), minlength=4) for e in range(400)])
    assert (counts[:, [0, 1, 3]] == [2, 0, 1]).all()
    assert abs(counts[:, 2].mean() - 0.25) < 0.07
    with pytest.raises(InputError, match="repeats"):
        BatchPlan(np.array([5, 5]), 10, 2, repeats=np.array([1.0, -1.0]))


def test_balanced_repeats_move_shares_between_species_and_keep_the_epoch_long():
    species = ["fly"] * 90 + ["yeast"] * 10
    assert balanced_repeats(species, 1.0) is None is balanced_repeats(["fly"] * 3, 0.0)
    equal = balanced_repeats(species, 0.0)
    assert equal.sum() == pytest.approx(100)
    assert equal[:90].sum() == pytest.approx(50)
    half = balanced_repeats(species, 0.5)
    assert half[:90].sum() / half[90:].sum() == pytest.approx(3.0)


def test_validation_order_has_no_randomness():
    plan = BatchPlan(np.array([9, 3, 7, 3]), 14, 2, shuffle=False, seed=1)
    assert [b.tolist() for b in plan.batches(0)] == [[1, 3], [2], [0]]
    assert [b.tolist() for b in plan.batches(5)] == [[1, 3], [2], [0]]
