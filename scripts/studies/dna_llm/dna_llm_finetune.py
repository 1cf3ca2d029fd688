"""Train one predictor of binding scores, and predict the held-out windows.

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
from genet5.studies.dna_llm.alphabets import VOCAB4
from genet5.studies.dna_llm.finetuning import FinetuneOptions, run_finetuning
from genet5.studies.dna_llm.network_flags import add_network_arguments, network_from_arguments
from genet5.studies.dna_llm.variants import VARIANTS


def main(argv: list[str] | None = None) -> None:
    about = "\n".join(f"  {variant.name:<32}{variant.about}" for variant in VARIANTS.values())
    parser = argument_parser(f"{__doc__}\nvariants:\n{about}")
    parser.add_argument("--variant", choices=VARIANTS, required=True, metavar="NAME", help="see above")
    parser.add_argument("--windows", type=Path, required=True, help="windows.npz that dna_llm_windows.py wrote")
    parser.add_argument("--core", type=Path, help="folder of the pretrained core, for variants that have one")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the model, its result, logs")
    add_device_argument(parser)
    parser.add_argument("--restart", action="store_true", help="forget an earlier run in --output-dir")
    add_network_arguments(parser)
    add_option_arguments(parser, FinetuneOptions)
    arguments = parser.parse_args(argv)
    variant = VARIANTS[arguments.variant]
    run_finetuning(
        variant,
        arguments.windows,
        arguments.core,
        network_from_arguments(arguments, VOCAB4),
        options_from_arguments(FinetuneOptions, arguments),
        arguments.output_dir,
        arguments.restart,
        arguments.device,
    )


if __name__ == "__main__":
    run_command(main)
