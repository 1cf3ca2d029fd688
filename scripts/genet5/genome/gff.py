"""GFF3: the hierarchy gene - transcript - CDS in all the shapes that databases give it.

Which rows count: CDS rows, and the rows they descend from. Evidence (splice junctions, reads, matches), exons, introns
and UTRs are skipped unseen. Shapes met: gene - mRNA - CDS (most), gene - CDS (NCBI bacteria: a transcript per CDS ID),
CDS alone (Prodigal), CDS with several parents (FlyBase), with a protein as a second parent (TAIR), under an RNA gene
(PomBase, GeneDB: not coding), under a row that an extract lost (kept as a locus of its own, flagged ``orphan``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from genet5.genome.drafts import (
    RANK_CODING,
    AnnotationDraft,
    Segment,
    SequenceNames,
    TranscriptDraft,
    gene_class,
    rank_of,
)
from genet5.genome.genes import DontCare
from genet5.genome.gff_rows import CODING, FEATURE, SEQUENCE, annotation_rows

# Attributes as most files write them: names without escapes, blanks and quotes, first in the row.
_ID = re.compile(r'ID=([^;%" ]+)(?:;|$)')
_ID_AND_PARENT = re.compile(r'ID=([^;%" ]+);Parent=([^;%" ]+)(?:;|$)')

# What Segment(...) makes, in half of its time: files have a million of these.
_segment = functools.partial(tuple.__new__, Segment)


def _value(attributes: str, key: str) -> str:
    """Value of ``key`` (written with its ``=``) in GFF3 attributes, still escaped; '' when absent."""
    if attributes.startswith(key):
        at = len(key)
    else:
        at = attributes.find(";" + key)
        if at < 0:
            return ""
        at += len(key) + 1
    end = attributes.find(";", at)
    return (attributes[at:] if end < 0 else attributes[at:end]).strip(' "')


def _without_blanks(attributes: str) -> str:
    return attributes.replace("; ", ";") if "; " in attributes else attributes


def _text(attributes: str, key: str) -> str:
    value = _value(attributes, key)
    return unquote(value) if "%" in value else value


_TRANSCRIPT_BIOTYPE_KEYS = ("transcript_biotype=", "transcript_type=", "biotype=")
_BIOTYPE_KEYS = ("gene_biotype=", "gene_type=", "so_term_name=", *_TRANSCRIPT_BIOTYPE_KEYS)


@functools.cache
def _class_of_kind(kind: str) -> str:
    return gene_class(kind, [])


def _class_of(kind: str, attributes: str) -> str:
    """``pseudogene``, ``transposon`` or '' for a row. Cheap tests first: this is asked of every gene and transcript."""
    if found := _class_of_kind(kind):
        return found
    if "pseudo" in attributes:
        if _value(attributes, "pseudogene=") or _value(attributes, "pseudo=").lower() in ("true", "1", "yes"):
            return "pseudogene"
    elif "transpos" not in attributes:
        return ""
    return gene_class("", [_text(attributes, key) for key in _BIOTYPE_KEYS])


CUT_LEFT, CUT_RIGHT, CUT, PSEUDO, TRANS_SPLICED = 1, 2, 4, 8, 16


def _marks(attributes: str) -> int:
    """What the attributes of a CDS row say beyond its place, as a sum of the constants above.

    The marks of mRNA rows are not asked for: NCBI marks an mRNA as partial when its UTRs are unknown.
    """
    marks = 0
    if "partial=" in attributes or "_range=" in attributes:
        if _value(attributes, "start_range="):
            marks |= CUT_LEFT
        if _value(attributes, "end_range="):
            marks |= CUT_RIGHT
        partial = _value(attributes, "partial=").lower()
        if partial in ("01", "10", "11"):  # Prodigal's: one digit per edge, left then right
            marks |= (partial[0] == "1") * CUT_LEFT | (partial[1] == "1") * CUT_RIGHT
        elif partial not in ("", "false", "no", "0", "00"):
            marks |= CUT
    if "pseudo" in attributes and _class_of("", attributes) == "pseudogene":
        marks |= PSEUDO
    if "trans-splicing" in attributes or "trans_splicing=" in attributes:
        if _value(attributes, "exception=") == "trans-splicing" or _value(attributes, "trans_splicing="):
            marks |= TRANS_SPLICED
    return marks


class _Feature(NamedTuple):
    kind: str
    start: int
    end: int
    strand: str
    attributes: str


class _Run(NamedTuple):
    """CDS rows of one Parent that follow each other and have the same ID and marks."""

    own: str
    marks: int
    segments: list[Segment]


class _Lineage(NamedTuple):
    """What a CDS's parent tells: its locus, and what kind of thing it is."""

    locus: str
    found: bool
    is_gene: bool
    klass: str  # '', 'pseudogene', 'transposon' or 'noncoding'
    rank: int


