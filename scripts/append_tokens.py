"""Add tokens to a tokenizer that is there, after all others; a model then grows to it with resize_model.py."""

from __future__ import annotations

from pathlib import Path

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.tokens.vocabulary import read_tokens

SHOWN = 5


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--tokenizer", required=True, help="tokenizer folder, or the folder of a model")
    parser.add_argument("--tokens", required=True, help="file with one token a line; those that exist are skipped")
    parser.add_argument("--output-dir", required=True, help="tokenizer folder to write; it may be --tokenizer")
    arguments = parser.parse_args(argv)

    # Here, so that --help and a wrong flag do not wait for torch.
    from genet5.crf.folder import WEIGHTS_FILE
    from genet5.tokens.tokenizer import GeneTokenizer

    if (Path(arguments.output_dir) / WEIGHTS_FILE).exists():
        raise InputError(
            f"{arguments.output_dir}: holds {WEIGHTS_FILE}, which would have no rows for the new tokens; name another "
            "folder, and grow the model with resize_model.py"
        )
    tokenizer, listed = GeneTokenizer.load(arguments.tokenizer), read_tokens(arguments.tokens)
    before, known = tokenizer.size, [token for token in listed if token in tokenizer]
    tokenizer.append_tokens([token for token in listed if token not in known])
    tokenizer.save(arguments.output_dir)
    some = " ".join(known[:SHOWN]) + (" ..." if len(known) > SHOWN else "")
    skipped = f"; {len(known)} were there already: {some}" if known else ""
    print(f"{arguments.output_dir}: {before} -> {tokenizer.size} tokens{skipped}")


if __name__ == "__main__":
    run_command(main)
