"""Transcripts of an annotation database with their exons, introns and CDS in transcript order, as the file gives them.

Every transcript of the file counts, coding or not. A gene or a protein that CDS rows hang from directly stands for a
transcript (bacteria): one for each ID of these CDS rows. So does a parent whose own row is missing (GTF, extracts).
Without exon rows, the exons are the CDS and UTR rows, joined where they touch. A transcript without any part is one
stretch, as GFF3 means it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import gffutils

from genet5.genome.checks import LONGEST_FRAMESHIFT_BP
from genet5.genome.drafts import gene_class
from genet5.genome.gff import is_gene_kind, is_noncoding_kind
from genet5.genome.gff_database import CDS, EXON, PARTS, SPAN, STOP_CODON, UTR, Rows, first

_PROTEINS = ("protein", "polypeptide")
_BIOTYPES = ("gene_biotype", "gene_type", "so_term_name", "transcript_biotype", "transcript_type", "biotype")
_TRUE = ("true", "1", "yes")


class Piece(NamedTuple):
    """A stretch of a sequence, 0-based half-open; on a circular one ``end`` may lie beyond its length."""

    start: int
    end: int
    strand: str
    phase: str = "."


@dataclass
class Parts:
    """A transcript. Pieces stand in transcript order, 5' to 3'; ``cds`` has the stop codon and is empty without CDS.

    ``introns`` lie between neighbouring exons. ``cut5``/``cut3``: the file says that the CDS is incomplete there.
    """

    name: str
    gene: str
    seqid: str
    exons: list[Piece]
    cds: list[Piece]
    introns: list[Piece]
    cut5: bool = False
    cut3: bool = False
    pseudogene: bool = False
    genetic_code: str = ""
    line: int = 0


@dataclass
class Notes:
    """Transcripts (rows, for the last two) that were read in a way a user may want to know, by what was met."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, name: str) -> None:
        self.counts[what] += 1
        self.examples.setdefault(what, name)

    def lines(self) -> list[str]:
        """One line for each kind of event."""
        return [f"{what}: {count}, first {self.examples[what]}" for what, count in self.counts.items()]


def read_parts(rows: Rows, lengths: Mapping[str, int], notes: Notes) -> Iterator[Parts]:
    """Transcripts in the order of the file; names that occur again get their sequence's name, and a number."""
    reader = _Parts(rows, lengths, notes)
    taken: set[str] = set()
    for parts in reader.all():
        base = name = parts.name if parts.name not in taken else f"{parts.name}@{parts.seqid}"
        number = 1
        while name in taken:
            number += 1
            name = f"{base}.{number}"
        taken.add(name)
        parts.name = name
        yield parts


