"""SomaScan files: ADAT, with its blocks of annotation, or a wide table with a column for each aptamer.

Values are relative fluorescence units (RFU) and become log2 of them. Several aptamers of a protein stay apart.

The layout of ADAT: lines of ``^HEADER``, ``^COL_DATA`` and ``^ROW_DATA``. After ``^TABLE_BEGIN``, annotations of
aptamers, one a row, each behind as many empty cells as samples have annotations. Then the names of these. Then samples,
whose values stand behind their annotations and one empty cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genet5.errors import InputError
from genet5.studies.cpivae.assay_tables import AssayTable, accessions, column_of, header_of, open_text
from genet5.studies.cpivae.tables import Table, read_table

_APTAMER = re.compile(r"(?:seq|seqid)?[._ ]?(\d+)[.\-](\d+)(?:[._]\d+)?", re.IGNORECASE)
_BLOCKS = ("!Checksum", "^HEADER", "^COL_DATA", "^ROW_DATA", "^TABLE_BEGIN")


def aptamer_name(text: str) -> str | None:
    """``seq.10000.28`` for 10000-28, 10000-28_3, SeqId.10000.28 and the like; None for what is no aptamer."""
    found = _APTAMER.fullmatch(text.strip())
    return f"seq.{found[1]}.{found[2]}" if found else None


def read_somascan(path: Path, drop_flagged: bool, scale: str, id_column: str | None = None) -> AssayTable:
    """Read ADAT or a wide table. ``id_column``: SampleId of ADAT and the first one of a wide table, if not given.

    Samples other than those of the study (buffer, calibrators, QC), aptamers for no human protein, and columns that are
    no aptamers are left out; with ``drop_flagged`` also samples and aptamers that the quality control flagged.
    ``scale``: rfu, or log2 for a table that has been logged.

    Raises:
        InputError: no such table; a value that is no number, or none above 0 (rfu).
    """
    with open_text(path) as stream:
        start = next((line for line in stream if line.strip()), "")
    is_adat = start.startswith(_BLOCKS)
    read = (
        _read_adat(path, drop_flagged, id_column or "SampleId")
        if is_adat
        else _read_wide(path, drop_flagged, id_column)
    )
    if scale == "log2":
        return read
    low = np.argwhere(read.table.values <= 0)
    if len(low):
        row, column = low[0]
        raise InputError(
            f"{path}: sample '{read.table.samples[row]}', {read.table.features[column]}: RFU "
            f"{read.table.values[row, column]:g}, expected more than 0 (somascan_scale: log2 for logged values)"
        )
    table = Table(read.table.source, read.table.samples, read.table.features, np.log2(read.table.values))
    return AssayTable(table, read.proteins, read.kind, read.dropped)


def _read_wide(path: Path, drop_flagged: bool, id_column: str | None) -> AssayTable:
    names, separator = header_of(path)
    chosen = id_column or names[0]
    column_of(names, chosen, path)
    found = [name for name in names if name != chosen and aptamer_name(name)]
    if not found:
        raise InputError(f"{path}: no column is named after an aptamer (as seq.10000.28 or 10000-28)")
    dropped = []
    others = len(names) - 1 - len(found)
    if others:
        dropped.append(f"{others:,} columns that are no aptamers")
    table = read_table(path, wanted=lambda name: name in set(found), id_column=chosen)
    facts = [name for name in ("SampleType", "RowCheck") if name in names]
    if facts:
        with open_text(path) as stream:
            frame = pd.read_csv(stream, sep=separator, usecols=facts, dtype=str, keep_default_na=False)
        kept = _kept_samples({name: frame[name].tolist() for name in facts}, drop_flagged, dropped)
        table = Table(table.source, [table.samples[row] for row in kept], table.features, table.values[kept])
    return _named(path, table, {}, "wide SomaScan table", dropped)


def _read_adat(path: Path, drop_flagged: bool, id_column: str) -> AssayTable:
    with open_text(path) as stream:
        lines = enumerate(stream, start=1)
        if not any(line.startswith("^TABLE_BEGIN") for _, line in lines):
            raise InputError(f"{path}: no line ^TABLE_BEGIN, so no ADAT")
        about: dict[str, list[str]] = {}
        number, cells = _next(lines)
        while cells and not cells[0]:
            place = next((at for at, cell in enumerate(cells) if cell), None)
            if place is not None:
                about[cells[place]] = cells[place + 1 :]
                offset = place
            number, cells = _next(lines)
        if "SeqId" not in about:
            raise InputError(f"{path}: no row SeqId after ^TABLE_BEGIN (there are: {', '.join(about) or 'none'})")
        facts = [cell for cell in cells if cell]
        if len(facts) != offset:
            raise InputError(
                f"{path}: line {number} names {len(facts)} annotations of samples, expected {offset}: as many as there "
                "are cells before SeqId"
            )
        aptamers = about["SeqId"]
        for cells in about.values():  # editors drop empty cells at the end of a line
            cells.extend([""] * (len(aptamers) - len(cells)))
        rows: list[list[str]] = []
        values: list[np.ndarray] = []
        for number, line in lines:
            cells = line.rstrip("\r\n").split("\t")
            if not any(cells):
                continue
            found = cells[offset + 1 : offset + 1 + len(aptamers)]
            if len(found) != len(aptamers):
                raise InputError(f"{path}: line {number} has {len(found)} values, expected {len(aptamers)}")
            rows.append(cells[:offset])
            values.append(_values(found, aptamers, path, number))
    place = column_of(facts, id_column, path)
    if not rows:
        raise InputError(f"{path}: no samples")
    dropped: list[str] = []
    by_fact = {name: [row[at] for row in rows] for at, name in enumerate(facts)}
    kept = _kept_samples(by_fact, drop_flagged, dropped)
    columns = _kept_aptamers(about, len(aptamers), drop_flagged, dropped)
    samples = [rows[row][place].strip() for row in kept]
    if "" in samples:
        raise InputError(f"{path}: sample {samples.index('') + 1} has no {id_column}")
    table = Table(str(path), samples, [aptamers[at] for at in columns], np.array(values)[np.ix_(kept, columns)])
    proteins = about.get("UniProt", [""] * len(aptamers))
    return _named(path, table, {aptamers[at]: accessions(proteins[at]) for at in columns}, "ADAT", dropped)


def _next(lines: Iterator[tuple[int, str]]) -> tuple[int, list[str]]:
    """Number and cells of the next line; no cells at the end."""
    number, line = next(lines, (0, ""))
    return number, [cell.strip() for cell in line.rstrip("\r\n").split("\t")] if line else []


def _values(cells: Sequence[str], aptamers: Sequence[str], path: Path, number: int) -> np.ndarray:
    try:
        values = np.array([float(cell) if cell.strip() not in ("", "NA") else np.nan for cell in cells])
        if np.isinf(values).any():
            raise InputError(f"{path}: line {number}, {aptamers[int(np.isinf(values).argmax())]} is infinite")
        return values
    except ValueError:
        for cell, name in zip(cells, aptamers, strict=True):
            try:
                float(cell or "nan")
            except ValueError:
                raise InputError(f"{path}: line {number}, {name}: '{cell}' is not a number") from None
        raise


def _kept_samples(facts: dict[str, list[str]], drop_flagged: bool, dropped: list[str]) -> list[int]:
    number = len(next(iter(facts.values())))
    kept = list(range(number))
    if "SampleType" in facts:
        kept = [row for row in kept if facts["SampleType"][row].strip() == "Sample"]
        if len(kept) < number:
            dropped.append(f"{number - len(kept):,} buffers, calibrators and QC samples")
    if drop_flagged and "RowCheck" in facts:
        passed = [row for row in kept if facts["RowCheck"][row].strip().upper() in ("PASS", "")]
        if len(passed) < len(kept):
            dropped.append(f"{len(kept) - len(passed):,} flagged samples")
        kept = passed
    return kept


def _kept_aptamers(about: dict[str, list[str]], number: int, drop_flagged: bool, dropped: list[str]) -> list[int]:
    kept = list(range(number))
    for name, allowed, what in (
        ("Type", {"PROTEIN"}, "aptamers for no protein (controls)"),
        ("Organism", {"HUMAN", ""}, "aptamers for proteins of other organisms"),
        *([("ColCheck", {"PASS", ""}, "flagged aptamers")] if drop_flagged else []),
    ):
        if name in about:
            cells = about[name] + [""] * (number - len(about[name]))
            passed = [at for at in kept if cells[at].strip().upper() in allowed]
            if len(passed) < len(kept):
                dropped.append(f"{len(kept) - len(passed):,} {what}")
            kept = passed
    return kept


def _named(path: Path, table: Table, proteins: dict[str, frozenset[str]], kind: str, dropped: list[str]) -> AssayTable:
    """The table with features named seq.X.Y."""
    names = []
    for text in table.features:
        name = aptamer_name(text)
        if name is None:
            raise InputError(f"{path}: SeqId '{text}', expected two numbers as in 10000-28")
        names.append(name)
    for what, found in (("sample", table.samples), ("aptamer", names)):
        twice = pd.Series(found, dtype=str).duplicated()
        if twice.any():
            raise InputError(f"{path}: {what} '{found[int(twice.to_numpy().argmax())]}' stands there twice")
    if not table.samples or not names:
        raise InputError(f"{path}: no {'samples' if names else 'aptamers'} are left ({'; '.join(dropped)})")
    known = {name: found for name, text in zip(names, table.features, strict=True) if (found := proteins.get(text))}
    return AssayTable(Table(table.source, table.samples, names, table.values), known, kind, dropped)
