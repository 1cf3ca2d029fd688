"""Write the report of a run as one HTML page.

The page shows scores, sanity checks, loci, training curves, data cards and provenance. Everything but --run and
--output may be left out; the page then says what is missing. Species and stages are read from the paths:
.../{stage}/{species}.gff3, .../{stage}/{species}.tracks.npz, .../sft/training_log.csv, grpo/grpo_log.csv.
"""

from __future__ import annotations

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.report.build import write_report


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--run", required=True, help="name of the run, the page's title")
    parser.add_argument("--stats", nargs="*", default=[], help="stats.json of every baked species")
    parser.add_argument(
        "--manifests", nargs="*", default=[], help="manifest.json of every baked species: clades and checksums"
    )
    parser.add_argument("--scores", nargs="*", default=[], help="score files (JSON) of score.py")
    parser.add_argument("--busco", nargs="*", default=[], help="BUSCO results (JSON) of busco.py")
    parser.add_argument(
        "--training-log",
        nargs="*",
        default=[],
        help="training_log.csv or grpo_log.csv of every stage; absent ones are noted",
    )
    parser.add_argument("--eval-log", nargs="*", default=[], help="eval_log.csv of every stage; absent ones are noted")
    parser.add_argument("--predictions", nargs="*", default=[], help="predicted genes: {stage}/{species}.gff3")
    parser.add_argument(
        "--references",
        nargs="*",
        default=[],
        metavar="SPECIES=ANNOTATION=GENOME=CODE",
        help="reference annotation, indexed FASTA and genetic code of a species; the annotation may be empty",
    )
    parser.add_argument("--tracks", nargs="*", default=[], help="CRF scores at loci: {stage}/{species}.tracks.npz")
    parser.add_argument(
        "--orf-genes", nargs="*", default=[], metavar="SPECIES.gff3", help="genes of an ORF scan, drawn beside"
    )
    parser.add_argument("--clade-folder", default="", help="folder of your own clade files")
    parser.add_argument("--config", default=None, help="resolved configuration (JSON or YAML)")
    parser.add_argument("--model", nargs="*", default=[], help="safetensors files: size and checksum")
    parser.add_argument(
        "--calibrations", nargs="*", default=[], help="{stage}/calibration.json: scores of decoders on validation DNA"
    )
    parser.add_argument(
        "--times",
        nargs="*",
        default=[],
        help="Snakemake benchmark tables ({rule}/{name}.tsv) and annotation summaries ({stage}/{species}.json)",
    )
    parser.add_argument("--output", required=True, help="the page to write")
    write_report(parser.parse_args(argv))


if __name__ == "__main__":
    run_command(main)
