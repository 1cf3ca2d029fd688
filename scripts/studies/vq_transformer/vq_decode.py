"""Read codes that vq_encode.py wrote back to DNA, and count the bases that came back right."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.files import write_json
from genet5.genome.fasta import write_fasta
from genet5.studies.vq_transformer.codec import VqTokenizer, load_coded
from genet5.studies.vq_transformer.corpus import read_dna
from genet5.studies.vq_transformer.encodings import UNKNOWN, base_codes


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the network that wrote the codes")
    parser.add_argument("--codes", type=Path, required=True, help="what vq_encode.py wrote")
    parser.add_argument("--output", type=Path, required=True, help="FASTA to write")
    parser.add_argument("--compare", type=Path, help="the DNA that was encoded (default: compare nothing)")
    parser.add_argument("--report", type=Path, help="comparison to write (JSON; needs --compare)")
    arguments = parser.parse_args(argv)
    if bool(arguments.compare) != bool(arguments.report):
        raise InputError("--compare and --report: one needs the other")
    tokenizer = VqTokenizer.load(arguments.model)
    decoded = {name: tokenizer.decode(coded) for name, coded in load_coded(arguments.codes).items()}
    write_fasta(arguments.output, decoded.items())
    if not arguments.compare:
        return
    report = compare(decoded, arguments.compare)
    write_json(arguments.report, report)
    print(f"{report['wrong_bases']:,} wrong of {report['bases']:,} bases: identity {report['identity']:.5%}")


def compare(decoded: dict[str, str], path: Path) -> dict[str, float | int]:
    """Known bases of the original, how many of them are wrong, and whether unknown ones are where they were."""
    originals = read_dna(path)
    bases = wrong = unknown_wrong = 0
    for name, original in originals.items():
        back = base_codes(decoded.get(name, ""))
        if len(back) != len(original):
            raise InputError(f"{path}: sequence {name!r} has {len(original)} bases, the codes have {len(back)}")
        known = original != UNKNOWN
        bases += int(known.sum())
        wrong += int((back[known] != original[known]).sum())
        unknown_wrong += int((back[~known] != UNKNOWN).sum())
    return {
        "bases": bases,
        "wrong_bases": wrong,
        "identity": (bases - wrong) / bases if bases else 1.0,
        "unknown_bases": sum(map(len, originals.values())) - bases,
        "unknown_wrong": unknown_wrong,
    }


if __name__ == "__main__":
    run_command(main)
