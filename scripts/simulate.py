"""Simulate annotated genomes from the gene models that AUGUSTUS publishes (Debian: augustus-data)."""

from __future__ import annotations

import sys
from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.simulate import simulate_genome, write_simulated
from genet5.genome.simulation_options import SimulateOptions
from genet5.options import add_option_arguments, options_from_arguments
from genet5.sources.augustus_parameters import config_folder, read_parameters, species_names


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("species", nargs="*", help="AUGUSTUS's names of species, as arabidopsis")
    parser.add_argument("--list", action="store_true", help="list the species, and why some cannot be simulated")
    parser.add_argument("--bases", type=int, default=1_000_000, help="bases of each genome")
    parser.add_argument("--output", help="folder to write NAME/fna.gz and NAME/gff.gz into")
    parser.add_argument("--name", help="name of the genome, of one species (default: AUGUSTUS's name of the species)")
    parser.add_argument("--genetic-code", type=int, help="NCBI translation table (default: that of the parameters)")
    add_option_arguments(parser, SimulateOptions)
    arguments = parser.parse_args(argv)
    options = options_from_arguments(SimulateOptions, arguments)
    config = config_folder(options.augustus_config)
    if arguments.list:
        _list(config)
        return
    if not arguments.species or not arguments.output:
        raise InputError("simulate: name one or more species and --output, or give --list")
    if arguments.name and len(arguments.species) > 1:
        raise InputError(f"--name: one name for {len(arguments.species)} species; simulate them one by one")
    code = None if arguments.genetic_code is None else GeneticCode.from_table(arguments.genetic_code)
    for augustus_name in arguments.species:
        name = arguments.name or augustus_name
        parameters = read_parameters(config, augustus_name)
        genome = simulate_genome(parameters, arguments.bases, name, options, code)
        folder = Path(arguments.output) / name
        genes = write_simulated(genome, folder / "fna.gz", folder / "gff.gz")
        print(
            f"simulate: {name}: {sum(genome.lengths.values())} bp in {len(genome.lengths)} contigs, {genes} genes, "
            f"{genome.mean_intergenic_bp:.0f} bp between genes -> {folder}",
            file=sys.stderr,
        )


def _list(config: Path) -> None:
    for name in species_names(config):
        try:
            parameters = read_parameters(config, name)
        except InputError as error:
            print(f"{name}\tcannot be simulated\t{error}")
            continue
        classes = len(parameters.classes)
        print(
            f"{name}\t{classes} GC class{'es' * (classes > 1)}, genetic code {parameters.genetic_code}, "
            f"{parameters.introns_per_gene:.2f} introns of {parameters.mean_intron_bp:.0f} bp per gene"
        )


if __name__ == "__main__":
    run_command(main)
