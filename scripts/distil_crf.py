"""Distil a CRF: one network, maybe smaller, learns to say what a trained CRF or several joined ones say.

It reads random windows of DNA, which needs no annotation. Where only the branch of sites is made smaller, nothing else
has to learn, and minutes suffice. Run it again with the same arguments after any interruption: it goes on from its last
checkpoint. Score the result on DNA that was not learned from, and calibrate it again (scripts/calibrate.py).
"""

from __future__ import annotations

from pathlib import Path

from genet5.clades import clade_named, read_clades
from genet5.command_line import argument_parser
from genet5.crf.distilling import DistilOptions, run_distillation
from genet5.device import add_device_argument
from genet5.errors import run_command
from genet5.options import add_option_arguments, options_from_arguments


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the CRF to learn from")
    parser.add_argument("--genomes", type=Path, nargs="+", required=True, help="FASTA files, plain or gzip")
    parser.add_argument(
        "--leave-out",
        nargs="*",
        default=[],
        metavar="REGIONS",
        help="DNA of each genome that is not learned from, in the same order: contigs or contig:start-end, "
        "comma-separated; -: none (default: none of any genome)",
    )
    parser.add_argument("--genetic-code", type=int, required=True, help="NCBI translation table")
    parser.add_argument("--clade", required=True, help="clade whose rules say where sites are allowed")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the student, logs, checkpoints")
    add_device_argument(parser)
    parser.add_argument("--restart", action="store_true", help="forget an earlier run in --output-dir")
    add_option_arguments(parser, DistilOptions, "distillation")
    arguments = parser.parse_args(argv)
    rules = clade_named(read_clades(arguments.clade_folder), arguments.clade).gene_rules(arguments.genetic_code)
    run_distillation(
        arguments.model,
        arguments.genomes,
        arguments.leave_out,
        rules,
        options_from_arguments(DistilOptions, arguments),
        arguments.output_dir,
        arguments.restart,
        arguments.device,
    )


if __name__ == "__main__":
    run_command(main)
