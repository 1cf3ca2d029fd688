"""Annotate a genome: write GFF3, proteins, CDS, and a summary with the time taken.

The GFF3 is read back and checked (ids, parents, phases, translations) before it is put in place; a gene that cannot be
right ends the run with an error.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from genet5.annotate.calibration import Calibration, load_calibration
from genet5.annotate.genomes import (
    AnnotationOptions,
    annotate_regions,
    evidence_tracks,
    spread_loci,
)
from genet5.annotate.options import AnnotateOptions
from genet5.configuration import read_grammar
from genet5.errors import InputError, run_command
from genet5.files import atomic_write
from genet5.genome.fasta import Genome, check_bases
from genet5.genome.genes import Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import parse_regions
from genet5.genome.writing import validate_gff3, write_cds_fasta, write_gff3, write_proteins
from genet5.options import add_option_arguments, options_from_arguments
from genet5.tokens.grammars import Grammars
from genet5.training.precision import PRECISIONS
from genet5.writer.building import load_model

TRACK_BP = 12_000
FLAGS = ("decoder", "window_bp", "overlap_bp", "batch_size", "beam_width", "min_confidence")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file, uncompressed (with or without .fai)")
    parser.add_argument("--genetic-code", type=int, required=True, help="NCBI translation table")
    parser.add_argument("--clade", required=True, help="clade of the organism, as in the grammar table")
    parser.add_argument("--regions", default="", help="contigs or contig:start-end, comma-separated (default: all)")
    parser.add_argument("--grammar", type=Path, required=True, help="grammar table (resources/grammar.yaml)")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="of the reader; auto: bf16 where native (%(default)s)"
    )
    parser.add_argument("--track-loci", type=int, default=6, help="loci whose reader tracks are kept (%(default)s)")
    parser.add_argument(
        "--output-prefix", type=Path, required=True, help="path before .gff3, .faa, .cds.fna, .json, .tracks.npz"
    )
    add_option_arguments(parser, AnnotateOptions, only=FLAGS)
    arguments = parser.parse_args(argv)
    if arguments.window_bp is None:
        raise InputError("--window-bp: it is missing")
    wanted = options_from_arguments(AnnotateOptions, arguments, FLAGS).settled("lm", arguments.window_bp)
    if arguments.track_loci < 0:
        raise InputError(f"--track-loci: {arguments.track_loci}, must be at least 0")
    code = GeneticCode.from_table(arguments.genetic_code)
    model, tokenizer = load_model(arguments.model)
    calibration = load_calibration(arguments.model, wanted.decoder)
    check_confidence(wanted.min_confidence, calibration)
    if wanted.decoder != "viterbi" and wanted.window_bp > tokenizer.max_window_bp:
        raise InputError(f"--window-bp: {wanted.window_bp}, the model reads at most {tokenizer.max_window_bp}")
    model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    grammar = Grammars(tokenizer, read_grammar(arguments.grammar)).of(arguments.clade, arguments.genetic_code)
    genome = Genome(arguments.genome)
    regions = [Region(name, 0, genome.lengths[name]) for name in genome.names]
    if arguments.regions:
        regions = list(parse_regions(arguments.regions, genome.lengths))
    check_bases(genome, regions)
    options = AnnotationOptions(
        wanted.decoder,
        wanted.window_bp,
        wanted.overlap_bp,
        wanted.batch_size,
        wanted.beam_width,
        arguments.precision,
    )
    cpu, wall = time.process_time(), time.perf_counter()
    result = annotate_regions(model, grammar, genome, regions, arguments.clade, code, options, calibration.probability)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    prefix = str(arguments.output_prefix)
    # Ids are given before, so that a gene keeps its own whatever is left out.
    genes = [gene for gene in result.genes if gene.score >= wanted.min_confidence]
    write_checked(prefix, genes, genome, code)
    loci = spread_loci(regions, arguments.track_loci, TRACK_BP)
    with atomic_write(f"{prefix}.tracks.npz", "wb") as stream:
        np.savez_compressed(stream, **evidence_tracks(model, grammar, genome, loci))
    summary = {
        "bases": result.bases,
        "calibrated": calibration.calibrated,
        "counts": result.counts | {"below_min_confidence": len(result.genes) - len(genes), "genes": len(genes)},
        "cpu_s": round(cpu, 2),
        "options": asdict(options)
        | {
            "clade": arguments.clade,
            "genetic_code": arguments.genetic_code,
            "min_confidence": wanted.min_confidence,
        },
        "wall_s": round(wall, 2),
    }
    with atomic_write(f"{prefix}.json") as stream:
        stream.write(json.dumps(summary, sort_keys=True, indent=1) + "\n")
    print(f"{len(genes)} genes in {result.bases / 1e6:.2f} Mb, {wall:.0f} s", flush=True)


def check_confidence(least: float, calibration: Calibration) -> None:
    """Raises ``InputError`` for a --min-confidence that the scores cannot be held to."""
    if least > 0 and not calibration.calibrated:
        raise InputError(
            f"--min-confidence: {least:g}, but scores are not calibrated, so only 0 is allowed ({calibration.reason})"
        )


def write_checked(prefix: str, genes: list, genome: Genome, code: GeneticCode) -> None:
    """Write GFF3, proteins and CDS; the GFF3 appears under its name only after it was read back and found valid."""
    unchecked = Path(f"{prefix}.unchecked.gff3")
    try:
        write_gff3(unchecked, genes, genome.lengths)
        validate_gff3(unchecked, genome, code)
        write_proteins(f"{prefix}.faa", genes, genome, code)
        write_cds_fasta(f"{prefix}.cds.fna", genes, genome)
        unchecked.replace(f"{prefix}.gff3")
    finally:
        unchecked.unlink(missing_ok=True)


if __name__ == "__main__":
    run_command(main)
