"""Make the tokenizer of a run: a DNA vocabulary with structure tokens, mile-posts and offsets added after it."""

from __future__ import annotations

from genet5.clades import read_clades
from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.tokens.dna import KINDS
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.tokens.vocabulary import STRUCTURE_TOKENS_FILE, clade_tokens, read_tokens


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--kind",
        required=True,
        help=f"DNA tokens: {', '.join(KINDS)} (k bases, one base, byte pairs, or a code a token)",
    )
    parser.add_argument("--k", type=int, default=6, help="bases in a k-mer; only kmer uses it")
    parser.add_argument("--base", default="", help="bpe: tokenizer.json or its folder; vq: table of codes")
    parser.add_argument(
        "--structure-tokens",
        default=str(STRUCTURE_TOKENS_FILE),
        help="file with one structure token a line (default: the one shipped in resources/)",
    )
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own; each clade gets a token")
    parser.add_argument("--extra", default="", help="file with more tokens, one a line, added last (default: none)")
    parser.add_argument("--extra-tokens", nargs="*", default=[], help="more tokens, added after those of --extra")
    parser.add_argument("--segment-bp", type=int, required=True, help="bases between two mile-posts")
    parser.add_argument("--max-window-bp", type=int, required=True, help="longest window that can be written")
    parser.add_argument(
        "--output-dir", required=True, help="folder to write tokenizer.json and genet5_tokenizer.json to"
    )
    arguments = parser.parse_args(argv)
    tokenizer = GeneTokenizer.build(
        arguments.kind,
        arguments.k,
        arguments.base or None,
        segment_bp=arguments.segment_bp,
        max_window_bp=arguments.max_window_bp,
        structure_tokens=[
            *read_tokens(arguments.structure_tokens),
            *clade_tokens(read_clades(arguments.clade_folder)),
        ],
        extra=[*(read_tokens(arguments.extra) if arguments.extra else []), *arguments.extra_tokens],
    )
    tokenizer.save(arguments.output_dir)
    print(f"{arguments.output_dir}: {tokenizer.size} tokens, {tokenizer.dna_size} of them DNA ({tokenizer.kind})")


if __name__ == "__main__":
    run_command(main)
