"""Gather the validation windows of all species in one tar, and choose the samples that are scored while training."""

from __future__ import annotations

from pathlib import Path

from genet5.bake.options import BakeOptions
from genet5.bake.validation import merge_validation
from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.options import add_option_arguments, options_from_arguments


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path, help="manifest.json of each baked species")
    parser.add_argument(
        "--output-dir", required=True, type=Path, help="folder for validation.tar, eval.json and bake_config.json"
    )
    add_option_arguments(parser, BakeOptions, only=("eval_samples", "seed"))
    arguments = parser.parse_args(argv)
    options = options_from_arguments(BakeOptions, arguments)
    merge_validation(arguments.manifests, options.eval_samples, options.seed, arguments.output_dir)


if __name__ == "__main__":
    run_command(main)
