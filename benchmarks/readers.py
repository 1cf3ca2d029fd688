#!/usr/bin/env python
"""Readers of annotations and hints take time in proportion to their files, whatever these hold.

    python benchmarks/readers.py [--quick]

Each file is of a kind that could make a reader slow: rows nested in one another or in a circle, many parents in a row,
long lines, words without values, features of many parts, hints that all overlap. Its size is doubled several times.
The table has the CPU seconds of each size, and by how much the last two doublings multiplied them, in the mean of
both: 2 is linear, 4 quadratic. The peer of a file is the same file at half its size.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from genet5.clades import read_clades
from genet5.errors import InputError, run_command
from genet5.evidence.formats import read_hints
from genet5.evidence.hints import PROTEINS, RNASEQ
from genet5.evidence.matching import match
from genet5.genome.fasta import Genome
from genet5.genome.genbank import read_genbank
from genet5.genome.gff import read_gff3
from genet5.genome.gtf import read_gtf

TARGET = 2.3
CONTIG_BP = 1_000_000
LENGTHS = {"c": CONTIG_BP}
DOUBLINGS = 3


class Subject(NamedTuple):
    """text: the file of ``size`` things. read: the reader. size: of the first file; the others are 2, 4, 8 times it."""

    things: str
    size: int
    name: str
    text: Callable[[int], str]
    read: Callable[[Path], object]


def gff3(*rows: str) -> str:
    return "##gff-version 3\n" + "".join(f"c\tx\t{row}\n" for row in rows)


def nested(kind: str, number: int, last: int = -1) -> str:
    """Rows each within the one before; ``last`` is the parent of the first, none if below 0."""
    parents = [last, *range(number - 1)]
    rows = [
        f"{kind}\t1\t90\t.\t+\t.\tID=n{place}" + (f";Parent=n{parent}" if parent >= 0 else "")
        for place, parent in enumerate(parents)
    ]
    return gff3(*rows, f"CDS\t1\t90\t.\t+\t0\tID=c;Parent=n{number - 1}")


def parents_of_a_row(number: int) -> str:
    names = [f"m{place}" for place in range(number)]
    rows = [f"mRNA\t1\t90\t.\t+\t.\tID={name};Parent=g" for name in names]
    return gff3("gene\t1\t90\t.\t+\t.\tID=g", *rows, f"CDS\t1\t90\t.\t+\t0\tID=c;Parent={','.join(names)}")


def long_lines(letters: int) -> str:
    """A gene with attributes of so many letters; a line may have a million."""
    said = ";".join(f"k{place}=v" for place in range(letters // 9))
    return gff3(f"gene\t1\t90\t.\t+\t.\tID=g;{said}", f"CDS\t1\t90\t.\t+\t0\tID=c;Parent=g;{said}")


def gtf_word(letters: int) -> str:
    named = 'gene_id "g"; transcript_id "t"'
    return "".join(f"c\tx\tCDS\t{at}\t{at + 89}\t.\t+\t0\t{'x' * letters} {named}\n" for at in (1, 200))


def gtf_transcripts(number: int) -> str:
    """One gene of many transcripts."""
    return "".join(
        f'c\tx\tCDS\t{1 + 3 * place}\t{90 + 3 * place}\t.\t+\t0\tgene_id "g"; transcript_id "t{place}"; tag "basic"\n'
        for place in range(number)
    )


def genbank(features: str) -> str:
    head = f"LOCUS       c  {CONTIG_BP} bp    DNA     linear   UNK\nACCESSION   c\nVERSION     c\n"
    return f"{head}FEATURES             Location/Qualifiers\n{features}ORIGIN\n//\n"


def genbank_features(number: int) -> str:
    row = '     CDS             {}..{}\n                     /locus_tag="t{}"\n'
    return genbank("".join(row.format(1 + 9 * place, 90 + 9 * place, place) for place in range(number)))


def genbank_parts(number: int) -> str:
    """One CDS of many exons, over many lines."""
    parts = [f"{1 + 9 * place}..{6 + 9 * place}" for place in range(number)]
    lines = [",".join(parts[at : at + 4]) for at in range(0, number, 4)]
    joined = ",\n                     ".join(lines)
    return genbank(f'     CDS             join({joined})\n                     /locus_tag="t"\n')


def hint_rows(number: int) -> str:
    """Introns that all overlap."""
    row = "c\tb2h\tintron\t{}\t{}\t0\t+\t.\tmult={};pri=4;src=E\n"
    return "".join(row.format(1001 + place, CONTIG_BP // 2 + place, place % 7 + 1) for place in range(number))


def bed_blocks(number: int) -> str:
    sizes, starts = ",".join(["5"] * number), ",".join(str(9 * place) for place in range(number))
    return f"c\t0\t{9 * number}\tj\t3\t+\t0\t9\t0\t{number}\t{sizes}\t{starts}\n"


def star_rows(number: int) -> str:
    return "".join(f"c\t{1001 + place}\t{2000 + place}\t1\t1\t0\t3\t0\t20\n" for place in range(number))


def protein_parts(number: int) -> str:
    """One protein in many parts."""
    row = "c\tminiprot\tCDS\t{}\t{}\t9\t+\t0\tParent=p;Target=p 1 9\n"
    rows = (row.format(1 + 60 * place, 45 + 60 * place) for place in range(number))
    return "c\tminiprot\tmRNA\t1\t90\t9\t+\t.\tID=p;Target=p 1 9\n" + "".join(rows)


def subjects(genome: Genome) -> list[Subject]:
    rules = read_clades()["vertebrate"].gene_rules(1)

    def matched(source: str) -> Callable[[Path], object]:
        return lambda path: match([read_hints(path, source)], genome, rules)

    def rows(path: Path) -> object:
        return read_gff3(path, LENGTHS)

    return [
        Subject("rows", 4000, "GFF3: mRNA rows nested by Parent=", lambda size: nested("mRNA", size), rows),
        Subject("rows", 4000, "GFF3: pseudogene rows nested by Parent=", lambda size: nested("pseudogene", size), rows),
        Subject("rows", 4000, "GFF3: Parent= in a circle", lambda size: nested("mRNA", size, size - 1), rows),
        Subject("rows", 4000, "GFF3: parents of one CDS row", parents_of_a_row, rows),
        Subject("letters", 100_000, "GFF3: long lines", long_lines, rows),
        Subject("letters", 100_000, "GTF: a word without a value", gtf_word, lambda path: read_gtf(path, LENGTHS)),
        Subject("rows", 4000, "GTF: transcripts of one gene", gtf_transcripts, lambda path: read_gtf(path, LENGTHS)),
        Subject("features", 2000, "GenBank: features", genbank_features, lambda path: read_genbank(path, LENGTHS)),
        Subject("parts", 4000, "GenBank: parts of one CDS", genbank_parts, lambda path: read_genbank(path, LENGTHS)),
        Subject("rows", 5000, "hints: introns that all overlap", hint_rows, matched(RNASEQ)),
        Subject("rows", 5000, "STAR: overlapping junctions", star_rows, matched(RNASEQ)),
        Subject("blocks", 5000, "BED: blocks of one row", bed_blocks, matched(RNASEQ)),
        Subject("rows", 2000, "miniprot: parts of one protein", protein_parts, matched(PROTEINS)),
    ]


def cpu_seconds(subject: Subject, path: Path, repeats: int) -> float:
    """The least of the repeats: other processes only add to it.

    Python's collector of cycles rests meanwhile. It looks at all living objects again and again, which has to do with
    their number and not with a reader: 128,000 parents take 6.9 us each without it, 4,000 parents 5.9 us.
    """
    taken = []
    gc.disable()
    try:
        for _ in range(repeats):
            gc.collect()
            began = time.process_time()
            subject.read(path)
            taken.append(time.process_time() - began)
    except InputError as error:
        raise InputError(f"{subject.name}: {error}") from error
    finally:
        gc.enable()
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="files of half the size, and one repeat less")
    parser.add_argument("--repeats", type=int, default=5, help="readings of each file (default: %(default)s)")
    arguments = parser.parse_args()
    repeats = max(1, arguments.repeats - arguments.quick)
    sizes = [2**number for number in range(DOUBLINGS + 1)]
    heads = [
        *(f"{size} x" for size in sizes[:-2]),
        f"peer: {sizes[-2]} x",
        f"ours: {sizes[-1]} x",
        "ratio of a doubling",
        "target",
    ]
    print("CPU seconds:\n")
    print("| file | size of 1 x | " + " | ".join(heads) + " |")
    print("|---" * (len(heads) + 2) + "|")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder) / "c.fa"
        fasta.write_text(f">c\n{'GTACAG' * (CONTIG_BP // 6 + 1)}"[: CONTIG_BP + 3] + "\n")
        for subject in subjects(Genome(fasta)):
            path, first, taken = Path(folder) / "file", subject.size // (1 + arguments.quick), []
            for size in sizes:
                path.write_text(subject.text(first * size))
                taken.append(cpu_seconds(subject, path, repeats))
            ratio = (taken[-1] / taken[-3]) ** 0.5
            worst = max(worst, ratio)
            cells = [*(f"{one:.3f}" for one in taken), f"{ratio:.2f}", f"{TARGET}"]
            print(f"| {subject.name} | {first:,} {subject.things} | " + " | ".join(cells) + " |", flush=True)
    print(f"bar: worst_ratio_of_a_doubling {worst:.2f} times target {TARGET:g}")
    sys.exit(0 if worst <= TARGET else 1)


if __name__ == "__main__":
    run_command(main)
