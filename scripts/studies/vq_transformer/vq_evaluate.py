"""Measure a codec on held-out DNA: accuracy, use of its codes, bits per base."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.files import atomic_write, write_json
from genet5.studies.vq_transformer.codec import VqTokenizer
from genet5.studies.vq_transformer.corpus import Corpus
from genet5.studies.vq_transformer.evaluation import code_picture, evaluate_codec


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="what vq_corpus.py wrote")
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained network")
    parser.add_argument("--picture-slots", type=int, default=1500, help="slots of each class in the picture")
    parser.add_argument("--seed", type=int, default=42, help="of the control and of the picture's choice")
    parser.add_argument("--output", type=Path, required=True, help="metrics (JSON)")
    parser.add_argument("--picture", type=Path, required=True, help="points of the picture (npz)")
    arguments = parser.parse_args(argv)
    tokenizer, corpus = VqTokenizer.load(arguments.model), Corpus.load(arguments.corpus)
    result = evaluate_codec(tokenizer, corpus, arguments.seed)
    result = {"point": tokenizer.point.name} | result
    with atomic_write(arguments.picture, "wb") as stream:
        np.savez_compressed(stream, **code_picture(tokenizer, corpus, arguments.picture_slots, arguments.seed))
    write_json(arguments.output, result)
    print(
        f"{result['point']}: {result['base_accuracy']:.4%} of {result['test_bases']:,} bases at "
        f"{result['nominal_bits']:.3f} bits per base (entropy {result['entropy_bits']:.3f}); "
        f"{result['usage']:.1%} of the codes in use"
    )


if __name__ == "__main__":
    run_command(main)
