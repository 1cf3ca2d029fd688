"""Unpack a genome (FASTA or GenBank, plain or gzip) and index it for random access."""

from __future__ import annotations

import sys

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.genome.fasta import decompress_genome, index_genome


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--archive", required=True, help="the genome as published")
    parser.add_argument("--output", required=True, help="FASTA to write; its index gets the same name with .fai added")
    arguments = parser.parse_args(argv)
    lengths = decompress_genome(arguments.archive, arguments.output)
    index = index_genome(arguments.output)
    print(
        f"index_genome: {len(lengths)} sequences, {sum(lengths.values())} bp in {arguments.output}, index {index}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_command(main)
