"""Sequences out of an annotation and its genome: exons, introns, CDS, proteins and spliced transcripts as FASTA."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.genome.checks import FEWEST_GENES_TO_JUDGE_CODE, LARGEST_SHARE_WITH_STOPS
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.gff_database import annotation_database
from genet5.genome.transcript_parts import Notes, Parts, Piece, read_parts
from genet5.genome.writing import wrapped

ENDINGS = {
    "exons": ".exons.fna",
    "introns": ".introns.fna",
    "cds": ".cds.fna",
    "proteins": ".faa",
    "transcripts": ".transcripts.fna",
}
"""Kinds of sequences, and what their files add to the prefix."""


@dataclass(frozen=True)
class Extracted:
    """``counts``: records by kind. ``notes``: one line for each thing in the file that was read in a special way."""

    counts: dict[str, int]
    notes: list[str]


def extract_sequences(
    annotation: str | Path,
    genome: Genome,
    prefix: str | Path,
    what: Sequence[str] = tuple(ENDINGS),
    *,
    genetic_code: int = 1,
    needed: bool = False,
    skip_missing: bool = False,
    genome_name: str = "",
) -> Extracted:
    """Write ``{prefix}`` with the ending of each kind in ``what``, in the order of the annotation; all of them or none.

    Bases are upper case, 5' to 3'. A CDS has its stop codon and, of a transcript that is cut at its 5' end, the bases
    before its first whole codon, which the protein leaves out (``phase=`` in the header). A ``transl_table`` of a CDS
    wins over ``genetic_code``. An exon of several transcripts is there once for each. ``needed``: a kind without a
    record is an InputError, not an empty file. ``skip_missing``: rows on sequences that the genome lacks are left out.
    ``genome_name`` names the genome in messages. InputError, one line, as
    ``annotation_database`` raises it, and for proteins where many CDS have a stop codon in frame.
    """
    names = [kind for kind in ENDINGS if kind in what]
    writer = _Writer(genome, genetic_code, Path(annotation))
    counts = dict.fromkeys(names, 0)
    notes = Notes()
    genome_name = genome_name or str(genome.path)
    with (
        annotation_database(annotation, genome.lengths, genome_name, skip_missing=skip_missing) as rows,
        ExitStack() as files,
    ):
        outputs: dict[str, IO] = {kind: files.enter_context(atomic_write(f"{prefix}{ENDINGS[kind]}")) for kind in names}
        for parts in read_parts(rows, genome.lengths, notes):
            for kind in names:
                for record in writer.records(kind, parts):
                    outputs[kind].write(record)
                    counts[kind] += 1
        empty = [kind for kind in names if not counts[kind]]
        if empty and (needed or len(empty) == len(names)):
            raise InputError(f"{annotation}: no {' and no '.join(empty)} in this file")
        writer.check_frames(genome_name)
    lines = notes.lines()
    if rows.without_parent:
        lines.append(f"exon, UTR and stop codon rows without a Parent, left out: {rows.without_parent}")
    if rows.elsewhere:
        lines.append(f"rows on sequences that {genome_name} lacks, left out: {rows.elsewhere}")
    return Extracted(counts, lines)


class _Writer:
    def __init__(self, genome: Genome, genetic_code: int, path: Path) -> None:
        self._genome, self._path = genome, path
        self._code = GeneticCode.from_table(genetic_code)
        self._judged = self._stopped = 0
        self._tables: set[int] = set()
        self._kinds: dict[str, Callable[[Parts], Iterator[str]]] = {
            "exons": self._exons,
            "introns": self._introns,
            "cds": self._cds,
            "proteins": self._proteins,
            "transcripts": self._transcripts,
        }

    def records(self, kind: str, parts: Parts) -> Iterator[str]:
        """FASTA records of a kind."""
        return self._kinds[kind](parts)

    def check_frames(self, genome_name: str) -> None:
        """InputError when many of the CDS have a stop codon before their end."""
        if self._judged >= FEWEST_GENES_TO_JUDGE_CODE and self._stopped > LARGEST_SHARE_WITH_STOPS * self._judged:
            tables = " and ".join(map(str, sorted(self._tables)))
            raise InputError(
                f"{self._path}: {self._stopped} of {self._judged} complete CDS have a stop codon in frame with genetic "
                f"code {tables} and {genome_name}; is it another code (--genetic-code), or another assembly?"
            )

    def _exons(self, parts: Parts) -> Iterator[str]:
        return self._numbered("exon", parts, parts.exons)

    def _introns(self, parts: Parts) -> Iterator[str]:
        return self._numbered("intron", parts, parts.introns)

    def _numbered(self, kind: str, parts: Parts, pieces: Sequence[Piece]) -> Iterator[str]:
        for number, piece in enumerate(pieces, start=1):
            words = [f">{parts.name}.{kind}{number}", f"transcript={parts.name}", f"gene={parts.gene}"]
            yield self._record([*words, self._place(parts, [piece])], self._bases(parts.seqid, [piece]))

    def _transcripts(self, parts: Parts) -> Iterator[str]:
        words = [f">{parts.name}", f"gene={parts.gene}", self._place(parts, parts.exons)]
        yield self._record(words, self._bases(parts.seqid, parts.exons))

    def _cds(self, parts: Parts) -> Iterator[str]:
        if parts.cds:
            yield self._record(self._coding_words(parts), self._bases(parts.seqid, parts.cds))

    def _proteins(self, parts: Parts) -> Iterator[str]:
        if not parts.cds:
            return
        code, phase = self._code_of(parts), _phase(parts)
        bases = self._bases(parts.seqid, parts.cds)[phase:]
        complete5 = not parts.cut5 and not phase
        protein = code.translate(bases, complete5=complete5).removesuffix("*")
        if complete5 and not parts.cut3 and not parts.pseudogene and len(bases) % 3 == 0:
            self._judged += 1
            self._tables.add(code.table)
            self._stopped += code.has_in_frame_stop(bases[:-3])
        if protein:
            yield self._record(self._coding_words(parts), protein)

    def _code_of(self, parts: Parts) -> GeneticCode:
        if not parts.genetic_code:
            return self._code
        try:
            return GeneticCode.from_table(int(parts.genetic_code))
        except (ValueError, InputError) as error:
            raise InputError(
                f"{self._path}: CDS of {parts.name!r}: transl_table={parts.genetic_code} is no NCBI translation table"
            ) from error

    def _coding_words(self, parts: Parts) -> list[str]:
        words = [f">{parts.name}", f"gene={parts.gene}", self._place(parts, parts.cds)]
        phase = _phase(parts)
        if parts.cut5 or phase:
            words.append(f"partial5 phase={phase}")
        if parts.cut3:
            words.append("partial3")
        if parts.pseudogene:
            words.append("pseudogene")
        return words

    def _place(self, parts: Parts, pieces: Sequence[Piece]) -> str:
        """``contig:start-end(strand)``, 1-based and closed; of a trans-spliced transcript that of each part."""
        strands = {piece.strand for piece in pieces}
        if len(strands) > 1:
            return ",".join(self._place(parts, [piece]) for piece in pieces)
        start, end = min(piece.start for piece in pieces), max(piece.end for piece in pieces)
        return f"{parts.seqid}:{start + 1}-{end}({pieces[0].strand})"

    def _bases(self, seqid: str, pieces: Sequence[Piece]) -> str:
        return "".join(self._stretch(seqid, piece) for piece in pieces)

    def _stretch(self, seqid: str, piece: Piece) -> str:
        length = self._genome.lengths[seqid]
        if piece.end <= length:
            bases = self._genome.sequence(seqid, piece.start, piece.end)
        elif piece.start >= length:
            bases = self._genome.sequence(seqid, piece.start - length, piece.end - length)
        else:
            bases = self._genome.sequence(seqid, piece.start, length) + self._genome.sequence(
                seqid, 0, piece.end - length
            )
        return bases if piece.strand == "+" else reverse_complement(bases)

    def _record(self, words: Sequence[str], letters: str) -> str:
        return " ".join(words) + "\n" + wrapped(letters)


def _phase(parts: Parts) -> int:
    """Bases before the first whole codon, as the first CDS row says."""
    phase = parts.cds[0].phase
    return int(phase) if phase in ("1", "2") else 0
