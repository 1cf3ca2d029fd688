"""Tasks on several cores: results in the order of the tasks, one core or many."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import bake_shards
from genet5.bake.workers import map_in_order
from genet5.errors import InputError


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


def test_no_thread_at_all_is_refused(tmp_path: Path) -> None:
    named = {"species": "x", "genome": "none", "annotation": "none", "clade": "fungi", "split": "train"}
    numbers = {"genetic-code": 1, "window-bp": 600, "stride-bp": 300, "threads": 0}
    flags = [f"--{name}={value}" for name, value in (named | numbers).items()]
    with pytest.raises(InputError, match="--threads: 0, must be at least 1"):
        bake_shards.main([*flags, f"--output-dir={tmp_path / 'baked'}"])
    assert not list(tmp_path.iterdir())
