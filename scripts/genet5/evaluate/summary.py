"""All scores of a run as one tidy table, and its species as another: pandas data frames, TSV and Parquet."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from genet5.errors import InputError
from genet5.evaluate.tables import SCORE_COLUMNS, beside_each_other, score_rows
from genet5.files import atomic_write, one_line, read_json
from genet5.species_table import Species

OURS = "genet5/"
"""What the names of our predictions begin with; the stage follows."""

SUMMARY_FIELDS = {
    "species": "name of the species",
    "stage": "stage of the model that predicted; empty for baselines",
    "system": "`genet5/{stage}`, or the name of a baseline, once per species (`busco`: or `reference`, `genome`)",
    "level": "what is counted: `nucleotide`, `exon`, `intron`, `start`, `stop`, `transcript`, `gene`, "
    "`gene_single_exon`, `gene_multi_exon`, or `busco`",
    "reference": "features of the reference that take part (`busco`: marker genes of the lineage)",
    "predicted": "predicted features that take part",
    "found": "features of the reference that were found (`busco`: complete markers)",
    "right": "predicted features that are right",
    "fp": "predicted features that are wrong",
    "fn": "features of the reference that were missed",
    "ignored": "predictions on don't-care regions",
    "precision": "`right` / `predicted`",
    "recall": "`found` / `reference`",
    "f1": "their harmonic mean",
    "f1_low": "lower end of its 95 % bootstrap interval",
    "f1_high": "upper end",
    "f1_without_dont_care": "F1 where don't-care regions count like all others",
    "cpu_s": "CPU seconds that the prediction took",
    "kb_per_cpu_s": "kilobases per CPU second",
    "one_line": "BUSCO's own notation, at the level `busco`",
}
"""Columns of summary.tsv and what they hold. Undefined values are empty (null in Parquet)."""

SPECIES_FIELDS = {
    "species": "name of the species",
    "clade": "its clade",
    "genetic_code": "NCBI translation table",
    "split": "`train`, `validation` or `test`",
    "validation_regions": "regions held out for validation, as in the species table",
    "test_regions": "regions held out for testing",
    "excluded_regions": "regions in no split",
    "busco_lineage": "lineage of BUSCO, if the species names one",
    "bases": "bases of the genome",
    "contigs": "its sequences",
    "genes": "coding genes of the annotation",
    "genes_trusted": "of these, learnt from and scored",
    "genes_flagged": "of these, kept out; their bases are don't-care",
    **{f"{split}_bases": f"bases of the split {split}" for split in ("train", "validation", "test")},
    **{f"{split}_genes": f"trusted genes whole in the split {split}" for split in ("train", "validation", "test")},
    **{f"{split}_windows": f"windows baked for {split}" for split in ("train", "validation")},
}
"""Columns of species.tsv and what they hold. Empty where a species was not baked."""

_TEXT = {"species", "stage", "system", "level", "one_line"}
_COUNTS = {"reference", "predicted", "found", "right", "fp", "fn", "ignored"}
_SPECIES_TEXT = {
    "species", "clade", "split", "validation_regions", "test_regions", "excluded_regions", "busco_lineage",
}  # fmt: skip
# Folders of BUSCO results of what no stage predicted: the published proteins, and the DNA.
_NOT_PREDICTED = ("reference", "genome")
# Of a baseline that several documents hold, these may differ: it ran once for each.
_TIMES = ("cpu_s", "kb_per_cpu_s")


def summary_table(scores: Sequence[str | Path], busco: Iterable[str | Path] = ()) -> pd.DataFrame:
    """The scores of several files of ``score.py`` and ``busco.py``, one row per species, system and level.

    Columns as in ``SUMMARY_FIELDS``. A baseline that was scored beside several stages has one row, with the time of the
    first file. BUSCO files lie in a folder named after the stage and are named after the species. Raises InputError for
    files that are no scores, a system scored twice, and a baseline whose scores differ between files.
    """
    documents = [_score_document(path) for path in scores]
    _check_systems(scores, documents)
    rows = []
    for document in beside_each_other(documents):
        rows += [row | {"stage": _stage(row["system"]), "one_line": None} for row in score_rows(document)]
    rows += [_busco_row(Path(path)) for path in busco]
    columns = {name: pd.Series([row[name] for row in rows], dtype=_dtype(name)) for name in SUMMARY_FIELDS}
    return pd.DataFrame(columns)


def species_summary(table: Mapping[str, Species], stats: Iterable[str | Path]) -> pd.DataFrame:
    """One row per species of the table, with what ``stats.json`` of its baked data says. Columns: ``SPECIES_FIELDS``.

    Raises InputError for a file that is no ``stats.json``, and one of a species that the table lacks.
    """
    baked: dict[str, dict[str, int]] = {}
    for path in stats:
        name, numbers = _baked_numbers(path)
        if name not in table:
            raise InputError(f"{path}: species {name!r} is not in the species table ({', '.join(table)})")
        baked[name] = numbers
    rows = [asdict(row) | baked.get(name, {}) for name, row in table.items()]
    columns = {}
    for name in SPECIES_FIELDS:
        dtype = "string" if name in _SPECIES_TEXT else "Int64"
        values = [row.get(name) for row in rows]
        columns[name] = pd.Series([None if value == "" else value for value in values], dtype=dtype)
    return pd.DataFrame(columns)


def write_table(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table: Parquet where ``path`` ends in ``.parquet``, else TSV, where undefined cells are empty."""
    if Path(path).suffix == ".parquet":
        with atomic_write(path, "wb") as stream:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), stream)
        return
    with atomic_write(path) as stream:
        frame.to_csv(stream, sep="\t", index=False, lineterminator="\n")


