"""Input files that may be gzipped: one way to open them, and one line of explanation when they are damaged."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from genet5.errors import InputError

LONGEST_LINE_BYTES = 1_000_000
"""Lines of text and headers of FASTA may have so many bytes: a damaged file may be one line that fills the memory."""

DAMAGED_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
"""What reading a damaged or truncated gzip raises."""

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
    except DAMAGED_GZIP as error:
        raise damaged_gzip(path, error) from error
    except OSError as error:
        if error.filename is not None and Path(error.filename) == path:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        raise


def damaged_gzip(path: str | Path, error: BaseException) -> InputError:
    """The message about one of ``DAMAGED_GZIP``."""
    if isinstance(error, EOFError):
        return InputError(f"{path}: truncated gzip: the end of the file is missing; download it again")
    return InputError(f"{path}: damaged gzip ({error}); download it again")


def lines_of(path: str | Path, stream: IO[bytes], most_bytes: int = LONGEST_LINE_BYTES) -> Iterator[bytes]:
    """The lines of an open file with their ends. InputError, with its number, for a line over ``most_bytes``."""
    number = 0
    while line := stream.readline(most_bytes + 1):
        number += 1
        if len(line) > most_bytes:
            raise long_line(path, number, most_bytes)
        yield line


def long_line(path: str | Path, number: int, most_bytes: int = LONGEST_LINE_BYTES) -> InputError:
    """The message about a line that has more than ``most_bytes`` bytes."""
    return InputError(f"{path}, line {number}: over {most_bytes} bytes, a line of text has fewer; is the file damaged?")
