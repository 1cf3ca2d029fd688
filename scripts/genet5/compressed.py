"""Input files that may be gzipped: one way to open them, and one line of explanation when they are damaged."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from genet5.errors import InputError

_GZIP = b"\x1f\x8b"
_OTHER_PACKERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"(\xb5/\xfd": "zstd"}


@contextlib.contextmanager
def open_input(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a plain or gzipped (also bgzipped) file for reading bytes; what it holds decides, not its name.

    Raises InputError when the file is missing, empty, packed with another program, or a damaged or truncated gzip
    (the latter also while the caller reads inside the ``with`` block).
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            first = stream.read(6)
            if not first:
                raise InputError(f"{path}: the file is empty")
            for magic, packer in _OTHER_PACKERS.items():
                if first.startswith(magic):
                    raise InputError(f"{path}: packed with {packer}; allowed: plain text or gzip")
            stream.seek(0)
            if not first.startswith(_GZIP):
                yield stream
                return
            with gzip.open(stream, "rb") as unpacked:
                yield unpacked
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise InputError(f"{path}: damaged gzip ({error}); download it again") from error
        if error.filename is not None and Path(error.filename) == path:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        raise
    except EOFError as error:
        raise InputError(f"{path}: truncated gzip: the end of the file is missing; download it again") from error
    except zlib.error as error:
        raise InputError(f"{path}: damaged gzip ({error}); download it again") from error
