#!/usr/bin/env python
"""The speed of everything beside named peers, in one run on the same DNA: one table, written to docs/results.md.

Sides alternate (ours, peer, base, ours, ...) and the median of the rounds counts. CPU seconds are user and system of
the whole process with its children. A ratio over 1 means that GeneT5 is the better one. ``--base`` names a checkout of
an older commit, which is measured in the same run.

Each subject is a function of a script beside this one. A peer that is not installed gets a row that says so; so does a
subject that ended with an error. The reference data are those of GENET5_DATA (docs/data.md).

Debian packages: augustus augustus-data snap prodigal genometools.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "scripts"), str(REPOSITORY / "benchmarks")]

from adapted_rows import adapt_bake, adapt_reading, adapt_score, adapt_writer  # noqa: E402
from speed_rows import SpeedRow, SpeedSettings, measure_call, not_measured_row  # noqa: E402
from speed_table import about_run, replace_between_markers, row_line, shown_command, speed_table, split_file  # noqa: E402

from genet5.errors import InputError, run_command  # noqa: E402

ROUNDS = 3
CROSS_VALIDATED = REPOSITORY / "data/studies/small_sets/annotation"


class Subject(NamedTuple):
    """module: of a script in this folder. function: takes SpeedSettings and gives rows.

    adapt: makes rows of a module without that function.
    """

    module: str
    function: str = "speed_rows"
    adapt: Callable[[ModuleType, SpeedSettings], Iterable[SpeedRow]] | None = None


SUBJECTS = {
    "annotate": Subject("annotation_speed"),
    "accuracy": Subject("annotation_speed", "accuracy_rows"),
    "threads": Subject("annotation_speed", "thread_rows"),
    "memory": Subject("annotation_speed", "memory_rows"),
    "crf_training": Subject("crf_training_speed"),
    "writer": Subject("writer_speed", adapt=adapt_writer),
    "gff3_reading": Subject("gff3_reading", adapt=adapt_reading),
    "score": Subject("score_speed", adapt=adapt_score),
    "bake": Subject("bake_speed", adapt=adapt_bake),
    "grpo_vs_trl": Subject("trl_speed"),
    "dry_run": Subject("dry_run_speed"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less DNA: each subject ends within a minute")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help="subjects (default: all)")
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="checkout of an older commit to measure as well")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each side, at least 3 (default: %(default)s)")
    parser.add_argument("--bacteria", type=Path, metavar="FOLDER", help="a model of bacteria, in place of the "
                        "shipped one")  # fmt: skip
    parser.add_argument(
        "--arabidopsis", type=Path, metavar="FOLDER", default=CROSS_VALIDATED if CROSS_VALIDATED.is_dir() else None,
        help="with A.thaliana.gff3 of models that had not learned it (default: what small_sets.py wrote, if any)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, metavar="FILE",
        help="Markdown file with the two markers of the table (default: docs/results.md; with --quick or --only: none)",
    )  # fmt: skip
    arguments = parser.parse_args()
    if arguments.rounds < 3:
        raise InputError(f"--rounds: {arguments.rounds}, must be at least 3: a median of fewer says nothing")
    for flag in ("base", "bacteria", "arabidopsis"):
        folder = getattr(arguments, flag)
        if folder is not None and not folder.is_dir():
            raise InputError(f"--{flag}: {folder}: no such folder")
    base = arguments.base.resolve() if arguments.base else None
    if base and not (base / "scripts/genet5").is_dir():
        raise InputError(f"--base: {arguments.base}: no checkout of GeneT5, scripts/genet5 is missing")
    partial = arguments.quick or len(arguments.only) < len(SUBJECTS)
    results = arguments.results or (None if partial else REPOSITORY / "docs/results.md")
    if results:
        split_file(results)  # before an hour of measuring, not after it
    load, rows = os.getloadavg()[0], {}
    for name in dict.fromkeys(arguments.only):
        with tempfile.TemporaryDirectory() as work:
            settings = SpeedSettings(
                arguments.quick, base, reference_data(), arguments.rounds, Path(work),
                arguments.bacteria and arguments.bacteria.resolve(),
                arguments.arabidopsis and arguments.arabidopsis.resolve(),
            )  # fmt: skip
            used = measure_call(lambda: rows.update({name: rows_of(name, SUBJECTS[name], settings)}))  # noqa: B023
        print(f"{name} took {used.wall_s:.0f} s, {used.cpu_s:.0f} CPU s", file=sys.stderr, flush=True)
    text = f"{about_run(shown_command('benchmarks/run.py', sys.argv[1:]), base, load)}\n{speed_table(rows)}"
    print(text)
    if results:
        replace_between_markers(results, text)
    found = [row for subject in rows.values() for row in subject]
    slower = sum(row.ratio is not None and row.ratio < 1 for row in found)
    print(f"bar: behind_a_peer {slower} of {sum(row.ratio is not None for row in found)} rows target 0")
    sys.exit(slower > 0)


def rows_of(name: str, subject: Subject, settings: SpeedSettings) -> list[SpeedRow]:
    """The rows of a subject. What keeps it from being measured is a row as well; no subject ends the run."""
    script = REPOSITORY / "benchmarks" / f"{subject.module}.py"
    if not script.is_file():
        return [not_measured_row(name, f"there is no benchmarks/{subject.module}.py")]
    rows: list[SpeedRow] = []
    try:
        module = importlib.import_module(subject.module)
        measure = getattr(module, subject.function, None)
        if measure is None and subject.adapt:
            measure = functools.partial(subject.adapt, module)
        if measure is None:
            return [not_measured_row(name, f"benchmarks/{subject.module}.py has no function {subject.function}")]
        made: Iterable[SpeedRow] = measure(settings)
        for row in made:
            print(row_line(name, row), file=sys.stderr, flush=True)
            rows.append(row)
    except InputError as error:
        rows.append(not_measured_row(name, str(error)))
    except Exception as error:  # an hour of other subjects shall not be lost
        traceback.print_exc()
        rows.append(not_measured_row(name, f"{type(error).__name__}: {error}"))
    return rows


def reference_data() -> Path:
    """Folder of the reference data."""
    return Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data")).resolve()


if __name__ == "__main__":
    run_command(main)
