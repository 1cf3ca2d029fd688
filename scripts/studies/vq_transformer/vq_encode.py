"""Write DNA as codes of a trained VQ-Transformer; vq_decode.py reads them back."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import run_command
from genet5.studies.vq_transformer.codec import VqTokenizer, save_coded
from genet5.studies.vq_transformer.corpus import read_dna


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained network")
    parser.add_argument("--dna", type=Path, required=True, help="FASTA or plain text, gzip or not; case is not kept")
    parser.add_argument("--output", type=Path, required=True, help="codes to write (npz)")
    arguments = parser.parse_args(argv)
    tokenizer = VqTokenizer.load(arguments.model)
    coded = {name: tokenizer.encode_bases(bases) for name, bases in read_dna(arguments.dna).items()}
    save_coded(coded, arguments.output)
    bases, codes = (sum(sizes) for sizes in zip(*((one.length, len(one.codes)) for one in coded.values()), strict=True))
    print(f"{arguments.output}: {len(coded)} sequences, {bases:,} bases as {codes:,} codes")


if __name__ == "__main__":
    run_command(main)
