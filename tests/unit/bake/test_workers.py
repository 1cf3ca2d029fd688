"""Tasks on several cores: results in the order of the tasks, one core or many."""

from __future__ import annotations

import os
import time

import pytest

from genet5.bake.workers import map_in_order


def _scaled(shared: int, task: int) -> int:
    time.sleep(0.002 * (task % 3))  # later tasks are done before earlier ones
    return shared * task


def _process(_: None, task: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("threads", [1, 2, 4, 50])
@pytest.mark.parametrize("count", [0, 1, 2, 23])
def test_results_are_in_order(threads: int, count: int) -> None:
    assert list(map_in_order(_scaled, 3, range(count), threads)) == [3 * task for task in range(count)]


def test_other_processes_do_the_work() -> None:
    assert set(map_in_order(_process, None, range(4))) == {os.getpid()}
    assert os.getpid() not in set(map_in_order(_process, None, range(4), 2))
