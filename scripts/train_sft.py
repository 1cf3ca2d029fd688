"""Supervised fine-tuning: teach the model to write the genes of baked windows.

Run it again with the same arguments after any interruption: it continues from its last checkpoint, with the same losses
as an uninterrupted run. One process per GPU: scripts/launch.sh starts several.
"""

from __future__ import annotations

from pathlib import Path

from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.options import options_from_arguments
from genet5.training.options import add_run_arguments
from genet5.writer.options import SftOptions


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="manifest.json of each baked species")
    parser.add_argument("--eval-windows", type=Path, required=True, help="eval.json: windows decoded and scored")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model to start from")
    add_run_arguments(parser, SftOptions)
    arguments = parser.parse_args(argv)

    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.writer.sft import run_sft

    run_sft(
        arguments.model,
        arguments.manifests,
        arguments.validation,
        arguments.eval_windows,
        read_clades(arguments.clade_folder),
        options_from_arguments(SftOptions, arguments),
        arguments.output_dir,
        arguments.restart,
        arguments.device,
    )


if __name__ == "__main__":
    run_command(main)
