"""Prodigal as labeller: genes of a prokaryotic genome that has no annotation (labels by Prodigal's opinion)."""

from __future__ import annotations

import sys
import warnings

import pyrodigal

from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode

SOURCE = "Prodigal"


def label_genome(genome: Genome, code: GeneticCode, *, closed: bool = False) -> list[Gene]:
    """Prodigal's genes of the whole genome, single mode, trained on all of its contigs together.

    With ``closed`` no gene runs off a contig. Otherwise a gene that does is partial and reaches to the very end of the
    contig, with the phase that this gives it. ``Gene.score`` is Prodigal's confidence as a share (0.5 .. 1). Contigs
    come in genome order and genes by position; the result is the same on every run. Raises InputError for a genetic
    code that Prodigal does not know and for a genome too short to train on (20,000 bp).
    """
    if code.table not in pyrodigal.TRANSLATION_TABLES:
        allowed = ", ".join(str(table) for table in sorted(pyrodigal.TRANSLATION_TABLES))
        raise InputError(f"genetic code: Prodigal does not know table {code.table}, allowed: {allowed}")
    total_bp = sum(genome.lengths.values())
    if total_bp < pyrodigal.MIN_SINGLE_GENOME:
        raise InputError(
            f"{genome.path}: {total_bp} bp are too few for Prodigal to train on, "
            f"at least {pyrodigal.MIN_SINGLE_GENOME} are needed"
        )
    if total_bp < pyrodigal.IDEAL_SINGLE_GENOME:
        print(
            f"{genome.path}: {total_bp} bp are few for Prodigal to train on "
            f"({pyrodigal.IDEAL_SINGLE_GENOME} or more are advised): its genes will be less accurate",
            file=sys.stderr,
        )
    finder = pyrodigal.GeneFinder(meta=False, closed=closed)
    with warnings.catch_warnings():
        # The same remark again, with a line of source code.
        warnings.filterwarnings("ignore", "sequence should be at least", UserWarning)
        finder.train(*(genome.sequence(name) for name in genome.names), translation_table=code.table)
    genes = []
    for name in genome.names:
        found = finder.find_genes(genome.sequence(name))
        genes += [
            _gene(f"{name}.g{number:06d}", name, prediction, genome.lengths[name])
            for number, prediction in enumerate(found, start=1)
        ]
    return genes


def _gene(gene_id: str, seqid: str, prediction: pyrodigal.Gene, length_bp: int) -> Gene:
    # Prodigal lets a cut gene end at the last whole codon; the one or two bases up to the edge belong to it as well.
    start = 0 if prediction.partial_begin else prediction.begin - 1
    end = length_bp if prediction.partial_end else prediction.end
    strand = "+" if prediction.strand > 0 else "-"
    if strand == "+":
        cut5, cut3, first = prediction.partial_begin, prediction.partial_end, prediction.begin - 1 - start
    else:
        cut5, cut3, first = prediction.partial_end, prediction.partial_begin, end - prediction.end
    cds = (Interval(start, end),)
    phases = phases_from_lengths(cds, strand, first)
    transcript = Transcript(f"{gene_id}.t1", cds, phases, complete5=not cut5, complete3=not cut3)
    return Gene(gene_id, seqid, strand, (transcript,), score=prediction.confidence() / 100)
