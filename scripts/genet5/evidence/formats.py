"""Which format a file of evidence has, told by its content and its name, and its hints."""

from __future__ import annotations

import io
from itertools import chain, islice
from pathlib import Path

from genet5.compressed import lines_of, open_input
from genet5.errors import InputError
from genet5.evidence.alignments import read_alignment_file
from genet5.evidence.gff_hints import ALIGNMENT_TYPES, HINT_TYPES, read_alignments, read_hint_rows
from genet5.evidence.hints import PROTEINS, RNASEQ, HintFile
from genet5.evidence.junctions import read_bed, read_star

FORMATS = "hints in GFF (AUGUSTUS, VARUS, bam2hints, ProtHint), STAR's SJ.out.tab, BED of junctions, BAM, CRAM"
PROTEIN_FORMATS = "proteins in FASTA, GFF of miniprot or spaln, hints in GFF (ProtHint, AUGUSTUS)"
_LOOKED_AT = 400  # rows at the beginning that tell the format
_BAM = b"BAM\x01"
_CRAM = b"CRAM"


def is_fasta(path: str | Path) -> bool:
    """Whether the file begins like FASTA. Raises ``InputError`` for one that cannot be read."""
    with open_input(path) as stream:
        return stream.read(1) == b">"


def read_hints(path: str | Path, source: str, genome: str | Path | None = None) -> HintFile:
    """The hints of a file, plain or gzip. source: ``rnaseq`` or ``proteins``. genome: FASTA file, for CRAM.

    A file without rows has no hints, and that is no error: a gene-poor genome may have none. Raises ``InputError`` for
    a missing or damaged file, an unknown format, and rows that cannot be right.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    allowed = FORMATS if source == RNASEQ else PROTEIN_FORMATS
    if path.stat().st_size == 0:
        return HintFile(str(path), source, "empty file", [])
    with path.open("rb") as raw:
        first = raw.read(4)
    if first == _CRAM:
        return _reads(path, source, genome, allowed)
    with open_input(path) as stream:
        buffered = io.BufferedReader(stream) if not isinstance(stream, io.BufferedReader) else stream
        if buffered.peek(4)[:4] == _BAM:
            return _reads(path, source, genome, allowed)
        lines = lines_of(path, buffered)
        head = list(islice(lines, _LOOKED_AT))
        rows = [line for line in head if line.strip() and not line.startswith((b"#", b"track", b"browser"))]
        if not rows:
            return HintFile(str(path), source, "empty file", [])
        lines = chain(head, lines)
        columns = rows[0].rstrip(b"\r\n").split(b"\t")
        if len(columns) == 9 and columns[3].isdigit() and not _looks_like_star(columns):
            kinds = {row.split(b"\t", 3)[2] for row in rows if row.count(b"\t") >= 3}
            if kinds & ALIGNMENT_TYPES:
                if source == RNASEQ:
                    raise InputError(f"{path}: a GFF of genes or aligned proteins, allowed here: {allowed}")
                return read_alignments(lines, path, source)
            if not kinds & set(HINT_TYPES):
                shown = ", ".join(sorted(kind.decode("utf-8", "replace") for kind in kinds)[:4])
                raise InputError(f"{path}: rows of type {shown}; allowed: {', '.join(_shown_types())}")
            return read_hint_rows(lines, path, source)
        if source == RNASEQ and _looks_like_star(columns):
            return read_star(lines, path, source)
        if source == RNASEQ and len(columns) in (6, 12) and columns[1].isdigit() and columns[2].isdigit():
            return read_bed(lines, path, source)
    raise InputError(f"{path}: found neither of the formats known for {source}; allowed: {allowed}")


def _reads(path: Path, source: str, genome: str | Path | None, allowed: str) -> HintFile:
    if source == PROTEINS:
        raise InputError(f"{path}: aligned reads, allowed here: {allowed}")
    return read_alignment_file(path, source, genome)


def _looks_like_star(columns: list[bytes]) -> bool:
    return (
        len(columns) == 9 and all(text.strip().isdigit() for text in columns[1:]) and columns[3] in (b"0", b"1", b"2")
    )


def _shown_types() -> list[str]:
    return [kind.decode() for kind in HINT_TYPES]
