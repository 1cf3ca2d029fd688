"""The quick run of the fuzzer, and what it takes for a failure."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genet5.errors import InputError

QUICK = 2000
# Under a name of its own: benchmarks/run.py is another run.
_SPEC = importlib.util.spec_from_file_location("fuzz_run", Path(__file__).with_name("run.py"))
fuzzer = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fuzzer)


def test_damaged_files_are_accepted_or_refused_in_one_line(repository: Path, tmp_path: Path) -> None:
    """In a process of its own: its memory is limited."""
    words = [sys.executable, "tests/fuzz/run.py", "--cases", str(QUICK), "--failures", str(tmp_path / "failures")]
    done = subprocess.run(words, cwd=repository, capture_output=True, text=True)
    if done.returncode == 2 and done.stdout.startswith("not run:"):
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [cell.strip() for cell in done.stdout.splitlines()[-1].strip("| ").split("|")]
    assert counts[:2] == ["**all**", str(QUICK)] and counts[4:] == ["0"] * 5
    assert min(int(counts[2]), int(counts[3])) > QUICK // 20, "some are refused, some accepted"


def refuse(_: Path) -> None:
    raise InputError("line 3: too short")


def refuse_in_two_lines(_: Path) -> None:
    raise InputError("line 3\ntoo short")


def break_an_invariant(_: Path) -> None:
    raise AssertionError("ids repeat")


def wait_for_ever(_: Path) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (str, "accepted"),
        (refuse, "refused"),
        (refuse_in_two_lines, "several lines"),
        (break_an_invariant, "invariant"),
        (int, "traceback"),
        (wait_for_ever, "hang"),
        (lambda _: bytearray(1 << 60), "memory"),
    ],
)
def test_each_outcome_is_told_apart(
    read: Callable[[Path], object], outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzzer, "LIMIT_S", 0.05)
    reader = fuzzer.Reader("x", b"1", (), read)
    assert fuzzer.read_once(reader, tmp_path / "x")[0] == outcome
