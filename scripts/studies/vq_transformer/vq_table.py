"""Write the code of each k-mer as a table.

The table is the base of the DNA tokenizer of kind vq (expand_tokenizer.py --kind vq).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.vq_transformer.codec import VqTokenizer, kmer_table, table_accuracy, write_kmer_table
from genet5.studies.vq_transformer.corpus import Corpus


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="what vq_corpus.py wrote")
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained network")
    parser.add_argument("--blocks", type=int, default=2000, help="training blocks that decide")
    parser.add_argument("--output", type=Path, required=True, help="table to write (JSON)")
    arguments = parser.parse_args(argv)
    if arguments.blocks < 1:
        raise InputError(f"--blocks: found {arguments.blocks}, allowed: at least 1")
    tokenizer, corpus = VqTokenizer.load(arguments.model), Corpus.load(arguments.corpus)
    size = tokenizer.config.block_size
    blocks = corpus.windows(corpus.even_starts("train", size, arguments.blocks), size)
    table = kmer_table(tokenizer, [blocks.reshape(-1)])
    write_kmer_table(table, tokenizer.vocab_size, arguments.output)
    accuracy = table_accuracy(table, corpus.pieces("test"))
    print(
        f"{arguments.output}: {len(table)} k-mers as {len(set(table.tolist()))} codes; {accuracy:.4%} of held-out bases"
    )


if __name__ == "__main__":
    run_command(main)
