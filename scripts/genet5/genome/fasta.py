"""Genome sequences: unpacking a FASTA archive into a clean, indexable file, and random access to it."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from genet5.compressed import LONGEST_LINE_BYTES, long_line, open_input
from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.genome.drafts import shown_names
from genet5.genome.genbank import genbank_sequences, is_genbank
from genet5.genome.genes import Region
from genet5.tables import whole_number

LINE_BP = 60
"""Bases per line in the FASTA files written here."""

_BLOCK_BYTES = 1 << 22
BLANK = b"\n\r \t\x0b\x0c"
IUPAC_LETTERS = b"ACGTURYSWKMBDHVNacgturyswkmbdhvn"
_RNA_TO_DNA = bytes.maketrans(b"Uu", b"Tt")


def decompress_genome(archive: str | Path, fna: str | Path) -> dict[str, int]:
    """Unpack a FASTA or GenBank file (plain or gzip) into ``fna``, lines of 60 bases; returns name -> length in bp.

    Lines are rewrapped, so ragged, unwrapped and CRLF files become indexable; case is kept; U becomes T. Memory does
    not grow with the genome. Raises InputError, with the line number, for anything that is not a nucleotide FASTA:
    text before the first ``>``, a header without a name, a repeated name, a record without bases, a letter outside
    IUPAC; and for empty, damaged or truncated files. ``fna`` appears whole or not at all.
    """
    archive = Path(archive)
    if is_genbank(archive):
        return write_fasta(fna, genbank_sequences(archive))
    with open_input(archive) as stream, atomic_write(fna, "wb") as output:
        return _clean_fasta(archive, stream, output)


def write_fasta(path: str | Path, records: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Write (name, sequence) records as FASTA; returns name -> length in bp. A repeated or empty name: InputError."""
    lengths: dict[str, int] = {}
    with atomic_write(path, "wb") as output:
        for name, sequence in records:
            if not name or name in lengths:
                raise InputError(f"{path}: sequence name {name!r} is {'repeated' if name else 'empty'}")
            lengths[name] = len(sequence)
            output.write(b">" + name.encode() + b"\n" + _wrapped(sequence.encode()))
    return lengths


def _wrapped(bases: bytes) -> bytes:
    """``bases`` in lines of LINE_BP; every line, also a short last one, ends in a newline."""
    whole = len(bases) // LINE_BP
    lines = np.empty((whole, LINE_BP + 1), dtype=np.uint8)
    lines[:, :LINE_BP] = np.frombuffer(bases, dtype=np.uint8, count=whole * LINE_BP).reshape(whole, LINE_BP)
    lines[:, LINE_BP] = ord("\n")
    rest = bases[whole * LINE_BP :]
    return lines.tobytes() + (rest + b"\n" if rest else b"")


def fasta_records(path: str | Path) -> Iterator[tuple[str, bytes]]:
    """(name, bases) of each sequence of a FASTA file, plain or gzip; case is kept, U becomes T.

    Raises:
        InputError: what `decompress_genome` says.
    """
    path = Path(path)
    name, parts = "", []
    with open_input(path) as stream:
        for sequence, header, bases in _checked_pieces(path, stream):
            if header and name:
                yield name, b"".join(parts)
            if header:
                name, parts = sequence, []
            else:
                parts.append(bases)
    yield name, b"".join(parts)


def _clean_fasta(path: Path, stream: IO[bytes], output: IO[bytes]) -> dict[str, int]:
    lengths: dict[str, int] = {}
    waiting = b""
    for name, header, bases in _checked_pieces(path, stream):
        if header:
            output.write(_wrapped(waiting) + header.encode() + b"\n")
            lengths[name], waiting = 0, b""
            continue
        lengths[name] += len(bases)
        waiting += bases
        whole = len(waiting) // LINE_BP * LINE_BP
        output.write(_wrapped(waiting[:whole]))
        waiting = waiting[whole:]
    output.write(_wrapped(waiting))
    return lengths


