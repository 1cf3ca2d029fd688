#!/usr/bin/env python
"""Calibrate the scores of a model's genes: annotate validation DNA, fit how often genes of a score are exactly right.

Writes calibration.json, which annotate_genome.py finds beside the weights. Test regions are never read. With too little
validation DNA the file says so, and scores stay as the decoder gives them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from genet5.annotate.calibration import Calibration, fit_calibration, log_odds, write_calibration
from genet5.annotate.genomes import DECODERS, AnnotationOptions, annotate_regions, spread_loci
from genet5.annotate.options import AnnotateOptions
from genet5.bake.manifest import read_manifest
from genet5.configuration import read_grammar
from genet5.errors import InputError, run_command
from genet5.evaluate.verdicts import EXACT, UNJUDGED, judge
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import format_regions, split_regions
from genet5.options import add_option_arguments, options_from_arguments
from genet5.tokens.grammars import Grammars
from genet5.writer.building import WEIGHTS_FILE, load_model
from genet5.writer.network import GeneT5Model

FLAGS = ("overlap_bp", "batch_size", "beam_width", "calibration_bp")
STRETCH_BP = 250_000  # of validation DNA, where not all of it is read


class Source(NamedTuple):
    """A species with validation DNA."""

    manifest: Path
    genome: Path
    annotation: Path
    window_bp: int


class Judged(NamedTuple):
    """Genes of one species: what the decoder says of each, as log-odds, and whether it is exact."""

    odds: list[float]
    exact: list[bool]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--grammar", type=Path, required=True, help="grammar table (resources/grammar.yaml)")
    parser.add_argument("--decoder", choices=DECODERS, nargs="+", required=True, help="decoders to calibrate")
    parser.add_argument("--manifests", type=Path, nargs="*", default=[], help="manifest.json of each species")
    parser.add_argument("--genomes", type=Path, nargs="*", default=[], help="FASTA files, in the order of --manifests")
    parser.add_argument("--annotations", type=Path, nargs="*", default=[], help="their references, in the same order")
    parser.add_argument(
        "--window-bp", type=int, nargs="*", default=[], help="lengths of their tiles, in the same order"
    )
    parser.add_argument("--output", type=Path, required=True, help="calibration.json to write")
    add_option_arguments(parser, AnnotateOptions, only=FLAGS)
    arguments = parser.parse_args(argv)
    wanted = options_from_arguments(AnnotateOptions, arguments, FLAGS)
    if not (arguments.model / WEIGHTS_FILE).is_file():
        raise InputError(f"{arguments.model / WEIGHTS_FILE}: no such file, --model must be a model folder")
    columns = arguments.manifests, arguments.genomes, arguments.annotations, arguments.window_bp
    if len({len(column) for column in columns}) > 1:
        raise InputError(
            f"--manifests, --genomes, --annotations, --window-bp: {', '.join(str(len(column)) for column in columns)} "
            "values, expected as many of each"
        )
    sources = [Source(*row) for row in zip(*columns, strict=True)] if wanted.calibration_bp else []
    judged: dict[str, list[Judged]] = {decoder: [] for decoder in arguments.decoder}
    regions: dict[str, list[str]] = {}
    if sources:
        model, tokenizer = load_model(arguments.model)
        model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        grammars = Grammars(tokenizer, read_grammar(arguments.grammar))
        for source in sources:
            writes = set(arguments.decoder) != {"viterbi"}  # the reader alone reads windows of any length
            if writes and source.window_bp > tokenizer.max_window_bp:
                raise InputError(f"--window-bp: {source.window_bp}, the model reads at most {tokenizer.max_window_bp}")
            about = read_manifest(source.manifest)["parameters"]
            for decoder in arguments.decoder:
                how = wanted.settled(decoder, source.window_bp)
                options = AnnotationOptions(decoder, how.window_bp, how.overlap_bp, how.batch_size, how.beam_width)
                found, chosen = judge_species(model, grammars, source, about, options, wanted.calibration_bp)
                judged[decoder].append(found)
                regions[about["species"]] = chosen
    curves = {decoder: calibrate(judged[decoder], bool(sources)) for decoder in arguments.decoder}
    write_calibration(arguments.output, arguments.model / WEIGHTS_FILE, curves, regions)
    for decoder, curve in curves.items():
        print(f"{decoder}: {describe(curve)}", flush=True)


def judge_species(
    model: GeneT5Model, grammars: Grammars, source: Source, about: dict, options: AnnotationOptions, most_bp: int
) -> tuple[Judged, list[str]]:
    """Genes found in the validation regions of a species, and these regions as text; about: of the manifest."""
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
        grammar = grammars.of(about["clade"], about["genetic_code"])
        genes = annotate_regions(model, grammar, genome, regions, about["clade"], code, options, log_odds).genes
        _, verdicts = judge(read_annotation(source.annotation, genome, code), genes)
        return judged_genes(genes, verdicts), [format_regions([region], genome.lengths) for region in regions]


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


def calibrate(parts: Sequence[Judged], any_source: bool) -> Calibration:
    """One curve for all species together."""
    if not any_source:
        return Calibration(reason="no validation DNA to fit to")
    return fit_calibration(
        [value for part in parts for value in part.odds], [exact for part in parts for exact in part.exact]
    )


def describe(curve: Calibration) -> str:
    if not curve.calibrated:
        return f"not calibrated, {curve.reason}"
    return (
        f"{curve.exact} of {curve.genes} genes exact, calibration error {curve.error_before:.3f}, "
        f"with the curve (on genes not fitted) {curve.error_after:.3f}"
    )


if __name__ == "__main__":
    run_command(main)