@functools.cache
def is_gene_kind(kind: str) -> bool:
    lower = kind.lower()
    return lower in ("gene", "pseudogene", "locus") or (lower.endswith("_gene") and not lower.startswith("mrna"))


@functools.cache
def is_noncoding_kind(kind: str) -> bool:
    lower = kind.lower()
    is_rna = lower.endswith("rna") and lower not in ("mrna", "protein_coding_mrna")
    return is_rna or lower in ("nc_primary_transcript", "mirna_primary_transcript") or "rna_gene" in lower


def _rank(attributes: str, is_gene: bool) -> int:
    if "tag=" not in attributes and "type=" not in attributes:
        return RANK_CODING
    tags = _text(attributes, "tag=").split(",") if "tag=" in attributes else []
    biotype = ""
    if not is_gene and ("type=" in attributes):
        biotype = next(filter(None, (_value(attributes, key) for key in _TRANSCRIPT_BIOTYPE_KEYS)), "")
    return rank_of(tags, biotype)


def read_gff3(path: str | Path, lengths: Mapping[str, int]) -> AnnotationDraft:
    """The transcripts and don't-care regions of a GFF3 file (plain or gzip); InputError as in ``annotation_rows``."""
    reader = _Gff3Reader(Path(path), lengths)
    reader.read_rows()
    reader.build_transcripts()
    reader.add_genes_without_cds()
    return reader.draft


