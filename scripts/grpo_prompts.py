"""Choose the windows that reinforcement learning samples genes for: training data only, balanced over species."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.grpo.options import GrpoPromptOptions
from genet5.grpo.prompts import write_prompts
from genet5.options import add_option_arguments, options_from_arguments


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path, help="manifest.json of each baked species")
    parser.add_argument(
        "--output-dir", required=True, type=Path, help="folder for grpo_prompts.tar and grpo_prompts.json"
    )
    add_option_arguments(parser, GrpoPromptOptions)
    arguments = parser.parse_args(argv)
    options = options_from_arguments(GrpoPromptOptions, arguments)
    write_prompts(arguments.manifests, options.num_prompts, options.min_introns, options.seed, arguments.output_dir)


if __name__ == "__main__":
    run_command(main)
