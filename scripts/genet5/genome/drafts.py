"""What the file readers hand to the checks: coding rows sorted into transcripts and genes, nothing judged yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from genet5.errors import InputError
from genet5.genome.genes import DontCare


class Segment(NamedTuple):
    """One CDS row: 0-based half-open, ``phase`` as written in the file, ``where`` for error messages."""

    start: int
    end: int
    strand: str
    phase: str
    where: int | str


# How much a transcript is preferred as its gene's canonical one; smaller is better.
RANK_MANE, RANK_CANONICAL, RANK_CODING, RANK_OTHER = range(4)
_RANK_OF_TAG = {
    "mane_select": RANK_MANE,
    "ensembl_canonical": RANK_CANONICAL,
    "refseq_select": RANK_CANONICAL,
}


def rank_of(tags: list[str], biotype: str) -> int:
    """Rank of a transcript from its tags and biotype ('' when the file states none)."""
    coding = RANK_CODING if biotype.lower() in ("", "protein_coding", "mrna") else RANK_OTHER
    if not tags:
        return coding
    return min([coding, *(_RANK_OF_TAG.get(tag.lower().replace(" ", "_"), coding) for tag in tags)])


_TRANSPOSON_GENES = {
    "transposable_element_gene",  # Sequence Ontology, TAIR
    "mrna_te_gene",  # TAIR
    "transposon_protein_coding",  # WormBase
    "transposon_pseudogene",  # WormBase
}


def gene_class(kind: str, biotypes: list[str]) -> str:
    """``pseudogene``, ``transposon`` or '' from a row's type and biotypes. Pseudogenes of RNA genes are ''."""
    for name in (kind.lower(), *(biotype.lower() for biotype in biotypes)):
        if name in _TRANSPOSON_GENES:
            return "transposon"
        if ("pseudogen" in name and "rna" not in name) or name == "blocked_reading_frame":
            return "pseudogene"
    return ""


@dataclass(slots=True)
class TranscriptDraft:
    """The CDS rows of one transcript as the file gives them.

    ``cut_left``/``cut_right`` say that the file marks the structure as incomplete at its smaller / larger coordinate,
    ``cut`` that it does so without saying where. ``flags`` are those that only the file shows.
    """

    id: str
    locus: str
    seqid: str
    segments: list[Segment] = field(default_factory=list)
    stop_codon: list[Segment] = field(default_factory=list)
    rank: int = RANK_CODING
    cut_left: bool = False
    cut_right: bool = False
    cut: bool = False
    flags: set[str] = field(default_factory=set)


@dataclass(slots=True)
class AnnotationDraft:
    """Everything one annotation file holds that matters here. ``circular`` names the sequences said to be circular."""

    path: Path
    transcripts: list[TranscriptDraft] = field(default_factory=list)
    dont_care: list[DontCare] = field(default_factory=list)
    circular: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)


class SequenceNames:
    """Which rows name a sequence of the genome; remembers what it needs to explain those that do not."""

    def __init__(self, path: Path, lengths: Mapping[str, int]) -> None:
        self.path = path
        self.lengths = lengths
        self.unknown_rows = 0
        self.unknown_coding_rows = 0
        self.known_coding_rows = 0
        self._first_unknown: tuple[int | str, str] | None = None
        self._resolved: dict[str, str | None] = {}
        # NCBI's old FASTA headers hold the accession between bars: gi|45478711|ref|NC_005816.1|
        self._aliases = {part: name for name in lengths if "|" in name for part in name.split("|") if "." in part}

    def resolve(self, seqid: str) -> str | None:
        """The genome's name for a file's ``seqid`` (as it is, URL-escaped, or an accession between bars), or None."""
        if seqid in self.lengths:
            return seqid
        if seqid not in self._resolved:
            plain = unquote(seqid)
            self._resolved[seqid] = plain if plain in self.lengths else self._aliases.get(plain)
        return self._resolved[seqid]

    def note_unknown(self, seqid: str, where: int | str, *, coding: bool) -> None:
        """Count a row whose sequence the genome does not have."""
        self.unknown_rows += 1
        if coding:
            self.unknown_coding_rows += 1
            self._first_unknown = self._first_unknown or (where, seqid)

    def finish(self, counts: Counter[str]) -> None:
        """Put the counts in ``counts``; InputError when most coding rows name sequences the genome does not have."""
        if self._first_unknown and self.unknown_coding_rows > self.known_coding_rows:
            where, seqid = self._first_unknown
            total = self.unknown_coding_rows + self.known_coding_rows
            raise InputError(
                f"{self.path}, {place(where)}: {self.unknown_coding_rows} of {total} CDS rows name a sequence that the "
                f"genome does not have, first {seqid!r}; the FASTA has {shown_names(self.lengths)}"
            )
        if self.unknown_rows:
            counts["rows_on_unknown_sequences"] = self.unknown_rows
            counts["cds_rows_on_unknown_sequences"] = self.unknown_coding_rows


def place(where: int | str) -> str:
    """``line 12`` for line numbers; other descriptions as they are."""
    return f"line {where}" if isinstance(where, int) else where


def shown_names(names: Iterable[str], most: int = 4) -> str:
    """A few names for an error message: ``'chrI', 'chrII', ... (17 in all)``."""
    names = list(names)
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
