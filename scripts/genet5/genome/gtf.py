"""GTF: CDS rows grouped by ``transcript_id`` and ``gene_id``. The stop codon has rows of its own, outside the CDS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from genet5.genome.drafts import AnnotationDraft, Segment, SequenceNames, TranscriptDraft, gene_class, rank_of
from genet5.genome.genes import DontCare
from genet5.genome.gff_rows import CODING, SEQUENCE, STOP_CODON, annotation_rows

# Possessive (++): a word that no value follows is read once, not from each of its letters on.
_VALUES = re.compile(r'(?<!\w)(\w++)\s++(?:"([^"]*+)"|([^\s;"]++))')
_BIOTYPES = ("gene_biotype", "gene_type", "transcript_biotype", "transcript_type")


def _value(attributes: str, key: str) -> str:
    """Value of ``key`` in GTF attributes, quoted or bare; '' when absent."""
    at = attributes.find(key + ' "')
    if at == 0 or (at > 0 and attributes[at - 1] in " ;"):
        at += len(key) + 2
        return attributes[at : attributes.find('"', at)]
    return next((quoted or bare for name, quoted, bare in _VALUES.findall(attributes) if name == key), "")


def _values(attributes: str, keys: tuple[str, ...]) -> list[str]:
    return [quoted or bare for name, quoted, bare in _VALUES.findall(attributes) if name in keys]


def _class_of(attributes: str) -> str:
    if "pseudo" not in attributes and "transpos" not in attributes:
        return ""
    if _value(attributes, "pseudo").lower() in ("true", "1", "yes"):
        return "pseudogene"
    return gene_class("", _values(attributes, _BIOTYPES))


def read_gtf(path: str | Path, lengths: Mapping[str, int]) -> AnnotationDraft:
    """The transcripts and don't-care regions of a GTF file (plain or gzip). Raises InputError as ``annotation_rows``.

    CDS rows without a ``transcript_id`` are counted and left out. Ensembl's tags ``cds_start_NF`` and ``cds_end_NF``
    mark incomplete ends. Pseudogenes count by their CDS rows, or by their gene row when they have none.
    """
    draft = AnnotationDraft(Path(path))
    names = SequenceNames(draft.path, lengths)
    coding: dict[tuple[str, str], tuple[str, list[Segment]]] = {}  # by sequence and transcript: attributes, rows
    stops: dict[tuple[str, str], list[Segment]] = {}
    described: dict[tuple[str, str], str] = {}  # attributes of transcript rows
    silent_genes: dict[tuple[str, str], tuple[str, list[Segment]]] = {}  # pseudogenes by sequence and gene
    for role, line, seqid, kind, start, end, strand, phase, attributes in annotation_rows(draft.path, names, draft):
        if role in (CODING, STOP_CODON):
            transcript = _value(attributes, "transcript_id")
            segment = Segment(start, end, strand, phase, line)
            if role == STOP_CODON:
                stops.setdefault((seqid, transcript), []).append(segment)
            elif transcript:
                group = coding.get((seqid, transcript))
                if group is None:
                    group = coding[seqid, transcript] = (attributes, [])
                group[1].append(segment)
            else:
                draft.counts["cds_rows_without_parent"] += 1
        elif role == SEQUENCE:
            continue
        elif kind == "transcript":
            described[seqid, _value(attributes, "transcript_id")] = attributes
        elif kind == "gene" and (klass := _class_of(attributes)):
            gene = _value(attributes, "gene_id")
            silent_genes[seqid, gene] = (klass, [Segment(start, end, strand, phase, line)])
    names.finish(draft.counts)
    coding_of_silent: dict[tuple[str, str], tuple[str, list[Segment]]] = {}
    for (seqid, transcript), (attributes, segments) in coding.items():
        attributes = described.get((seqid, transcript), attributes)
        gene = _value(attributes, "gene_id") or transcript
        klass = silent_genes[seqid, gene][0] if (seqid, gene) in silent_genes else _class_of(attributes)
        if klass:
            coding_of_silent.setdefault((seqid, gene), (klass, []))[1].extend(segments)
        else:
            draft.transcripts.append(_transcript(seqid, transcript, gene, attributes, segments, stops))
    for (seqid, _), (klass, segments) in {**silent_genes, **coding_of_silent}.items():
        strands = {segment.strand for segment in segments}
        strand = strands.pop() if len(strands) == 1 else "."
        start = min(segment.start for segment in segments)
        end = min(max(segment.end for segment in segments), lengths[seqid])
        if start < end:
            draft.dont_care.append(DontCare(seqid, start, end, strand if strand in "+-" else ".", klass))
            draft.counts[f"{klass}_loci"] += 1
    return draft


def _transcript(
    seqid: str,
    name: str,
    gene: str,
    attributes: str,
    segments: list[Segment],
    stops: Mapping[tuple[str, str], list[Segment]],
) -> TranscriptDraft:
    tags = _values(attributes, ("tag",))
    biotypes = _values(attributes, ("transcript_biotype", "transcript_type"))
    draft = TranscriptDraft(name, gene, seqid, segments, list(stops.get((seqid, name), ())))
    draft.rank = rank_of(tags, biotypes[0] if biotypes else "")
    forward = segments[0].strand != "-"
    if "cds_start_NF" in tags:
        draft.cut_left, draft.cut_right = (True, draft.cut_right) if forward else (draft.cut_left, True)
    if "cds_end_NF" in tags:
        draft.cut_left, draft.cut_right = (draft.cut_left, True) if forward else (True, draft.cut_right)
    draft.cut = _value(attributes, "partial").lower() in ("true", "1", "yes")
    return draft
