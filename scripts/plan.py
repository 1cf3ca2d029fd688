"""Say what a run will take before anything is downloaded: windows, tokens, parameters, steps, disk and hours.

This machine is measured for a few seconds with the code that trains. Other devices are assumed to reach a share of
their peak, or what a training log of yours says (--log).
"""

from __future__ import annotations

from pathlib import Path

import yaml

from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.configuration import merged, read_yaml
from genet5.device import add_device_argument
from genet5.errors import InputError, run_command
from genet5.plan.costs import networks, stage_costs
from genet5.plan.devices import HERE, assumed, measured, with_log
from genet5.plan.genomes import plan_genome
from genet5.plan.text import plan_text
from genet5.settings.checks import check_config, clade_folder, windows_of
from genet5.settings.sections import with_defaults
from genet5.species_table import read_species_table
from genet5.writer.cost import flops_per_token


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="as of Snakemake; later files win")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as of Snakemake")
    parser.add_argument(
        "--devices",
        nargs="+",
        default=["H100", "Spark", "2 Sparks", HERE],
        help=f"a number of H100, H200 or Sparks, and {HERE} (default: %(default)s)",
    )
    parser.add_argument(
        "--log", nargs="+", default=[], metavar="DEVICE=FILE", help="training_log.csv of a writer on it"
    )
    add_device_argument(parser)
    arguments = parser.parse_args(argv)
    config = with_defaults(merged({}, *(read_yaml(path, "--configfile") or {} for path in arguments.configfile),
                                  dict(map(key_value, arguments.config))))  # fmt: skip
    clades = read_clades(clade_folder(config))
    check_config(config, clades)
    table = read_species_table(config["species_sheet"], config["data_root"], clades)
    genomes = [
        plan_genome(
            row, clades[row.clade], windows_of(config, clades, row.clade), config["bake"], config["tokenizer"],
            config["run"],
        )
        for row in table.values()
    ]  # fmt: skip
    of = networks(config)
    here = measured(config, of.crf_flops_per_base, arguments.device)
    devices = {
        name: here if name == HERE else assumed(name, of.writer.num_layers, here.chain_s) for name in arguments.devices
    }
    read = [genome for genome in genomes if genome.train]
    row_tokens = sum(genome.tokens for genome in read) / max(1, len(read))
    for name, file in map(log_of, arguments.log):
        if name not in devices:
            raise InputError(f"--log: {name} is not among --devices ({', '.join(devices)})")
        devices[name] = with_log(devices[name], Path(file), flops_per_token(of.writer, row_tokens))
    costs = stage_costs(config, genomes, of)
    print(plan_text(config, genomes, of, costs, list(devices.values())), end="")


def key_value(word: str) -> tuple[str, object]:
    """``KEY=VALUE`` with the value read as YAML. Raises ``InputError``."""
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise InputError(f"--config: {word!r} is not KEY=VALUE")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"--config {key}: {value!r} is not YAML") from error


def log_of(word: str) -> tuple[str, str]:
    """``DEVICE=FILE``. Raises ``InputError``."""
    device, equals, file = word.partition("=")
    if not device or not equals or not file:
        raise InputError(f"--log: {word!r} is not DEVICE=FILE")
    return device, file


if __name__ == "__main__":
    run_command(main)
