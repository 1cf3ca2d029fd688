"""Turn genomes into stretches of token ids, and split them by block into training and validation."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.studies.dna_llm.alphabets import ALPHABETS
from genet5.studies.dna_llm.binding_windows import load_windows
from genet5.studies.dna_llm.corpus import CorpusOptions, write_corpus
from genet5.studies.dna_llm.shared_kmers import KmerSet


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--genomes", nargs="+", required=True, metavar="NAME=FASTA", help="plain or gzip")
    parser.add_argument(
        "--alphabet", choices=ALPHABETS, required=True, help="full: both cases and N; vocab4: ACGT; bpe32: tokens"
    )
    parser.add_argument(
        "--held-out", type=Path, help="windows.npz: DNA of its validation and test windows is left out (default: none)"
    )
    parser.add_argument(
        "--leave-out", default=CorpusOptions.leave_out, metavar="REGEX", help="names of sequences that are not read"
    )
    parser.add_argument("--block-bp", type=int, default=100_000, help="bases of a block")
    parser.add_argument("--validation-share", type=float, default=0.1, help="share of blocks")
    parser.add_argument("--context", type=int, default=300, help="letters the network reads at once")
    parser.add_argument("--seed", type=int, default=42, help="of the choice of blocks")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of train.bin, val.bin, meta.json")
    arguments = parser.parse_args(argv)
    if arguments.block_bp < 1 or not 0 < arguments.validation_share < 1 or arguments.context < 1:
        raise InputError("--block-bp, --context: at least 1; --validation-share: between 0 and 1")
    genomes = dict(named_path(text) for text in arguments.genomes)
    held_out = None
    if arguments.held_out:
        windows = load_windows(arguments.held_out)
        chosen = np.flatnonzero(np.isin(windows.splits, ("validation", "test")))
        held_out = KmerSet(windows.sequence(index) for index in chosen)
    options = CorpusOptions(
        arguments.block_bp, arguments.validation_share, arguments.context + 1, arguments.seed, arguments.leave_out
    )
    meta = write_corpus(genomes, ALPHABETS[arguments.alphabet], options, arguments.output_dir, held_out)
    print(
        f"{meta['alphabet']}, {meta['vocab_size']} tokens: {meta['train_tokens']:,} for training in "
        f"{meta['train_stretches']:,} stretches, {meta['val_tokens']:,} for validation; left out: "
        f"{meta['held_out_bases']:,} bases like held-out windows, {meta['short_bases']:,} in short stretches"
    )


def named_path(text: str) -> tuple[str, Path]:
    """``NAME=FASTA`` as a pair."""
    name, _, path = text.partition("=")
    if not name or not path:
        raise InputError(f"--genomes: {text!r} is not NAME=FASTA")
    return name, Path(path)


if __name__ == "__main__":
    run_command(main)
