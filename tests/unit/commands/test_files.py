"""Files appear whole or not at all, and nothing of a killed process is left for good."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from genet5.arrays import read_array
from genet5.errors import InputError
from genet5.files import atomic_write, json_text, read_json, write_json

MKSTEMP = tempfile.mkstemp

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


def test_a_file_that_is_taken_for_a_leftover_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by another process between its making and its lock, and while that one still holds it."""
    made, open_there = [], []

    def mkstemp(**place: object) -> tuple[int, str]:
        handle, name = MKSTEMP(**place)
        made.append(name)
        if len(made) == 1:
            os.unlink(name)
        if len(made) == 2:
            open_there.append(open(name, "rb"))
            fcntl.flock(open_there[0], fcntl.LOCK_EX)
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    write_json(tmp_path / "a.json", {"a": 1})
    open_there[0].close()
    assert len(made) == 3 and (tmp_path / "a.json").is_file() and not Path(made[2]).exists()


def test_a_file_stays_locked_until_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"

    def replace(name: str, target: Path) -> None:
        monkeypatch.undo()
        write_json(path, {"of": "another"})  # which removes leftovers first
        os.replace(name, target)

    monkeypatch.setattr(os, "replace", replace)
    write_json(path, {"of": "the first"})
    assert read_json(path) == {"of": "the first"} and names(tmp_path) == ["a.json"]


def test_what_another_process_still_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    other = writer(path)
    with atomic_write(path) as stream:
        stream.write("ours")
    assert path.read_text() == "ours" and len(names(tmp_path)) == 2
    other.communicate("")
    assert path.read_text() == "half" and names(tmp_path) == ["a.txt"]


def test_json_is_sorted_unless_rows_have_an_order() -> None:
    assert json_text({"b": 1, "a": 2}) == '{\n "a": 2,\n "b": 1\n}\n'
    assert json_text({"b": 1, "a": 2}, sort_keys=False, indent=None) == '{"b": 1, "a": 2}\n'


def test_an_array_that_claims_more_than_its_file_holds_is_one_line(tmp_path: Path) -> None:
    """Before any memory is taken for it."""
    path = tmp_path / "x.npy"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(80))
    with pytest.raises(
        InputError, match=r"x\.npy: no table \(an array claims 10+ values of float64, but 159 bytes are"
    ):
        read_array(path, "no table", "make it again")
    np.save(path, np.arange(3.0))
    assert read_array(path, "no table", "make it again").tolist() == [0, 1, 2]


def test_a_file_that_cannot_be_begun_is_named_and_not_its_temporary_one(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x.tmp"))

    monkeypatch.setattr("tempfile.mkstemp", full)
    path = tmp_path / "result.json"
    with pytest.raises(OSError) as error, atomic_write(path) as stream:
        stream.write("x")
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
    assert not names(tmp_path)
