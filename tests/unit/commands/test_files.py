"""Files appear whole or not at all, and nothing of a killed process is left for good."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from genet5.files import atomic_write, write_json

WRITER = """
import sys
from genet5.files import atomic_write
with atomic_write(sys.argv[1]) as stream:
    stream.write("half")
    stream.flush()
    print("open", flush=True)
    sys.stdin.read()
"""


def writer(path: Path) -> subprocess.Popen:
    """A process that has begun to write a file."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout.readline() == "open\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    path = tmp_path / "a[1].json"
    process = writer(path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (left,) = names(tmp_path)
    assert left.startswith(".a[1].json.") and left.endswith(".tmp")
    for name in (".a[1].json.tmp", ".b.json.x.tmp"):
        (tmp_path / name).touch()  # of nobody, and of another file
    write_json(path, {"a": 1})
    assert names(tmp_path) == [".a[1].json.tmp", ".b.json.x.tmp", "a[1].json"]


def test_what_another_process_still_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    other = writer(path)
    with atomic_write(path) as stream:
        stream.write("ours")
    assert path.read_text() == "ours" and len(names(tmp_path)) == 2
    other.communicate("")
    assert path.read_text() == "half" and names(tmp_path) == ["a.txt"]