class _Parts:
    def __init__(self, rows: Rows, lengths: Mapping[str, int], notes: Notes) -> None:
        self._rows, self._database = rows, rows.database
        self._lengths, self._notes = lengths, notes

    def all(self) -> Iterator[Parts]:
        described = ((row.file_order, row.id, row) for row in self._described())
        lost = ((order, name, None) for name, order in self._lost_parents())
        for _, name, row in heapq.merge(described, lost, key=lambda entry: entry[0]):
            yield from self._of_gene(row) if row is not None and is_gene_kind(row.featuretype) else self._of(name, row)

    def _described(self) -> Iterator[gffutils.Feature]:
        marks = ",".join(f"'{part}'" for part in PARTS)
        query = f"SELECT id FROM features WHERE featuretype NOT IN ({marks}) ORDER BY rowid"
        for found in self._database.execute(query):
            yield self._database[found["id"]]

    def _lost_parents(self) -> Iterator[tuple[str, int]]:
        """Names that parts give as their parent and that no row has; each with the place of its first part."""
        query = (
            "SELECT parent, MIN(features.rowid) AS place FROM relations JOIN features ON child = id WHERE level = 1 "
            "AND parent NOT IN (SELECT id FROM features) GROUP BY parent ORDER BY place"
        )
        for found in self._database.execute(query):
            if any(True for _ in self._children(found["parent"])):
                yield found["parent"], found["place"]

    def _children(self, name: str) -> list[gffutils.Feature]:
        children = self._database.children(name, level=1, featuretype=PARTS, order_by="file_order")
        return list(children)

    def _of(self, name: str, row: gffutils.Feature | None) -> Iterator[Parts]:
        """The transcript of a row, or of a parent without a row; one for each sequence that its parts lie on."""
        if row is not None and row.featuretype in _PROTEINS and any(True for _ in self._database.parents(row)):
            return  # read with its transcript
        parts = self._children(name)
        if row is not None:
            proteins = self._database.children(row, level=1, featuretype=_PROTEINS)
            known = {part.id for part in parts}
            parts += [part for protein in proteins for part in self._children(protein.id) if part.id not in known]
            parts.sort(key=lambda part: part.file_order)
        types = {part.featuretype for part in parts} - {SPAN}
        if types and not types & {EXON, CDS}:
            self._notes.add("transcripts that have UTR or stop codon rows alone, left out", name)
            return
        if not types and (row is None or not _is_transcript(row.featuretype)):
            return
        seqids = dict.fromkeys([*([row.seqid] if row is not None else []), *(part.seqid for part in parts)])
        for seqid in seqids:
            own = [part for part in parts if part.seqid == seqid]
            if row is not None and row.seqid == seqid:
                own = [row, *own]
            gene, ancestors = self._gene(name, row, own)
            yield self._parts(name, gene, seqid, own, [*([row] if row is not None else []), *ancestors])

    def _of_gene(self, row: gffutils.Feature) -> Iterator[Parts]:
        """What hangs from a gene without a transcript between."""
        # A row that also names a transcript is that one's.
        parts = [part for part in self._children(row.id) if len(part.attributes["Parent"]) == 1]
        by_protein: dict[str, list[gffutils.Feature]] = {}
        for part in parts:
            if part.featuretype == CDS:
                by_protein.setdefault(first(part, "ID") or row.id, []).append(part)
        others = [part for part in parts if part.featuretype in (EXON, UTR, STOP_CODON)]
        if len(by_protein) > 1:
            for name, own in by_protein.items():
                yield self._parts(name, row.id, row.seqid, own, [row])
            return
        if not by_protein and self._has_transcripts(row):
            for part in others:
                self._notes.add(
                    "rows of a gene beside those of its transcripts, left out", f"line {first(part, 'line')}"
                )
            return
        if by_protein or others:
            name = next(iter(by_protein), row.id)
            yield self._parts(name, row.id, row.seqid, parts, [row])

    def _has_transcripts(self, row: gffutils.Feature) -> bool:
        return any(child.featuretype not in PARTS for child in self._database.children(row, level=1))

    def _gene(
        self, name: str, row: gffutils.Feature | None, parts: list[gffutils.Feature]
    ) -> tuple[str, list[gffutils.Feature]]:
        """Name of the gene, and the rows above the transcript's own."""
        if row is None or not row.attributes.get("Parent"):
            return next((found for part in parts if (found := first(part, "gene_id"))), name), []
        names, ancestors = [name], []
        while row is not None and row.attributes.get("Parent"):
            parent = row.attributes["Parent"][0]
            if parent in names:
                break
            row = self._find(parent)
            if row is None and parent in self._rows.sequences:
                break
            names.append(parent)
            ancestors += [row] if row is not None else []
        genes = [ancestor.id for ancestor in ancestors if is_gene_kind(ancestor.featuretype)]
        return genes[0] if genes else names[min(1, len(names) - 1)], ancestors

    def _find(self, name: str) -> gffutils.Feature | None:
        try:
            return self._database[name]
        except gffutils.FeatureNotFoundError:
            return None

    def _parts(
        self, name: str, gene: str, seqid: str, own: list[gffutils.Feature], above: list[gffutils.Feature]
    ) -> Parts:
        """``own``: the rows of one transcript, in the order of the file. ``above``: its row and those it comes from."""
        by_type: dict[str, list[gffutils.Feature]] = {part: [] for part in PARTS}
        for row in own:
            by_type[row.featuretype if row.featuretype in PARTS else SPAN].append(row)
        if by_type[CDS] and above and is_noncoding_kind(above[0].featuretype):
            by_type[EXON] = by_type[EXON] or by_type[CDS]
            by_type[CDS] = []
            self._notes.add("CDS rows under an RNA that does not code, read as exons", name)
        coding = by_type[CDS]
        exon_rows = by_type[EXON] or [*coding, *by_type[STOP_CODON], *by_type[UTR]] or by_type[SPAN]
        used = [*exon_rows, *coding, *by_type[STOP_CODON]]
        trans_spliced = _is_trans_spliced(used)
        if any(row.strand == "." for row in exon_rows):
            self._notes.add("transcripts without a strand, read on +", name)
        if exon_rows is by_type[SPAN]:
            self._notes.add("transcripts without exon, CDS and UTR rows, taken as one exon", name)
        length = self._lengths[seqid] if seqid in self._rows.circular else 0
        cds = _in_order(coding, trans_spliced, length)
        if coding and by_type[STOP_CODON]:
            cds = _with_stop_codon(cds, _in_order(by_type[STOP_CODON], trans_spliced, length))
        exons = _in_order(exon_rows, trans_spliced, length)
        if not by_type[EXON] and not trans_spliced:
            exons = _joined(exons)
        if trans_spliced:
            self._notes.add("trans-spliced transcripts, parts joined in the order of the file, without introns", name)
        introns = [] if trans_spliced else self._introns(name, exons)
        self._note_overlaps(name, cds)
        cut5, cut3 = _cut_ends(coding, cds[0].strand) if cds else (False, False)
        marked = [*above, *coding]
        return Parts(
            name, gene, seqid, exons, cds, introns, cut5, cut3,
            pseudogene=any(_is_pseudogene(row) for row in marked),
            genetic_code=next((found for row in coding if (found := first(row, "transl_table"))), ""),
            line=int(first(own[0], "line")),
        )  # fmt: skip

    def _introns(self, name: str, exons: list[Piece]) -> list[Piece]:
        introns = []
        for left, right in pairwise(exons):
            start, end = (left.end, right.start) if left.strand == "+" else (right.end, left.start)
            if end - start > LONGEST_FRAMESHIFT_BP:
                introns.append(Piece(start, end, left.strand))
            elif end > start:
                self._notes.add(
                    f"gaps of {LONGEST_FRAMESHIFT_BP} bases or less, taken as frameshifts, no introns", name
                )
        return introns

    def _note_overlaps(self, name: str, cds: list[Piece]) -> None:
        for left, right in pairwise(cds):
            overlap = min(left.end, right.end) - max(left.start, right.start)
            if left.strand == right.strand and overlap > LONGEST_FRAMESHIFT_BP:
                self._notes.add("transcripts whose CDS rows overlap, joined as they are", name)
                return