def _checked_pieces(path: Path, stream: IO[bytes]) -> Iterator[tuple[str, str, bytes]]:
    """(sequence name, its header, b"") where a sequence begins, then (name, "", some of its bases) until the next."""
    names: set[str] = set()
    name, header_line, has_bases = "", 0, True

    def finish_record() -> None:
        if not has_bases:
            raise InputError(f"{path}, line {header_line}: sequence {name!r} has no bases")

    for line_number, is_header, text in _pieces(path, stream):
        if is_header:
            if len(text) > LONGEST_LINE_BYTES:
                raise long_line(path, line_number)
            finish_record()
            words = text[1:].split(None, 1)
            if not words:
                raise InputError(f"{path}, line {line_number}: '>' without a sequence name")
            name, header_line, has_bases = words[0].decode("utf-8", "replace"), line_number, False
            if name in names:
                raise InputError(
                    f"{path}, line {line_number}: sequence name {name!r} appears twice, names must be unique"
                )
            names.add(name)
            # Header bytes of any encoding become UTF-8, which the index can be read as.
            yield name, text.decode("utf-8", "replace").strip(), b""
            continue
        bases = text.translate(_RNA_TO_DNA, BLANK)
        if not bases:
            continue
        if not name:
            raise InputError(
                f"{path}, line {_first_line(text, line_number)}: not a FASTA file: "
                f"expected a '>' header, found {_shown(text)}"
            )
        if bases.translate(None, IUPAC_LETTERS):
            raise _letter_error(path, text, line_number, name)
        has_bases = True
        yield name, "", bases
    finish_record()
    if not names:
        raise InputError(f"{path}: not a FASTA file: no '>' header found")


def _pieces(path: Path, stream: IO[bytes]) -> Iterator[tuple[int, bool, bytes]]:
    """Header lines and the stretches between them: (1-based number of the first line, is it a header, bytes)."""
    line_number, rest, inside_line = 1, b"", False
    while block := stream.read(_BLOCK_BYTES):
        block = rest + block
        if len(rest) > LONGEST_LINE_BYTES:
            raise long_line(path, line_number)
        # Only a header must be seen whole. Bases may be cut anywhere, so one endless line needs no more memory.
        cut = block.rfind(b"\n") + 1
        if not block.startswith(b">", cut) or (not cut and inside_line):
            cut = len(block)
        block, rest = block[:cut], block[cut:]
        yield from _split_headers(block, line_number, inside_line)
        line_number += block.count(b"\n")
        inside_line = inside_line if not block else not block.endswith(b"\n")
    yield from _split_headers(rest, line_number, inside_line)


def _split_headers(block: bytes, line_number: int, inside_line: bool) -> Iterator[tuple[int, bool, bytes]]:
    start = 0
    while start < len(block):
        is_header = block.startswith(b">", start) and not (start == 0 and inside_line)
        end = block.find(b"\n" if is_header else b"\n>", start) + 1 or len(block)
        piece = block[start:end]
        yield line_number, is_header, piece
        line_number += piece.count(b"\n")
        start = end


def _first_line(text: bytes, line_number: int) -> int:
    return line_number + text[: len(text) - len(text.lstrip(BLANK))].count(b"\n")


def _shown(text: bytes) -> str:
    return repr(text.strip(BLANK)[:40].split(b"\n")[0].decode("latin-1"))


def _letter_error(path: Path, text: bytes, line_number: int, name: str) -> InputError:
    wrong_by_line = (line.translate(None, IUPAC_LETTERS + BLANK) for line in text.split(b"\n"))
    offset, wrong = next((offset, wrong) for offset, wrong in enumerate(wrong_by_line) if wrong)
    letters = "".join(sorted({chr(code) for code in wrong}))
    return InputError(
        f"{path}, line {line_number + offset}: sequence {name!r} holds {letters!r}; "
        "allowed: IUPAC nucleotide letters (is this a protein file or an alignment?)"
    )