def _dtype(column: str) -> str:
    return "string" if column in _TEXT else "Int64" if column in _COUNTS else "Float64"


def _stage(system: str) -> str | None:
    return system.removeprefix(OURS) if system.startswith(OURS) else None


def _score_document(path: str | Path) -> dict[str, Any]:
    document = read_json(path)
    missing = {"species", "systems", "regions", "reference", "genetic_code", "isoforms"} - set(document)
    if missing:
        raise InputError(f"{path}: not a file of genet5 score: {', '.join(sorted(missing))} missing")
    try:
        rows = list(score_rows(document))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a file of genet5 score ({one_line(error)})") from error
    for row in rows:
        for name, value in row.items():
            if name not in ("species", "system", "level") and not _fits(value, name):
                where = f"{row['system']}, {row['level']}, {name}"
                raise InputError(f"{path}: not a file of genet5 score ({where} is {str(value)[:40]!r})")
    return document


def _fits(value: object, column: str) -> bool:
    """Whether a column can hold a value: None, a count below 2 ** 63, or a number."""
    if value is None:
        return True
    if column in _COUNTS:
        return type(value) is int and abs(value) < 2**63
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _check_systems(paths: Sequence[str | Path], documents: Sequence[Mapping]) -> None:
    """A stage is scored once. A baseline has the same scores beside every stage, or a file is out of date."""
    known: dict[tuple[str, str], tuple[str | Path, dict]] = {}
    for path, document in zip(paths, documents, strict=True):
        for name, report in document["systems"].items():
            scores = {key: value for key, value in report.items() if key not in _TIMES}
            first, others = known.setdefault((document["species"], name), (path, scores))
            if _stage(name) is not None and others is not scores:
                raise InputError(f"{path}: {name} of {document['species']} is in {first} already; give each file once")
            if others != scores:
                raise InputError(f"{path}: scores of {name} differ from those in {first}; score both again")


def _busco_row(path: Path) -> dict[str, Any]:
    found = read_json(path)
    folder = path.parent.name
    system, stage = (folder, None) if folder in _NOT_PREDICTED else (f"{OURS}{folder}", folder)
    row: dict[str, Any] = dict.fromkeys(SCORE_COLUMNS)
    row |= {"species": path.stem, "system": system, "stage": stage, "level": "busco"}
    try:
        complete, markers, said = found["complete"], found["n"], str(found["one_line"])
        if not (type(complete) is type(markers) is int and 0 <= complete <= markers < 2**63):
            raise ValueError
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path}: not a file of genet5 busco: needs one_line, and the numbers complete and n (at least as many)"
        ) from error
    recall = round(complete / markers, 6) if markers else None
    return row | {
        "reference": markers, "found": complete, "fn": markers - complete, "recall": recall, "one_line": said,
    }  # fmt: skip


def _baked_numbers(path: str | Path) -> tuple[str, dict[str, int]]:
    stats = read_json(path)
    try:
        numbers = {"bases": stats["bases"], "contigs": stats["contigs"]}
        genes = stats["genes"]
        numbers |= {"genes": genes["total"], "genes_trusted": genes["trusted"], "genes_flagged": genes["flagged"]}
        for split, counted in stats["splits"].items():
            numbers |= {f"{split}_bases": counted["bases"], f"{split}_genes": counted["genes"]}
            if split != "test":
                numbers[f"{split}_windows"] = counted["windows"]["kept"]
        return stats["species"], numbers
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the stats.json of baked data ({error} missing)") from error
