"""The table of speed as Markdown: what was measured, on which machine, with which versions, by which command."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from speed_rows import REPOSITORY, SpeedRow, Usage

from genet5.errors import InputError
from genet5.files import atomic_write

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
COLUMNS = (
    "subject", "what", "unit", "GeneT5", "peer", "of the peer", "ratio", "base", "ratio to base", "GeneT5 took",
    "peer took", "note",
)  # fmt: skip
LIBRARIES = ("torch", "numpy", "numba", "transformers", "snakemake")
#: Programs that are asked for their version, and the words that ask.
PROGRAMS = {
    "augustus": ("--version",),
    "snap-hmm": (),
    "geneml": ("--version",),
    "prodigal": ("-v",),
    "gt": ("--version",),
}


def speed_table(rows: Mapping[str, Iterable[SpeedRow]]) -> str:
    """Rows by subject as one table. A number that was not measured is an empty cell."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [row_line(subject, row) for subject, found in rows.items() for row in found]
    return "\n".join(lines) + "\n"


def row_line(subject: str, row: SpeedRow) -> str:
    """A row of the table."""
    cells = (
        subject, row.what, row.unit, _number(row.ours), row.peer_name, _number(row.peer), _number(row.ratio),
        _number(row.base), _number(row.base_ratio), _took(row.usage), _took(row.peer_usage), row.note,
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def shown_command(script: str, arguments: Sequence[str]) -> str:
    """The command as one starts it in the folder of the repository; of folders of this machine, the name alone."""
    shown = [Path(word).name if word.startswith("/") else word for word in arguments]
    return shlex.join(["python", script, *shown])


def replace_between_markers(path: Path, text: str) -> None:
    """Put ``text`` between the two markers of a file; every other byte stays. Raises InputError as ``split_file``."""
    head, tail = split_file(path)
    with atomic_write(path, "wb") as stream:
        stream.write(head + b"\n" + text.strip("\n").encode() + b"\n" + tail)


def split_file(path: Path) -> tuple[bytes, bytes]:
    """What stands in a file up to the first marker and from the second one on, both with their marker.

    Raises InputError where the file cannot be read or does not have each marker once, in this order.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    first, last = BEGIN.encode(), END.encode()
    if content.count(first) != 1 or content.count(last) != 1 or content.index(first) > content.index(last):
        raise InputError(f"{path}: expected one line {BEGIN} and one line {END} after it")
    return content[: content.index(first) + len(first)], content[content.index(last) :]


def about_run(command: str, base: Path | None, load: float) -> str:
    """A paragraph: date, machine, commits, versions and command. load: average when the run began."""
    import psutil

    memory = psutil.virtual_memory().total / 1e9
    today = datetime.date.today()
    commits = f"commit {_commit(REPOSITORY)}" + (f", base {_commit(base)}" if base else "")
    programs = [text for name, words in PROGRAMS.items() if (text := _program_version(name, words))]
    libraries = [f"{name} {metadata.version(name)}" for name in LIBRARIES]
    versions = ", ".join([f"Python {platform.python_version()}", *libraries, *programs])
    return (
        f"{today.day} {today:%b %Y}, {_processor()}, {os.cpu_count()} cores, {memory:.0f} GB, load average {load:.1f} "
        f"at the start; {commits}. {versions}.\n\n    {command}\n"
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}".lstrip("0") if 0 < abs(value) < 1 else f"{value:.3g}"


def _took(usage: Usage | None) -> str:
    if usage is None:
        return ""
    peak = "" if usage.peak_mb is None else f", {usage.peak_mb:,.0f} MB"
    return f"{usage.cpu_s:.3g} CPU s, {usage.wall_s:.3g} s{peak}"


def _processor() -> str:
    """The name that Linux gives, else that of the architecture."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.machine()


def _commit(folder: Path) -> str:
    """Short hash of a checkout, with a + where tracked files were changed; ``unknown`` outside of git."""
    if shutil.which("git") is None:
        return "unknown"
    shown = ["git", "-C", str(folder), "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(shown, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _program_version(name: str, words: Sequence[str]) -> str:
    """``name version`` of a peer, empty where it is missing."""
    program = shutil.which(name)
    if program is None:
        return ""
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = re.search(r"\d{4}-\d\d-\d\d|\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)
    return f"{name} {found[0]}" if found else name
