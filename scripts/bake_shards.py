"""Cut a genome into windows with their genes, and write the windows as tar shards.

Statistics, a gene index and a manifest are written beside the shards.
"""

from __future__ import annotations

from pathlib import Path

from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules
from genet5.command_line import argument_parser
from genet5.errors import run_command


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--species", required=True, help="name of the species, e.g. S.cerevisiae")
    parser.add_argument("--genome", required=True, type=Path, help="FASTA, uncompressed (scripts/index_genome.py)")
    parser.add_argument("--annotation", required=True, type=Path, help="GFF3, GTF or GenBank, plain or gzip")
    parser.add_argument("--genetic-code", required=True, type=int, help="NCBI translation table")
    parser.add_argument("--clade", required=True, help="clade of the species, as in <clade:...>")
    parser.add_argument("--split", required=True, help="train, validation or test: owner of all bases not listed below")
    parser.add_argument("--validation-regions", default="", help="e.g. chrI,chrII:1-50000 (1-based, closed)")
    parser.add_argument("--test-regions", default="", help="regions held out for testing; no windows are made of them")
    parser.add_argument("--excluded-regions", default="", help="regions used for nothing")
    parser.add_argument("--window-bp", required=True, type=int, help="length of a window's core")
    parser.add_argument("--stride-bp", required=True, type=int, help="step from one window to the next")
    parser.add_argument("--flank-bp", type=int, default=0, help="bases kept on either side, for random crops")
    parser.add_argument(
        "--empty-share",
        type=float,
        default=0.1,
        help="largest share of windows without a gene among those kept",
    )
    parser.add_argument(
        "--max-windows", type=int, default=None, help="keep this many training windows, drawn at random (default: all)"
    )
    parser.add_argument("--samples-per-shard", type=int, default=5000, help="windows in a tar")
    parser.add_argument("--seed", type=int, default=42, help="of the draws among windows")
    parser.add_argument("--output-dir", required=True, type=Path, help="folder to fill; earlier shards are replaced")
    arguments = parser.parse_args(argv)
    source = SpeciesSource(
        species=arguments.species,
        genome=arguments.genome,
        annotation=arguments.annotation,
        genetic_code=arguments.genetic_code,
        clade=arguments.clade,
        split=arguments.split,
        validation_regions=arguments.validation_regions,
        test_regions=arguments.test_regions,
        excluded_regions=arguments.excluded_regions,
    )
    rules = WindowRules(
        window_bp=arguments.window_bp,
        stride_bp=arguments.stride_bp,
        flank_bp=arguments.flank_bp,
        empty_share=arguments.empty_share,
        max_windows=arguments.max_windows,
        seed=arguments.seed,
    )
    bake_species(source, rules, arguments.samples_per_shard, arguments.output_dir)


if __name__ == "__main__":
    run_command(main)
