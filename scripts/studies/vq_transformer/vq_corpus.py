"""Read DNA, hold out regions for testing, and split the rest by block into training and validation."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the library, where it is not installed

from genet5.command_line import argument_parser
from genet5.errors import InputError, run_command
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genes import Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import parse_regions
from genet5.studies.vq_transformer.corpus import Corpus, base_classes, read_dna
from genet5.studies.vq_transformer.encodings import base_letters


def main(argv: list[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--dna", nargs="+", required=True, metavar="NAME=FILE", help="FASTA or plain text, gzip or not")
    parser.add_argument(
        "--held-out",
        nargs="*",
        default=[],
        metavar="NAME=REGIONS",
        help="chrI or chrI:1-50000, comma list (default: none)",
    )
    parser.add_argument(
        "--annotations", nargs="*", default=[], metavar="NAME=CODE=FILE", help="genetic code and GFF3, GTF or GenBank"
    )
    parser.add_argument("--ratio", type=float, default=0.2, help="share of blocks that validate")
    parser.add_argument("--block-bp", type=int, default=10_000, help="bases of a block")
    parser.add_argument("--seed", type=int, default=42, help="of the choice of blocks")
    parser.add_argument("--output", type=Path, required=True, help="corpus to write (npz)")
    parser.add_argument("--held-out-fasta", type=Path, help="FASTA of the test split to write (default: none)")
    arguments = parser.parse_args(argv)
    if not 0 < arguments.ratio < 1 or arguments.block_bp < 1:
        raise InputError("--ratio: between 0 and 1; --block-bp: at least 1")
    files = dict(parts(text, 2, "--dna", "NAME=FILE") for text in arguments.dna)
    regions = dict(parts(text, 2, "--held-out", "NAME=REGIONS") for text in arguments.held_out)
    annotations = {
        name: (code, path)
        for name, code, path in (parts(text, 3, "--annotations", "NAME=CODE=FILE") for text in arguments.annotations)
    }
    for flag, names in (("--held-out", regions), ("--annotations", annotations)):
        if unknown := [name for name in names if name not in files]:
            raise InputError(f"{flag}: {unknown[0]!r} is not a name of --dna ({', '.join(files)})")
    sequences, held_out, classes = {}, [], {}
    for name, path in files.items():
        found = read_dna(path)
        lengths = {seqid: len(codes) for seqid, codes in found.items()}
        sequences |= {f"{name}/{seqid}": codes for seqid, codes in found.items()}
        held_out += [
            Region(f"{name}/{seqid}", start, end)
            for seqid, start, end in parse_regions(regions.get(name, ""), lengths, key="--held-out")
        ]
        if name in annotations:
            code, annotation = annotations[name]
            with Genome(path) as genome:
                genes = read_annotation(annotation, genome, GeneticCode.from_table(int(code)))
            classes |= {f"{name}/{seqid}": part for seqid, part in base_classes(genes, lengths).items()}
    corpus = Corpus.split(sequences, held_out, arguments.ratio, arguments.block_bp, arguments.seed, classes)
    corpus.save(arguments.output)
    if arguments.held_out_fasta:
        write_fasta(arguments.held_out_fasta, corpus_records(corpus))
    sizes = ", ".join(f"{corpus.size(split):,} {split}" for split in ("train", "val", "test"))
    print(f"{arguments.output}: {len(sequences)} sequences, {sizes} bases")


def corpus_records(corpus: Corpus) -> list[tuple[str, str]]:
    """Name and bases of each span of the test split; a part of a sequence is named like ``chrI:1-50000``."""
    records = []
    for start, end in corpus.spans["test"].tolist():
        index = int(corpus.offsets.searchsorted(start, side="right")) - 1
        first, last = corpus.offsets[index], corpus.offsets[index + 1]
        part = "" if (start, end) == (first, last) else f":{start - first + 1}-{end - first}"
        records.append((f"{corpus.names[index]}{part}", base_letters(corpus.bases[start:end])))
    return records


def parts(text: str, number: int, flag: str, form: str) -> list[str]:
    """``text`` cut at ``=`` into ``number`` parts."""
    found = text.split("=", number - 1)
    if len(found) != number or not all(found):
        raise InputError(f"{flag}: {text!r} is not {form}")
    return found


if __name__ == "__main__":
    run_command(main)
