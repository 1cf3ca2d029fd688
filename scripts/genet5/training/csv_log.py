"""CSV logs that survive kills and resumes."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from genet5.errors import InputError
from genet5.files import atomic_write, read_text
from genet5.tables import table_records, table_rows, whole_number


class CsvLog:
    """A CSV file of rows with the same columns; each row is on disk (flushed) when `append` returns.

    The columns are those of the first row; a later row may leave some out (empty cell) but add none.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._columns: list[str] | None = None

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row. Floats keep all their digits, so that logs of equal runs are equal text."""
        if self._columns is None:
            self._columns = self._open(list(row))
        unknown = set(row) - set(self._columns)
        if unknown:
            raise ValueError(f"{self.path}: no column {', '.join(sorted(unknown))}")
        self._write([row.get(name) for name in self._columns])

    def truncate(self, step: int) -> None:
        """Drop the rows after ``step`` (and a row cut short by a kill): they will be written again."""
        if not self.path.exists():
            return
        lines = read_text(self.path).splitlines(keepends=True)
        rows = table_records((line for line in lines if line.endswith("\n")), self.path, ",")
        kept = [lines[0]] if lines and lines[0].endswith("\n") else []
        kept += [line for line, row in zip(lines[1:], rows, strict=False) if self._step(row) <= step]
        with atomic_write(self.path) as stream:
            stream.writelines(kept)

    def _step(self, row: Mapping[str, str]) -> int:
        step = whole_number(row.get("step", ""))
        if step is None:
            raise InputError(f"{self.path}: step {row.get('step', '')[:40]!r} is no number; delete the file to go on")
        return step

    def sync(self) -> None:
        """Force the rows to the disk itself, before a checkpoint that counts on them."""
        if self.path.exists():
            with open(self.path, "rb") as stream:
                os.fsync(stream.fileno())

    def _open(self, columns: list[str]) -> list[str]:
        """The columns of the file on disk, or a new header."""
        if self.path.exists() and self.path.stat().st_size:
            with open(self.path, encoding="utf-8", newline="") as stream:
                return next(iter(table_rows(stream, self.path, ",")))[1]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._write(columns)
        return columns

    def _write(self, cells: list[Any]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        with open(self.path, "a", encoding="utf-8", newline="") as stream:
            stream.write(line.getvalue())


def now() -> str:
    """Local time to the second, with its offset."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
