"""Calibrate the scores of a model's genes: annotate validation DNA, fit how often genes of a score are exactly right.

Decoders are also compared by F1 of exons and genes; annotate_genome.py takes the one that validation prefers.
Writes calibration.json, which annotate_genome.py finds beside the weights. Test regions are never read. With too little
validation DNA the file says so, and scores stay as the decoder gives them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genet5.annotate.calibrating import Judged, ValidationDna, calibrate, describe, judge_species
from genet5.annotate.calibration_file import write_calibration
from genet5.annotate.choosing import decoders_for
from genet5.annotate.decoders import DECODERS, DecodingOptions
from genet5.annotate.genomes import Tiling
from genet5.annotate.models import load_annotator
from genet5.annotate.options import AnnotateOptions
from genet5.bake.manifest import read_manifest
from genet5.clades import clade_named, read_clades
from genet5.command_line import argument_parser
from genet5.crf.expected import ExpectedOptions
from genet5.crf.folder import MODEL_TYPE, WEIGHTS_FILE, model_type
from genet5.device import add_device_argument
from genet5.errors import InputError, run_command
from genet5.options import add_option_arguments, options_from_arguments

OPTIONS = (
    "overlap_bp",
    "batch_size",
    "beam_width",
    "expected_temperature",
    "expected_threshold",
    "masked_cost",
    "calibration_bp",
)


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument(
        "--decoder",
        choices=DECODERS,
        nargs="+",
        help="decoders to calibrate (default: all that work with the model in the clade of each species)",
    )
    parser.add_argument("--manifests", type=Path, nargs="*", default=[], help="manifest.json of each species")
    parser.add_argument("--genomes", type=Path, nargs="*", default=[], help="FASTA files, in the order of --manifests")
    parser.add_argument("--annotations", type=Path, nargs="*", default=[], help="their references, in the same order")
    parser.add_argument(
        "--window-bp", type=int, nargs="*", default=[], help="lengths of their tiles, in the same order"
    )
    add_device_argument(parser)
    parser.add_argument("--output", type=Path, required=True, help="calibration.json to write")
    add_option_arguments(parser, AnnotateOptions, only=OPTIONS)
    arguments = parser.parse_args(argv)
    wanted = options_from_arguments(AnnotateOptions, arguments, OPTIONS)
    check_lists(arguments)
    species = list(zip(arguments.manifests, arguments.genomes, arguments.annotations, arguments.window_bp, strict=True))
    writes = model_type(arguments.model) != MODEL_TYPE
    possible = [name for name, kind in DECODERS.items() if writes or not kind.needs_writer]
    judged: dict[str, dict[str, Judged]] = {decoder: {} for decoder in arguments.decoder or possible}
    regions: dict[str, list[str]] = {}
    if species and wanted.calibration_bp:
        model = load_annotator(arguments.model).on(arguments.device)
        clades = read_clades(arguments.clade_folder)
        expected = ExpectedOptions(temperature=wanted.expected_temperature, threshold=wanted.expected_threshold)
        options = DecodingOptions(wanted.beam_width, expected=expected, masked_cost=wanted.masked_cost or 0.0)
        longest = model.longest_window_bp
        for manifest, genome, annotation, window_bp in species:
            source = ValidationDna(read_manifest(manifest)["parameters"], genome, annotation)
            name, clade = source.about["species"], clade_named(clades, source.about["clade"], str(manifest))
            decoders = arguments.decoder or decoders_for(clade, model.has_writer)
            if any(DECODERS[name].needs_writer for name in decoders) and longest is not None and window_bp > longest:
                raise InputError(f"--window-bp: {window_bp}, the model writes windows of at most {longest}")
            # The tiles do not depend on the decoder.
            how = wanted.settled("viterbi", window_bp)
            tiling = Tiling(window_bp, how.overlap_bp, how.batch_size)
            for decoder in decoders:
                found, chosen = judge_species(model, clades, source, decoder, options, tiling, how.calibration_bp)
                judged[decoder][name] = found
                regions[name] = chosen
                if found.score:
                    print(f"{name}, {decoder}: {found.score.text}", flush=True)
    curves = {decoder: calibrate(list(parts.values())) for decoder, parts in judged.items()}
    scores = {
        decoder: {name: part.score for name, part in parts.items() if part.score} for decoder, parts in judged.items()
    }
    write_calibration(arguments.output, arguments.model / WEIGHTS_FILE, curves, regions, scores)
    for decoder, curve in curves.items():
        print(f"{decoder}: {describe(curve)}", flush=True)


def check_lists(arguments: argparse.Namespace) -> None:
    """Raises ``InputError`` for a model that is none, and for lists of different lengths."""
    if not (arguments.model / WEIGHTS_FILE).is_file():
        raise InputError(f"{arguments.model / WEIGHTS_FILE}: no such file, --model must be a model folder")
    columns = arguments.manifests, arguments.genomes, arguments.annotations, arguments.window_bp
    if len({len(column) for column in columns}) > 1:
        raise InputError(
            f"--manifests, --genomes, --annotations, --window-bp: {', '.join(str(len(column)) for column in columns)} "
            "values, expected as many of each"
        )


if __name__ == "__main__":
    run_command(main)
