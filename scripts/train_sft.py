"""Supervised fine-tuning: teach the model to write the genes of baked windows.

Run it again with the same arguments after any interruption: it continues from its last checkpoint, with the same losses
as an uninterrupted run. One process per GPU: scripts/launch.sh starts several.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genet5.configuration import read_grammar
from genet5.errors import run_command
from genet5.options import options_from_arguments
from genet5.training.options import add_run_arguments
from genet5.writer.options import SftOptions
from genet5.writer.sft import run_sft


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="manifest.json of each baked species")
    parser.add_argument("--eval-windows", type=Path, required=True, help="eval.json: windows decoded and scored")
    add_run_arguments(parser, SftOptions)
    arguments = parser.parse_args(argv)
    run_sft(
        arguments.model,
        arguments.manifests,
        arguments.validation,
        arguments.eval_windows,
        read_grammar(arguments.grammar),
        options_from_arguments(SftOptions, arguments),
        arguments.output_dir,
        arguments.restart,
    )


if __name__ == "__main__":
    run_command(main)
