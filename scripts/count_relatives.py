"""Count what is typical of species whose genes are known: codons, introns and sites, one table for each species.

`genet5 annotate --adapt` and `genet5 adapt` begin with the table that explains a new genome best, where a file of
tables, relatives.npz, lies beside the weights of the CRF.
"""

from __future__ import annotations

from pathlib import Path

from genet5.adapt.known_genes import count_species
from genet5.adapt.relatives import Relatives, save_relatives
from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="manifest.json of baked species")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--output", type=Path, required=True, help="file to write, such as relatives.npz")
    arguments = parser.parse_args(argv)
    counts = count_species(arguments.manifests, read_clades(arguments.clade_folder))
    if not counts:
        raise InputError(f"{arguments.manifests[0]}: no training windows; bake a train species")
    save_relatives(arguments.output, Relatives.of(counts))
    print(f"{arguments.output}: {len(counts)} species", flush=True)


if __name__ == "__main__":
    run_command(main)
