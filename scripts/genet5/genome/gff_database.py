"""The rows of a GFF3 or GTF file that sequences are made of, in a gffutils database on disk.

Rows are read one by one, so memory does not grow with the file but for the names of its features. Kept are the parts of
transcripts (exon, CDS, UTR and stop codon rows), and what they may belong to (transcripts, genes, proteins). A GTF file
is brought into the shape of GFF3: ``transcript_id`` becomes the parent of a part.
"""

from __future__ import annotations

import contextlib
import io
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gffutils
from gffutils.feature import feature_from_line

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.genome.annotation import annotation_format
from genet5.genome.drafts import SequenceNames, shown_names
from genet5.genome.gff_rows import FEATURE, SEQUENCE, role_of

EXON, CDS, UTR, STOP_CODON, SPAN = "exon", "CDS", "UTR", "stop_codon", "span"
PARTS = (EXON, CDS, UTR, STOP_CODON, SPAN)
"""Types that parts of transcripts get here. A span is a further row of a feature whose ID occurred before."""

# Attributes that are asked for later; the others would only fill the database.
_KEPT = (
    "ID", "Parent", "Derives_from", "gene_id", "transcript_id", "transl_table", "partial", "start_range", "end_range",
    "tag", "pseudo", "pseudogene", "exception", "trans_splicing", "gene_biotype", "gene_type", "so_term_name",
    "transcript_biotype", "transcript_type", "biotype", "locus_tag", "Name",
)  # fmt: skip
_GTF_FEATURES = ("transcript", "mrna")
_NOT_IN_NAME = re.compile(r"[\x00-\x20\x7f]")
# The database lives as long as the command: nothing needs to be undone, or to survive a power cut.
_PRAGMAS = {"synchronous": "OFF", "journal_mode": "OFF", "main.page_size": 4096, "main.cache_size": 10000}
# No name of a file begins so: control characters in names are escaped.
_NUMBERED = "autoincrement:\x01"


@dataclass
class Rows:
    """A database, and what else the file says.

    ``circular``: sequences that the file calls circular. ``sequences``: IDs of its rows of whole sequences.
    ``without_parent``: exon, UTR and stop codon rows that name no parent and are left out; ``elsewhere``: rows on
    sequences that the genome lacks, left out.
    """

    database: gffutils.FeatureDB
    path: Path
    circular: set[str] = field(default_factory=set)
    sequences: set[str] = field(default_factory=set)
    without_parent: int = 0
    elsewhere: int = 0


@contextlib.contextmanager
def annotation_database(
    path: str | Path, lengths: Mapping[str, int], genome_name: str, *, skip_missing: bool = False
) -> Iterator[Rows]:
    """The rows of a GFF3 or GTF file (plain or gzip) as a database in a temporary file, which is deleted at the end.

    ``lengths``: bases of each sequence of the genome; ``genome_name`` stands for it in messages. Every feature carries
    the number of its ``line``, and its names have no blanks (written ``%20``). Raises InputError for rows that are not
    GFF, for GenBank, for sequences that the genome lacks (all of them, where ``skip_missing``) and for parts beyond the
    end of a sequence (on a circular one: beyond its second round).
    """
    path = Path(path)
    kind = annotation_format(path)
    if kind == "GenBank":
        raise InputError(f"{path}: GenBank; sequences are extracted with GFF3 or GTF")
    with tempfile.TemporaryDirectory(prefix="genet5.") as folder:
        reader = _Reader(path, lengths, genome_name, kind == "GTF", skip_missing)
        try:
            database = gffutils.create_db(
                reader.features(),
                f"{folder}/rows.db",
                id_spec=_key,
                merge_strategy="error",
                dialect=gffutils.constants.dialect,
                checklines=0,
                pragmas=_PRAGMAS,
            )
        except gffutils.exceptions.EmptyInputError as error:
            reader.check_sequences()
            raise reader.nothing() from error
        except sqlite3.OperationalError as error:
            raise InputError(f"{folder}: the database of {path} cannot be written ({error}); set TMPDIR") from error
        try:
            reader.check_sequences()
            yield Rows(database, path, reader.circular, reader.sequences, reader.without_parent, reader.elsewhere)
        finally:
            database.conn.close()


