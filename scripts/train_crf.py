"""Train the CRF: teach it what bases, sites and chains of genes look like.

Run it again with the same arguments after any interruption. It continues from its last checkpoint, with the same losses
as an uninterrupted run. One process per GPU: scripts/launch.sh starts several.
"""

from __future__ import annotations

from pathlib import Path

from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.crf.options import CrfOptions
from genet5.errors import run_command
from genet5.options import options_from_arguments
from genet5.training.options import add_run_arguments


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="manifest.json of each baked species")
    add_run_arguments(parser, CrfOptions)
    arguments = parser.parse_args(argv)

    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.crf.training import run_crf_training

    run_crf_training(
        arguments.manifests,
        arguments.validation,
        read_clades(arguments.clade_folder),
        options_from_arguments(CrfOptions, arguments),
        arguments.output_dir,
        arguments.restart,
        arguments.device,
    )


if __name__ == "__main__":
    run_command(main)
