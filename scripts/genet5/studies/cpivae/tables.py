"""Tables of platforms, samples in rows, and what two of them have in common."""

from __future__ import annotations

import csv
import gzip
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from genet5.compressed import DAMAGED_GZIP, damaged_gzip
from genet5.errors import InputError
from genet5.files import one_line
from genet5.tables import table_rows

log = logging.getLogger(__name__)
_SHOWN = 5


@dataclass(frozen=True)
class Table:
    """One platform: ``values`` [samples, features] float64, NaN where nothing was measured."""

    source: str
    samples: list[str]
    features: list[str]
    values: np.ndarray

    def rows(self, samples: Sequence[str]) -> Table:
        """The table of ``samples``, in that order."""
        place = {sample: row for row, sample in enumerate(self.samples)}
        return Table(self.source, list(samples), self.features, self.values[[place[name] for name in samples]])


def read_table(path: Path, wanted: Callable[[str], bool] | None = None, id_column: str | None = None) -> Table:
    """Read a table: a header, then sample id and features; tabs if the header has one, else commas; gzip or not.

    ``wanted``: which of the features to read (all). ``id_column``: name of the column of sample ids (the first).

    Raises:
        InputError: no such file, no features, a row longer or shorter than the header, a cell that is no number, a
            sample or feature that stands there twice.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if _packed(path) else path.open(encoding="utf-8") as stream:
            line = stream.readline().rstrip("\r\n")
            separator = "\t" if "\t" in line else ","
            header = next(csv.reader([line], delimiter=separator), [])
            if len(header) < 2:
                raise InputError(f"{path}: {len(header)} column, expected sample ids and at least one feature")
            _same_fields(stream, separator, len(header), path)
            stream.seek(0)
            stream.readline()
            if id_column is not None and id_column not in header:
                raise InputError(f"{path}: no column '{id_column}' (first ones: {', '.join(header[:_SHOWN])})")
            own = header.index(id_column) if id_column is not None else 0
            used = [at for at, name in enumerate(header) if at != own and (wanted is None or wanted(name))]
            # Names come from the header as it is: pandas would rename a second feature of a name.
            frame = pd.read_csv(
                stream, sep=separator, header=None, names=range(len(header)), usecols=[own, *used], dtype={own: str}
            )[[own, *used]]
    except DAMAGED_GZIP as error:
        raise damaged_gzip(path, error) from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the table ({error.strerror or error})") from None
    except (ValueError, OverflowError, csv.Error) as error:
        raise InputError(f"{path}: not a table ({one_line(error)})") from None
    if frame.empty:
        raise InputError(f"{path}: no samples")
    features = [header[at] for at in used]
    _no_duplicates(features, f"{path}: feature")
    samples = frame.iloc[:, 0]
    if samples.isna().any():
        raise InputError(f"{path}: line {int(np.flatnonzero(samples.isna())[0]) + 2} has no sample id")
    names = samples.str.strip().tolist()
    _no_duplicates(names, f"{path}: sample")
    for place, name in zip(used, features, strict=True):
        column = frame[place]
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            numbers = pd.to_numeric(column.astype(str), errors="coerce")
            wrong = np.flatnonzero((numbers.isna() & column.notna()).to_numpy())
            row = int(wrong[0]) if len(wrong) else 0
            raise InputError(f"{path}: line {row + 2}, column '{name}': '{column.iloc[row]}' is not a number")
    values = frame.iloc[:, 1:].to_numpy(dtype=np.float64)
    if np.isinf(values).any():
        row, place = np.argwhere(np.isinf(values))[0]
        raise InputError(f"{path}: line {row + 2}, column '{features[place]}' is infinite")
    return Table(str(path), names, features, values)


def read_labels(path: Path) -> dict[str, str]:
    """Sample id -> label, the first two columns of a table with a header. Raises ``InputError``."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if _packed(path) else path.open(encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except DAMAGED_GZIP as error:
        raise damaged_gzip(path, error) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the labels ({one_line(error)})") from None
    rows = [row for _, row in table_rows(lines, path, "\t" if lines and "\t" in lines[0] else ",")]
    if any(len(row) < 2 for row in rows):
        raise InputError(f"{path}: expected two columns, sample id and label")
    return {row[0]: row[1] for row in rows[1:]}


def align(a: Table, b: Table) -> tuple[Table, Table]:
    """Both tables with the samples they share, sorted by id; a warning says what was left out.

    Raises:
        InputError: no shared sample.
    """
    shared = sorted(set(a.samples) & set(b.samples))
    if not shared:
        raise InputError(f"{a.source} and {b.source} share no sample id (first ones: {a.samples[0]}, {b.samples[0]})")
    for table, other in ((a, b), (b, a)):
        alone = sorted(set(table.samples) - set(shared))
        if alone:
            shown = ", ".join(alone[:_SHOWN]) + (", ..." if len(alone) > _SHOWN else "")
            log.warning("%s: %d samples are not in %s and left out: %s", table.source, len(alone), other.source, shown)
    return a.rows(shared), b.rows(shared)


def write_table(path: Path, id_name: str, samples: Sequence[str], features: Sequence[str], values: np.ndarray) -> None:
    """Write a table as ``read_table`` reads it; gzip if the name ends so. Numbers with six digits."""
    frame = pd.DataFrame(values, index=pd.Index(samples, name=id_name), columns=list(features))
    packing = {"method": "gzip", "compresslevel": 1, "mtime": 0} if path.name.endswith(".gz") else None
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    tabs = path.name.removesuffix(".gz").endswith((".txt", ".tsv"))
    try:
        frame.to_csv(temporary, sep="\t" if tabs else ",", float_format="%.6g", compression=packing)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _same_fields(stream: TextIO, separator: str, expected: int, path: Path) -> None:
    """Check the rows after the header: pandas would shift a row that is longer, and fill up one that is shorter."""
    rows = csv.reader(stream, delimiter=separator)
    for row in rows:
        blank = not row or (len(row) == 1 and not row[0].strip())  # pandas skips such lines
        if len(row) != expected and not blank:
            raise InputError(
                f"{path}: line {rows.line_num + 1} has {len(row)} fields, expected {expected} as the header"
            )


def _no_duplicates(names: Sequence[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{what} '{name}' stands there twice")
        seen.add(name)
