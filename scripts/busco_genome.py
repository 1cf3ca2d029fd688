"""Count conserved single-copy genes in DNA with BUSCO and its own gene finder, offline."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.evaluate.busco import run_busco_on_genome
from genet5.files import write_json
from genet5.genome.fasta import Genome
from genet5.genome.splits import complement, parse_regions


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--genome", required=True, type=Path, help="FASTA, uncompressed (scripts/index_genome.py)")
    parser.add_argument(
        "--regions", default="", help="search these alone, e.g. chrI,chrII:1-50000 (1-based, closed; default: all)"
    )
    parser.add_argument("--lineage", required=True, type=Path, help="BUSCO lineage: a folder or a tar of one")
    parser.add_argument("--threads", type=int, default=1, help="of the search")
    parser.add_argument("--output", required=True, type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    with Genome(arguments.genome) as genome:
        named = parse_regions(arguments.regions, genome.lengths, key="--regions")
        regions = named or complement((), genome.lengths)
        result = run_busco_on_genome(genome, regions, arguments.lineage, arguments.threads)
    write_json(arguments.output, result)
    print(f"{result['one_line']}  {result['lineage']}, BUSCO {result['version']}")


if __name__ == "__main__":
    run_command(main)
