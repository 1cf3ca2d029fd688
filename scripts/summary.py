"""Gather all scores of a run in one tidy table, and its species in another: TSV and Parquet.

Writes summary.tsv, summary.parquet, species.tsv and species.parquet. docs/formats.md explains the columns.
"""

from __future__ import annotations

from pathlib import Path

from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.evaluate.summary import species_summary, summary_table, write_table
from genet5.species_table import read_species_table


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="score files (JSON) of score.py")
    parser.add_argument("--busco", type=Path, nargs="*", default=[], help="files of busco.py: {stage}/{species}.json")
    parser.add_argument("--stats", type=Path, nargs="*", default=[], help="stats.json of baked species")
    parser.add_argument("--species-table", type=Path, required=True, help="the species table of the run")
    parser.add_argument("--data-root", default="", help="replaces {data_root} in the species table")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(argv)
    table = read_species_table(arguments.species_table, arguments.data_root, read_clades(arguments.clade_folder))
    summary = summary_table(arguments.scores, arguments.busco)
    species = species_summary(table, arguments.stats)
    for name, frame in (("summary", summary), ("species", species)):
        for ending in (".tsv", ".parquet"):
            write_table(arguments.output_dir / f"{name}{ending}", frame)
    print(f"{len(summary)} scores of {summary['species'].nunique()} species: {arguments.output_dir / 'summary.tsv'}")


if __name__ == "__main__":
    run_command(main)
