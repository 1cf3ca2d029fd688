"""Hints in GFF: AUGUSTUS's format (bam2hints, VARUS, ProtHint), ProtHint's own, and alignments of proteins.

AUGUSTUS's format: https://github.com/Gaius-Augustus/Augustus, docs/RUNNING-AUGUSTUS.md. Of its attributes ``mult``,
``src`` and ``grp`` matter; ``pri`` (which of two groups wins) does not, since all hints are weighed together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from genet5.errors import InputError
from genet5.evidence.hints import (
    CDS_PART,
    EXON_PART,
    INTERGENIC_PART,
    INTRON,
    MOST_READS,
    NO_FRAME,
    START,
    STOP,
    Hint,
    HintFile,
)

#: Types of rows that are hints. Those of a whole exon say what a part of it says.
HINT_TYPES = {
    b"intron": INTRON,
    b"Intron": INTRON,
    b"start": START,
    b"start_codon": START,
    b"stop": STOP,
    b"stop_codon": STOP,
    b"CDSpart": CDS_PART,
    b"CDS": CDS_PART,
    b"exonpart": EXON_PART,
    b"ep": EXON_PART,
    b"exon": EXON_PART,
    b"irpart": INTERGENIC_PART,
    b"nonexonpart": INTERGENIC_PART,
}
#: Types of rows that stand above the parts of an aligned protein.
ALIGNMENT_TYPES = frozenset(
    {b"mRNA", b"gene", b"transcript", b"match", b"protein_match", b"nucleotide_to_protein_match"}
)
_ALIGNED_PARTS = frozenset({b"CDS", b"cds", b"match_part"})
_FRAMES = {b"0": 0, b"1": 1, b"2": 2}
_STRANDS = {b"+": "+", b"-": "-", b".": ".", b"?": "."}
_PROTHINT = frozenset({b"Intron", b"start_codon", b"stop_codon"})
#: Bases next to the ends of an aligned exon that are not taken for coding: alignments are least sure there.
_KNOWN_ATTRIBUTES = 10_000  # columns of attributes that are kept
TRIMMED_BP = 9


class Row(NamedTuple):
    """The columns of a GFF row that matter; start and end 0-based half-open."""

    number: int
    seqid: str
    kind: bytes
    start: int
    end: int
    score: bytes
    strand: str
    frame: int
    attributes: bytes


def gff_rows(lines: Iterable[bytes], path: str | Path) -> Iterator[tuple]:
    """The rows of a GFF file, each with the fields of ``Row``. Raises ``InputError`` with the line of one that is none.

    Plain tuples, since files have millions of rows.
    """
    names: dict[bytes, str] = {}
    for number, line in enumerate(lines, start=1):
        columns = line.rstrip(b"\r\n").split(b"\t")
        try:
            seqid, _, kind, first, last, score, strand, frame, attributes = columns
            if not (first.isdigit() and last.isdigit()):  # int also takes 1_807 and +5
                raise ValueError
            start, end = int(first) - 1, int(last)
            sign, name = _STRANDS[strand], names.get(seqid)
        except (ValueError, KeyError):
            if line[:1] in b"#\n\r":
                if line.startswith(b"##FASTA"):
                    return
                continue
            raise InputError(f"{path}, line {number}: {_what_is_wrong(columns)}") from None
        if name is None:
            if line[:1] == b"#":
                continue
            name = names[seqid] = seqid.decode("utf-8", "replace")
        if not 0 <= start < end:
            raise InputError(f"{path}, line {number}: start {start + 1}, end {end}; expected 1 <= start <= end")
        yield number, name, kind, start, end, score, sign, _FRAMES.get(frame, NO_FRAME), attributes


def _what_is_wrong(columns: list[bytes]) -> str:
    if len(columns) != 9:
        return f"{len(columns)} columns, expected the 9 of GFF, separated by tabs"
    for name, text in (("start", columns[3]), ("end", columns[4])):
        if not text.isdigit():
            return f"{name} is {text[:40].decode('utf-8', 'replace')!r}, expected a whole number"
    if columns[6] in _STRANDS:
        return "start or end has too many digits"
    return f"strand is {columns[6][:40].decode('utf-8', 'replace')!r}, expected one of + - . ?"


def read_hint_rows(lines: Iterable[bytes], path: str | Path, source: str) -> HintFile:
    """Hints of AUGUSTUS's format, and ProtHint's own, where the score is how many proteins show a hint.

    The same hint may stand there several times: reads of several runs add up, and of several ways to show it (``src``)
    the one with most counts.
    """
    skipped: dict[str, int] = {}
    by_src: dict[bytes, dict[tuple, int]] = {}
    known: dict[bytes, tuple[int, dict[tuple, int]]] = {}  # counts and source of attributes: few differ
    prothint = False
    for number, name, kind, start, end, score, strand, frame, attributes in gff_rows(lines, path):
        hint = HINT_TYPES.get(kind)
        if hint is None:
            other = kind.decode("utf-8", "replace")
            skipped[other] = skipped.get(other, 0) + 1
            continue
        told = known.get(attributes)
        if told is None:
            src = attributes.partition(b"src=")[2][:2]
            _, said, text = attributes.partition(b"mult=")
            mult = _reads(text.partition(b";")[0].strip(), "mult", path, number) if said else 0
            told = mult, by_src.setdefault(src, {})
            if len(known) < _KNOWN_ATTRIBUTES:
                known[attributes] = told
        mult, counts = told
        if not mult:
            mult = 1
            if kind in _PROTHINT and score.isdigit():
                mult, prothint = _reads(score, "score", path, number), True
        key = hint, name, start, end, strand, frame if hint == CDS_PART else NO_FRAME
        counts[key] = counts.get(key, 0) + mult
    form = "ProtHint" if prothint else "AUGUSTUS hints"
    return HintFile(str(path), source, form, _hints(_most(list(by_src.values())), source), skipped)


def _reads(text: bytes, name: str, path: str | Path, number: int) -> int:
    """A count of reads or proteins, at least 1."""
    if not text.isdigit() or len(text) > len(str(MOST_READS)) or int(text) > MOST_READS:
        shown = text[:40].decode("utf-8", "replace")
        raise InputError(f"{path}, line {number}: {name}={shown}, expected a whole number up to {MOST_READS}")
    return int(text) or 1


def _most(several: list[dict[tuple, int]]) -> dict[tuple, int]:
    """Of each hint the largest of its counts."""
    found = several[0] if several else {}
    for counts in several[1:]:
        for key, mult in counts.items():
            if mult > found.get(key, 0):
                found[key] = mult
    return found


def _hints(counts: dict[tuple, int], source: str) -> list[Hint]:
    return [
        Hint(source, kind, seqid, start, end, strand, mult, frame)
        for (kind, seqid, start, end, strand, frame), mult in counts.items()
    ]


def read_alignments(lines: Iterable[bytes], path: str | Path, source: str) -> HintFile:
    """Hints of aligned proteins: GFF3 with CDS rows below mRNA or match rows, as miniprot and spaln write it.

    The gap between two parts of one protein is an intron if it is at least four bases long, and else a frame shift, at
    which the parts are cut. A start is shown where a protein is aligned from its first amino acid (``Target``), a stop
    by a row ``stop_codon``. ``mult`` is the number of proteins.
    """
    proteins: dict[bytes, list[Row]] = {}
    counts: dict[tuple, int] = {}
    skipped: dict[str, int] = {}
    for row in map(Row._make, gff_rows(lines, path)):
        if row.kind in _ALIGNED_PARTS:
            parent = _attribute(row.attributes, b"Parent") or _attribute(row.attributes, b"ID")
            if not parent:
                raise InputError(f"{path}, line {row.number}: a {row.kind.decode()} row without Parent")
            proteins.setdefault(parent, []).append(row)
        elif row.kind == b"stop_codon":
            _count(counts, STOP, row, row.start, row.end)
        elif row.kind not in ALIGNMENT_TYPES:
            name = row.kind.decode("utf-8", "replace")
            skipped[name] = skipped.get(name, 0) + 1
    for parts in proteins.values():
        _count_protein(counts, parts)
    return HintFile(str(path), source, "protein alignments", _hints(counts, source), skipped)


def _count(counts: dict[tuple, int], kind: str, row: Row, start: int, end: int, frame: int = NO_FRAME) -> None:
    key = kind, row.seqid, start, end, row.strand, frame
    counts[key] = counts.get(key, 0) + 1


def _count_protein(counts: dict[tuple, int], parts: list[Row]) -> None:
    parts = sorted(parts, key=lambda row: row.start)
    for left, right in pairwise(parts):
        if right.start - left.end >= 4:
            _count(counts, INTRON, left, left.end, right.start)
    for row in parts:
        start, end = row.start + TRIMMED_BP, row.end - TRIMMED_BP
        if end - start >= 3 and row.frame != NO_FRAME:
            _count(counts, CDS_PART, row, start, end, (row.frame - TRIMMED_BP) % 3)
    first = parts[0] if parts[0].strand == "+" else parts[-1]
    target = _attribute(first.attributes, b"Target").split()
    if len(target) >= 3 and target[1] == b"1":
        start = first.start if first.strand == "+" else first.end - 3
        _count(counts, START, first, start, start + 3)


def _attribute(attributes: bytes, name: bytes) -> bytes:
    """The value of an attribute; empty where it is missing."""
    for pair in attributes.split(b";"):
        key, _, value = pair.strip().partition(b"=")
        if key == name:
            return value
    return b""
