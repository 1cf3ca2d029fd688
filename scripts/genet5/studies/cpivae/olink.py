"""Olink files: the long NPX table that Olink's software exports, or a wide table of samples and proteins.

NPX is on a log2 scale already. A protein that several panels measure has an assay (OlinkID) on each; they stay apart.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from genet5.errors import InputError
from genet5.studies.cpivae.assay_tables import AssayTable, accessions, column_of, header_of, numbers, open_text
from genet5.studies.cpivae.tables import Table, read_table

_SAMPLE_TYPES = ("SampleType", "Sample_Type")
_FLAGS = ("QC_Warning", "SampleQC", "Assay_Warning", "AssayQC")
_MEASURES = ("NPX", "LOD")
_BLOCK_ROWS = 500_000
_UNFLAGGED = {"PASS", "NA", ""}
_CONTROL_ASSAY = re.compile(r"(?:incubation|extension|amplification) control", re.IGNORECASE)


def read_olink(path: Path, drop_flagged: bool, drop_below_lod: bool, id_column: str | None = None) -> AssayTable:
    """Read NPX. Long: a column NPX, one row for each sample and assay; wide: sample ids (first column, or
    ``id_column``) and a column for each protein.

    Of a long table, rows of control samples and control assays are left out. With ``drop_flagged``, cells with a
    warning of the sample or of the assay count as not measured; with ``drop_below_lod`` those below the limit of
    detection.

    Raises:
        InputError: no such table, a cell that is no number, a sample that was measured twice by an assay.
    """
    names, _ = header_of(path)
    if "NPX" in names:
        return _read_long(path, drop_flagged, drop_below_lod, id_column or "SampleID")
    if drop_below_lod:
        raise InputError(f"{path}: a wide table has no limit of detection (below_lod: drop needs a long one)")
    return AssayTable(read_table(path, id_column=id_column), {}, "wide Olink table")


def _read_long(path: Path, drop_flagged: bool, drop_below_lod: bool, id_column: str) -> AssayTable:
    names, separator = header_of(path)
    column_of(names, id_column, path)
    assay = "OlinkID" if "OlinkID" in names else "Assay"
    column_of(names, assay, path)
    if drop_below_lod:
        column_of(names, "LOD", path)
    optional = ("Assay", "UniProt", "AssayType", *_SAMPLE_TYPES, *_FLAGS, *(["LOD"] if drop_below_lod else []))
    used = {id_column, assay, "NPX", *(name for name in optional if name in names)}
    frame = _read_columns(path, separator, sorted(used))
    for name in (id_column, assay):
        empty = frame[name].str.strip() == ""
        if empty.any():
            raise InputError(f"{path}: line {int(empty.to_numpy().argmax()) + 2} has no {name}")
    values = numbers(frame["NPX"], path, "NPX").to_numpy(float)
    dropped: list[str] = []
    kept = _measured(frame, id_column, dropped)
    flagged = _flagged(frame) & kept
    if drop_flagged and flagged.any():
        dropped.append(f"{int(flagged.sum()):,} values with a warning")
        values = np.where(flagged, np.nan, values)
    if drop_below_lod:
        limit = numbers(frame["LOD"], path, "LOD").to_numpy(float)
        below = (values < limit) & kept
        dropped.append(f"{int(below.sum()):,} values below the limit of detection")
        values = np.where(below, np.nan, values)
    if not kept.any():
        raise InputError(f"{path}: no row is of a sample and of an assay of a protein")
    return _wide(path, frame[kept], values[kept], id_column, assay, dropped)


def _read_columns(path: Path, separator: str, used: list[str]) -> pd.DataFrame:
    """Columns of a long table: NPX and LOD as numbers or text, the others as categories of text.

    Names repeat in millions of rows, and as categories they need little memory. Read as such at once, 007 would be 7.
    """
    with open_text(path) as stream:
        blocks = pd.read_csv(
            stream,
            sep=separator,
            usecols=used,
            dtype=dict.fromkeys((name for name in used if name not in _MEASURES), str),
            keep_default_na=False,
            na_values={name: ["", "NA", "NaN"] for name in _MEASURES},
            chunksize=_BLOCK_ROWS,
        )
        parts = [block.astype({n: "category" for n in block if n not in _MEASURES}) for block in blocks]
    columns = {}
    for name in used:
        found = [part[name] for part in parts]
        whole = pd.concat(found, ignore_index=True) if name in _MEASURES else pd.Series(union_categoricals(found))
        columns[name] = whole
    return pd.DataFrame(columns)


def _measured(frame: pd.DataFrame, id_column: str, dropped: list[str]) -> np.ndarray:
    """Which rows are of a sample, and of an assay of a protein; what was left out is added to ``dropped``."""
    kinds = next((frame[name] for name in _SAMPLE_TYPES if name in frame), None)
    samples = frame[id_column]
    # Without a column for it, controls are known by their names: CONTROL_SAMPLE_AS 1.
    control = (kinds.str.upper() != "SAMPLE") if kinds is not None else samples.str.upper().str.contains("CONTROL")
    if control.any():
        dropped.append(f"{samples[control].nunique():,} control samples")
    other = np.zeros(len(frame), dtype=bool)
    if "AssayType" in frame:
        other |= (frame["AssayType"].str.lower() != "assay").to_numpy()
    if "Assay" in frame:
        other |= frame["Assay"].str.contains(_CONTROL_ASSAY).to_numpy()
    if other.any():
        name = "OlinkID" if "OlinkID" in frame else "Assay"
        dropped.append(f"{frame[name][other].nunique():,} control assays")
    return ~(control.to_numpy() | other)


def _flagged(frame: pd.DataFrame) -> np.ndarray:
    """Which rows have a warning of their sample or assay."""
    found = np.zeros(len(frame), dtype=bool)
    for name in _FLAGS:
        if name in frame:
            found |= ~frame[name].str.strip().str.upper().isin(_UNFLAGGED).to_numpy()
    return found


def _wide(
    path: Path, frame: pd.DataFrame, values: np.ndarray, id_column: str, assay: str, dropped: list[str]
) -> AssayTable:
    rows, samples = pd.factorize(frame[id_column].str.strip())
    columns, assays = pd.factorize(frame[assay].str.strip())
    cells = rows.astype(np.int64) * len(assays) + columns
    twice = pd.Series(cells).duplicated().to_numpy()
    if twice.any():
        place = int(twice.argmax())
        raise InputError(
            f"{path}: line {frame.index[place] + 2}: sample '{samples[rows[place]]}' has a second NPX of "
            f"{assays[columns[place]]}"
        )
    table = np.full((len(samples), len(assays)), np.nan)
    table[rows, columns] = values
    first = frame.drop_duplicates(assay).set_index(frame.drop_duplicates(assay)[assay].str.strip())
    named = "Assay" in frame and assay == "OlinkID"
    names = [f"{first.at[key, 'Assay'].strip()}_{key}" if named else str(key) for key in assays]
    listed = first["UniProt"] if "UniProt" in frame else pd.Series("", index=first.index)
    proteins = {name: found for name, key in zip(names, assays, strict=True) if (found := accessions(listed[key]))}
    return AssayTable(Table(str(path), [str(s) for s in samples], names, table), proteins, "long NPX table", dropped)
