"""Pretrain a GPT that predicts the next letter of DNA.

Run it again with the same arguments after any interruption: it continues from its last checkpoint.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.device import add_device_argument
from genet5.errors import run_command
from genet5.options import add_option_arguments, options_from_arguments
from genet5.studies.dna_llm.corpus import Corpus
from genet5.studies.dna_llm.network_flags import add_network_arguments, network_from_arguments
from genet5.studies.dna_llm.pretraining import PretrainOptions, run_pretraining


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that dna_llm_corpus.py wrote")
    parser.add_argument("--losses", type=Path, required=True, help="losses of each evaluation (JSON)")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the model, logs, checkpoints")
    add_device_argument(parser)
    parser.add_argument("--restart", action="store_true", help="forget an earlier run in --output-dir")
    add_network_arguments(parser)
    add_option_arguments(parser, PretrainOptions)
    arguments = parser.parse_args(argv)
    alphabet = Corpus(arguments.corpus, "train").alphabet
    run_pretraining(
        arguments.corpus,
        network_from_arguments(arguments, alphabet),
        options_from_arguments(PretrainOptions, arguments),
        arguments.output_dir,
        arguments.losses,
        arguments.restart,
        arguments.device,
    )


if __name__ == "__main__":
    run_command(main)
