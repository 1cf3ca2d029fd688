"""Fit a gene finder to a genome without labels: write an adaptation that jobs which annotate the genome can share.

`genet5 annotate --adapt` does the same before it annotates. Kept is what explains held-back DNA better; where nothing
does, the file says so, and annotating with it changes nothing. Genes that RNA-seq or proteins make certain teach it
too.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from genet5.adapt.adaptation import adaptation_line, save_adaptation
from genet5.adapt.relatives import FILE as RELATIVES_FILE
from genet5.adapt.relatives import load_relatives
from genet5.annotate.adapting import fit_adaptation
from genet5.annotate.calibration_file import CALIBRATION_FILE, decoder_by_validation
from genet5.annotate.choosing_clade import choose_if_asked
from genet5.annotate.gathering import evidence_wanted
from genet5.annotate.models import load_annotator
from genet5.annotate.options import AnnotateOptions
from genet5.annotate.run import chosen_regions, how_to_annotate
from genet5.annotate.shipped import is_shipped, shipped_model
from genet5.clades import Clade, clade_named, read_clades
from genet5.command_line import argument_parser
from genet5.crf.folder import WEIGHTS_FILE
from genet5.device import add_device_argument, add_threads_argument, use_threads
from genet5.errors import run_command
from genet5.genome.fasta import Genome, open_genome
from genet5.options import add_option_arguments, options_from_arguments
from genet5.training.precision import PRECISIONS

OPTIONS = ("decoder", "adapt_bp", "rnaseq", "proteins", "hint_weight", "masked_cost")


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file, plain or gzip")
    parser.add_argument("--clade", required=True, help="clade of the organism: a file in resources/clades")
    parser.add_argument("--model", type=Path, help="folder of a CRF (default: the clade's shipped model)")
    parser.add_argument("--calibration", type=Path, help=f"of its scores (default: {CALIBRATION_FILE} beside it)")
    parser.add_argument("--relatives", type=Path, help="tables of genet5 count-relatives, where the adaptation may "
                        f"begin (default: {RELATIVES_FILE} beside the model, if it is there)")  # fmt: skip
    parser.add_argument("--genetic-code", type=int, help="NCBI translation table (default: the clade's)")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--regions", default="", help="contigs or contig:start-end, comma-separated (default: all)")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="of the CRF; auto: bf16 where native")
    add_device_argument(parser)
    add_threads_argument(parser)
    parser.add_argument("--output", type=Path, required=True, help="file to write, such as my.adaptation.npz")
    add_option_arguments(parser, AnnotateOptions, "annotation", OPTIONS)
    arguments = parser.parse_args(argv)
    use_threads(arguments.threads)
    wanted = options_from_arguments(AnnotateOptions, arguments, OPTIONS)
    clades = read_clades(arguments.clade_folder)
    with open_genome(arguments.genome) as genome:
        adapt_to(genome, arguments, wanted, clades)


def adapt_to(genome: Genome, arguments: Namespace, wanted: AnnotateOptions, clades: Mapping[str, Clade]) -> None:
    """Fit the model, and write what was found."""
    regions = chosen_regions(genome, arguments.regions)
    own = bool(arguments.model)
    choice = choose_if_asked(genome, regions, clades, arguments.clade, arguments.genetic_code, own)
    if choice:
        print("\n".join(choice.lines()), flush=True)
    clade = clade_named(clades, choice.clade if choice else arguments.clade)
    folder = arguments.model or shipped_model(clade, clades=clades).folder
    shipped = is_shipped(clade, folder)
    model = load_annotator(folder).on(arguments.device)
    calibration_file = arguments.calibration or (clade.model.calibration if shipped else folder / CALIBRATION_FILE)
    relatives = load_relatives(arguments.relatives) if arguments.relatives else None
    validated = decoder_by_validation(calibration_file, folder / WEIGHTS_FILE, clade, model.has_writer)
    how = how_to_annotate(clade, arguments.genetic_code, wanted, model, shipped, arguments.precision, validated)
    evidence = evidence_wanted(genome, clade, how, wanted)
    found = fit_adaptation(model, clades, genome, regions, how, wanted.adapt_bp, evidence, relatives)
    save_adaptation(arguments.output, found)
    print(adaptation_line(found.about), flush=True)


if __name__ == "__main__":
    run_command(main)
