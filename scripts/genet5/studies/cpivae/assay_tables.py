"""What the readers of Olink and SomaScan files share: the table that they make, and what they say of it."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from genet5.compressed import DAMAGED_GZIP, damaged_gzip
from genet5.errors import InputError
from genet5.files import one_line
from genet5.studies.cpivae.tables import Table
from genet5.tables import table_rows

_ACCESSIONS = re.compile(r"[\s,;|_]+")


@dataclass(frozen=True)
class AssayTable:
    """One platform: samples x features on a log2 scale; the UniProt accessions of features, where the file has them;
    what kind of file it was; and what was left out, in words."""

    table: Table
    proteins: Mapping[str, frozenset[str]]
    kind: str
    dropped: list[str] = field(default_factory=list)

    def describe(self, name: str) -> str:
        """One line for the log."""
        shape = f"{len(self.table.samples):,} samples, {len(self.table.features):,} features"
        return f"{name}: {self.kind}, {shape}; left out: {'; '.join(self.dropped) or 'nothing'}"


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """A text file, gzip or not. Raises ``InputError`` when it cannot be read."""
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
        if start == b"PAR1":
            raise InputError(f"{path}: a Parquet file, expected text (export it as CSV)")
        if start[:2] == b"PK":
            raise InputError(f"{path}: a ZIP or Excel file, expected text (unpack it, or save the sheet as CSV)")
        opened = gzip.open(path, "rt", encoding="utf-8-sig") if start[:2] == b"\x1f\x8b" else None
        with opened or path.open(encoding="utf-8-sig") as text:
            yield text
    except DAMAGED_GZIP as error:
        raise damaged_gzip(path, error) from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the table ({error.strerror or error})") from None
    except (ValueError, csv.Error) as error:  # no UTF-8, or no table for pandas
        raise InputError(f"{path}: not a table ({one_line(error)})") from None


def header_of(path: Path) -> tuple[list[str], str]:
    """Names of the first line, and what stands between them: tabs, semicolons or commas.

    Raises ``InputError`` for a line without names, and for a name that stands there twice.
    """
    with open_text(path) as stream:
        line = stream.readline().rstrip("\r\n")
    separator = next((sign for sign in "\t;" if sign in line), ",")
    names = [name.strip() for name in next((row for _, row in table_rows([line], path, separator)), [])]
    if not any(names):
        raise InputError(f"{path}: line 1 is empty, expected the names of columns")
    name, times = Counter(filter(None, names)).most_common(1)[0]
    if times > 1:
        raise InputError(f"{path}: {times} columns are named {name!r}, expected one")
    return names, separator


def accessions(text: object) -> frozenset[str]:
    """UniProt accessions of a cell: one, several, or none."""
    return frozenset(filter(None, _ACCESSIONS.split(text))) if isinstance(text, str) else frozenset()


def column_of(names: list[str], wanted: str, path: Path) -> int:
    """Place of a column; ``InputError`` with those there are when it is missing."""
    if wanted not in names:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise InputError(f"{path}: no column '{wanted}' (there are: {shown})")
    return names.index(wanted)


def numbers(column: pd.Series, path: Path, name: str) -> pd.Series:
    """A column of text as numbers; ``InputError`` with the line of the first cell that is none."""
    values = pd.to_numeric(column, errors="coerce")
    wrong = values.isna() & column.notna()
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(f"{path}: line {row + 2}, column '{name}': '{column.iloc[row]}' is not a number")
    infinite = np.isinf(values.to_numpy(float))
    if infinite.any():
        raise InputError(f"{path}: line {int(infinite.argmax()) + 2}, column '{name}' is infinite")
    return values


def read_protein_list(path: Path) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """UniProt accessions of Olink assays and of aptamers: a table with columns uniprot_id, olink_id and somascan_id, as
    Supplementary Data 1 of the publication of the pair has them.

    Raises:
        InputError: no such table.
    """
    names, separator = header_of(path)
    places = [column_of(names, wanted, path) for wanted in ("uniprot_id", "olink_id", "somascan_id")]
    with open_text(path) as stream:
        frame = pd.read_csv(stream, sep=separator, dtype=str, header=0, usecols=places, names=range(len(names)))
    by_olink: dict[str, set[str]] = {}
    by_aptamer: dict[str, set[str]] = {}
    for protein, olink, aptamer in frame[places].itertuples(index=False):
        for key, found in ((olink, by_olink), (aptamer, by_aptamer)):
            if isinstance(key, str):
                found.setdefault(key, set()).update(accessions(protein))
    return by_olink, by_aptamer


def with_proteins(read: AssayTable, listed: Mapping[str, set[str]], key: Callable[[str], str]) -> AssayTable:
    """The table with the accessions of a list beside its own; ``key`` makes names comparable."""
    by_key: dict[str, set[str]] = {}
    for name, found in listed.items():
        by_key.setdefault(key(name), set()).update(found)
    proteins = dict(read.proteins)
    for name in read.table.features:
        if found := by_key.get(key(name)):
            proteins[name] = proteins.get(name, frozenset()) | found
    return AssayTable(read.table, proteins, read.kind, read.dropped)
