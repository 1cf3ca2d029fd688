"""Where the files of a shard lie: read from the headers of the tar, and kept beside it in ``{shard}.idx``.

The kept table is a cache. It carries its own checksum and what the tar was like (size, time), and each file that is
read by it is compared with its header in the tar. So a table that is damaged, or of another tar, gives no other bases.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import re
import tarfile
from pathlib import Path

import numpy as np

from genet5.bake.samples import MEMBERS
from genet5.errors import InputError
from genet5.files import atomic_write

BLOCK = tarfile.BLOCKSIZE
_MAGIC = int.from_bytes(b"GT5IDX02", "little")
_HEADER = 8
"""int64 numbers before the table: magic, bytes of the tar, its mtime in ns, samples, and the sha256 of all the rest."""

_WIDTH = 2 * len(MEMBERS)
_NAME = slice(0, 100)
_SIZE = slice(124, 135)
_SUM = slice(148, 154)
_OCTAL = re.compile(rb"[0-7]{11}")
_KEY = re.compile(rb"[!-~]+")


def shard_table(path: Path, tar: mmap.mmap, status: os.stat_result) -> np.ndarray:
    """Offset and size of each file, int64 of shape (samples, 2 * files), from the index, or by a scan that writes it.

    Raises InputError for a file that is no shard or is cut short.
    """
    index = Path(f"{path}.idx")
    table = _load(index, status)
    if table is None or not _belongs(table, tar):
        table = _scan(tar, path)
        _save(index, status, table)
    return table


def check_member(tar: mmap.mmap, path: Path, offset: int, size: int, member: str) -> None:
    """Raises InputError unless the tar's own header says that ``member`` is there and has this size."""
    header = tar[offset - BLOCK : offset]
    name = header[_NAME].split(b"\0", 1)[0]
    if header[_SIZE] != b"%011o" % size or not name.endswith(b"." + member.encode()):
        raise InputError(f"{path}: found no .{member} file of {size} bytes at byte {offset}; delete {path}.idx")


def _scan(tar: mmap.mmap, path: Path) -> np.ndarray:
    rows: list[int] = []
    position = 0
    while True:
        header = tar[position : position + BLOCK]
        if len(header) < BLOCK:
            raise InputError(f"{path}: cut short at byte {position}; delete it and bake again")
        if not header.strip(b"\0"):
            break
        name = header[_NAME].split(b"\0", 1)[0]
        expected = MEMBERS[len(rows) // 2 % len(MEMBERS)]
        if header[257:262] != b"ustar" or name.partition(b".")[2] != expected.encode() or not _KEY.fullmatch(name):
            found = name[:60].decode("latin-1")
            raise InputError(f"{path}: found {found!r} at byte {position}, expected a sample's .{expected} file")
        if not _OCTAL.fullmatch(header[_SIZE]) or header[_SUM] != _checksum(header):
            raise InputError(f"{path}: damaged header at byte {position}; delete it and bake again")
        size = int(header[_SIZE], 8)
        rows += (position + BLOCK, size)
        position += BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
    if len(rows) % _WIDTH:
        raise InputError(f"{path}: the last sample lacks files, expected {', '.join(MEMBERS)}; bake again")
    return np.array(rows, dtype=np.int64).reshape(-1, _WIDTH)


def _checksum(header: bytes) -> bytes:
    """The sum of all bytes of a tar's header, those of the sum itself taken for blanks, as the header has it."""
    return b"%06o" % (sum(header) - sum(header[148:156]) + 8 * ord(" "))


def _belongs(table: np.ndarray, tar: mmap.mmap) -> bool:
    """Whether the last file that the table names ends where the tar does: after it are two empty blocks or more."""
    if not len(table):
        return not tar[:BLOCK].strip(b"\0")
    offset, size = table[-1, -2:].tolist()
    end = offset + (size + BLOCK - 1) // BLOCK * BLOCK
    header = tar[offset - BLOCK : offset] if BLOCK <= offset <= len(tar) else b""
    return header[_SIZE] == b"%011o" % size and end + BLOCK <= len(tar) and not tar[end : end + BLOCK].strip(b"\0")


def _load(path: Path, status: os.stat_result) -> np.ndarray | None:
    """The table of a cached index, or None when there is none that belongs to this state of the shard."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        return None
    if len(content) < 8 * _HEADER or len(content) % 8:
        return None
    numbers = np.frombuffer(content, dtype="<i8")
    magic, size, mtime_ns, samples = numbers[:4].tolist()
    if (magic, size, mtime_ns) != (_MAGIC, status.st_size, status.st_mtime_ns):
        return None
    if samples < 0 or len(numbers) != _HEADER + samples * _WIDTH:
        return None
    if content[32 : 8 * _HEADER] != _digest(content[:32], content[8 * _HEADER :]):
        return None
    return numbers[_HEADER:].reshape(samples, _WIDTH)


def _save(path: Path, status: os.stat_result, table: np.ndarray) -> None:
    header = np.array([_MAGIC, status.st_size, status.st_mtime_ns, len(table)], dtype="<i8").tobytes()
    content = table.astype("<i8").tobytes()
    try:
        with atomic_write(path, "wb") as stream:
            stream.write(header + _digest(header, content) + content)
    except OSError as error:
        # The cache only saves a scan: shards on a read-only or full disk are read all the same.
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EISDIR):
            raise


def _digest(header: bytes, table: bytes) -> bytes:
    return hashlib.sha256(header + table).digest()
