"""GFF3 files without the notes on how they were made."""

from __future__ import annotations

from pathlib import Path


def without_notes(path: Path) -> bytes:
    """All lines but those of ``#!``: genes written from Python have none."""
    return b"".join(line for line in path.read_bytes().splitlines(keepends=True) if not line.startswith(b"#!"))
