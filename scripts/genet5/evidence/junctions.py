"""Introns in tables of splice junctions: STAR's SJ.out.tab, and BED of regtools, portcullis and the like."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from genet5.errors import InputError
from genet5.evidence.hints import INTRON, MOST_READS, Hint, HintFile
from genet5.tables import whole_number

_STAR_STRANDS = {b"0": ".", b"1": "+", b"2": "-"}
_STRANDS = {b"+": "+", b"-": "-", b".": ".", b"?": "."}


def read_star(lines: Iterable[bytes], path: str | Path, source: str) -> HintFile:
    """STAR's SJ.out.tab: name, first and last base of the intron, strand, motif, in annotation, unique and other reads.

    An intron that reads show only at several places counts those reads. Raises ``InputError`` with the line.
    """
    counts: dict[tuple[str, int, int, str], int] = {}
    for number, line in enumerate(lines, start=1):
        columns = line.split()
        if not columns:
            continue
        try:
            seqid, first, last, strand, _, _, unique, several, _ = columns
            key = seqid.decode("utf-8", "replace"), _whole(first) - 1, _whole(last), _STAR_STRANDS[strand]
            reads = _whole(unique) or _whole(several)
        except (ValueError, KeyError):
            raise InputError(
                f"{path}, line {number}: expected the 9 columns of STAR's SJ.out.tab (name, start, end, strand 0-2, "
                "motif, annotated, unique reads, other reads, overhang)"
            ) from None
        _check_span(key[1], key[2], path, number)
        counts[key] = counts.get(key, 0) + max(reads, 1)
    return HintFile(str(path), source, "STAR junctions", _introns(counts, source))


def read_bed(lines: Iterable[bytes], path: str | Path, source: str) -> HintFile:
    """Junctions in BED. With twelve columns the intron lies between the two blocks; with six it is the span itself.

    The score is the number of reads. Portcullis rounds a mean into it, which serves as well. Raises ``InputError``.
    """
    counts: dict[tuple[str, int, int, str], int] = {}
    for number, line in enumerate(lines, start=1):
        if line[:1] in b"#\n\r" or line.startswith((b"track", b"browser")):
            continue
        columns = line.rstrip(b"\r\n").split(b"\t")
        try:
            seqid, begin, finish, _, score, strand = columns[:6]
            start, end, sign = _whole(begin), _whole(finish), _STRANDS[strand]
            reads = max(int(float(score)), 1) if score != b"." else 1
            if reads > MOST_READS:
                raise ValueError(score)
            pieces = [(start, end)] if len(columns) < 12 else _between_blocks(start, columns)
        except (ValueError, KeyError, IndexError, OverflowError):
            raise InputError(
                f"{path}, line {number}: expected BED of junctions: name, start, end, name, score, strand, and none or "
                "six columns of blocks, separated by tabs"
            ) from None
        for left, right in pieces:
            _check_span(left, right, path, number)
            key = seqid.decode("utf-8", "replace"), left, right, sign
            counts[key] = counts.get(key, 0) + reads
    return HintFile(str(path), source, "BED junctions", _introns(counts, source))


def _whole(text: bytes) -> int:
    """ValueError for what is no whole number."""
    number = whole_number(text)
    if number is None:
        raise ValueError(text)
    return number


def _between_blocks(start: int, columns: list[bytes]) -> list[tuple[int, int]]:
    """Where the introns lie in a row of BED12."""
    sizes = [_whole(text) for text in columns[10].split(b",") if text]
    begins = [_whole(text) for text in columns[11].split(b",") if text]
    if len(sizes) != len(begins) or len(sizes) != _whole(columns[9]):
        raise ValueError
    return [
        (start + begin + size, start + following)
        for begin, size, following in zip(begins, sizes, begins[1:], strict=False)
    ]


def _check_span(start: int, end: int, path: str | Path, number: int) -> None:
    if not 0 <= start < end:
        raise InputError(f"{path}, line {number}: an intron from base {start + 1} to {end}; expected 1 <= start <= end")


def _introns(counts: dict[tuple[str, int, int, str], int], source: str) -> list[Hint]:
    return [Hint(source, INTRON, *place, mult) for place, mult in counts.items()]
