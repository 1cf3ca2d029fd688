"""Checks of a written GFF3 file, read back from disk by gffutils: what users of the file rely on must be in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import gffutils
import numpy as np

from genet5.errors import InputError
from genet5.genome.fasta import Genome, shown_names
from genet5.genome.genes import Interval, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode, codon_numbers, reverse_complement

_PARENT_OF = {"mRNA": "gene", "exon": "mRNA", "CDS": "mRNA"}


@dataclass
class _Row:
    """One gene, mRNA or exon row, or all rows of one CDS."""

    id: str
    kind: str
    parents: tuple[str, ...]
    seqid: str
    strand: str
    segments: list[tuple[Interval, str]]
    cut: tuple[bool, bool]
    children: list[_Row] = field(default_factory=list)

    def pairs(self, kind: str) -> list[tuple[Interval, str]]:
        """Place and phase of all child rows of a type, ascending."""
        return sorted(pair for child in self.children if child.kind == kind for pair in child.segments)

    @property
    def start(self) -> int:
        return min(segment.start for segment, _ in self.segments)

    @property
    def end(self) -> int:
        return max(segment.end for segment, _ in self.segments)


def validate_gff3(path: str | Path, genome: Genome, code: GeneticCode) -> int:
    """Check a gene / mRNA / exon / CDS file, as this project writes it, against the genome; returns its gene count.

    Ids are unique, parents exist and enclose their children on the same strand, every CDS lies on its contig, the
    exons of an mRNA are where its CDS rows are, phases follow from the lengths, no stop codon stands in frame, and a
    CDS begins with a start and ends with a stop codon of ``code`` unless that end is marked partial. Raises InputError
    naming file, gene and fault at the first that is not so. The whole annotation is held in memory.
    """
    rows = _read(Path(path))
    _link(path, rows)
    for row in rows.values():
        _check_place(path, row, genome)
    for row in rows.values():
        if row.kind == "mRNA":
            _check_coding(path, row, genome, code)
    return sum(row.kind == "gene" for row in rows.values())


def _read(path: Path) -> dict[str, _Row]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    # GFF3 as specified: gffutils would otherwise guess the syntax from the first lines.
    features = gffutils.DataIterator(str(path), dialect=gffutils.constants.dialect)
    rows: dict[str, _Row] = {}
    try:
        for feature in features:
            _add(f"{path}, line {features.current_item_number + 1}", feature, rows)
    except ValueError as error:
        line_number = (features.current_item_number or 0) + 1
        raise InputError(f"{path}, line {line_number}: not readable as GFF3 ({error})") from error
    return rows


def _add(line: str, feature: gffutils.Feature, rows: dict[str, _Row]) -> None:
    kind = feature.featuretype
    name = feature.attributes.get("ID", [""])[0]
    if kind not in ("gene", *_PARENT_OF):
        raise InputError(f"{line}: row of type {kind!r} (ID {name!r}), expected gene, mRNA, exon or CDS")
    where = f"{line}: {kind}"
    if not name:
        raise InputError(f"{where} without ID")
    if feature.start is None or feature.end is None or feature.start > feature.end:
        raise InputError(f"{where} {name!r}: start and end are not two ascending positions")
    marks = feature.attributes if feature.attributes.get("partial") == ["true"] else {}
    row = _Row(
        id=name,
        kind=kind,
        parents=tuple(feature.attributes.get("Parent", ())),
        # gffutils decodes attributes but not column 1.
        seqid=unquote(feature.seqid),
        strand=feature.strand,
        segments=[(Interval(feature.start - 1, feature.end), feature.frame)],
        cut=("start_range" in marks, "end_range" in marks),
    )
    known = rows.setdefault(name, row)
    if known is row:
        return
    if not (kind == known.kind == "CDS") or (row.parents, row.seqid, row.strand) != (
        known.parents,
        known.seqid,
        known.strand,
    ):
        raise InputError(f"{line}: ID {name!r} is used twice, by a {known.kind} and by this {kind}")
    known.segments += row.segments


def _link(path: str | Path, rows: dict[str, _Row]) -> None:
    for row in rows.values():
        wanted = _PARENT_OF.get(row.kind)
        if wanted is None:
            continue
        if not row.parents:
            raise InputError(f"{path}: {row.kind} {row.id!r} has no Parent")
        for name in row.parents:
            parent = rows.get(name)
            if parent is None or parent.kind != wanted:
                raise InputError(f"{path}: Parent {name!r} of {row.kind} {row.id!r} is not a {wanted} of this file")
            if (row.seqid, row.strand) != (parent.seqid, parent.strand):
                raise InputError(f"{path}: {row.kind} {row.id!r} and its Parent {name!r} differ in contig or strand")
            if not parent.start <= row.start < row.end <= parent.end:
                raise InputError(f"{path}: {row.kind} {row.id!r} reaches outside its Parent {name!r}")
            parent.children.append(row)
    for row in rows.values():
        if row.kind == "gene" and not row.children:
            raise InputError(f"{path}: gene {row.id!r} has no mRNA")
        if row.kind == "mRNA" and not row.pairs("CDS"):
            raise InputError(f"{path}: mRNA {row.id!r} has no CDS")


def _check_place(path: str | Path, row: _Row, genome: Genome) -> None:
    length = genome.lengths.get(row.seqid)
    if length is None:
        raise InputError(
            f"{path}: {row.kind} {row.id!r} is on {row.seqid!r}, the genome has {shown_names(genome.names)}"
        )
    if row.start < 0 or row.end > length:
        raise InputError(
            f"{path}: {row.kind} {row.id!r} spans {row.start + 1}-{row.end}, outside {row.seqid} of {length} bp"
        )
    if row.strand not in ("+", "-"):
        raise InputError(f"{path}: {row.kind} {row.id!r} has strand {row.strand!r}, allowed: + and -")


def _check_coding(path: str | Path, mrna: _Row, genome: Genome, code: GeneticCode) -> None:
    where = f"{path}: gene {mrna.parents[0]!r}, mRNA {mrna.id!r}"
    pairs = mrna.pairs("CDS")
    segments = tuple(segment for segment, _ in pairs)
    for left, right in pairwise(segments):
        if right.start < left.end:
            raise InputError(f"{where}: CDS rows {left.start + 1}-{left.end} and {right.start + 1}-{right.end} overlap")
    exons = tuple(segment for segment, _ in mrna.pairs("exon"))
    if exons != segments:
        raise InputError(f"{where}: exon rows {_shown(exons)}, expected {_shown(segments)} as its CDS rows")
    phases = tuple(phase for _, phase in pairs)
    if not set(phases) <= {"0", "1", "2"}:
        raise InputError(f"{where}: phases {', '.join(phases)}, allowed in CDS rows: 0, 1, 2")
    cut5, cut3 = mrna.cut if mrna.strand == "+" else mrna.cut[::-1]
    first = int(phases[0] if mrna.strand == "+" else phases[-1])
    expected = phases_from_lengths(segments, mrna.strand, first if cut5 else 0)
    if tuple(map(int, phases)) != expected:
        found, wanted = ", ".join(phases), ", ".join(map(str, expected))
        raise InputError(f"{where}: phases {found}, expected {wanted} from the lengths of its CDS rows")
    bases = "".join(genome.sequence(mrna.seqid, start, end) for start, end in segments)
    bases = bases if mrna.strand == "+" else reverse_complement(bases)
    _check_frame(where, bases[first:], code, cut5=cut5, cut3=cut3)


def _shown(segments: tuple[Interval, ...]) -> str:
    return ", ".join(f"{start + 1}-{end}" for start, end in segments) or "(none)"


def _check_frame(where: str, bases: str, code: GeneticCode, *, cut5: bool, cut3: bool) -> None:
    if not cut3 and len(bases) % 3:
        raise InputError(f"{where}: {len(bases)} coding bases are not a whole number of codons, and no end is partial")
    if not cut5 and bases[:3] not in code.starts:
        raise InputError(f"{where}: begins with {bases[:3]}, no start codon of table {code.table}, and is not partial")
    if not cut3 and bases[-3:] not in code.stops:
        raise InputError(f"{where}: ends with {bases[-3:]}, no stop codon of table {code.table}, and is not partial")
    inner = bases if cut3 else bases[:-3]
    stops = np.flatnonzero(code.is_in_frame_stop[codon_numbers(inner)])
    if len(stops):
        codon = int(stops[0])
        raise InputError(f"{where}: stop codon {inner[3 * codon : 3 * codon + 3]} in frame, codon {codon + 1}")
