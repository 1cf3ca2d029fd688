"""Reading an annotation, whatever its format: genes with canonical transcripts, don't-care regions, and counts.

What ``Annotation.counts`` may hold (absent means 0):

============================  ======================================================================================
rows                          data rows of the file (GenBank: features)
genes, genes_sound            coding loci; those without flags
transcripts                   coding transcripts read, before broken isoforms are dropped
isoforms_dropped              broken isoforms of genes that have a sound one
canonical_replaced            genes whose preferred transcript is broken and another is used
isoforms_on_other_strand      isoforms dropped because they lie on another strand than the canonical one
flag_{name}                   flagged genes, by flag (see ``checks``)
pseudogene_loci               pseudogenes, with or without CDS rows; all are don't-care regions
transposon_loci               transposon genes, likewise
cds_rows_under_noncoding      CDS rows whose parent is a non-coding RNA: not genes
cds_rows_without_parent       CDS rows that name neither parent nor own id: left out
cds_rows_without_strand       CDS rows with strand ``.`` or ``?``: left out, their bases are don't-care
cds_in_other_records          GenBank CDS that join bases of other records: left out
cds_rows_repeated             CDS rows given twice for one transcript: taken once
orphan_transcripts            transcripts whose row is missing: a locus each, flagged
rows_on_unknown_sequences     rows naming a sequence the genome lacks: left out (an error when most CDS rows do)
cds_rows_on_unknown_sequences CDS rows among them
stop_codons_added             transcripts whose stop codon stood outside their CDS
touching_segments_joined      pairs of CDS segments without a base between them
phases_corrected              transcripts with a phase that does not follow from the segments' lengths
ids_made_unique               genes and transcripts whose id occurred more than once
============================  ======================================================================================
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.genome.checks import (
    CheckedTranscript,
    CodeCheck,
    bases_to_check,
    check_genetic_code,
    check_transcripts,
)
from genet5.genome.collector import collector_paused
from genet5.genome.drafts import AnnotationDraft, TranscriptDraft
from genet5.genome.fasta import Genome
from genet5.genome.genbank import read_genbank
from genet5.genome.genes import Annotation, DontCare, Gene
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.gff import read_gff3
from genet5.genome.gtf import read_gtf

_READERS = {"GFF3": read_gff3, "GTF": read_gtf, "GenBank": read_genbank}
_SNIFFED_BYTES = 1 << 18
_GTF_ATTRIBUTES = re.compile(rb'(?:^|[\s;])(?:gene_id|transcript_id)\s+["\w]')
_GFF3_ATTRIBUTES = re.compile(rb"^\s*[A-Za-z_][\w.]*=")


def annotation_format(path: str | Path) -> str:
    """``GFF3``, ``GTF`` or ``GenBank``, told from the file's contents. InputError for FASTA and EMBL."""
    with open_input(path) as stream:
        head = stream.read(_SNIFFED_BYTES)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"LOCUS"):
        return "GenBank"
    if text.startswith(b"##gff-version") and text.split(None, 2)[1:2] == [b"3"]:
        return "GFF3"
    for found, what in ((b">", "FASTA"), (b"ID   ", "EMBL")):
        if text.startswith(found):
            raise InputError(f"{path}: looks like {what}; an annotation is GFF3, GTF or GenBank")
    for line in text.split(b"\n"):
        columns = line.split(b"\t")
        if line.startswith(b"#") or len(columns) < 9:
            continue
        if _GFF3_ATTRIBUTES.match(columns[8]):
            return "GFF3"
        if _GTF_ATTRIBUTES.search(columns[8]):
            return "GTF"
    return "GFF3"


def read_annotation(path: str | Path, genome: Genome, code: GeneticCode, *, predicted: bool = False) -> Annotation:
    """All coding genes of a GFF3, GTF or GenBank file (plain or gzip), checked against the genome.

    Genes come in the genome's order of sequences, then by start, end and id. A gene's sound isoforms are kept, the
    canonical one first; a gene without any is kept whole with the flags of its preferred isoform, and its CDS span
    becomes a don't-care region, as do pseudogenes and transposon genes. Ids are unique. Don't-care regions may overlap
    sound genes (nested genes, extracts): the sound gene counts there. The output of a gene finder (``predicted``) may
    hold no gene at all, and is not asked whether it agrees with the genetic code.

    InputError, one line, for: damaged files, malformed rows, a CDS outside its sequence, most CDS rows on sequences
    that the genome lacks, no coding gene at all, or a genetic code that the genes contradict.
    """
    with collector_paused():
        return _read(Path(path), genome, code, predicted)


def _read(path: Path, genome: Genome, code: GeneticCode, predicted: bool) -> Annotation:
    draft = _READERS[annotation_format(path)](path, genome.lengths)
    counts = draft.counts
    dont_care = list(draft.dont_care)
    by_sequence = _by_sequence(draft, dont_care)
    if not by_sequence and not predicted:
        left_out = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count) or "no rows"
        raise InputError(
            f"{path}: no coding gene: no CDS row belongs to a gene on a sequence of {genome.path} ({left_out})"
        )
    code_check = CodeCheck()
    genes: list[Gene] = []
    preferred: list[CheckedTranscript] = []
    for seqid in genome.names:
        if seqid not in by_sequence:
            continue
        contig = bases_to_check(genome, seqid, by_sequence[seqid])
        checked = check_transcripts(
            by_sequence[seqid],
            contig,
            code,
            path=path,
            circular=seqid in draft.circular,
            counts=counts,
            code_check=code_check,
        )
        loci: dict[str, list[CheckedTranscript]] = {}
        for transcript in checked:
            loci.setdefault(transcript.draft.locus, []).append(transcript)
        found = []
        for locus, isoforms in loci.items():
            if len(isoforms) > 1:
                isoforms.sort(key=lambda isoform: isoform.preference)
            preferred.append(isoforms[0])
            gene = _gene(locus, seqid, isoforms, counts)
            found.append(gene)
            if gene.flags:
                dont_care.extend(_flagged_regions(gene, isoforms[0], len(contig)))
        genes.extend(sorted(found, key=_position))
    if not predicted:
        check_genetic_code(preferred, code, code_check, path)
    genes = _with_unique_ids(genes, counts)
    counts["genes"] = len(genes)
    counts["genes_sound"] = sum(not gene.flags for gene in genes)
    order = {seqid: index for index, seqid in enumerate(genome.names)}
    dont_care.sort(key=lambda region: (order[region.seqid], *region[1:]))
    return Annotation(
        tuple(genes), tuple(dict.fromkeys(dont_care)), {name: count for name, count in sorted(counts.items()) if count}
    )


