"""Cut a genome into windows with their genes: WebDataset shards, statistics, a gene index and a manifest."""

from __future__ import annotations

from pathlib import Path

from genet5.bake.options import BakeOptions, WindowSizes
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.windows import WindowRules
from genet5.command_line import argument_parser, check_threads
from genet5.errors import run_command
from genet5.options import add_option_arguments, options_from_arguments
from genet5.species_table import ALL_GENES, ANNOTATED

BAKED = ("flank_bp", "empty_share", "max_windows", "max_validation_windows", "samples_per_shard", "seed")


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
    parser.add_argument(
        "--annotated",
        default=ALL_GENES,
        choices=ANNOTATED,
        help="whether the annotation names all genes of this DNA, or some: other DNA is then don't-care",
    )
    parser.add_argument(
        "--exon-flank-bp",
        type=int,
        default=0,
        help="condense the genome: keep at most so many bases on either side of an exon; 0 keeps all",
    )
    parser.add_argument("--output-dir", required=True, type=Path, help="folder to fill; earlier shards are replaced")
    parser.add_argument("--threads", type=int, default=1, help="processes that look at windows; the files are the same")
    add_option_arguments(parser, WindowSizes, "windows")
    add_option_arguments(parser, BakeOptions, only=BAKED)
    arguments = parser.parse_args(argv)
    check_threads(arguments.threads)
    windows, options = (options_from_arguments(cls, arguments) for cls in (WindowSizes, BakeOptions))
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
        annotated=arguments.annotated,
        exon_flank_bp=arguments.exon_flank_bp,
    )
    rules = WindowRules(
        window_bp=windows.window_bp,
        stride_bp=windows.stride_bp,
        flank_bp=options.flank_bp,
        empty_share=options.empty_share,
        max_windows=options.max_windows or None,
        max_validation_windows=options.max_validation_windows or None,
        seed=options.seed,
    )
    bake_species(source, rules, options.samples_per_shard, arguments.output_dir, arguments.threads)


if __name__ == "__main__":
    run_command(main)