class _Gff3Reader:
    def __init__(self, path: Path, lengths: Mapping[str, int]) -> None:
        self.draft = AnnotationDraft(path)
        self._names = SequenceNames(path, lengths)
        self._features: dict[tuple[str, str], _Feature] = {}
        self._sequence_ids: set[str] = set()
        # CDS rows by sequence and Parent attribute as written, in runs with one ID and the same marks.
        self._coding: dict[tuple[str, str], list[_Run]] = {}
        self._stops: dict[tuple[str, str], list[Segment]] = {}
        self._above: dict[tuple[str, str], tuple[str, str]] = {}
        self._lineages: dict[tuple[str, str], _Lineage] = {}
        self._transcripts: dict[tuple[str, str, str], TranscriptDraft] = {}  # by sequence, parent and own name
        self._orphans: list[TranscriptDraft] = []
        self._not_genes: dict[tuple[str, str], tuple[str, list[Segment]]] = {}  # pseudogenes, by sequence and locus

    def read_rows(self) -> None:
        stops, features = self._stops, self._features
        last, segments = None, []
        for role, line, seqid, kind, start, end, strand, phase, attributes in annotation_rows(
            self.draft.path, self._names, self.draft
        ):
            if role == CODING:
                # Rows of one CDS follow each other, and most have the same attributes: these are read once.
                if last != (attributes, seqid):
                    last, segments = (attributes, seqid), self._run(seqid, attributes)
                segments.append(_segment((start, end, strand, phase, line)))
                continue
            attributes = _without_blanks(attributes)
            if role == FEATURE:
                usual = _ID.match(attributes)
                if name := usual[1] if usual else _text(attributes, "ID="):
                    features.setdefault((seqid, name), _Feature(kind, start, end, strand, attributes))
            elif role == SEQUENCE:
                self._sequence_ids.add(_text(attributes, "ID="))
                if _value(attributes, "Is_circular=").lower() == "true":
                    self.draft.circular.add(seqid)
            else:
                segment = Segment(start, end, strand, phase, line)
                stops.setdefault((seqid, _value(attributes, "Parent=")), []).append(segment)
        self._names.finish(self.draft.counts)

    def _run(self, seqid: str, attributes: str) -> list[Segment]:
        """Where CDS rows with these attributes belong."""
        attributes = _without_blanks(attributes)
        if usual := _ID_AND_PARENT.match(attributes):
            own, parent = usual.groups()
        else:
            own, parent = _value(attributes, "ID="), _value(attributes, "Parent=")
        marks = _marks(attributes)
        runs = self._coding.setdefault((seqid, parent), [])
        if not runs or runs[-1].own != own or runs[-1].marks != marks:
            runs.append(_Run(own, marks, []))
        return runs[-1].segments

    def build_transcripts(self) -> None:
        for (seqid, written), runs in self._coding.items():
            if not written:
                self._add_rows_without_parent(seqid, runs)
                continue
            for name in self._parents(seqid, written):
                lineage = self._lineage(seqid, name)
                for own, marks, segments in runs:
                    # NCBI's bacteria: a gene may have several proteins, told apart by the IDs of their CDS rows.
                    transcript = (unquote(own) or name) if lineage.is_gene else name
                    self._add(seqid, name, transcript, lineage, segments, marks)
        self._add_stop_codons()
        self.draft.transcripts = list(self._transcripts.values())
        # Where no CDS has a described parent, the file simply has no other rows; nothing was lost.
        if 0 < len(self._orphans) < len(self._transcripts):
            self.draft.counts["orphan_transcripts"] = len(self._orphans)
            for transcript in self._orphans:
                transcript.flags.add("orphan")
        for (seqid, _), (klass, segments) in self._not_genes.items():
            self._dont_care(seqid, segments, klass)

    def _add_rows_without_parent(self, seqid: str, runs: list[_Run]) -> None:
        for own, marks, segments in runs:
            if own:
                name = unquote(own)
                self._add(seqid, name, name, _Lineage(name, True, False, "", RANK_CODING), segments, marks)
            else:
                self.draft.counts["cds_rows_without_parent"] += len(segments)

    def _add(self, seqid: str, parent: str, name: str, lineage: _Lineage, segments: list[Segment], marks: int) -> None:
        klass = "pseudogene" if marks & PSEUDO and lineage.klass != "transposon" else lineage.klass
        if klass == "noncoding":
            self.draft.counts["cds_rows_under_noncoding"] += len(segments)
            return
        if klass:
            self._not_genes.setdefault((seqid, lineage.locus), (klass, []))[1].extend(segments)
            return
        transcript = self._transcripts.get((seqid, parent, name))
        if transcript is None:
            transcript = TranscriptDraft(name, lineage.locus, seqid, rank=lineage.rank)
            self._transcripts[seqid, parent, name] = transcript
            if not lineage.found:
                self._orphans.append(transcript)
        transcript.segments.extend(segments)
        if marks:
            transcript.cut_left |= bool(marks & CUT_LEFT)
            transcript.cut_right |= bool(marks & CUT_RIGHT)
            transcript.cut |= bool(marks & CUT)
            if marks & TRANS_SPLICED:
                transcript.flags.add("trans_spliced")

    def _add_stop_codons(self) -> None:
        if not self._stops:
            return
        by_parent: dict[tuple[str, str], list[Segment]] = {}
        for (seqid, written), segments in self._stops.items():
            for name in self._parents(seqid, written):
                by_parent.setdefault((seqid, name), []).extend(segments)
        for (seqid, parent, _), transcript in self._transcripts.items():
            transcript.stop_codon.extend(by_parent.get((seqid, parent), ()))

    def _parents(self, seqid: str, written: str) -> list[str]:
        """The transcripts (or genes) that a Parent attribute names. Proteins stand for what they derive from."""
        if "," in written:
            names = [unquote(name) for name in written.split(",") if name]
        else:
            names = [unquote(written) if "%" in written else written]
        parents: dict[str, None] = {}
        others = set(names)
        for name in names:
            feature = self._features.get((seqid, name))
            if feature is None:
                # TAIR writes "Parent=T,T-Protein"; an extract may have lost both rows.
                if name.endswith("-Protein") and name.removesuffix("-Protein") in others:
                    continue
            elif feature.kind in ("protein", "polypeptide"):
                name = _text(feature.attributes, "Derives_from=") or name
            parents[name] = None
        return list(parents)

    def _lineage(self, seqid: str, name: str) -> _Lineage:
        lineage = self._lineages.get((seqid, name))
        if lineage is None:
            lineage = self._lineages[seqid, name] = self._climb(seqid, name)
        return lineage

    def _climb(self, seqid: str, name: str) -> _Lineage:
        feature = self._features.get((seqid, name))
        if feature is None:
            return _Lineage(name, False, False, "", RANK_CODING)
        gene, klass = self._gene_and_class(seqid, name)
        if not klass and is_noncoding_kind(feature.kind):
            klass = "noncoding"
        is_gene = is_gene_kind(feature.kind)
        locus = gene or self._parent_of(feature) or name
        return _Lineage(locus, True, is_gene, klass, _rank(feature.attributes, is_gene))

    def _gene_and_class(self, seqid: str, name: str) -> tuple[str, str]:
        """The nearest gene among a feature and what it descends from, and the nearest class; '' where there is none.

        Each feature is asked once, however deep rows are nested. A circle of parents ends where it closes.
        """
        path: dict[str, _Feature] = {}
        while name and name not in path and (seqid, name) not in self._above:
            feature = self._features.get((seqid, name))
            if feature is None:
                break
            path[name] = feature
            name = self._parent_of(feature)
        gene, klass = self._above.get((seqid, name), ("", ""))
        for name, feature in reversed(path.items()):
            gene = name if is_gene_kind(feature.kind) else gene
            klass = _class_of(feature.kind, feature.attributes) or klass
            self._above[seqid, name] = gene, klass
        return gene, klass

    def _parent_of(self, feature: _Feature) -> str:
        """The (first) parent of a row, '' where it has none but the whole sequence."""
        parent = _value(feature.attributes, "Parent=")
        if "," in parent or "%" in parent:
            parent = unquote(parent.split(",")[0])
        return "" if parent in self._sequence_ids else parent

    def add_genes_without_cds(self) -> None:
        """Pseudogenes and transposon genes given without CDS rows: their whole extent is a don't-care region."""
        for (seqid, name), feature in self._features.items():
            klass = _class_of(feature.kind, feature.attributes)
            if not klass or feature.kind in ("protein", "polypeptide"):
                continue
            lineage = self._lineage(seqid, name)
            if (seqid, lineage.locus) in self._not_genes:
                continue
            gene = self._features.get((seqid, lineage.locus))
            if gene is not None and gene is not feature and _class_of(gene.kind, gene.attributes):
                continue
            self._dont_care(seqid, [Segment(feature.start, feature.end, feature.strand, ".", 0)], klass)

    def _dont_care(self, seqid: str, segments: list[Segment], klass: str) -> None:
        start = min(segment.start for segment in segments)
        end = min(max(segment.end for segment in segments), self._names.lengths[seqid])
        strands = {segment.strand for segment in segments}
        strand = strands.pop() if len(strands) == 1 else "."
        if start < end:
            self.draft.dont_care.append(DontCare(seqid, start, end, strand if strand in "+-" else ".", klass))
            self.draft.counts[f"{klass}_loci"] += 1
