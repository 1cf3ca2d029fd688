"""Memory that does not suffice is one line, whoever finds out: Python, numpy, torch, or the command itself."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import numpy as np
import patience
import pytest
import torch

from genet5.device import LEAST_ADDRESSES
from genet5.errors import out_of_memory, run_command

MUCH = 1 << 50  # bytes: more than a process can address


@pytest.mark.parametrize(
    "allocate",
    [lambda: bytearray(MUCH), lambda: np.empty(MUCH, np.uint8), lambda: torch.empty(MUCH, dtype=torch.uint8)],
)
def test_memory_that_does_not_suffice_is_one_line(allocate: Callable[[], object]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_command(allocate)
    message = str(stopped.value.code)
    assert message.startswith("error: not enough memory (") and "ulimit -v" in message
    assert "\n" not in message and len(message) < 300


@pytest.mark.parametrize("error", [RuntimeError("sizes differ"), ValueError("out of memory")])
def test_other_errors_keep_their_traceback(error: Exception) -> None:
    def fail() -> None:
        raise error

    assert not out_of_memory(error)
    with pytest.raises(type(error)):
        run_command(fail)


def test_a_limit_that_no_model_fits_in_is_refused_before_anything_is_read(repository, tmp_path) -> None:
    limit_kib = LEAST_ADDRESSES // 1024 - 1
    limits = (limit_kib * 1024, limit_kib * 1024)
    words = [repository / "scripts/annotate.py", "missing.fa", "--clade", "fungi", "--output", tmp_path / "out"]
    result = patience.run([sys.executable, *words], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limits))
    expected = f"error: not enough memory: ulimit -v is {limit_kib} KiB, needed are at least {limit_kib + 1} KiB\n"
    assert (result.returncode, result.stdout) == (1, expected)
    assert not (tmp_path / "out").exists()
