"""The species table: which genomes a run reads, what they are, and which parts of them are held out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from Bio.Data.CodonTable import unambiguous_dna_by_id

from genet5.configuration import check_against_schema, load_schema, suggestion
from genet5.errors import InputError
from genet5.files import read_text
from genet5.tables import table_rows

#: NCBI translation tables that exist.
GENETIC_CODES = tuple(sorted(unambiguous_dna_by_id))
#: Value of the annotation column for a genome that Prodigal is to label.
PRODIGAL = "prodigal"
#: How the columns genome and annotation of a simulated genome begin; AUGUSTUS's name of the species follows.
SIMULATED = "simulated:"
#: Whether an annotation names all genes of its DNA, or some: the column annotated.
ALL_GENES, SOME_GENES = ANNOTATED = ("all", "some")
#: Least bases of a simulated genome: room for a few genes.
LEAST_SIMULATED_BP = 20_000
#: Names of lineages as BUSCO publishes them: fungi_odb10, fungi_odb12, fungi_odb12.2. All other text is a path.
LINEAGE_NAME = re.compile(r"[a-z0-9_]+_odb\d+(\.\d+)?")

_REGION_COLUMNS = ("validation_regions", "test_regions", "excluded_regions")
_SPAN = re.compile(r"(?P<seqid>.+):(?P<start>[0-9]{1,18})-(?P<end>[0-9]{1,18})")


@dataclass(frozen=True)
class Species:
    """One row. Regions are as written in the table, "" where there are none; so are absent checksums and lineages."""

    species: str
    clade: str
    genetic_code: int
    split: str
    genome: str
    annotation: str
    validation_regions: str = ""
    test_regions: str = ""
    excluded_regions: str = ""
    genome_sha256: str = ""
    annotation_sha256: str = ""
    busco_lineage: str = ""
    genome_bp: int = 0
    annotated: str = ALL_GENES
    exon_flank_bp: int = 0
    rnaseq: str = ""
    proteins: str = ""

    @property
    def labelled(self) -> bool:
        """Whether Prodigal provides the annotation."""
        return self.annotation == PRODIGAL

    @property
    def simulated_from(self) -> str:
        """AUGUSTUS's name of the species whose parameters the genome is drawn from; "" for a published genome."""
        return self.genome.removeprefix(SIMULATED) if self.genome.startswith(SIMULATED) else ""

    @property
    def lineage_to_fetch(self) -> str:
        """The name of the BUSCO lineage, where the table has a name; "" where it has a path or nothing."""
        return self.busco_lineage if LINEAGE_NAME.fullmatch(self.busco_lineage) else ""

    @property
    def trains(self) -> bool:
        """Whether some of the genome is trained on or validated on."""
        return self.split != "test" or bool(self.validation_regions)

    @property
    def evaluated(self) -> bool:
        """Whether some or all of the genome is held out for testing."""
        return self.split == "test" or bool(self.test_regions)

    @property
    def validates(self) -> bool:
        """Whether some or all of the genome is held out for validation."""
        return self.split == "validation" or bool(self.validation_regions)


COLUMNS = tuple(field.name for field in fields(Species))


def read_species_table(path: str | Path, data_root: str, clades: Collection[str]) -> dict[str, Species]:
    """Rows by name, in the order of the table, checked; ``{data_root}`` in cells is replaced.

    clades: the names that the column clade may have. Raises ``InputError``.
    """
    text = read_text(path)
    header: list[str] | None = None
    schema = _row_schema(clades)
    table: dict[str, Species] = {}
    lines: dict[str, int] = {}  # of each name, in lower case: files of two names that differ in case alone may be one
    for number, cells in table_rows(io.StringIO(text, newline=""), path, quoting=csv.QUOTE_NONE):
        cells = [cell.strip() for cell in cells]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if header is None:
            header = cells
            _check_header(header, path)
            continue
        where = f"{path} line {number}"
        row = _parse_row(header, cells, where, schema, data_root)
        first = lines.setdefault(row.species.casefold(), number)
        if first != number:
            raise InputError(f"{where}, column species: '{row.species}' is in line {first} already")
        table[row.species] = row
    if not table:
        raise InputError(f"{path} holds no species")
    return table


def _row_schema(clades: Collection[str]) -> dict[str, Any]:
    """What a row may hold, with the clades and genetic codes that there are."""
    schema = load_schema("species")
    schema["properties"] |= {
        "clade": {"enum": list(clades)},
        "genetic_code": {"enum": list(map(str, GENETIC_CODES))},
        "annotated": {"enum": list(ANNOTATED)},
    }
    return schema


def _check_header(header: Sequence[str], path: str | Path) -> None:
    if len(header) == 1 and " " in header[0]:
        raise InputError(f"{path} line 1: columns are separated by blanks, expected tabs")
    for column in header:
        if column not in COLUMNS:
            raise InputError(f"{path} line 1: column '{column}' is unknown{suggestion(column, COLUMNS)}")
        if header.count(column) > 1:
            raise InputError(f"{path} line 1: column '{column}' is there twice")


