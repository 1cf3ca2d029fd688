"""Simulate two platforms: write what they measure, and the values without noise."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.cpivae.agreement import DISTRIBUTIONS, read_quantiles
from genet5.studies.cpivae.simulation import Simulation, simulate
from genet5.studies.cpivae.tables import write_table

DEFAULTS = Simulation()


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    for name, text in (
        ("samples", "samples"),
        ("features_a", "features of platform a"),
        ("features_b", "features of platform b"),
        ("shared", "proteins that both measure"),
        ("factors", "factors that move many proteins"),
        ("seed", "seed"),
    ):
        parser.add_argument(flag(name), type=int, default=getattr(DEFAULTS, name), help=text)
    for name, text in (
        ("factor_share", "mean share of a protein's variance that factors explain"),
        ("interference", "largest share of an assay's signal that is another protein's"),
        ("sample_error", "variance of the error that all features of a sample share"),
        ("missing", "share of cells below the limit of detection"),
    ):
        parser.add_argument(flag(name), type=float, default=getattr(DEFAULTS, name), help=text)
    parser.add_argument(
        "--noise-range",
        type=float,
        nargs=2,
        default=DEFAULTS.noise_range,
        help="share of noise, per feature",
    )
    parser.add_argument(
        "--correlations",
        nargs="+",
        default=[],
        help=f"Spearman's correlation between two assays of a protein: {' or '.join(DISTRIBUTIONS)}, or two or more "
        "ascending numbers, its quantiles at even steps (least, ..., largest); default: as it comes",
    )
    for name in ("platform_a", "platform_b", "truth_a", "truth_b"):
        parser.add_argument(flag(name), type=Path, required=True, help="table to write")
    arguments = parser.parse_args(argv)
    if arguments.correlations:
        arguments.correlations = list(read_quantiles(arguments.correlations, "--correlations"))
    options = Simulation(**{
        field.name: value if not isinstance(value := getattr(arguments, field.name), list) else tuple(value)
        for field in dataclasses.fields(Simulation)
    })  # fmt: skip
    check(options)
    samples, a, b = simulate(options)
    for platform, values, truth in (
        (a, arguments.platform_a, arguments.truth_a),
        (b, arguments.platform_b, arguments.truth_b),
    ):
        write_table(values, "SampleID", samples, platform.features, platform.values)
        write_table(truth, "SampleID", samples, platform.features, platform.truth)


def flag(name: str) -> str:
    """``--features-a`` for ``features_a``."""
    return f"--{name.replace('_', '-')}"


def check(options: Simulation) -> None:
    """Raise ``InputError`` for what cannot be simulated."""
    if min(options.samples, options.features_a, options.features_b, options.factors) < 2:
        raise InputError("--samples, --features-a, --features-b, --factors: expected at least 2")
    if not 0 <= options.shared <= min(options.features_a, options.features_b):
        raise InputError(f"--shared: found {options.shared}, allowed: 0 to the features of the smaller platform")
    if options.correlations and not options.shared:
        raise InputError("--correlations needs proteins that both platforms measure (--shared)")
    low, high = options.noise_range
    if not 0 <= low <= high < 1:
        raise InputError(f"--noise-range: found {low:g} {high:g}, allowed: two ascending numbers, at least 0, below 1")
    if not (0 < options.factor_share < 1 and 0 <= options.interference < 1 and 0 <= options.missing < 1 / 3):
        raise InputError("--factor-share, --interference: expected shares below 1; --missing: below 1/3")
    if options.sample_error < 0 or options.seed < 0:
        raise InputError("--sample-error, --seed: expected at least 0")


if __name__ == "__main__":
    run_command(main)
