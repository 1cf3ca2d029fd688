"""Fuzz the readers: damaged files, each read in this process, with a limit of time and of memory.

    python tests/fuzz/run.py --cases 100000 [--seed 1] [--reader gff3] [--failures folder]

A file may be accepted, or refused with one line. All else counts as a failure, and its file is kept: a traceback, more
than 4 s, more than 1.5 GB over the start, a message of several lines, or an accepted file that breaks an invariant.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1] / "scripts")]

from reader import MissingData, Reader  # noqa: E402
from readers import readers  # noqa: E402

from genet5.errors import InputError  # noqa: E402

LIMIT_S, LIMIT_BYTES = 4.0, 1_500_000_000
GOOD = ("refused", "accepted")
KINDS = (*GOOD, "traceback", "hang", "memory", "several lines", "invariant")


class Hang(BaseException):
    """Not an Exception, so that no reader takes it for a mistake of the file."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000, help="number of files, shared evenly by the readers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reader", nargs="+", default=[], help="these readers alone")
    parser.add_argument("--failures", type=Path, default=Path("fuzz_failures"), help="folder for files that failed")
    parser.add_argument("--data", type=Path, default=data_folder(), help="the reference data")
    arguments = parser.parse_args(argv)
    try:
        table = fuzz(arguments.data, arguments.cases, arguments.seed, arguments.failures, arguments.reader)
    except MissingData as missing:
        print(f"not run: {missing}")
        return 2
    print(as_text(table))
    return int(any(counts[kind] for counts in table.values() for kind in KINDS if kind not in GOOD))


def data_folder() -> Path:
    return Path(os.environ.get("GENET5_DATA", HERE.parents[2] / "shared" / "data"))


def fuzz(data: Path, cases: int, seed: int, failures: Path, only: Sequence[str] = ()) -> dict[str, Counter]:
    """Counts by reader and outcome. Raises MissingData."""
    warnings.simplefilter("ignore")
    table: dict[str, Counter] = {}
    with tempfile.TemporaryDirectory() as name, limited_memory():
        known = readers(data, Path(name))
        if unknown := [key for key in only if key not in known]:
            raise SystemExit(f"--reader {unknown[0]}: unknown, known: {', '.join(known)}")
        chosen = {key: one for key, one in known.items() if not only or key in only}
        for place, (key, reader) in enumerate(chosen.items()):
            share = cases // len(chosen) + (place < cases % len(chosen))
            table[key] = Counter(cases=share)
            _check_seed(key, reader, Path(name) / "case")
            for number in range(share):
                draw = random.Random(f"{seed}/{key}/{number}")
                outcome, message = one_case(reader, draw, Path(name) / "case", failures / f"{key}.{number}")
                table[key][outcome] += 1
                if message:
                    print(f"{key} {number}: {outcome}: {message}", file=sys.stderr, flush=True)
    return table


def _check_seed(key: str, reader: Reader, folder: Path) -> None:
    """The sound file must be accepted: damage to what is refused anyway would show nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / reader.file).write_bytes(reader.seed)
    outcome, message = read_once(reader, folder / reader.file)
    if outcome != "accepted":
        raise SystemExit(f"{key}: its sound file is not accepted ({outcome}: {message})")


def one_case(reader: Reader, draw: random.Random, folder: Path, kept: Path) -> tuple[str, str]:
    """What became of one damaged file, and what was wrong."""
    data = reader.seed
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        with contextlib.suppress(ValueError, RecursionError):  # a field or an array of what has none any more
            data = draw.choice(reader.mutators)(data, draw)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / reader.file).write_bytes(data)
    outcome, message = read_once(reader, folder / reader.file)
    if outcome not in GOOD:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)
    return outcome, message


def read_once(reader: Reader, path: Path) -> tuple[str, str]:
    def too_long(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, too_long)
    began = time.process_time()
    # Four times as much of the wall's time: the machine may be busy. What counts is the time of the processor.
    signal.setitimer(signal.ITIMER_REAL, 4 * LIMIT_S)
    try:
        reader.read(path)
        outcome = "accepted", ""
    except InputError as error:
        outcome = ("several lines", str(error)) if "\n" in str(error) else ("refused", "")
    except AssertionError as error:
        outcome = "invariant", str(error)
    except MemoryError as error:
        outcome = "memory", repr(error)
    except Hang:
        outcome = "hang", f"over {4 * LIMIT_S} s"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        outcome = "traceback", f"{type(error).__name__}: {str(error)[:100]} ({where})"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    used = time.process_time() - began
    return ("hang", f"{used:.1f} s of the processor") if used > LIMIT_S else outcome


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """The address space may grow by LIMIT_BYTES: more is a MemoryError."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + LIMIT_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def as_text(table: dict[str, Counter]) -> str:
    total = sum(table.values(), Counter())
    lines = ["| reader | cases | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 2) + "|"]
    for key, counts in [*table.items(), ("**all**", total)]:
        lines.append(f"| {key} | {counts['cases']} | " + " | ".join(str(counts[kind]) for kind in KINDS) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