class Genome:
    """Random access to an uncompressed FASTA file through its ``.fai`` index, which is built when missing or stale."""

    def __init__(self, path: str | Path) -> None:
        """Raises InputError when ``path`` is missing, compressed or not a regularly wrapped FASTA file."""
        self.path = Path(path)
        with open_input(self.path) as stream:
            if isinstance(stream, gzip.GzipFile):
                raise InputError(f"{self.path}: compressed; unpack it first with scripts/index_genome.py")
        self._records = read_index(index_genome(self.path))
        self._file = self.path.open("rb")
        self.lengths: dict[str, int] = {name: record[0] for name, record in self._records.items()}
        self.names: tuple[str, ...] = tuple(self.lengths)

    def sequence(self, seqid: str, start: int = 0, end: int | None = None, *, keep_case: bool = False) -> str:
        """Bases ``start`` .. ``end - 1`` (0-based half-open; to the end when None), upper case unless ``keep_case``.

        Raises InputError for an unknown ``seqid`` and ValueError for bounds outside the sequence.
        """
        length = self.lengths.get(seqid)
        if length is None:
            raise InputError(f"{self.path}: no sequence named {seqid!r}; it has {shown_names(self.names)}")
        end = length if end is None else end
        if not 0 <= start <= end <= length:
            raise ValueError(f"{seqid}: bases {start}..{end} are outside the sequence of {length} bp")
        if start == end:
            return ""
        bases = self._read(seqid, start, end).decode()
        return bases if keep_case else bases.upper()

    def contig(self, seqid: str) -> Contig:
        """A sequence that is read where it is sliced; InputError for an unknown ``seqid``."""
        if seqid not in self.lengths:
            raise InputError(f"{self.path}: no sequence named {seqid!r}; it has {shown_names(self.names)}")
        return Contig(self, seqid)

    def holds_n(self, seqid: str, start: int, end: int) -> bool:
        """Whether any of the bases ``start`` .. ``end - 1``, within the sequence, is N or n."""
        lines = self._lines(seqid, start, end)
        return b"N" in lines or b"n" in lines

    def _read(self, seqid: str, start: int, end: int) -> bytes:
        """Bases ``start`` .. ``end - 1``, within the sequence and not empty; case is kept."""
        bases = self._lines(seqid, start, end).replace(b"\n", b"")
        return bases.replace(b"\r", b"") if b"\r" in bases else bases

    def _lines(self, seqid: str, start: int, end: int) -> bytes:
        """These bases as they stand in the file, with the ends of lines between them."""
        _, offset, width, step = self._records[seqid]
        lines, column = divmod(start, width)
        last_lines, last_column = divmod(end - 1, width)
        first = offset + lines * step + column
        size = (last_lines - lines) * step + last_column - column + 1
        text = os.pread(self._file.fileno(), size, first)
        # One call reads 2 GB at most.
        while len(text) < size and (more := os.pread(self._file.fileno(), size - len(text), first + len(text))):
            text += more
        return text

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Contig:
    """One sequence of a genome, used like its bytes (case kept): ``len``, and slices without a step.

    A slice is read when it is first asked for, and kept: isoforms share most of their exons.
    """

    def __init__(self, genome: Genome, seqid: str) -> None:
        self._genome, self._seqid = genome, seqid
        self._length = genome.lengths[seqid]
        self._slices: dict[tuple[int, int], bytes] = {}

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, bounds: slice) -> bytes:
        place = bounds.start, bounds.stop
        bases = self._slices.get(place)
        if bases is None:
            start, end, _ = bounds.indices(self._length)
            bases = self._slices[place] = self._genome._read(self._seqid, start, end) if start < end else b""
        return bases


@contextlib.contextmanager
def open_genome(path: str | Path) -> Iterator[Genome]:
    """A FASTA file, plain or gzip, checked and indexed in a temporary folder: nothing is written beside it."""
    with tempfile.TemporaryDirectory(prefix="genet5.") as folder:
        unpacked = Path(folder) / "genome.fna"
        decompress_genome(Path(path), unpacked)
        with Genome(unpacked) as genome:
            yield genome


