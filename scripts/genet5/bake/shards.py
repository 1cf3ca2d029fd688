"""Shards: uncompressed WebDataset tars, written whole or not at all and read at random by memory map."""

from __future__ import annotations

import bisect
import hashlib
import mmap
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from genet5.bake.samples import MEMBERS, Sample, SampleGene, stored_meta, stored_structures
from genet5.bake.shard_index import BLOCK, check_member, shard_table
from genet5.errors import InputError
from genet5.files import atomic_write


class ShardRecord(NamedTuple):
    """What a manifest says of one shard file."""

    name: str
    split: str
    samples: int
    size: int
    sha256: str


def write_shards(encoded: Iterable[bytes], folder: Path, split: str, samples_per_shard: int) -> Iterator[ShardRecord]:
    """Write ``{split}_000.tar``, ``{split}_001.tar``, ... of samples as ``encode_record`` encodes them, in their order.

    Yields each shard when it is in place. Bytes depend on the samples alone (fixed time, owner and mode). One sample is
    in memory at a time.
    """
    records = iter(encoded)
    for number, first in enumerate(records):
        batch = chain((first,), islice(records, samples_per_shard - 1))
        yield _write_shard(folder / f"{split}_{number:03d}.tar", batch, split)


def write_shard(path: Path, records: Iterable[Mapping[str, str | bytes]], split: str) -> ShardRecord:
    """Write one tar of ``records`` as ``Sample.to_members`` gives them; it appears under its name when complete."""
    return _write_shard(path, map(encode_record, records), split)


def _write_shard(path: Path, encoded: Iterable[bytes], split: str) -> ShardRecord:
    with atomic_write(path, "wb") as stream:
        hashing = _HashingStream(stream)
        count = 0
        for record in encoded:
            hashing.write(record)
            count += 1
        # The format's end: two empty blocks, the file filled up to whole records.
        hashing.write(bytes(2 * BLOCK))
        hashing.write(bytes(-hashing.size % tarfile.RECORDSIZE))
    return ShardRecord(path.name, split, count, hashing.size, hashing.sha256.hexdigest())


def encode_record(record: Mapping[str, str | bytes]) -> bytes:
    """The bytes of one sample in a tar: a header and the content of each of its files, filled up to whole blocks."""
    parts = []
    for name in MEMBERS:
        content = record[name]
        parts += (_header(f"{record['__key__']}.{name}", len(content)), content, bytes(-len(content) % BLOCK))
    return b"".join(parts)


class ShardReader:
    """The samples of one shard by number.

    The offsets of the members are kept in ``{path}.idx`` beside the tar where that can be written; an index that does
    not belong to the tar is made anew (see ``shard_index``). Copies sent to worker processes map the file again.
    """

    def __init__(self, path: str | Path) -> None:
        """Raises InputError for a file that is missing, cut short or not a shard."""
        self.path = Path(path)
        try:
            with self.path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise InputError(f"{self.path}: no such shard; bake it with scripts/bake_shards.py") from error
        except ValueError as error:
            raise InputError(f"{self.path}: empty file, expected a shard; bake it again") from error
        self._map_advice()
        self._table = shard_table(self.path, self._map, status)

    def __len__(self) -> int:
        return len(self._table)

    def __reduce__(self) -> tuple:
        return type(self), (self.path,)

    def members(self, index: int) -> dict[str, str | bytes]:
        """The undecoded files of sample ``index`` with their ``__key__``, as ``Sample.from_members`` takes them."""
        row = self._row(index)
        result: dict[str, str | bytes] = {"__key__": self._key(row)}
        for name in MEMBERS:
            result[name] = self._member(row, name)
        return result

    def read(self, index: int) -> Sample:
        """Sample ``index``, 0 .. len - 1."""
        return Sample.from_members(self.members(index))

    def meta(self, index: int) -> dict[str, Any]:
        """The ``json`` member of sample ``index`` alone; its bases are not touched."""
        row = self._row(index)
        return stored_meta(self._member(row, "json"), f"{self.path}: sample {self._key(row)!r}")

    def genes(self, index: int) -> tuple[SampleGene, ...]:
        """The genes of sample ``index`` alone; its bases are not touched."""
        row = self._row(index)
        return stored_structures(self._member(row, "genes.json"), f"{self.path}: sample {self._key(row)!r}")[0]

    def key(self, index: int) -> str:
        """The key of sample ``index``: the name of its files without extension."""
        return self._key(self._row(index))

    def sizes_bp(self) -> np.ndarray:
        """Bases of every sample, flanks included, int64 of shape (len,); from the index, without reading samples."""
        return self._table[:, 1].copy()

    def close(self) -> None:
        self._map.close()

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _row(self, index: int) -> list[int]:
        if not 0 <= index < len(self._table):
            raise IndexError(f"{self.path}: sample {index}, it has {len(self._table)}")
        return self._table[index].tolist()

    def _member(self, row: list[int], name: str) -> bytes:
        column = 2 * MEMBERS.index(name)
        offset, size = row[column : column + 2]
        check_member(self._map, self.path, offset, size, name)
        return self._map[offset : offset + size]

    def _key(self, row: list[int]) -> str:
        name = self._map[row[0] - BLOCK : row[0] - BLOCK + 100].split(b"\0", 1)[0].decode("ascii", "replace")
        return name.split(".", 1)[0]

    def _map_advice(self) -> None:
        # Reads jump about: reading ahead would fetch megabytes for each sample from a cold disk.
        if hasattr(mmap, "MADV_RANDOM"):
            self._map.madvise(mmap.MADV_RANDOM)


