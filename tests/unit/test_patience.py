"""The helper that runs commands: a slow command is waited for, a stuck one is not."""

from __future__ import annotations

import os
import subprocess
import sys

import patience
import pytest


def test_output_and_status_of_a_command():
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    result = patience.run([sys.executable, "-c", code])
    assert result.returncode == 3 and set(result.stdout.splitlines()) == {"out", "err"}


def test_a_stuck_command_is_ended():
    with pytest.raises(AssertionError, match=r"nothing happens for 0\.2 s; the end of its output:"):
        patience.run(["sleep", "100000"], idle_s=0.2)


def test_output_and_computing_are_progress():
    progress = patience.Progress(idle_s=10)
    assert not progress.ended(0, 0.0, 100)
    assert not progress.ended(0, 0.5, 110)
    assert progress.ended(0, 0.5, 111)
    assert not progress.ended(5, 0.5, 112)  # it says something
    assert not progress.ended(5, 0.5 + patience.LEAST_CPU_S, 123)  # it computes
    assert not progress.ended(5, 0.1, 134)  # a part of it has ended
    assert not progress.ended(5, 0.1, 144)
    assert progress.ended(5, 0.2, 145)


def test_the_computing_of_children_counts():
    before = patience.cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "while sum(__import__('os').times()[:2]) < 0.3: pass"], check=True)
    assert patience.cpu_seconds(os.getpid()) > before + 0.2


def test_a_command_dies_with_its_group_at_a_rename(tmp_path):
    code = "import os, pathlib\nfor name in 'abc': pathlib.Path('part').touch(); pathlib.Path('part').replace(name)"
    words = ["sh", "-c", f'{sys.executable} -c "{code}"; touch after']
    dead = patience.run(words, cwd=tmp_path, env=patience.killed_at_rename("b"))
    assert dead.returncode == -9 and sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert subprocess.run(words, cwd=tmp_path).returncode == 0 and (tmp_path / "after").exists()
