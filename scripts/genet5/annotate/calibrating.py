"""Measuring a model's confidence: annotate validation DNA, and see how often genes of a score are exactly right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from genet5.annotate.adapting import typical_adaptation
from genet5.annotate.calibration import Calibration, fit_calibration, log_odds
from genet5.annotate.choosing import ValidationScore
from genet5.annotate.decoders import OF_THE_CRF, DecodingOptions, make_decoder
from genet5.annotate.genomes import Tiling, annotate_regions
from genet5.annotate.models import Model
from genet5.annotate.sampled_dna import masked_cost_of
from genet5.annotate.tracks import spread_loci
from genet5.clades import Clade, clade_named
from genet5.evaluate.scores import score_annotation
from genet5.evaluate.verdicts import EXACT, UNJUDGED, judge
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import format_regions, split_regions

STRETCH_BP = 250_000  # of validation DNA, where not all of it is read


class ValidationDna(NamedTuple):
    """A species with validation DNA. about: parameters of its manifest."""

    about: Mapping[str, Any]
    genome: Path
    annotation: Path


class Judged(NamedTuple):
    """Genes of one species: the decoder's log-odds of each, and whether it is exact. score: of them all."""

    odds: list[float]
    exact: list[bool]
    score: ValidationScore | None = None


def judge_species(
    model: Model,
    clades: Mapping[str, Clade],
    source: ValidationDna,
    decoder: str,
    options: DecodingOptions,
    tiling: Tiling,
    most_bp: int,
) -> tuple[Judged, list[str]]:
    """Genes found in the validation regions of a species, and these regions as text."""
    about = source.about
    code = GeneticCode.from_table(about["genetic_code"])
    with Genome(source.genome) as genome:
        parts = split_regions(
            about["split"],
            about["validation_regions"],
            about["test_regions"],
            genome.lengths,
            about["excluded_regions"],
        )
        regions = spread(parts["validation"], most_bp)
        if not regions:
            return Judged([], []), []
        rules = clade_named(clades, about["clade"], "clade").gene_rules(code.table)
        if decoder in OF_THE_CRF:
            cost = masked_cost_of(options.masked_cost, genome)
            add = typical_adaptation(model, rules, genome, options.precision, cost)
            options = replace(options, add=add, masked_cost=cost)
        else:
            options = replace(options, masked_cost=0.0)
        made = make_decoder(decoder, model, clades, about["clade"], code.table, options)
        genes = annotate_regions(made, rules, genome, regions, code, tiling, log_odds).genes
        truth = read_annotation(source.annotation, genome, code)
        _, verdicts = judge(truth, genes)
        report = score_annotation(truth, genes, genome.lengths, regions=regions, bootstrap=0)
        score = ValidationScore(about["clade"], report["exon"]["f1"], report["gene"]["f1"])
        read = [format_regions([region], genome.lengths) for region in regions]
        return judged_genes(genes, verdicts)._replace(score=score), read


def judged_genes(genes: Sequence[Gene], verdicts: Sequence[str]) -> Judged:
    """Complete genes with a verdict: one that the edge of a region cuts could not be exact."""
    rows = [
        (gene.score, verdict == EXACT)
        for gene, verdict in zip(genes, verdicts, strict=True)
        if verdict != UNJUDGED and gene.canonical.complete5 and gene.canonical.complete3
    ]
    return Judged([score for score, _ in rows], [exact for _, exact in rows])


def spread(regions: Sequence[Region], most_bp: int) -> list[Region]:
    """The regions; where they have more than ``most_bp`` bases, evenly spread stretches of almost as many.

    Stretches end with their region, so that of short contigs more are needed.
    """
    total = sum(region.end - region.start for region in regions)
    if total <= most_bp:
        return list(regions)
    length = min(STRETCH_BP, most_bp)
    number, most_loci = most_bp // length, 2 * (total // length + len(regions))
    chosen: list[Region] = []
    while number <= most_loci:
        more = _apart(spread_loci(regions, number, length))
        if sum(region.end - region.start for region in more) > most_bp:
            break
        chosen, number = more, number + max(1, number // 8)
    return chosen


def _apart(regions: Sequence[Region]) -> list[Region]:
    """Sorted regions without those that overlap the one before."""
    chosen: list[Region] = []
    for region in regions:
        if not chosen or chosen[-1].seqid != region.seqid or chosen[-1].end <= region.start:
            chosen.append(region)
    return chosen


def calibrate(parts: Sequence[Judged]) -> Calibration:
    """One curve for all species together."""
    if not parts:
        return Calibration(reason="no validation DNA to fit to")
    return fit_calibration(
        [value for part in parts for value in part.odds], [exact for part in parts for exact in part.exact]
    )


def describe(curve: Calibration) -> str:
    """One line for the log."""
    if not curve.calibrated:
        return f"not calibrated, {curve.reason}"
    return (
        f"{curve.exact} of {curve.genes} genes exact, calibration error {curve.error_before:.3f}, "
        f"with the curve (on genes not fitted) {curve.error_after:.3f}"
    )