def _is_transcript(kind: str) -> bool:
    return kind.lower().endswith(("rna", "transcript"))


def _is_pseudogene(row: gffutils.Feature) -> bool:
    if first(row, "pseudo").lower() in _TRUE or row.attributes.get("pseudogene"):
        return True
    return gene_class(row.featuretype, [first(row, key) for key in _BIOTYPES]) == "pseudogene"


def _is_trans_spliced(rows: Iterable[gffutils.Feature]) -> bool:
    rows = list(rows)
    marked = any(first(row, "exception") == "trans-splicing" or first(row, "trans_splicing") for row in rows)
    return marked or len({row.strand for row in rows} - {"."}) > 1


def _in_order(rows: Iterable[gffutils.Feature], as_in_file: bool, circle_bp: int) -> list[Piece]:
    """Pieces in transcript order; rows given twice count once. ``circle_bp``: length of a circular sequence, else 0."""
    pieces = [Piece(row.start - 1, row.end, "-" if row.strand == "-" else "+", row.frame) for row in rows]
    pieces = list({piece[:3]: piece for piece in reversed(pieces)}.values())[::-1]
    if as_in_file:
        return pieces
    pieces.sort()
    if circle_bp and len(pieces) > 1 and pieces[0].start == 0 and pieces[-1].end == circle_bp:
        pieces = _around_the_origin(pieces, circle_bp)
    return pieces if not pieces or pieces[0].strand == "+" else pieces[::-1]


def _around_the_origin(pieces: list[Piece], circle_bp: int) -> list[Piece]:
    """Ascending pieces that meet at the origin of a circle, from before it to behind it: the widest gap is outside."""
    gaps = [right.start - left.end for left, right in pairwise(pieces)]
    cut = gaps.index(max(gaps)) + 1
    before = pieces[cut:]
    behind = [piece._replace(start=piece.start + circle_bp, end=piece.end + circle_bp) for piece in pieces[:cut]]
    last, next_one = before[-1], behind[0]
    phase = last.phase if last.strand == "+" else next_one.phase
    return [*before[:-1], Piece(last.start, next_one.end, last.strand, phase), *behind[1:]]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Pieces in transcript order, with those that touch or overlap made one."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and piece.start <= joined[-1].end and joined[-1].start <= piece.end:
            last = joined[-1]
            joined[-1] = Piece(min(last.start, piece.start), max(last.end, piece.end), last.strand)
        else:
            joined.append(piece)
    return joined


def _with_stop_codon(cds: list[Piece], stop: list[Piece]) -> list[Piece]:
    """The CDS with its stop codon: within it already, beside its last piece, or (an intron splits it) a piece more."""
    cds = list(cds)
    for piece in stop:
        if any(part.start <= piece.start and piece.end <= part.end for part in cds):
            continue
        last = cds[-1]
        beside = piece.start == last.end if last.strand == "+" else piece.end == last.start
        if beside and piece.strand == last.strand:
            cds[-1] = last._replace(start=min(last.start, piece.start), end=max(last.end, piece.end))
        else:
            cds.append(piece._replace(phase="."))
    return cds


def _cut_ends(rows: list[gffutils.Feature], strand: str) -> tuple[bool, bool]:
    """Whether the file marks the CDS as incomplete at its 5' and at its 3' end: as NCBI, Prodigal and Ensembl do."""
    left = any(first(row, "start_range") for row in rows)
    right = any(first(row, "end_range") for row in rows)
    for row in rows:
        digits = first(row, "partial")
        left |= digits in ("10", "11")
        right |= digits in ("01", "11")
    tags = {tag for row in rows for tag in row.attributes.get("tag", ())}
    five, three = (left, right) if strand == "+" else (right, left)
    return five or "cds_start_NF" in tags, three or "cds_end_NF" in tags
