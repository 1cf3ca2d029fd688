"""Rows of GFF3 and GTF files, read in columns: a block of lines at a time, its numbers and names all together.

Ordinary rows are taken apart by NumPy; no Python code looks at them one by one. Rows that are not ordinary (a number
that is more than digits, a strand of two letters, few columns) are read singly, in the order of the file. So the first
mistake of a file is the one that is reported.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from genet5.compressed import LONGEST_LINE_BYTES, long_line, open_input
from genet5.errors import InputError
from genet5.genome.drafts import AnnotationDraft, SequenceNames
from genet5.tables import whole_number

SKIP, CODING, STOP_CODON, SEQUENCE, FEATURE = range(5)
"""What a row's type means here: evidence, CDS, stop codon, the whole sequence, or anything a CDS may descend from."""

_SEQUENCE_KINDS = {"region", "chromosome", "contig", "scaffold", "supercontig", "plasmid", "chromosome_arm", "source"}
_EVIDENCE_KINDS = {"transcript_region", "match", "match_part", "start_codon", "codon", "utr", "polypeptide_domain"}
_EVIDENCE_ENDS = ("exon", "intron", "_utr", "_match", "_site", "repeat", "_region", "_element", "utr3", "utr5")

_BLOCK_BYTES = 1 << 22
_READ_BYTES = 1 << 18
_BOM = b"\xef\xbb\xbf"
_TAB, _NEWLINE, _HASH, _GREATER, _LETTER_F = b"\t\n#>F"
_STRANDS = ("+", "-", ".", "?")
_IS_STRAND = np.isin(np.arange(256), [ord(strand) for strand in _STRANDS])
_LETTERS = [chr(code) for code in range(256)]
_MOST_DIGITS = 18
"""More digits do not fit an int64."""

_Places = NDArray[np.int64]


def role_of(kind: str) -> int:
    """What rows of type ``kind`` are to the readers."""
    lower = kind.lower()
    if lower == "cds":
        return CODING
    if lower == "stop_codon":
        return STOP_CODON
    if lower in _SEQUENCE_KINDS:
        return SEQUENCE
    if lower in _EVIDENCE_KINDS or lower.endswith(_EVIDENCE_ENDS):
        return SKIP
    return FEATURE


def annotation_rows(path: Path, names: SequenceNames, draft: AnnotationDraft) -> Iterator[tuple]:
    """Rows of a GFF3 or GTF file that matter, in its order; a ``##FASTA`` section ends the file.

    A row is a tuple of role, line number, sequence, type, start and end (0-based half-open), strand, phase and
    attributes. Rows on sequences the genome lacks are noted in ``names`` and left out. InputError, with the line, for
    fewer than 8 columns, and in rows that matter for coordinates that are no numbers, end before start, or an unknown
    strand.
    """
    reader = _RowReader(path, names, draft.circular)
    with open_input(path) as stream:
        for block in _blocks(path, stream):
            yield from reader.rows(block)
            if reader.at_fasta:
                break
    draft.counts["rows"] = reader.num_rows


