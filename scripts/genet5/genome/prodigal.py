"""Prodigal finds genes in prokaryotes. It labels genomes that have no annotation, and is a baseline in scores."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import pyrodigal

from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Interval, Region, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode

SOURCE = "Prodigal"
VERSION = f"pyrodigal {pyrodigal.__version__}"


class ProdigalGenes(NamedTuple):
    """``genes`` are in the order of the areas, and by position. ``training_bp`` is 0 for a ready-made model."""

    genes: list[Gene]
    training_bp: int


def label_genome(genome: Genome, code: GeneticCode, *, closed: bool = False) -> list[Gene]:
    """Prodigal's genes of the whole genome, as ``find_genes`` finds them.

    Raises InputError for a genetic code that Prodigal does not know and for a genome too short to train on (20,000 bp).
    """
    total_bp = sum(genome.lengths.values())
    if pyrodigal.MIN_SINGLE_GENOME <= total_bp < pyrodigal.IDEAL_SINGLE_GENOME:
        print(
            f"{genome.path}: {total_bp} bp are few for Prodigal to train on "
            f"({pyrodigal.IDEAL_SINGLE_GENOME} or more are advised): its genes will be less accurate",
            file=sys.stderr,
        )
    areas = [Region(name, 0, length) for name, length in genome.lengths.items()]
    return find_genes(genome, code, areas, closed=closed).genes


def find_genes(
    genome: Genome, code: GeneticCode, areas: Sequence[Region], *, closed: bool = False, ready_made: bool = False
) -> ProdigalGenes:
    """Prodigal's genes of each area, in single mode: it is trained on all areas together.

    With ``closed`` no gene runs off an area. Otherwise a gene that does is partial. It reaches to the very end of the
    area, with the phase that this gives it. ``Gene.score`` is Prodigal's confidence as a share (0.5 .. 1). The result
    is the same on every run. Areas of less than 20,000 bp are too short to train on. With ``ready_made`` they are read
    with the models that come with Prodigal (meta mode). Raises InputError for them otherwise, for a genetic code that
    Prodigal does not know, and for one without a ready-made model.
    """
    if code.table not in pyrodigal.TRANSLATION_TABLES:
        allowed = ", ".join(str(table) for table in sorted(pyrodigal.TRANSLATION_TABLES))
        raise InputError(f"genetic code: Prodigal does not know table {code.table}, allowed: {allowed}")
    training_bp = sum(area.end - area.start for area in areas)
    if training_bp >= pyrodigal.MIN_SINGLE_GENOME:
        finder = _trained(genome, code, areas, closed)
    elif ready_made:
        finder, training_bp = _ready_made(code, closed), 0
    else:
        raise InputError(
            f"{genome.path}: {training_bp} bp are too few for Prodigal to train on, "
            f"at least {pyrodigal.MIN_SINGLE_GENOME} are needed"
        )
    genes: list[Gene] = []
    counts = dict.fromkeys((area.seqid for area in areas), 0)
    for area in areas:
        for prediction in finder.find_genes(genome.sequence(*area)):
            counts[area.seqid] += 1
            genes.append(_gene(f"{area.seqid}.g{counts[area.seqid]:06d}", area, prediction))
    return ProdigalGenes(genes, training_bp)


def _trained(genome: Genome, code: GeneticCode, areas: Sequence[Region], closed: bool) -> pyrodigal.GeneFinder:
    finder = pyrodigal.GeneFinder(meta=False, closed=closed)
    with warnings.catch_warnings():
        # Below 100 kb it warns with a line of source code. ``label_genome`` says it in our words.
        warnings.filterwarnings("ignore", "sequence should be at least", UserWarning)
        finder.train(*(genome.sequence(*area) for area in areas), translation_table=code.table)
    return finder


def _ready_made(code: GeneticCode, closed: bool) -> pyrodigal.GeneFinder:
    # Models of a code with other stops would be wrong silently.
    models = [
        model
        for model in pyrodigal.METAGENOMIC_BINS
        if GeneticCode.from_table(model.training_info.translation_table).stops == code.stops
    ]
    if not models:
        raise InputError(
            f"genetic code: Prodigal has no ready-made model for table {code.table}, and less than "
            f"{pyrodigal.MIN_SINGLE_GENOME} bp to train on"
        )
    return pyrodigal.GeneFinder(meta=True, closed=closed, metagenomic_bins=pyrodigal.MetagenomicBins(models))


def _gene(gene_id: str, area: Region, prediction: pyrodigal.Gene) -> Gene:
    # Prodigal lets a cut gene end at the last whole codon. The one or two bases up to the edge belong to it as well.
    found = Interval(area.start + prediction.begin - 1, area.start + prediction.end)
    start = area.start if prediction.partial_begin else found.start
    end = area.end if prediction.partial_end else found.end
    strand = "+" if prediction.strand > 0 else "-"
    if strand == "+":
        cut5, cut3, first = prediction.partial_begin, prediction.partial_end, found.start - start
    else:
        cut5, cut3, first = prediction.partial_end, prediction.partial_begin, end - found.end
    cds = (Interval(start, end),)
    phases = phases_from_lengths(cds, strand, first)
    transcript = Transcript(f"{gene_id}.t1", cds, phases, complete5=not cut5, complete3=not cut3)
    return Gene(gene_id, area.seqid, strand, (transcript,), score=prediction.confidence() / 100)
