"""GenBank flat files: their sequences, and the rows of their annotation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def genbank_sequences(path: str | Path) -> Iterator[tuple[str, str]]:
    """(name, sequence) of every record of a GenBank file (plain or gzip), upper case, in file order."""
    raise NotImplementedError
