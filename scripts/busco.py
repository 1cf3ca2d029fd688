"""Count conserved single-copy genes among predicted proteins with BUSCO, offline."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.evaluate.busco import run_busco
from genet5.files import write_json


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--proteins", required=True, type=Path, help="protein FASTA, plain or gzip, one per gene")
    parser.add_argument("--lineage", required=True, type=Path, help="BUSCO lineage: a folder or a tar of one")
    parser.add_argument("--threads", type=int, default=1, help="of the search")
    parser.add_argument("--output", required=True, type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    result = run_busco(arguments.proteins, arguments.lineage, arguments.threads)
    write_json(arguments.output, result)
    print(f"{result['one_line']}  {result['lineage']}, BUSCO {result['version']}")


if __name__ == "__main__":
    run_command(main)
