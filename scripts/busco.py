"""Count conserved single-copy genes among predicted proteins with BUSCO, offline."""

from __future__ import annotations

import json
from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.evaluate.busco import run_busco
from genet5.files import atomic_write


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--proteins", required=True, type=Path, help="protein FASTA, plain or gzip, one per gene")
    parser.add_argument("--lineage", required=True, type=Path, help="BUSCO lineage: a folder or a tar of one")
    parser.add_argument("--threads", type=int, default=1, help="of the search")
    parser.add_argument("--output", required=True, type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    result = run_busco(arguments.proteins, arguments.lineage, arguments.threads)
    with atomic_write(arguments.output) as stream:
        json.dump(result, stream, indent=1, sort_keys=True)
        stream.write("\n")
    print(f"{result['one_line']}  {result['lineage']}, BUSCO {result['version']}")


if __name__ == "__main__":
    run_command(main)