def _parse_row(header: Sequence[str], cells: Sequence[str], where: str, schema: Mapping, data_root: str) -> Species:
    """One checked row."""
    if len(cells) != len(header):
        raise InputError(
            f"{where}: {len(cells)} cells, expected {len(header)} (separated by tabs; - for an absent one)"
        )
    values = {
        column: cell.replace("{data_root}", data_root.rstrip("/"))
        for column, cell in zip(header, cells, strict=True)
        if cell not in ("", "-")
    }
    named = f"{where} ({values['species']})" if "species" in values else where

    def subject(place: Sequence[str | int]) -> str:
        return f"{named}, column {place[0]}" if place else named

    check_against_schema(values, schema, subject)
    numbers = {
        column: int(values[column]) for column in ("genetic_code", "genome_bp", "exon_flank_bp") if column in values
    }
    row = Species(**{**values, **numbers})
    if row.split == "test" and not row.test_regions and (row.validation_regions or row.excluded_regions):
        raise InputError(
            f"{subject(['test_regions'])} is missing: where a part of a test species is validated on or excluded, the "
            "tested part must be named"
        )
    if row.labelled and row.annotation_sha256:
        raise InputError(f"{subject(['annotation_sha256'])}: the annotation is made here by Prodigal, expected -")
    if row.exon_flank_bp and (row.split != "train" or row.validation_regions or row.test_regions):
        raise InputError(
            f"{subject(['exon_flank_bp'])}: a condensed genome is for training alone; give it the split train, hold "
            "parts out by excluded_regions, and validate and test on another row of the same files"
        )
    _check_simulated(row, subject)
    _check_regions(row, subject)
    _check_evidence(row, subject)
    if row.busco_lineage and not row.lineage_to_fetch and not Path(row.busco_lineage).exists():
        raise InputError(
            f"{subject(['busco_lineage'])}: '{row.busco_lineage}' does not exist, expected the name of a BUSCO lineage "
            "(like fungi_odb12), or the path of a lineage folder or its tar file"
        )
    return row


def _check_simulated(row: Species, subject) -> None:
    """A simulated genome has its annotation from the same parameters, a size, and no file to be checked."""
    if not row.simulated_from and not row.annotation.startswith(SIMULATED):
        return
    if row.genome != row.annotation:
        raise InputError(
            f"{subject(['annotation'])}: '{row.annotation}', expected the same as in column genome ('{row.genome}'): "
            "a genome and its annotation are simulated together"
        )
    if row.genome_bp < LEAST_SIMULATED_BP:
        raise InputError(
            f"{subject(['genome_bp'])}: {row.genome_bp or 'missing'}, a simulated genome needs its number of bases, at "
            f"least {LEAST_SIMULATED_BP}"
        )
    for column in ("genome_sha256", "annotation_sha256"):
        if getattr(row, column):
            raise InputError(f"{subject([column])}: the genome is simulated here, expected -")


def _check_evidence(row: Species, subject) -> None:
    """Each file of RNA-seq and proteins is there."""
    for column in ("rnaseq", "proteins"):
        for path in filter(None, getattr(row, column).split(",")):
            if not Path(path).is_file():
                raise InputError(f"{subject([column])}: '{path}' does not exist, expected files, separated by commas")


def _check_regions(row: Species, subject) -> None:
    """No base may be in two of validation, test and excluded."""
    parsed: list[tuple[str, str, str, int, float]] = []
    for column in _REGION_COLUMNS:
        for text in filter(None, getattr(row, column).split(",")):
            seqid, start, end = parse_region(text)
            if end < start or start < 1:
                raise InputError(f"{subject([column])}: '{text}' is empty, expected 1 <= START <= END")
            for other, other_text, other_seqid, other_start, other_end in parsed:
                if seqid == other_seqid and start <= other_end and other_start <= end:
                    raise InputError(f"{subject([column])}: '{text}' overlaps '{other_text}' of column {other}")
            parsed.append((column, text, seqid, start, end))


def parse_region(text: str) -> tuple[str, int, float]:
    """``chrII:1-500`` -> (``chrII``, 1, 500), 1-based and closed; a bare name is the whole sequence, (name, 1, inf)."""
    match = _SPAN.fullmatch(text)
    return (match["seqid"], int(match["start"]), int(match["end"])) if match else (text, 1, float("inf"))


def select_species(
    selection: str | Iterable[str], table: Mapping[str, Species], sheet: str, key: str = "species"
) -> list[str]:
    """Names chosen by one name, a comma list, a list, or ``all`` in the config ``key``; in the given order, once."""
    text = selection if isinstance(selection, str) else ",".join(selection)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise InputError(f"config key {key} is empty, expected a name, a comma list of names, or all")
    if names == ["all"]:
        return list(table)
    for name in names:
        if name not in table:
            raise InputError(f"config key {key}: '{name}' is not in {sheet}{suggestion(name, table)}")
    return names


def require_training(table: Mapping[str, Species], sheet: str) -> None:
    """Raise ``InputError`` unless the table has training and validation data."""
    if not any(row.split == "train" for row in table.values()):
        raise InputError(f"{sheet}: no species has the split train, so there is nothing to train on")
    if not any(row.validates for row in table.values()):
        raise InputError(
            f"{sheet}: nothing is held out for validation; give a species the split validation, or a training species "
            "validation_regions"
        )


def require_evaluation(table: Mapping[str, Species], sheet: str) -> list[str]:
    """Names of the species with held-out test data; ``InputError`` if there are none."""
    names = [name for name, row in table.items() if row.evaluated]
    if not names:
        raise InputError(
            f"{sheet}: nothing is held out for testing; give a species the split test, or a training species "
            "test_regions"
        )
    return names


def shared_by_training(table: Mapping[str, Species], column: str, key: str) -> str | int:
    """Value of ``column`` that all training species agree on; ``InputError`` naming config ``key`` if they do not."""
    values = sorted({getattr(row, column) for row in table.values() if row.split == "train"})
    if len(values) != 1:
        found = ", ".join(str(value) for value in values) or "nothing"
        raise InputError(
            f"config key {key} is needed for a new genome: the training species have {found}; add {key}=..."
        )
    return values[0]
