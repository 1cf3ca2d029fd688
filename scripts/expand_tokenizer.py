"""Make the tokenizer of a run: a DNA vocabulary with structure tokens, mile-posts and offsets added after it."""

from __future__ import annotations

from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.files import atomic_write
from genet5.options import add_option_arguments, options_from_arguments
from genet5.tokens.options import TokenizerOptions
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.tokens.vocabulary import STRUCTURE_TOKENS_FILE, clade_tokens, read_tokens


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--extra", default="", help="file with more tokens, one a line, before --extra-tokens (default: none)"
    )
    parser.add_argument("--output-dir", default="", help="folder to write tokenizer.json and genet5_tokenizer.json to")
    parser.add_argument(
        "--list", default="", help="file to write the added tokens to, one a line, in the order of their ids"
    )
    parser.add_argument("--clade-folder", default="", help="folder of your own clade files; each clade gets a token")
    add_option_arguments(parser, TokenizerOptions)
    arguments = parser.parse_args(argv)
    if not arguments.output_dir and not arguments.list:
        raise InputError("nothing to write: name a folder with --output-dir, a file with --list, or both")
    options = options_from_arguments(TokenizerOptions, arguments)
    tokenizer = GeneTokenizer.build(
        options.kind,
        options.k,
        options.base or None,
        segment_bp=options.segment_bp,
        max_window_bp=options.max_window_bp,
        structure_tokens=[
            *read_tokens(options.structure_tokens or STRUCTURE_TOKENS_FILE),
            *clade_tokens(read_clades(arguments.clade_folder)),
        ],
        extra=[*(read_tokens(arguments.extra) if arguments.extra else []), *options.extra_tokens],
    )
    if arguments.list:
        with atomic_write(arguments.list) as stream:
            stream.writelines(f"{tokenizer.token(index)}\n" for index in range(tokenizer.dna_size, tokenizer.size))
        print(f"{arguments.list}: {tokenizer.size - tokenizer.dna_size} tokens")
    if arguments.output_dir:
        tokenizer.save(arguments.output_dir)
        print(f"{arguments.output_dir}: {tokenizer.size} tokens, {tokenizer.dna_size} of them DNA ({tokenizer.kind})")


if __name__ == "__main__":
    run_command(main)
