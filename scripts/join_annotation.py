"""Join the parts of an annotation that several jobs made (annotate_genome.py --part): the files that one job writes.

It needs no model and no GPU. Parts that are missing, cut short, or made from another genome, model or options are an
error, and nothing is written.
"""

from __future__ import annotations

from pathlib import Path

from genet5.annotate.by_parts import join_annotation
from genet5.annotate.run import save_tracks, write_annotation
from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.genome.fasta import Genome


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--parts", nargs="+", type=Path, required=True, help="all parts, in any order")
    parser.add_argument("--genome", type=Path, required=True, help="FASTA file that the parts were made from")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument(
        "--output-prefix", type=Path, required=True, help="path before .gff3, .faa, .cds.fna, .json, .tracks.npz"
    )
    arguments = parser.parse_args(argv)
    clades = read_clades(arguments.clade_folder)
    with Genome(arguments.genome) as genome:
        found, tracks = join_annotation(arguments.parts, genome, clades)
        write_annotation(arguments.output_prefix, found, genome)
    save_tracks(f"{arguments.output_prefix}.tracks.npz", tracks)
    print(f"{len(found.genes)} genes in {found.summary['bases'] / 1e6:.2f} Mb, joined", flush=True)


if __name__ == "__main__":
    run_command(main)
