"""Reinforcement learning of the CRF on exon and gene F1, from a trained one and prompts to sharper weights.

The same command continues a run that was stopped, exactly. Options that decide the result must not change in between.
"""

from __future__ import annotations

from pathlib import Path

from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.grpo.options import CrfGrpoOptions
from genet5.options import options_from_arguments
from genet5.training.options import add_run_arguments


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--prompts", type=Path, required=True, help="grpo_prompts.tar")
    parser.add_argument("--eval-windows", type=Path, required=True, help="eval.json: windows of it decoded and scored")
    parser.add_argument("--model", type=Path, required=True, help="folder of the CRF to start from")
    add_run_arguments(parser, CrfGrpoOptions, "reinforcement learning")
    arguments = parser.parse_args(argv)

    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.grpo.crf_training import run_crf_grpo

    run_crf_grpo(
        arguments.model,
        arguments.prompts,
        arguments.validation,
        arguments.eval_windows,
        read_clades(arguments.clade_folder),
        options_from_arguments(CrfGrpoOptions, arguments),
        arguments.output_dir,
        arguments.restart,
        arguments.device,
    )


if __name__ == "__main__":
    run_command(main)
