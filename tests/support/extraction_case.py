"""A genome of two short contigs with one gene, and extraction from annotations written by hand.

The contig ``c`` of 30 bases holds one gene. Forward, from base 1::

    GG TT ATGGC GTAAGTTTTTCAG TTAA CC GG
       3- 5---9 10---------22 23-- 27

Exons 3-9 and 23-28, CDS 5-9 and 23-26: ATGGCTTAA, the protein MA. ``r`` is its other strand: base x is there 31 - x.
"""

from __future__ import annotations

from pathlib import Path

from Bio import SeqIO

from genet5.genome.extraction import ENDINGS, Extracted, extract_sequences
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genetic_code import reverse_complement

FORWARD = "GGTTATGGCGTAAGTTTTTCAGTTAACCGG"
INTRON = "GTAAGTTTTTCAG"
CONTIGS = {"c": FORWARD, "r": reverse_complement(FORWARD)}


class Case:
    """A folder with a genome. ``run`` extracts from rows (``|`` for tabs); ``records`` has name -> letters by kind."""

    def __init__(self, folder: Path, contigs: dict[str, str] = CONTIGS) -> None:
        self.folder = folder
        write_fasta(folder / "my.fa", contigs.items())
        self.headers: dict[str, list[str]] = {}
        self.records: dict[str, dict[str, str]] = {}

    def run(self, rows: str, **options: object) -> Extracted:
        annotation = self.folder / "my.gff3"
        annotation.write_text("\n".join(row.strip().replace("|", "\t") for row in rows.strip().splitlines()) + "\n")
        with Genome(self.folder / "my.fa") as genome:
            done = extract_sequences(annotation, genome, self.folder / "out/my", **options)
        for kind, ending in ENDINGS.items():
            path = self.folder / f"out/my{ending}"
            if path.exists():
                found = list(SeqIO.parse(path, "fasta"))
                self.headers[kind] = [record.description for record in found]
                self.records[kind] = {record.id: str(record.seq) for record in found}
                assert len(self.records[kind]) == len(found) == done.counts[kind]
        return done


GENE = """
c|x|gene|3|28|.|+|.|ID=g
c|x|mRNA|3|28|.|+|.|ID=t;Parent=g
c|x|exon|3|9|.|+|.|Parent=t
c|x|exon|23|28|.|+|.|Parent=t
c|x|CDS|5|9|.|+|0|ID=p;Parent=t
c|x|CDS|23|26|.|+|1|ID=p;Parent=t
"""
