"""Annotate a prokaryotic genome with Prodigal, as the teacher of a model."""

from __future__ import annotations

import sys

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.prodigal import SOURCE, label_genome
from genet5.genome.writing import write_gff3


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--genome", required=True, help="unpacked FASTA, as index_genome.py writes it")
    parser.add_argument("--genetic-code", type=int, required=True, help="NCBI translation table, for example 11 or 4")
    parser.add_argument("--output", required=True, help="GFF3 to write, compressed when it ends in .gz")
    parser.add_argument(
        "--closed",
        action="store_true",
        help="no gene runs off the end of a contig (complete genomes); by default such genes are partial",
    )
    arguments = parser.parse_args(argv)
    code = GeneticCode.from_table(arguments.genetic_code)
    with Genome(arguments.genome) as genome:
        genes = label_genome(genome, code, closed=arguments.closed)
        count = write_gff3(arguments.output, genes, genome.lengths, source=SOURCE)
    print(f"label_genome: {count} genes by Prodigal in {arguments.output}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
