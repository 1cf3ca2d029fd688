"""Rows of text tables (CSV, TSV) and the numbers in them, or one line about what is wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from genet5.errors import InputError

_MOST_DIGITS = 18
"""More digits do not fit an int64."""


def whole_number(text: str | bytes) -> int | None:
    """The number that a text of ASCII digits alone stands for, up to 18 of them; None for any other text.

    Python's ``int`` also takes ``1_807``, ``+1807``, blanks and the digits of other scripts, which no format allows.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def table_rows(
    lines: Iterable[str], path: str | Path, separator: str = "\t", *, quoting: int = csv.QUOTE_MINIMAL
) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of each row that is not empty. InputError for what is no table: a cell over 128 kB, NULs."""
    reader = csv.reader(lines, delimiter=separator, quoting=quoting)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: not a table ({error})") from error
        if cells is None:
            return
        if cells:
            yield reader.line_num, cells


def table_records(lines: Iterable[str], path: str | Path, separator: str = "\t") -> list[dict[str, str]]:
    """Rows under a header as column -> cell. A row with more or fewer cells than the header is an InputError."""
    rows = table_rows(lines, path, separator)
    _, header = next(rows, (0, []))
    records = []
    for number, cells in rows:
        if len(cells) != len(header):
            raise InputError(f"{path}, line {number}: {len(cells)} cells, the header has {len(header)}")
        records.append(dict(zip(header, cells, strict=True)))
    return records
