"""Predictions of any gene finder, read from a file: every coding gene counts, even one with faults.

In a reference, faulty genes are set aside and faulty isoforms are dropped. In predictions they stay and count as wrong.
Two repairs are the same on both sides: a stop codon outside the CDS is taken in, and touching segments are joined.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.genome.annotation import annotation_format
from genet5.genome.checks import CodeCheck, bases_to_check, check_transcripts
from genet5.genome.collector import collector_paused
from genet5.genome.drafts import AnnotationDraft, TranscriptDraft
from genet5.genome.fasta import Genome
from genet5.genome.genbank import read_genbank
from genet5.genome.genes import Gene
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.gff import read_gff3
from genet5.genome.gtf import read_gtf

_READERS = {"GFF3": read_gff3, "GTF": read_gtf, "GenBank": read_genbank}


@collector_paused()
def read_predictions(path: str | Path, genome: Genome, code: GeneticCode) -> tuple[list[Gene], dict[str, int]]:
    """Predicted genes (all their transcripts, the longest CDS first) and what was left out, by reason.

    A file with comments or a header alone predicts nothing, which is a result. Raises InputError for empty or damaged
    files, rows without a single CDS, a CDS beyond its sequence, and when most CDS rows name sequences that the genome
    does not have.
    """
    path = Path(path)
    draft = _READERS[annotation_format(path)](path, genome.lengths)
    by_sequence, left_out = _with_strand(draft)
    if draft.counts["rows"] and not by_sequence:
        raise InputError(
            f"{path}: {draft.counts['rows']} rows, but no CDS of a gene: predictions are scored by their CDS"
        )
    if unknown := draft.counts["cds_rows_on_unknown_sequences"]:
        left_out["cds_rows_on_unknown_sequences"] = unknown
    genes = []
    for seqid in genome.names:
        if seqid not in by_sequence:
            continue
        checked = check_transcripts(
            by_sequence[seqid],
            bases_to_check(genome, seqid, by_sequence[seqid]),
            code,
            path=path,
            circular=seqid in draft.circular,
            counts=Counter(),
            code_check=CodeCheck(),
        )
        loci: dict[tuple[str, str], list] = {}
        for transcript in checked:
            loci.setdefault((transcript.draft.locus, transcript.strand), []).append(transcript)
        for (locus, strand), isoforms in loci.items():
            isoforms.sort(key=lambda isoform: isoform.preference)
            genes.append(Gene(locus, seqid, strand, tuple(isoform.transcript for isoform in isoforms)))
    return genes, dict(left_out)


def sources(path: str | Path) -> set[str]:
    """The programs or databases named in the second column of a GFF's coding rows; none for GenBank files."""
    named: set[str] = set()
    with open_input(path) as stream:
        for line in stream:
            if line.startswith(b"##FASTA"):
                break
            columns = line.split(b"\t", 3)
            if len(columns) == 4 and columns[2] == b"CDS":
                named.add(columns[1].decode("utf-8", "replace"))
    return named


def _with_strand(draft: AnnotationDraft) -> tuple[dict[str, list[TranscriptDraft]], Counter[str]]:
    by_sequence: dict[str, list[TranscriptDraft]] = {}
    left_out: Counter[str] = Counter()
    for transcript in draft.transcripts:
        stranded = [row for row in transcript.segments if row.strand in "+-"]
        left_out["cds_rows_without_strand"] += len(transcript.segments) - len(stranded)
        if stranded:
            transcript.segments = stranded
            by_sequence.setdefault(transcript.seqid, []).append(transcript)
    return by_sequence, +left_out
