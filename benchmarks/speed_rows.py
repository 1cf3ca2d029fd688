"""What benchmarks of speed share: rows of the table, the settings they are measured with, and the alternating timer.

A script that measures speed has a function ``speed_rows(settings: SpeedSettings) -> Iterable[SpeedRow]``. ``run.py``
finds it by the name of the module. Both sides are measured in one run, in turn, and the median of the rounds counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.errors import InputError  # noqa: E402

#: Starts a command from a process that is small. Linux counts the memory of the process that starts a program as the
#: program's own peak, and a benchmark that has loaded torch is larger than most programs that it starts.
_LAUNCHER = """
import json, os, sys, time
began = time.perf_counter()
child = os.fork()
if child == 0:
    try:
        os.execvpe(sys.argv[2], sys.argv[2:], os.environ)
    except OSError as error:
        print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr)
        os._exit(127)
_, status, used = os.wait4(child, 0)
found = [time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6]
with open(sys.argv[1], "w") as stream:
    json.dump(found, stream)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


class Usage(NamedTuple):
    """What a run took. wall_s: seconds on the clock. cpu_s: of the processor, user and system, children counted.

    peak_mb: most memory of any one of its processes, in 10**6 bytes; None where it is not known.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float | None = None


class SpeedRow(NamedTuple):
    """A row of the table.

    what, unit: what is measured, and in what. ours, peer: the two numbers, None where there is none. ratio: how many
    times as good as the peer ours is, None where there is no peer. peer_name: the program or library beside ours.
    base, base_ratio: the same against an older commit of ours. note: what one must know to read the row.
    usage, peer_usage: the medians behind the numbers.
    """

    what: str
    unit: str
    ours: float | None
    peer: float | None = None
    ratio: float | None = None
    peer_name: str = ""
    base: float | None = None
    base_ratio: float | None = None
    note: str = ""
    usage: Usage | None = None
    peer_usage: Usage | None = None


class SpeedSettings(NamedTuple):
    """quick: end within a minute. base: checkout of an older commit, or None. data: folder of the reference data.

    rounds: how often each side is measured. work: an empty folder to write in. bacteria: folder of a model, or None.
    arabidopsis: folder with A.thaliana.gff3 that was made by a model which had not learned this DNA, or None.
    """

    quick: bool
    base: Path | None
    data: Path
    rounds: int
    work: Path
    bacteria: Path | None = None
    arabidopsis: Path | None = None


def rate_row(
    what: str, unit: str, ours: float, peer: float | None = None, base: float | None = None, **details: object
) -> SpeedRow:
    """A row of numbers of which more is better, such as kb per second."""
    return SpeedRow(what, unit, ours, peer, _over(ours, peer), base=base, base_ratio=_over(ours, base), **details)


def cost_row(
    what: str, unit: str, ours: float, peer: float | None = None, base: float | None = None, **details: object
) -> SpeedRow:
    """A row of numbers of which less is better, such as seconds and megabytes."""
    return SpeedRow(what, unit, ours, peer, _over(peer, ours), base=base, base_ratio=_over(base, ours), **details)


def missing_peer_row(what: str, unit: str, program: str, install: str) -> SpeedRow:
    """The row of a peer that is not there. install: the command that brings it."""
    return SpeedRow(what, unit, None, peer_name=program, note=f"not installed ({install})")


def not_measured_row(what: str, why: str, unit: str = "") -> SpeedRow:
    """The row of something that was not measured, with the reason."""
    return SpeedRow(what, unit, None, note=f"not measured: {why}")


def on_path(program: str) -> bool:
    """Whether a peer can be started."""
    return shutil.which(program) is not None


def measure_command(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    output: Path | None = None,
) -> Usage:
    """Run a command to its end, and say what it took with all processes that it waited for.

    output: file for its standard output. Raises InputError with its last words if it fails.
    """
    words = [str(word) for word in command]
    with tempfile.NamedTemporaryFile() as numbers:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, numbers.name, *words]
        with output.open("wb") if output else contextlib.nullcontext(subprocess.PIPE) as stdout:
            done = subprocess.run(
                launcher, cwd=cwd, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                stdout=stdout, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
        if done.returncode:
            said = (done.stderr or done.stdout or b"").decode(errors="replace").strip().splitlines()
            raise InputError(f"{' '.join(words)}: exit status {done.returncode}: {said[-1] if said else 'no message'}")
        return Usage(*json.load(numbers))


def measure_call(work: Callable[[], object]) -> Usage:
    """Call a function in this process. Its CPU seconds hold those of processes that it started and waited for."""
    before, began = _cpu_s(), time.perf_counter()
    work()
    return Usage(time.perf_counter() - began, _cpu_s() - before)


def alternate(
    sides: Mapping[str, Callable[[], Usage]], rounds: int, warm_up: Iterable[str] = ()
) -> dict[str, list[Usage]]:
    """Run all sides in turn, ``rounds`` times over: ours, peer, base, ours, ...

    warm_up: sides that run once before and are not counted then, because their first run compiles or fills caches.
    """
    for name in warm_up:
        sides[name]()
    found: dict[str, list[Usage]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(side())
    return found


def median_usage(runs: Sequence[Usage]) -> Usage:
    """The median of each number by itself."""
    peaks = [run.peak_mb for run in runs if run.peak_mb is not None]
    return Usage(
        statistics.median(run.wall_s for run in runs),
        statistics.median(run.cpu_s for run in runs),
        statistics.median(peaks) if peaks else None,
    )


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
