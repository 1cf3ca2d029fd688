"""Count what is typical of species whose genes are known: codons, introns and sites, one table for each species.

Where the file, relatives.npz, lies beside the weights of a CRF, every annotation adds the mean of the tables to what
the network says, or the mean of those that the genome's codons are most like (--strength, --intron-cost, --near:
benchmarks/typical_tables.py measures them on validation DNA). `genet5 annotate --adapt` and `genet5 adapt` begin with
it, or with the table that explains a new genome best.
"""

from __future__ import annotations

import math
from pathlib import Path

from genet5.adapt.known_genes import count_species
from genet5.adapt.relatives import Relatives, load_relatives, save_relatives
from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifests", type=Path, nargs="+", default=[], help="manifest.json of baked species")
    parser.add_argument("--tables", type=Path, nargs="+", default=[], help="files of tables that come first, such as "
                        "the relatives.npz of a model; a species that is counted again is replaced")  # fmt: skip
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--output", type=Path, required=True, help="file to write, such as relatives.npz")
    parser.add_argument("--strength", type=float, default=0.0, help="share of the mean that annotations add "
                        "(default: %(default)s, nothing)")  # fmt: skip
    parser.add_argument("--intron-cost", type=float, default=0.0, help="taken off at each donor then, in nats "
                        "(default: %(default)s)")  # fmt: skip
    parser.add_argument("--near", type=int, default=0, help="species of that mean, those nearest to the genome "
                        "(default: %(default)s, all of them)")  # fmt: skip
    arguments = parser.parse_args(argv)
    for flag, value in (
        ("--strength", arguments.strength), ("--intron-cost", arguments.intron_cost), ("--near", arguments.near),
    ):  # fmt: skip
        if not 0 <= value < math.inf:
            raise InputError(f"{flag}: {value:g}, allowed: 0 or more")
    if not (arguments.manifests or arguments.tables):
        raise InputError("--manifests, --tables: nothing is given, so there is nothing to write; allowed: one or both")
    counts = count_species(arguments.manifests, read_clades(arguments.clade_folder))
    if arguments.manifests and not counts:
        raise InputError(f"{arguments.manifests[0]}: no training windows; bake a train species")
    relatives = Relatives.of({}, arguments.strength, arguments.intron_cost, arguments.near)
    for tables in (*map(load_relatives, arguments.tables), Relatives.of(counts)):
        relatives = relatives.joined(tables)
    save_relatives(arguments.output, relatives)
    print(f"{arguments.output}: {len(relatives.names)} species", flush=True)


if __name__ == "__main__":
    run_command(main)