class ShardSet:
    """Several shards as one sequence of samples, in the order given."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.readers = [ShardReader(path) for path in paths]
        self._ends = list(accumulate(map(len, self.readers)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def locate(self, index: int) -> tuple[ShardReader, int]:
        """The shard that holds sample ``index`` and the sample's number there."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        shard = bisect.bisect_right(self._ends, index)
        return self.readers[shard], index - (self._ends[shard - 1] if shard else 0)

    def read(self, index: int) -> Sample:
        reader, local = self.locate(index)
        return reader.read(local)

    def meta(self, index: int) -> dict[str, Any]:
        reader, local = self.locate(index)
        return reader.meta(local)

    def genes(self, index: int) -> tuple[SampleGene, ...]:
        reader, local = self.locate(index)
        return reader.genes(local)

    def key(self, index: int) -> str:
        reader, local = self.locate(index)
        return reader.key(local)

    def sizes_bp(self) -> np.ndarray:
        """Bases of every sample, flanks included, int64 of shape (len,)."""
        parts = [reader.sizes_bp() for reader in self.readers]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def close(self) -> None:
        for reader in self.readers:
            reader.close()

    def __enter__(self) -> ShardSet:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _HashingStream:
    """Counts and digests what is written, so that a shard is not read again for its manifest."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.size = 0
        self.sha256 = hashlib.sha256()

    def write(self, block: bytes) -> None:
        self._stream.write(block)
        self.sha256.update(block)
        self.size += len(block)


def _header(name: str, size: int) -> bytes:
    """The header of a file in a tar. Only its name and size differ: the rest is made once."""
    field = name.encode("ascii", "replace")
    if not name.isascii() or len(field) > _NAME_BYTES or size > _LARGEST:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o644, 0
        return info.tobuf(tarfile.USTAR_FORMAT)
    digits = b"%011o" % size
    # The sum of all bytes of the header, those of the sum itself taken for blanks.
    checksum = _EMPTY_SUM + sum(field) + sum(digits) - 11 * ord("0")
    header = bytearray(_EMPTY_HEADER)
    header[: len(field)] = field
    header[124:135] = digits
    header[148:155] = b"%06o\0" % checksum
    return bytes(header)


def _empty_header() -> bytes:
    info = tarfile.TarInfo("")
    info.mode, info.mtime = 0o644, 0
    return info.tobuf(tarfile.USTAR_FORMAT)


_NAME_BYTES, _LARGEST = 100, 0o77777777777
_EMPTY_HEADER = _empty_header()
_EMPTY_SUM = int(_EMPTY_HEADER[148:154], 8)
