"""Running commands without a clock: what is given up is a command that does nothing any more, not a slow one."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

#: A command is stuck when it writes nothing in this time, and computes for less than LEAST_CPU_S.
IDLE_S = 600.0
LEAST_CPU_S = 2.0


def run(command: list[Any], *, idle_s: float = IDLE_S, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; standard output and error together in ``stdout``. ``options``: of ``Popen``."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        words = list(map(str, command))
        options = {"stderr": subprocess.STDOUT, **options}
        process = subprocess.Popen(words, stdout=output, start_new_session=True, **options)
        try:
            wait(process, output.fileno(), idle_s)
        except BaseException:
            kill_group(process)
            raise
        output.seek(0)
        return subprocess.CompletedProcess(words, process.returncode, output.read())


def wait(process: subprocess.Popen, output: int, idle_s: float = IDLE_S) -> None:
    """Wait for the end of a process that writes to the file ``output``; ``AssertionError`` once it is stuck."""
    progress = Progress(idle_s)
    look_s = min(1.0, idle_s / 10)  # a look at all processes of the machine costs milliseconds
    while process.poll() is None:
        size = os.fstat(output).st_size
        if progress.ended(size, cpu_seconds(process.pid), time.monotonic()):
            end = os.pread(output, 3000, max(0, size - 3000)).decode(errors="replace")
            raise AssertionError(f"{process.args}: nothing happens for {idle_s:g} s; the end of its output:\n{end}")
        try:
            process.wait(look_s)
        except subprocess.TimeoutExpired:
            continue


class Progress:
    """What a command has done so far."""

    def __init__(self, idle_s: float) -> None:
        self.idle_s = idle_s
        self.size, self.cpu_s, self.since = -1, 0.0, 0.0

    def ended(self, size: int, cpu_s: float, now: float) -> bool:
        """Whether output and computing have stood still for ``idle_s``."""
        # A sum over processes falls when one ends that nobody waited for: that is progress, too.
        if size != self.size or not self.cpu_s <= cpu_s < self.cpu_s + LEAST_CPU_S:
            self.size, self.cpu_s, self.since = size, cpu_s, now
        return now - self.since > self.idle_s


def cpu_seconds(pid: int) -> float:
    """Seconds of computing of a process and its descendants so far."""
    total = 0.0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for member in family:
        try:
            total += sum(member.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def kill_group(process: subprocess.Popen) -> None:
    """SIGKILL to a process that leads a group, and to all of the group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


KILLER = Path(__file__).resolve().parent / "killed_at_rename"


def killed_at_rename(name: str, environment: dict[str, str] | None = None, *, alone: bool = False) -> dict[str, str]:
    """The environment in which a command dies, and its whole group, once a file or folder gets this name.

    ``name`` may begin with folders, as in ``score/toy/sft/S.toy.json``. ``alone``: the process that renames dies alone.

    It is as sudden as a power cut, but comes at the same step on any machine: ``killed_at_rename/sitecustomize.py``
    runs in every Python process that the command starts.
    """
    killed = {**(environment or os.environ), "PYTHONPATH": str(KILLER), "KILLED_AT_RENAME": name}
    return killed | {"KILLED_ALONE": "1"} if alone else killed
