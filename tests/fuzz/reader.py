"""What the fuzzer knows of one reader, and what several of them need of the reference data."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mutators

CONTIG_BP = 40_000


class Reader(NamedTuple):
    """seed: the sound file. read: what reads the damaged one in a folder, and asserts what must hold."""

    file: str
    seed: bytes
    mutators: tuple[mutators.Mutator, ...]
    read: Callable[[Path], object]


class MissingData(Exception):
    """The reference data is not there."""


def needed(path: Path) -> Path:
    """A file of the reference data. Raises MissingData."""
    if not path.is_file():
        raise MissingData(f"needs the reference data, not found at {path}: set GENET5_DATA")
    return path


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def first_contig(path: Path) -> tuple[bytes, str]:
    """The first bases of the first contig as FASTA, and its name."""
    with gzip.open(needed(path)) as stream:
        header = stream.readline()
        bases = b""
        while len(bases) < CONTIG_BP:
            bases += stream.readline().strip()
    lines = [bases[at : at + 60] for at in range(0, CONTIG_BP, 60)]
    return header + b"\n".join(lines) + b"\n", header[1:].split()[0].decode()


def first_rows(path: Path, seqid: str, most: int = 60) -> bytes:
    """The first rows of a GFF or GTF file on the first bases of a contig."""

    def rows() -> Iterator[bytes]:
        with gzip.open(needed(path)) as stream:
            for line in stream:
                cells = line.split(b"\t")
                if len(cells) > 8 and cells[0].decode() == seqid and int(cells[4]) <= CONTIG_BP:
                    yield line

    return b"".join(itertools.islice(rows(), most))


def beside(sound: Path, read: Callable[[Path], object], path: Path) -> None:
    """Read a folder in which all files but the damaged one are those of ``sound``."""
    for other in sound.iterdir():
        if other.name != path.name and other.is_file():
            shutil.copy(other, path.parent / other.name)
    read(path.parent)
