"""Choose the training windows that reinforcement learning samples genes for, balanced over species."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.grpo.prompts import write_prompts


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path, help="manifest.json of each baked species")
    parser.add_argument("--num-prompts", type=int, default=5000, help="windows")
    parser.add_argument("--min-introns", type=int, default=0, help="introns that a window with genes must show")
    parser.add_argument("--seed", type=int, default=42, help="of the draw")
    parser.add_argument(
        "--output-dir", required=True, type=Path, help="folder for grpo_prompts.tar and grpo_prompts.json"
    )
    arguments = parser.parse_args(argv)
    write_prompts(
        arguments.manifests, arguments.num_prompts, arguments.min_introns, arguments.seed, arguments.output_dir
    )


if __name__ == "__main__":
    run_command(main)
