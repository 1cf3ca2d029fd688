"""What benchmarks of commands share: CPU seconds and memory of a command, and rows of a table."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from genet5.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent


class Row(NamedTuple):
    """A line of a table. ``ratio``: how many times as fast as the peer (for memory: as much), None without a peer."""

    what: str
    unit: str
    ours: float
    peer: float | None = None
    ratio: float | None = None


class Use(NamedTuple):
    """CPU seconds (of the program and what it started), and its largest memory in MB."""

    cpu_s: float
    peak_mb: float


# A process begins with its parent's peak of memory, so a small one starts the command and writes down what it used.
_LAUNCHER = """
import json, os, sys
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
with open(sys.argv[1], "w") as stream:
    json.dump([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], stream)
"""


class CommandFailed(InputError):
    """The command ended with an error."""


def use_of(command: Sequence[str | Path]) -> Use:
    """Run a command to its end; what it prints is kept away. CommandFailed when it fails, with its last line."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "used.json"
        words = [sys.executable, "-I", "-S", "-c", _LAUNCHER, result, *command]
        said = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=_environment(), check=False)
        if said.returncode:
            raise CommandFailed(f"{command[0]}: cannot be started: {said.stderr.strip().splitlines()[-1:]}")
        code, cpu_s, peak_mb = json.loads(result.read_text(encoding="utf-8"))
    if code:
        raise CommandFailed(f"{command[0]}: failed: {' '.join((said.stderr or said.stdout).strip().splitlines()[-1:])}")
    return Use(cpu_s, peak_mb)


def script(name: str, *flags: object) -> list[str]:
    """The command that runs a script of the workflow."""
    return [sys.executable, str(REPOSITORY / "scripts" / name), *map(str, flags)]


def medians(sides: Mapping[str, Callable[[], Use]], repeats: int) -> dict[str, Use]:
    """The median of each side; the sides take turns, so that other load on the machine meets all of them."""
    used: dict[str, list[Use]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            used[name].append(run())
    return {
        name: Use(*(statistics.median(column) for column in zip(*runs, strict=True))) for name, runs in used.items()
    }


def print_table(title: str, rows: Sequence[Row]) -> None:
    """The rows under their title, in columns."""
    print(title)
    print(f"{'':76} {'unit':12} {'ours':>12} {'peer':>12} {'ratio':>8}")
    for row in rows:
        peer, ratio = ("-" if value is None else f"{value:,.2f}" for value in (row.peer, row.ratio))
        print(f"{row.what:76} {row.unit:12} {row.ours:12,.2f} {peer:>12} {ratio:>8}", flush=True)


def _environment() -> dict[str, str]:
    paths = [str(REPOSITORY / "scripts"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