def _blocks(path: Path, stream: IO[bytes]) -> Iterator[bytes]:
    """Whole lines, some megabytes together; the last line may lack its newline. Lines end in LF, CRLF or CR.

    InputError for a line over LONGEST_LINE_BYTES, when the lines before it are read: after ``##FASTA`` nobody asks.
    """
    waiting: list[bytes] = []
    size, is_first = 0, True
    lines, open_bytes = 0, 0  # lines so far, and bytes of the one that has not ended
    failure: Exception | None = None
    while True:
        try:
            # A damaged archive gives what is whole first: its rows are read, and their mistakes come first.
            piece = stream.read1(_READ_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            failure, piece = error, b""
        waiting.append(piece)
        size += len(piece)
        ends = sorted((piece.find(b"\n") + 1 or len(piece), piece.find(b"\r") + 1 or len(piece)))
        if open_bytes + ends[0] > LONGEST_LINE_BYTES:
            failure, piece = long_line(path, lines + 1), b""
        else:
            lines += piece.count(b"\n")
            last = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
            open_bytes = len(piece) - last if last else open_bytes + len(piece)
        if piece and (size < _BLOCK_BYTES or b"\n" not in piece):
            continue
        block = b"".join(waiting)
        cut = block.rfind(b"\n") + 1 if piece or failure else len(block)
        if failure:
            cut = max(cut, block.rfind(b"\r", 0, len(block) - 1) + 1)
        if cut:
            whole = block[:cut].removeprefix(_BOM) if is_first else block[:cut]
            is_first = False
        if cut and whole:
            yield whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in whole else whole
        if failure:
            raise failure
        if not piece:
            return
        waiting = [block[cut:]]
        size = len(waiting[0])


@dataclass(slots=True)
class _Columns:
    """Where the columns of some lines of a block begin and end: ``tabs[first + n]`` ends column n of a line."""

    text: bytes
    bytes: NDArray[np.uint8]
    tabs: _Places
    start: _Places
    end: _Places
    first: _Places
    num_tabs: _Places
    line: _Places

    def take(self, rows: NDArray) -> _Columns:
        chosen = (part[rows] for part in (self.start, self.end, self.first, self.num_tabs, self.line))
        return _Columns(self.text, self.bytes, self.tabs, *chosen)

    def bounds(self, column: int) -> tuple[_Places, _Places]:
        """Bounds of a column, 0 to 8; that of the last one is the end of the line."""
        left = self.start if column == 0 else self.tabs[self.first + (column - 1)] + 1
        if column < 7:
            return left, self.tabs[self.first + column]
        more = self.num_tabs > column
        right = self.end.copy()
        right[more] = self.tabs[self.first[more] + column]
        return left, right

    def raw(self, column: int) -> list[bytes]:
        text = self.text
        left, right = self.bounds(column)
        return [text[a:b] for a, b in zip(left.tolist(), right.tolist(), strict=True)]


class _RowReader:
    def __init__(self, path: Path, names: SequenceNames, circular: set[str]) -> None:
        self._path, self._names, self._circular = path, names, circular
        # By the file's text: names and roles of types, the genome's names of sequences (None: it has no such one).
        self._kinds: dict[bytes, str] = {}
        self._roles: dict[bytes, int] = {}
        self._seqids: dict[bytes, str | None] = {}
        self._lines = 0
        self.num_rows = 0
        self.at_fasta = False

    def rows(self, text: bytes) -> Iterator[tuple]:
        columns, begins = self._lines_of(text)
        is_row = (begins != _HASH) & (begins != _GREATER)
        is_short = is_row & (columns.num_tabs < 7)
        short = columns.take(is_short) if is_short.any() else None
        columns = columns.take(is_row & ~is_short)
        self.num_rows += len(columns.line)
        roles, kinds, seqids, wanted = self._wanted(columns)
        columns = columns.take(wanted)
        start, is_start = _numbers(columns, 3)
        end, is_end = _numbers(columns, 4)
        start -= 1
        strand_from, strand_to = columns.bounds(6)
        signs = columns.bytes[strand_from]
        ordinary = is_start & is_end & (start >= 0) & (start < end) & (strand_to - strand_from == 1) & _IS_STRAND[signs]
        starts, ends = start.tolist(), end.tolist()
        strands = [_LETTERS[code] for code in signs.tolist()]
        unusual = np.flatnonzero(~ordinary).tolist()
        # In the order of the file, so that its first mistake is reported.
        for line, index in sorted(
            [(int(columns.line[index]), index) for index in unusual]
            + [(line, None) for line in (short.line.tolist() if short else ())]
        ):
            if index is None:
                self._check_short(short, line)
            else:
                starts[index], ends[index], strands[index] = self._read_singly(columns, index)
        self._names.known_coding_rows += roles.count(CODING)
        yield from zip(
            roles, columns.line.tolist(), seqids, kinds, starts, ends, strands, _phases(columns), _attributes(columns),
            strict=True,
        )  # fmt: skip

    def _lines_of(self, text: bytes) -> tuple[_Columns, NDArray[np.uint8]]:
        """The lines of a block before a FASTA section, and the first byte of each."""
        letters = np.frombuffer(text, np.uint8)
        end = np.flatnonzero(letters == _NEWLINE)
        if not text.endswith(b"\n"):
            end = np.append(end, len(text))
        start = np.concatenate(([0], end[:-1] + 1))
        tabs = np.flatnonzero(letters == _TAB)
        first = np.searchsorted(tabs, start)
        num_tabs = np.diff(first, append=len(tabs))
        line = np.arange(self._lines + 1, self._lines + 1 + len(start))
        self._lines += len(start)
        columns = _Columns(text, letters, tabs, start, end, first, num_tabs, line)
        begins = letters[start]
        third = letters[np.minimum(start + 2, len(letters) - 1)]
        maybe_fasta = np.flatnonzero((begins == _GREATER) | ((begins == _HASH) & (third == _LETTER_F)))
        for index in maybe_fasta.tolist():
            if text.startswith((b">", b"##FASTA"), int(start[index])):
                self.at_fasta = True
                return columns.take(np.arange(index)), begins[:index]
        return columns, begins

    def _wanted(self, columns: _Columns) -> tuple[list[int], list[str], list[str], _Places]:
        """Role, type and sequence of the rows that matter, and which they are."""
        kinds, seqids = columns.raw(2), columns.raw(0)
        for kind in set(kinds).difference(self._roles):
            self._kinds[kind] = kind.decode("utf-8", "replace")
            self._roles[kind] = role_of(self._kinds[kind])
        met = set(seqids)
        for seqid in met.difference(self._seqids):
            self._seqids[seqid] = self._names.resolve(seqid.decode("utf-8", "replace"))
        roles = np.fromiter(map(self._roles.__getitem__, kinds), np.int8, len(kinds))
        matters = roles != SKIP
        if any(self._seqids[seqid] is None for seqid in met):
            known = np.array([self._seqids[seqid] is not None for seqid in seqids])
            matters &= known
            for index in np.flatnonzero(~known).tolist():
                written = seqids[index].decode("utf-8", "replace")
                self._names.note_unknown(written, int(columns.line[index]), coding=bool(roles[index] == CODING))
        wanted = np.flatnonzero(matters)
        places = wanted.tolist()
        kind_names, seqid_names = self._kinds, self._seqids
        return (
            roles[wanted].tolist(),
            [kind_names[kinds[place]] for place in places],
            [seqid_names[seqids[place]] for place in places],
            wanted,
        )

    def _check_short(self, short: _Columns, line: int) -> None:
        index = int(np.searchsorted(short.line, line))
        text = short.text[short.start[index] : short.end[index]].decode("utf-8", "replace")
        if text.strip() and not text.startswith(("track ", "browser ")):
            raise InputError(
                f"{self._path}, line {line}: {short.num_tabs[index] + 1} tab-separated columns; "
                "a row of GFF or GTF has 9, or 8 without attributes"
            )

    def _read_singly(self, columns: _Columns, index: int) -> tuple[int, int, str]:
        """Start, end and strand of a row that has an unusual one, or the message that says what is wrong."""
        one = columns.take(np.array([index]))
        place = f"{self._path}, line {one.line[0]}"
        first, last, strand = (one.raw(column)[0].decode("utf-8", "replace") for column in (3, 4, 6))
        number, end = _coordinate(first), _coordinate(last)
        if number is None or end is None:
            found = ", ".join(repr(text[:40]) for text in (first, last))
            raise InputError(f"{place}: start and end must be numbers, found {found}")
        start = number - 1
        if 0 < end <= start:
            end += self._over_the_origin(one.raw(0)[0].decode("utf-8", "replace"), start, end)
        if not 0 <= start < end:
            found = f"start {first}, end {last}"
            raise InputError(f"{place}: {found}; starts count from 1 and must not exceed ends")
        if strand not in _STRANDS:
            raise InputError(f"{place}: strand {strand!r}; allowed: + - . ?")
        return start, end, strand

    def _over_the_origin(self, written: str, start: int, end: int) -> int:
        """Bases to add to the end of a row that starts near the end of its sequence and ends near the beginning.

        It can only be a feature over the origin of a circle (tables of NCBI write these so), if that way is shorter
        than the way back. GFF3 writes such ends beyond the sequence, and so do we. 0 for other rows.
        """
        seqid = self._names.resolve(written)
        length = self._names.lengths[seqid] if seqid is not None else 0
        if not (seqid and start < length and length - start + end < start - end):
            return 0
        self._circular.add(seqid)
        return length


def _coordinate(text: str) -> int | None:
    """A number, blanks around it allowed; one below 0, which a message tells of; None for other text."""
    digits = text.strip(" ")
    negative = digits.startswith("-")
    number = whole_number(digits[negative:])
    return -number if negative and number is not None else number


def _numbers(columns: _Columns, column: int) -> tuple[_Places, NDArray[np.bool_]]:
    """A column as numbers, and which of its texts are digits alone; the others' numbers mean nothing."""
    left, right = columns.bounds(column)
    width = right - left
    is_number = (width > 0) & (width <= _MOST_DIGITS)
    value = np.zeros(len(left), np.int64)
    letters = columns.bytes
    for place in range(min(int(width.max(initial=0)), _MOST_DIGITS)):
        inside = place < width
        digit = letters[np.minimum(left + place, right)] - np.uint8(ord("0"))
        is_number &= (digit <= 9) | ~inside
        value = np.where(inside, 10 * value + digit, value)
    return value, is_number


def _phases(columns: _Columns) -> list[str]:
    left, right = columns.bounds(7)
    letters = columns.bytes[np.minimum(left, len(columns.bytes) - 1)]
    phases = [_LETTERS[code] for code in letters.tolist()]
    for index in np.flatnonzero((right - left != 1) | (letters <= ord(" ")) | (letters >= 127)).tolist():
        phases[index] = columns.text[left[index] : right[index]].decode("utf-8", "replace").strip()
    return phases


def _attributes(columns: _Columns) -> list[str]:
    left = columns.end.copy()
    more = columns.num_tabs > 7
    left[more] = columns.tabs[columns.first[more] + 7] + 1
    right = columns.end.copy()
    more = columns.num_tabs > 8
    right[more] = columns.tabs[columns.first[more] + 8]
    bounds = zip(left.tolist(), right.tolist(), strict=True)
    if columns.text.isascii():
        text = columns.text.decode("ascii")
        return [text[a:b].strip() for a, b in bounds]
    raw = columns.text
    return [raw[a:b].decode("utf-8", "replace").strip() for a, b in bounds]
