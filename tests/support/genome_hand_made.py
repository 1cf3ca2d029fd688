"""Small hand-made genomes for the tests of the annotation readers: genes are put where a test wants them."""

from __future__ import annotations

import random
from pathlib import Path

from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genes import Annotation
from genet5.genome.genetic_code import GeneticCode, reverse_complement

STOPS = ("TAA", "TAG", "TGA")


def coding_sequence(num_bases: int, seed: int = 0, start: str = "ATG", stop: str = "TAA") -> str:
    """A CDS of ``num_bases`` (a multiple of 3) that starts, stops and reads through in the standard code."""
    draw = random.Random(seed)
    codons = [first + second + third for first in "ACGT" for second in "ACGT" for third in "ACGT"]
    codons = [codon for codon in codons if codon not in STOPS]
    inner = "".join(draw.choices(codons, k=(num_bases - len(start) - len(stop)) // 3))
    return start + inner + stop


class HandMadeGenome:
    """Contigs of C (no starts, no stops on either strand) into which genes are put, and files made of them."""

    def __init__(self, folder: Path, **lengths: int) -> None:
        self.folder = folder
        self.contigs = {name: ["C"] * length for name, length in (lengths or {"chr1": 3000}).items()}

    def put(
        self, segments: list[tuple[int, int]], strand: str = "+", cds: str | None = None, contig: str = "chr1"
    ) -> str:
        """Write a CDS into 0-based half-open ``segments`` (ascending); drawn when not given. Returns the CDS."""
        total = sum(end - start for start, end in segments)
        cds = coding_sequence(total, seed=segments[0][0]) if cds is None else cds
        assert len(cds) == total
        forward = cds if strand == "+" else reverse_complement(cds)
        at = 0
        for start, end in segments:
            self.contigs[contig][start:end] = forward[at : at + end - start]
            at += end - start
        return cds

    def genome(self) -> Genome:
        path = self.folder / "genome.fna"
        write_fasta(path, [(name, "".join(bases)) for name, bases in self.contigs.items()])
        return Genome(path)

    def read(self, text: str, table: int = 1, predicted: bool = False) -> Annotation:
        """The annotation that ``text`` (tabs may be written as ``|``) is read as."""
        path = self.folder / "annotation"
        path.write_text(text.replace("|", "\t"))
        with self.genome() as genome:
            return read_annotation(path, genome, GeneticCode.from_table(table), predicted=predicted)


def gff_rows(
    gene: str,
    segments: list[tuple[int, int]],
    strand: str = "+",
    contig: str = "chr1",
    transcript: str | None = None,
    more: str = "",
) -> str:
    """Gene, mRNA and CDS rows (phases ``0`` and wrong on purpose after the first) of a GFF3 file."""
    transcript = transcript or f"{gene}.t1"
    start, end = segments[0][0] + 1, segments[-1][1]
    rows = [
        f"{contig}|x|gene|{start}|{end}|.|{strand}|.|ID={gene}",
        f"{contig}|x|mRNA|{start}|{end}|.|{strand}|.|ID={transcript};Parent={gene}{more}",
    ]
    rows += [f"{contig}|x|CDS|{s + 1}|{e}|.|{strand}|0|ID=cds-{gene};Parent={transcript}" for s, e in segments]
    return "\n".join(rows) + "\n"