def _by_sequence(draft: AnnotationDraft, dont_care: list[DontCare]) -> dict[str, list[TranscriptDraft]]:
    """Transcripts by sequence. Rows without a strand cannot be read: they are don't-care on both strands."""
    by_sequence: dict[str, list[TranscriptDraft]] = {}
    for transcript in draft.transcripts:
        if any(row.strand not in "+-" for row in transcript.segments):
            lost = [row for row in transcript.segments if row.strand not in "+-"]
            draft.counts["cds_rows_without_strand"] += len(lost)
            dont_care.extend(DontCare(transcript.seqid, row.start, row.end, ".", "no_strand") for row in lost)
            transcript.segments = [row for row in transcript.segments if row.strand in "+-"]
            if not transcript.segments:
                continue
        by_sequence.setdefault(transcript.seqid, []).append(transcript)
        draft.counts["transcripts"] += 1
    return by_sequence


def _position(gene: Gene) -> tuple[int, int, str]:
    if len(gene.transcripts) == 1:
        cds = gene.transcripts[0].cds
        return cds[0].start, cds[-1].end, gene.id
    return gene.start, gene.end, gene.id


def _gene(locus: str, seqid: str, isoforms: list[CheckedTranscript], counts: Counter[str]) -> Gene:
    """A gene of isoforms sorted by preference: the sound ones, or all of them and the flags of the first."""
    if len(isoforms) == 1 and not isoforms[0].flags:
        return Gene(locus, seqid, isoforms[0].strand, (isoforms[0].transcript,))
    sound = [isoform for isoform in isoforms if not isoform.flags]
    flags: frozenset[str] = frozenset()
    if sound:
        counts["isoforms_dropped"] += len(isoforms) - len(sound)
        counts["canonical_replaced"] += sound[0] is not isoforms[0]
        isoforms = sound
    else:
        flags = frozenset(isoforms[0].flags)
        counts.update(f"flag_{flag}" for flag in flags)
    strand = isoforms[0].strand
    same_strand = [isoform for isoform in isoforms if isoform.strand == strand]
    counts["isoforms_on_other_strand"] += len(isoforms) - len(same_strand)
    return Gene(locus, seqid, strand, tuple(isoform.transcript for isoform in same_strand), flags=flags)


def _flagged_regions(gene: Gene, first: CheckedTranscript, length: int) -> Iterable[DontCare]:
    """The CDS span of a flagged gene; row by row where a span would hold what is not the gene's."""
    reason = ",".join(sorted(gene.flags))
    if not gene.flags & {"trans_spliced", "beyond_contig"}:
        return [DontCare(gene.seqid, gene.canonical.start, gene.canonical.end, gene.strand, reason)]
    spans = []
    for row in first.pieces:
        spans.append((row.start, min(row.end, length), row.strand))
        if row.end > length:
            spans.append((max(0, row.start - length), row.end - length, row.strand))
    return [DontCare(gene.seqid, start, end, strand, reason) for start, end, strand in spans if start < end]


def _with_unique_ids(genes: list[Gene], counts: Counter[str]) -> list[Gene]:
    """Ids used more than once get their sequence's name, and a number where that is not enough."""
    gene_ids = _unique_ids([(gene.id, gene.seqid) for gene in genes])
    transcripts = [(transcript.id, gene.seqid) for gene in genes for transcript in gene.transcripts]
    transcript_ids = _unique_ids(transcripts)
    if gene_ids is None and transcript_ids is None:
        return genes
    gene_ids = gene_ids or [gene.id for gene in genes]
    transcript_ids = transcript_ids or [name for name, _ in transcripts]
    counts["ids_made_unique"] += sum(new != gene.id for new, gene in zip(gene_ids, genes, strict=True))
    counts["ids_made_unique"] += sum(new != old for new, (old, _) in zip(transcript_ids, transcripts, strict=True))
    next_id = iter(transcript_ids)
    return [
        replace(gene, id=gene_id, transcripts=tuple(replace(isoform, id=next(next_id)) for isoform in gene.transcripts))
        for gene, gene_id in zip(genes, gene_ids, strict=True)
    ]


def _unique_ids(named: list[tuple[str, str]]) -> list[str] | None:
    """A distinct id for each (id, seqid), or None when they are distinct as they are."""
    times = Counter(name for name, _ in named)
    if len(times) == len(named):
        return None
    taken = set(times)
    next_number: Counter[str] = Counter()
    unique = []
    for name, seqid in named:
        if times[name] > 1:
            base = name = f"{name}@{seqid}"
            while name in taken:
                next_number[base] += 1
                name = f"{base}.{next_number[base] + 1}"
            taken.add(name)
        unique.append(name)
    return unique
