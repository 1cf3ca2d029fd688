"""GenBank flat files: their sequences, and the transcripts that their CDS features describe."""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from genet5.compressed import DAMAGED_GZIP, LONGEST_LINE_BYTES, long_line, open_input
from genet5.errors import InputError
from genet5.files import one_line
from genet5.genome.drafts import AnnotationDraft, Segment, SequenceNames, TranscriptDraft
from genet5.genome.genes import DontCare

# Bio is imported where GenBank files are read: every command imports this module, few read such files.
if TYPE_CHECKING:
    from Bio.SeqFeature import SeqFeature
    from Bio.SeqRecord import SeqRecord


def is_genbank(path: str | Path) -> bool:
    """Whether a file (plain or gzip) begins as GenBank files do. Raises ``InputError`` for one that cannot be read."""
    with open_input(Path(path)) as stream:
        return stream.read(4096).lstrip().startswith(b"LOCUS")


def genbank_sequences(path: str | Path) -> Iterator[tuple[str, str]]:
    """(name, sequence) of every record of a GenBank file (plain or gzip), upper case, in file order.

    The name is the VERSION, or the LOCUS name where there is none. A record without a sequence is an InputError.
    """
    for record in _records(Path(path)):
        if record.seq is None or not record.seq.defined or not len(record.seq):
            raise InputError(f"{path}, record {record.id}: no sequence (ORIGIN) in the file; give the FASTA instead")
        yield record.id, str(record.seq).upper()


def _records(path: Path) -> Iterator[SeqRecord]:
    from Bio import BiopythonParserWarning, BiopythonWarning, SeqIO

    with open_input(path) as stream, _Text(path, stream) as text:
        with warnings.catch_warnings():
            # Old programs write LOCUS lines with other column widths; what matters in them is still read.
            warnings.simplefilter("ignore", BiopythonParserWarning)
            warnings.simplefilter("ignore", BiopythonWarning)
            try:
                yield from SeqIO.parse(text, "genbank")
            except (InputError, OSError, *DAMAGED_GZIP):
                raise
            except Exception as error:  # Biopython's parser raises a dozen kinds of errors, and none in common
                raise InputError(f"{path}: not a readable GenBank file: {one_line(error)}") from error


class _Text(io.TextIOWrapper):
    """The text of an open file, whose lines have an end: InputError for a line over LONGEST_LINE_BYTES letters."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="utf-8", errors="replace")
        self._path, self._lines = path, 0

    def readline(self, size: int = -1) -> str:
        line = super().readline(LONGEST_LINE_BYTES + 1)
        self._lines += 1
        if len(line) > LONGEST_LINE_BYTES:
            raise long_line(self._path, self._lines)
        return line


def read_genbank(path: str | Path, lengths: Mapping[str, int]) -> AnnotationDraft:
    """The transcripts and don't-care regions of a GenBank file (plain or gzip).

    CDS features are grouped to genes by ``locus_tag``, else by ``gene``, else each is its own. A record is matched to
    the genome by VERSION, LOCUS name, or VERSION without its number. Pseudogenes (``pseudo``, ``pseudogene``) are
    don't-care regions.
    """
    path = Path(path)
    draft = AnnotationDraft(path)
    names = SequenceNames(path, lengths)
    for record in _records(path):
        candidates = (record.id, record.name, record.id.rpartition(".")[0])
        seqid = next(filter(None, map(names.resolve, candidates)), None)
        circular = record.annotations.get("topology") == "circular"
        if circular and seqid is not None:
            draft.circular.add(seqid)
        pseudogenes: dict[str, SeqFeature] = {}
        for number, feature in enumerate(record.features):
            draft.counts["rows"] += 1
            if feature.type not in ("CDS", "gene"):
                continue
            if seqid is None:
                names.note_unknown(record.id, f"record {record.id}", coding=feature.type == "CDS")
                continue
            if feature.location is None:
                # Biopython warns of a location that it cannot read, and leaves it out.
                raise InputError(f"{path}, record {record.id}: feature {number + 1} ({feature.type}) has no location")
            is_pseudogene = "pseudo" in feature.qualifiers or "pseudogene" in feature.qualifiers
            locus = _qualifier(feature, "locus_tag") or _qualifier(feature, "gene")
            if is_pseudogene and all(part.ref is None for part in feature.location.parts):
                # A pseudogene's CDS follows its gene feature and, where given, says more exactly where it is.
                pseudogenes[locus or f"feature{number}"] = feature
            if feature.type == "CDS":
                names.known_coding_rows += 1
                if any(part.ref is not None for part in feature.location.parts):
                    draft.counts["cds_in_other_records"] += 1
                elif not is_pseudogene:
                    draft.transcripts.append(_transcript(record, seqid, feature, locus, number, circular))
        for feature in pseudogenes.values():
            _add_pseudogene(draft, seqid, feature, lengths[seqid])
    names.finish(draft.counts)
    return draft


def _qualifier(feature: SeqFeature, key: str) -> str:
    return feature.qualifiers.get(key, [""])[0].strip()


def _strand(part) -> str:
    return {1: "+", -1: "-"}.get(part.strand, ".")


def _add_pseudogene(draft: AnnotationDraft, seqid: str, feature: SeqFeature, length: int) -> None:
    start, end = int(feature.location.start), min(int(feature.location.end), length)
    # A location over the origin of a circle would span everything: take its parts one by one.
    whole = end - start < length // 2 or len(feature.location.parts) == 1
    spans = [(start, end)] if whole else [(int(part.start), int(part.end)) for part in feature.location.parts]
    for start, end in spans:
        if start < end:
            draft.dont_care.append(DontCare(seqid, start, end, _strand(feature.location), "pseudogene"))
    draft.counts["pseudogene_loci"] += 1


def _transcript(
    record: SeqRecord, seqid: str, feature: SeqFeature, locus: str, number: int, circular: bool
) -> TranscriptDraft:
    from Bio.SeqFeature import AfterPosition, BeforePosition, UnknownPosition

    where = f"record {record.id}, CDS {locus or number}"
    parts = feature.location.parts  # in the order of translation
    if any(isinstance(edge, UnknownPosition) for part in parts for edge in (part.start, part.end)):
        raise InputError(f"{where}: a CDS location with an unknown position")
    phase = {"1": "0", "2": "1", "3": "2"}.get(_qualifier(feature, "codon_start") or "1", ".")
    name = _qualifier(feature, "protein_id") or locus or f"cds-{number}"
    draft = TranscriptDraft(name, locus or name, seqid)
    # codon_start tells the frame of the first exon only; the others follow from it.
    for index, part in enumerate(parts):
        draft.segments.append(
            Segment(int(part.start), int(part.end), _strand(part), phase if index == 0 else ".", where)
        )
    draft.cut_left = any(isinstance(part.start, BeforePosition) for part in parts)
    draft.cut_right = any(isinstance(part.end, AfterPosition) for part in parts)
    if "trans_splicing" in feature.qualifiers or _qualifier(feature, "exception") == "trans-splicing":
        draft.flags.add("trans_spliced")
    if circular and len({part.strand for part in parts}) == 1:
        starts = [int(part.start) for part in parts]
        if any((later < earlier) == (parts[0].strand != -1) for earlier, later in itertools.pairwise(starts)):
            draft.flags.add("beyond_contig")
    return draft
