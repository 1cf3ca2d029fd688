"""Files on disk: whole or not there at all, told apart by checksum, JSON always written in one way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from genet5.errors import InputError

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
    """Open a temporary file beside ``path``; on success it replaces ``path``, on any error it is removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = None if "b" in mode else "utf-8"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


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
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, expected a JSON object")
    return content
