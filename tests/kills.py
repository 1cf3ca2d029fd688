#!/usr/bin/env python
"""Kill the workflow at random moments, run the same command again, and compare the files with an undisturbed run.

    python tests/kills.py --kills 100 --seed 1 --folder /tmp/kills

The DAG is that of ``tests/support/small_dag.py``. A kill waits for a job, and then for a random part of the time that
this job took undisturbed. It hits, in turn: everything, as a power cut does; the job's Python alone; or Snakemake
alone, so that its job goes on while the same command starts again. A lock is then removed as README.md says. When the
DAG is done its files are compared, and it begins again from nothing until there were enough kills.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "tests/support")]

from small_dag import differences, lay_out  # noqa: E402 (tests/support is no package)

WAYS = ("everything", "job", "snakemake")
REFUSED = re.compile(r"another process is (baking|training) here")
LOOK_S = 0.05


@dataclass
class Workflow:
    """The DAG in a folder, and how it is started."""

    folder: Path
    words: list[str]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "snakemake.log"

    def start(self) -> psutil.Popen:
        """The command of the user, in a session of its own."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY / "scripts")}
        with self.log.open("w") as log:
            return psutil.Popen(
                [sys.executable, "-m", "snakemake", *self.words],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def unlock(self) -> None:
        """What ``snakemake --unlock`` does."""
        shutil.rmtree(self.folder / ".snakemake/locks", ignore_errors=True)

    def watch(self) -> int:
        """Run to the end and remember how long each job took; the exit status."""
        process, begun = self.start(), {}
        while process.poll() is None:
            now = time.monotonic()
            if job := job_of(process):
                self.seconds[job[0]] = now - begun.setdefault(job[0], now)
            time.sleep(LOOK_S)
        return process.returncode


def job_of(process: psutil.Popen) -> tuple[str, psutil.Process] | None:
    """The script that runs, and its process."""
    try:
        for child in process.children(recursive=True):
            for word in child.cmdline()[1:2]:
                if word.endswith(".py") and "/scripts/" in word:
                    return Path(word).stem, child
    except psutil.NoSuchProcess:
        return None
    return None


def kill_once(workflow: Workflow, way: str, letters: random.Random) -> str | None:
    """Start, kill at a random moment, and make ready for the next start.

    The job that was hit; None where all was done, and nothing where another process still held a lock.
    """
    process = workflow.start()
    skipped, share, seen = letters.randrange(2), letters.random(), []
    while process.poll() is None:
        found = job_of(process)
        if found and found[0] not in seen:
            seen.append(found[0])
            if len(seen) > skipped:
                time.sleep(share * workflow.seconds.get(found[0], 1.0))
                return _kill(workflow, process, way)
        time.sleep(LOOK_S)
    if process.returncode == 0:
        return None
    if REFUSED.search(workflow.log.read_text()):
        return ""
    raise SystemExit(f"the workflow ended with {process.returncode}:\n{workflow.log.read_text()[-3000:]}")


def _kill(workflow: Workflow, process: psutil.Popen, way: str) -> str:
    job = job_of(process)
    name = job[0] if job else "(between jobs)"
    family = [*process.children(recursive=True)] if process.is_running() else []
    if way == "job" and job:
        _send(job[1])
        process.wait()  # it finds the dead job, and ends
    else:
        _send(process)
        if way != "snakemake":
            for member in family:
                _send(member)
        process.wait()
        workflow.unlock()
    return name


def _send(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="kills in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of ways and moments (default: %(default)s)")
    parser.add_argument("--stages", nargs="+", default=["crf", "grpo"], help="as in the configuration")
    parser.add_argument("--folder", type=Path, required=True, help="where to run; an undisturbed run there is kept")
    arguments = parser.parse_args()
    letters = random.Random(arguments.seed)
    whole = arguments.folder / "whole"
    undisturbed = Workflow(whole, lay_out(whole, REPOSITORY, tuple(arguments.stages)))
    shutil.rmtree(whole / "data", ignore_errors=True)
    shutil.rmtree(whole / ".snakemake", ignore_errors=True)
    if undisturbed.watch():
        raise SystemExit(f"the undisturbed run failed:\n{undisturbed.log.read_text()[-3000:]}")
    print(
        "undisturbed: " + ", ".join(f"{job} {seconds:.0f} s" for job, seconds in undisturbed.seconds.items()),
        flush=True,
    )

    hit: Counter[tuple[str, str]] = Counter()
    rounds = refused = 0
    wrong: list[str] = []
    while hit.total() < arguments.kills:
        rounds += 1
        killed = arguments.folder / f"killed_{rounds}"
        shutil.rmtree(killed, ignore_errors=True)
        words = lay_out(killed, REPOSITORY, tuple(arguments.stages))
        workflow = Workflow(killed, words, undisturbed.seconds)
        done = False
        while not done and hit.total() < arguments.kills:
            way = WAYS[hit.total() % len(WAYS)]
            job = kill_once(workflow, way, letters)
            if job:
                hit[job, way] += 1
                print(f"{hit.total():4d} round {rounds}: {way} killed in {job}", flush=True)
            refused += job == ""
            done = job is None
        while not done:
            done = workflow.watch() == 0
            if not done and not REFUSED.search(workflow.log.read_text()):
                raise SystemExit(f"the same command failed:\n{workflow.log.read_text()[-3000:]}")
        found = differences(killed, whole)
        print(f"round {rounds}: {'equal' if not found else '; '.join(found)}", flush=True)
        wrong += found
        if not found:
            shutil.rmtree(killed)
    print("\n| job | " + " | ".join(WAYS) + " |\n|---|" + "---|" * len(WAYS))
    for job in sorted({job for job, _ in hit}):
        print(f"| {job} | " + " | ".join(str(hit[job, way]) for way in WAYS) + " |")
    print(f"{hit.total()} kills in {rounds} rounds; {refused} starts were refused by the lock of a job that went on")
    print(f"bar: files_that_differ {len(wrong)} files target 0")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
