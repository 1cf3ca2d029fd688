"""Files on disk: whole or not there at all, told apart by checksum, JSON always written in one way."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from genet5.errors import InputError

DEEPEST = 100
"""Levels of lists and objects in JSON and YAML. Files of this package have fewer than ten."""

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """A file or folder of the repository, as ``workflow/schemas``; of an installed package, the copy inside it."""
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parents[1] / name


def resource(name: str) -> Path:
    """A file or folder of ``resources/``."""
    return shipped("resources") / name


def here_or_shipped(path: str) -> str:
    """``path`` if it is there, else the file of that name in the repository; ``path`` again if neither is."""
    return path if Path(path).exists() or not shipped(path).exists() else str(shipped(path))


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside ``path``; on success it replaces ``path``, on any error it is removed.

    A process that is killed can remove nothing: the next one that writes ``path`` does.
    """
    path = Path(path)
    encoding = None if "b" in mode else "utf-8"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        handle, name = _temporary(path)
    except OSError as error:
        # The file that is asked for is named in messages, not the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)
            os.replace(name, path)  # while it is open, and so locked
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK and error.filename in (None, name):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _temporary(path: Path) -> tuple[int, str]:
    """A new file beside ``path``, locked as long as it is open: its handle and its name.

    Between its making and its lock another process may take it for a leftover. Then the next one is made.
    """
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            _lock(handle)
        except BlockingIOError:
            os.close(handle)
            continue
        except OSError:  # no locks on this disk, so nobody removes leftovers
            return handle, name
        if os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)


def _lock(handle: int) -> None:
    """Lock an open file. BlockingIOError where another process has it locked, other OSErrors where none can."""
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of ``path`` whose process is gone: nobody has them locked."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError), left.open("rb") as stream:
            _lock(stream.fileno())
            left.unlink()


def file_sha256(path: str | Path) -> str:
    """sha256 of a file's bytes, as hexadecimal digits. Raises ``InputError`` for a file that cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def json_text(value: Any, *, sort_keys: bool = True, indent: int | None = 1) -> str:
    """``value`` as JSON with a newline at the end. The defaults serve everywhere but in two cases.

    ``sort_keys=False`` keeps rows in the order of a table. ``indent=None`` puts a long list of numbers on one line.
    """
    return json.dumps(value, sort_keys=sort_keys, indent=indent) + "\n"


def write_json(path: str | Path, value: Any, *, sort_keys: bool = True, indent: int | None = 1) -> None:
    """Write ``value`` as ``json_text``, whole or not at all."""
    with atomic_write(path) as stream:
        stream.write(json_text(value, sort_keys=sort_keys, indent=indent))


def read_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in a file. Raises ``InputError`` for a file that is missing, or holds anything else."""
    content = json_value(read_bytes(path), str(path))
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a JSON object")
    return content


def read_bytes(path: str | Path) -> bytes:
    """The content of a file. Raises ``InputError`` for one that cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_text(path: str | Path) -> str:
    """The text (UTF-8, with or without a mark at its beginning) of a file. Raises ``InputError`` where it is none."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text at byte {error.start}") from error


def json_value(text: str | bytes, where: str) -> Any:
    """The value that a JSON text holds; ``where`` names it in messages.

    This is the one place that reads JSON which somebody else may have written. Raises ``InputError`` for other text,
    for values nested deeper than ``DEEPEST``, and for numbers of thousands of digits.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise InputError(f"{where}: not JSON (nested too deep, allowed: {DEEPEST} levels)") from error
    except ValueError as error:
        raise InputError(f"{where}: not JSON ({one_line(error)})") from error
    check_depth(value, where)
    return value


def check_depth(value: Any, where: str, most_values: int | None = None) -> None:
    """Raise ``InputError`` for lists and objects nested deeper than ``DEEPEST``: whoever walks them would fail.

    most_values: how many values there may be in all. In YAML one value may stand in many places, also in itself.
    """
    level, seen = [[value]], 0
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        seen += sum(map(len, level))
        if most_values is not None and seen > most_values:
            raise InputError(f"{where}: more than {most_values} values")
        if not level:
            return
    raise InputError(f"{where}: nested too deep, allowed: {DEEPEST} levels")


def one_line(error: BaseException) -> str:
    """The text of an error of a library, which may have several lines, or none: then the name of its kind."""
    return " ".join(str(error).split()) or type(error).__name__