def first(feature: gffutils.Feature, *keys: str) -> str:
    """First value of the first of these attributes that has one, else ''."""
    return next((feature.attributes[key][0] for key in keys if feature.attributes.get(key)), "")


def _key(feature: gffutils.Feature) -> str:
    """Parts are numbered: several rows share the ID of a CDS, and many have none."""
    name = "" if feature.featuretype in PARTS else first(feature, "ID")
    return name or f"{_NUMBERED}{feature.featuretype}"


def _part_of(kind: str) -> str:
    lower = kind.lower()
    if lower in ("cds", "stop_codon", "exon"):
        return {"cds": CDS, "stop_codon": STOP_CODON, "exon": EXON}[lower]
    if lower.endswith("_exon"):
        return EXON
    return UTR if lower.endswith("utr") or lower in ("utr5", "utr3") else ""


class _Reader:
    def __init__(self, path: Path, lengths: Mapping[str, int], genome_name: str, gtf: bool, skip_missing: bool) -> None:
        self.circular: set[str] = set()
        self.sequences: set[str] = set()
        self.without_parent = self.elsewhere = 0
        self._skip_missing = skip_missing
        self._path, self._lengths, self._genome, self._gtf = path, lengths, genome_name, gtf
        self._names = SequenceNames(path, lengths)
        self._seen: set[str] = set()  # names of features that may have parts
        self._kinds: set[str] = set()
        self._known: set[str] = set()  # sequences of kept rows
        self._unknown: dict[str, int] = {}  # those that the genome lacks, and the line of each
        # First part beyond each sequence, and first one beyond its second round: line and end.
        self._too_long: dict[tuple[str, bool], tuple[int, int]] = {}

    def features(self) -> Iterator[gffutils.Feature]:
        """Kept rows in the order of the file."""
        with open_input(self._path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace") as text:
            for number, line in enumerate(text, start=1):
                if line.startswith(("##FASTA", ">")):
                    break
                if line.startswith("#") or not line.strip() or line.startswith(("track ", "browser ")):
                    continue
                columns = line.rstrip("\r\n").split("\t")
                if len(columns) < 9:
                    raise InputError(
                        f"{self._path}, line {number}: {len(columns)} tab-separated columns, a row of GFF3 or GTF has 9"
                    )
                feature = self._feature(number, columns)
                if feature is not None:
                    yield feature

    def nothing(self) -> InputError:
        """The message for a file without a row of use."""
        kinds = f"its rows are of type {shown_names(sorted(self._kinds))}" if self._kinds else "it has no rows"
        return InputError(f"{self._path}: no genes, transcripts, exons or CDS: {kinds}")

    def check_sequences(self) -> None:
        """InputError for sequences that the genome lacks, and for parts beyond a sequence that is not circular."""
        if self._unknown and not self._known:
            raise InputError(
                f"{self._path}: none of its sequences ({shown_names(self._unknown)}) is in {self._genome}, which has "
                f"{shown_names(self._lengths)}; are the two of one genome?"
            )
        if self._unknown and not self._skip_missing:
            seqid, line = next(iter(self._unknown.items()))
            more = f", nor are {len(self._unknown) - 1} others" if len(self._unknown) > 1 else ""
            raise InputError(
                f"{self._path}, line {line}: sequence {seqid!r} is not in {self._genome}{more}; it has "
                f"{shown_names(self._lengths)} (--skip-missing leaves such rows out)"
            )
        for (seqid, twice), (line, end) in self._too_long.items():
            if seqid not in self.circular or twice:
                raise InputError(
                    f"{self._path}, line {line}: ends at {end}, beyond {seqid!r}, which has "
                    f"{self._lengths[seqid]} bp in {self._genome}; are the two of one assembly?"
                )

    def _feature(self, line: int, columns: list[str]) -> gffutils.Feature | None:
        part = _part_of(columns[2])
        self._kinds.add(columns[2])
        role = FEATURE if part else role_of(columns[2])
        if self._gtf and not part and columns[2].lower() not in _GTF_FEATURES:
            return None
        if role not in (FEATURE, SEQUENCE):
            return None
        start, end = self._place(line, columns)
        if self._gtf:
            feature = _from_gtf(columns)
        else:
            columns[8] = columns[8].replace("; ", ";").strip("; ")
            feature = feature_from_line("\t".join(columns[:9]), dialect=gffutils.constants.dialect)
        seqid = self._names.resolve(columns[0])
        if role == SEQUENCE:
            self.sequences.add(first(feature, "ID"))
            if first(feature, "Is_circular").lower() == "true" and seqid is not None:
                self.circular.add(seqid)
            return None
        if seqid is None:
            self._unknown.setdefault(columns[0], line)
            self.elsewhere += 1
            return None
        self._known.add(seqid)
        feature.seqid, feature.featuretype = seqid, part or columns[2]
        feature.start, feature.end = start, end
        feature.strand = columns[6] if columns[6] in ("+", "-") else "."
        feature.attributes = _kept(feature, line)
        if not part:
            return self._may_have_parts(feature)
        length = self._lengths[seqid]
        if feature.end > length:
            self._too_long.setdefault((seqid, feature.end > 2 * length), (line, feature.end))
        return self._with_parent(feature, part)

    def _place(self, line: int, columns: list[str]) -> tuple[int, int]:
        """Start and end as written, 1-based and closed."""
        try:
            start, end = int(columns[3]), int(columns[4])
        except ValueError:
            start, end = 1, 0
        if not 1 <= start <= end:
            raise InputError(
                f"{self._path}, line {line}: start {columns[3]!r}, end {columns[4]!r}; expected two numbers, "
                "1 <= start <= end (across the origin of a circle, end is beyond its length)"
            )
        return start, end

    def _may_have_parts(self, feature: gffutils.Feature) -> gffutils.Feature:
        name = first(feature, "ID")
        if name in self._seen:
            feature.attributes["Parent"], feature.featuretype = [name], SPAN
        elif name:
            self._seen.add(name)
        if feature.featuretype in ("protein", "polypeptide") and "Derives_from" in feature.attributes:
            parents = [*feature.attributes.get("Parent", []), *feature.attributes["Derives_from"]]
            feature.attributes["Parent"] = list(dict.fromkeys(parents))
        return feature

    def _with_parent(self, feature: gffutils.Feature, part: str) -> gffutils.Feature | None:
        """A CDS without a parent is one by itself; rows of one ID are one CDS. Other parts need a parent."""
        parents = [name for name in feature.attributes.get("Parent", []) if name]
        # TAIR writes Parent=T,T-Protein: the protein stands for its transcript.
        parents = [name for name in parents if not any(name == f"{other}-Protein" for other in parents)]
        if not parents and part == CDS:
            place = f"{feature.seqid}:{feature.start}-{feature.end}({feature.strand})"
            parents = [first(feature, "ID", "locus_tag", "Name") or place]
        if not parents:
            self.without_parent += 1
            return None
        feature.attributes["Parent"] = list(dict.fromkeys(parents))
        return feature


def _from_gtf(columns: list[str]) -> gffutils.Feature:
    """A GTF row with the attributes ID and Parent of GFF3. Each row tells its own dialect: rows of one file differ."""
    feature = feature_from_line("\t".join(columns[:9]))
    if "transcript_id" in feature.attributes:
        transcript = feature.attributes["transcript_id"]
        feature.attributes["ID" if columns[2].lower() in _GTF_FEATURES else "Parent"] = transcript
    return feature


def _kept(feature: gffutils.Feature, line: int) -> dict[str, list[str]]:
    kept = {key: feature.attributes[key] for key in _KEPT if feature.attributes.get(key)}
    for key in ("ID", "Parent", "Derives_from", "gene_id", "locus_tag", "Name"):
        if key in kept:
            kept[key] = [_NOT_IN_NAME.sub(_escaped, name.strip(' "')) for name in kept[key]]
    if "ID" in kept:
        kept["ID"] = [",".join(kept["ID"])]  # a comma in an ID is part of it
    return kept | {"line": [str(line)]}


def _escaped(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"
