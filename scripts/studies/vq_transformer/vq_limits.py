"""Measure the bits per base of held-out DNA by models and compressors."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.files import write_json
from genet5.studies.vq_transformer.corpus import Corpus
from genet5.studies.vq_transformer.limits import measure_limits


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="what vq_corpus.py wrote")
    parser.add_argument("--orders", type=int, nargs="+", default=list(range(9)), help="bases of context (0 to 8)")
    parser.add_argument(
        "--mixture",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure the mixture of models, too",
    )
    parser.add_argument("--output", type=Path, required=True, help="figures (JSON)")
    arguments = parser.parse_args(argv)
    if not all(0 <= order <= 10 for order in arguments.orders) or 0 not in arguments.orders:
        raise InputError(f"--orders: found {arguments.orders}, allowed: 0 to 10, and 0 among them")
    limits = measure_limits(Corpus.load(arguments.corpus), sorted(set(arguments.orders)), arguments.mixture)
    write_json(arguments.output, limits)
    print(f"{limits['test_bases']:,} bases: " + ", ".join(f"{k} {v:.4f}" for k, v in limits["figures"].items()))


if __name__ == "__main__":
    run_command(main)