def check_bases(genome: Genome, regions: Iterable[Region]) -> None:
    """Raises InputError where a region is empty or holds a letter that is no base (IUPAC codes are bases)."""
    for seqid, start, end in regions:
        if start == end:
            raise InputError(f"{genome.path}: sequence {seqid!r} has no bases")
        for first in range(start, end, _BLOCK_BYTES):
            text = genome.sequence(seqid, first, min(first + _BLOCK_BYTES, end)).encode()
            if strange := text.translate(None, IUPAC_LETTERS):
                place = first + text.index(strange[:1]) + 1
                found = f"sequence {seqid!r}, base {place}: found {chr(strange[0])!r}"
                raise InputError(f"{genome.path}: {found}, expected bases (IUPAC codes)")


def read_index(index: Path) -> dict[str, tuple[int, int, int, int]]:
    """Bases, offset of the first one, bases and bytes of a line, for each sequence of a ``.fai`` in its order.

    Raises ``InputError`` for a line that is none of an index, and a name that is there twice.
    """
    records = {}
    with index.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                name, *numbers = line.rstrip("\n").split("\t")
                bases, offset, width, step = map(_whole, numbers)
            except (TypeError, ValueError):
                raise InputError(
                    f"{index}, line {number}: no line of a FASTA index; delete it, it is made anew"
                ) from None
            if name in records:
                raise InputError(f"{index}, line {number}: {name[:60]!r} appears twice; delete it, it is made anew")
            records[name] = bases, offset, width, step
    return records


def _whole(text: str) -> int:
    """A number of an index; ValueError for what is none."""
    number = whole_number(text)
    if number is None:
        raise ValueError(text)
    return number


def _belongs(index: Path, fna: Path) -> bool:
    """Whether an index is of this file: each record follows a header of its name, and the last one ends the file.

    Before a record stands ``>NAME``, and after it the next header or the end of the file. A record whose place is wrong
    by a base fails one of both. Reads some bytes for each record.
    """
    try:
        records = read_index(index)
    except InputError:
        return False
    size, position = fna.stat().st_size, 0
    with fna.open("rb") as stream:
        for name, (bases, offset, width, step) in records.items():
            if not (0 < bases <= size and position < offset < size and 0 < width <= step <= width + 2):
                return False
            stream.seek(position)
            lines = stream.read(min(offset - position, LONGEST_LINE_BYTES)).split(b"\n")
            # The header is the last line before the bases, and only line ends stand before it.
            if len(lines) < 2 or lines[-1] or any(line.strip() for line in lines[:-2]):
                return False
            if lines[-2][:1] != b">" or lines[-2][1:].decode("utf-8", "replace").split()[:1] != [name]:
                return False
            before, column = divmod(bases - 1, width)
            position = offset + before * step + column + 1
            if before:  # the last line end within the record
                stream.seek(offset + before * step - 1)
                if stream.read(1) != b"\n":
                    return False
        stream.seek(position)
        return 0 < position <= size and not stream.read(LONGEST_LINE_BYTES).strip()


def index_genome(fna: str | Path) -> Path:
    """The ``.fai`` of a FASTA file, built by pyfaidx when it is missing or not of this file; returns its path.

    Times alone say too little: a file that is copied keeps its old time (``cp -p``, ``rsync -t``). So names and places
    of all records are compared with the file. The index appears whole or not at all. A FASTA that cannot be indexed is
    an InputError.
    """
    fna = Path(fna)
    index = Path(f"{fna}.fai")
    if index.exists() and index.stat().st_mtime_ns >= fna.stat().st_mtime_ns and _belongs(index, fna):
        return index
    # Importing pyfaidx takes longer than reading an index that is there.
    import pyfaidx

    try:
        with tempfile.TemporaryDirectory(dir=fna.parent, prefix=f".{fna.name}.", suffix=".tmp") as folder:
            unfinished = Path(folder) / index.name
            pyfaidx.Faidx(str(fna), indexname=str(unfinished), rebuild=True).close()
            os.replace(unfinished, index)
    except PermissionError as error:
        raise InputError(
            f"{index}: the index cannot be written ({error.strerror}); copy the genome elsewhere"
        ) from error
    except (pyfaidx.FastaIndexingError, ValueError) as error:
        problem = re.sub(r"\s+", " ", str(error))
        raise InputError(f"{fna}: cannot be indexed: {problem} Clean it with scripts/index_genome.py") from error
    return index
