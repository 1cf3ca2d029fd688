"""Gather the validation windows of all species, and choose those that are scored while training."""

from __future__ import annotations

from pathlib import Path

from genet5.bake.validation import merge_validation
from genet5.command_line import argument_parser
from genet5.errors import run_command


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path, help="manifest.json of each baked species")
    parser.add_argument("--eval-samples", type=int, default=50, help="samples to score while training")
    parser.add_argument("--seed", type=int, default=42, help="of their choice")
    parser.add_argument(
        "--output-dir", required=True, type=Path, help="folder for validation.tar, eval.json and bake_config.json"
    )
    arguments = parser.parse_args(argv)
    merge_validation(arguments.manifests, arguments.eval_samples, arguments.seed, arguments.output_dir)


if __name__ == "__main__":
    run_command(main)
