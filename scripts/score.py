"""Score predicted genes against a reference annotation, beside simple gene finders on the same DNA."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.evaluate.comparison import Prediction, compare
from genet5.evaluate.options import ScoreOptions
from genet5.evaluate.scores import ISOFORMS
from genet5.evaluate.tables import score_text, score_tsv
from genet5.files import atomic_write, write_json
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import parse_regions
from genet5.options import add_option_arguments, options_from_arguments


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--species",
        default=None,
        help="name in the document (default: the prediction's file name, else the reference's folder)",
    )
    parser.add_argument("--reference", required=True, type=Path, help="GFF3, GTF or GenBank, plain or gzip")
    parser.add_argument("--genome", required=True, type=Path, help="FASTA, uncompressed (scripts/index_genome.py)")
    parser.add_argument("--genetic-code", required=True, type=int, help="NCBI translation table")
    parser.add_argument(
        "--regions", default="", help="score these alone, e.g. chrI,chrII:1-50000 (1-based, closed; default: all)"
    )
    parser.add_argument("--prediction", type=Path, default=None, help="GFF3 or GTF to score (default: baselines only)")
    parser.add_argument("--prediction-name", default="genet5", help="its name in the table")
    parser.add_argument(
        "--timing", type=Path, default=None, help="JSON with bases and cpu_s of the prediction (default: not shown)"
    )
    parser.add_argument("--isoforms", choices=ISOFORMS, default="all", help="transcripts per gene that count")
    parser.add_argument("--output", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--table", required=True, type=Path, help="TSV file to write")
    add_option_arguments(parser, ScoreOptions)
    arguments = parser.parse_args(argv)
    options = options_from_arguments(ScoreOptions, arguments)
    code = GeneticCode.from_table(arguments.genetic_code)
    with Genome(arguments.genome) as genome:
        document = compare(
            arguments.species or _species(arguments.reference, arguments.prediction),
            arguments.reference,
            genome,
            code,
            predictions=[Prediction(arguments.prediction_name, arguments.prediction, arguments.timing)]
            if arguments.prediction
            else [],
            baselines=options.baselines,
            regions=parse_regions(arguments.regions, genome.lengths, key="--regions") or None,
            isoforms=arguments.isoforms,
            bootstrap=options.bootstrap,
            seed=options.seed,
        )
    with atomic_write(arguments.table) as stream:
        stream.write(score_tsv(document))
    write_json(arguments.output, document)
    print(score_text(document), end="")


def _species(reference: Path, prediction: Path | None) -> str:
    return prediction.name.split(".gff")[0] if prediction else reference.resolve().parent.name


if __name__ == "__main__":
    run_command(main)
