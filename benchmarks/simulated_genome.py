"""A simulated genome with genes, as large as the human one or a part of it: for benchmarks of reading, scoring, baking.

Chromosomes have the lengths of GRCh38, a telomere and a centromere of N, and half of their bases in lower case. Genes
have the sizes of human ones: about ten coding exons of some 120 bases, introns of some 1,500 bases with a long tail,
three coding transcripts that leave exons out. Coding sequences start with ATG, end in a stop, and read through.
The annotation is laid out as Ensembl's GFF3: exons, UTRs and RNA genes too. The same seed gives the same bytes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from genet5.genome.fasta import LINE_BP

# GRCh38, chromosomes 1 .. 22, X and Y.
CHROMOSOME_BP = (
    248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
    135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167, 46709983,
    50818468, 156040895, 57227415,
)  # fmt: skip
NUM_GENES = 20_000
TRANSCRIPTS_PER_GENE = 3
NUM_RNA_GENES = 17_000
_COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")
_SENSE_CODONS = [
    codon for codon in (a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT") if codon not in ("TAA", "TAG", "TGA")
]
_SHORTEST_CHROMOSOME_BP = 1_000_000


@dataclass(frozen=True)
class SimulatedGenome:
    """Files of a simulated species, and what they hold."""

    fasta: Path
    gff3: Path
    bases: int
    rows: int
    genes: int
    transcripts: int


def simulate(folder: Path, share: float = 1.0, seed: int = 0) -> SimulatedGenome:
    """Write genome.fna and genome.gff3 into ``folder``: that ``share`` of the human genome, and of its genes."""
    rng = random.Random(seed)
    bases_rng = np.random.default_rng(seed)
    lengths = [max(_SHORTEST_CHROMOSOME_BP, int(length * share)) for length in CHROMOSOME_BP]
    total = sum(lengths)
    gene_share = min(1.0, total / sum(CHROMOSOME_BP))
    rows = genes = transcripts = 0
    fasta, gff3 = folder / "genome.fna", folder / "genome.gff3"
    with fasta.open("wb") as sequences, gff3.open("w", encoding="ascii") as table:
        table.write("##gff-version 3\n")
        for number, length in enumerate(lengths, start=1):
            name = str(number)
            bases = _dna(length, bases_rng)
            writer = _Rows(table, name, genes, transcripts)
            _add_genes(writer, bases, round(NUM_GENES * gene_share * length / total), rng)
            _add_rna_genes(writer, length, round(NUM_RNA_GENES * gene_share * length / total), rng)
            rows, genes, transcripts = rows + writer.rows, writer.genes, writer.transcripts
            _write_sequence(sequences, name, bases)
    return SimulatedGenome(fasta, gff3, total, rows, genes, transcripts)


def _dna(length: int, rng: np.random.Generator) -> np.ndarray:
    """Random bases, uint8 of shape (length,): runs of lower case, N at one end and in the middle."""
    bases = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, length, dtype=np.uint8)]
    run = 600
    lower = np.repeat(rng.integers(0, 2, -(-length // run), dtype=np.uint8) * 32, run)[:length]
    bases |= lower
    bases[: min(10_000, length // 100)] = ord("N")
    bases[length // 2 : length // 2 + length // 50] = ord("N")
    return bases


def _add_genes(writer: _Rows, bases: np.ndarray, number: int, rng: random.Random) -> None:
    room = len(bases) // max(1, number)
    banned = len(bases) // 2 - room, len(bases) // 2 + len(bases) // 50 + room
    for index in range(number):
        lower, upper = index * room + len(bases) // 90, (index + 1) * room
        if banned[0] < lower < banned[1]:
            lower, upper = banned[1], banned[1]
            continue
        exons = _exon_lengths(rng)
        introns = [int(min(200_000, rng.lognormvariate(7.4, 1.4))) + 60 for _ in exons[1:]]
        span = sum(exons) + sum(introns)
        if span > upper - lower - 400:
            most = max(80, (upper - lower - 400 - sum(exons)) // max(1, len(introns)))
            introns = [min(intron, most) for intron in introns]
            span = sum(exons) + sum(introns)
        start = lower + 200 + rng.randrange(max(1, upper - lower - 400 - span))
        if start + span + 200 > len(bases):
            continue
        spans = []
        for exon, intron in zip(exons, [*introns, 0], strict=True):
            spans.append((start, start + exon))
            start += exon + intron
        strand = rng.choice("+-")
        _write_coding(bases, spans, strand, rng)
        writer.coding_gene(spans, strand, rng)


def _exon_lengths(rng: random.Random) -> list[int]:
    """Coding bases per exon in order of position: whole codons in all, and in each inner exon."""
    number = 1 if rng.random() < 0.07 else min(100, 2 + int(rng.expovariate(1 / 9)))
    lengths = [3 * max(10, int(rng.lognormvariate(3.7, 0.5))) for _ in range(number)]
    if number > 1:
        shift = rng.randrange(3)
        lengths[0] += shift
        lengths[-1] += -shift % 3
    return lengths


def _write_coding(bases: np.ndarray, spans: list[tuple[int, int]], strand: str, rng: random.Random) -> None:
    total = sum(end - start for start, end in spans)
    text = ("ATG" + "".join(rng.choices(_SENSE_CODONS, k=total // 3 - 2)) + rng.choice(("TAA", "TAG", "TGA"))).encode()
    if strand == "-":
        text = text.translate(_COMPLEMENT)[::-1]
    at = 0
    for start, end in spans:
        bases[start:end] = np.frombuffer(text, np.uint8, end - start, at)
        at += end - start


def _add_rna_genes(writer: _Rows, length: int, number: int, rng: random.Random) -> None:
    for _ in range(number):
        start = rng.randrange(length - 5_000)
        writer.rna_gene([(start, start + 300), (start + 2_000, start + 2_400)], rng.choice("+-"))


class _Rows:
    """Writes genes of one chromosome in Ensembl's style."""

    def __init__(self, stream: TextIO, seqid: str, genes: int, transcripts: int) -> None:
        self._stream, self._seqid = stream, seqid
        self.rows, self.genes, self.transcripts = 0, genes, transcripts

    def coding_gene(self, cds: list[tuple[int, int]], strand: str, rng: random.Random) -> None:
        self.genes += 1
        gene = f"ENSG{self.genes:011d}"
        utr = rng.randrange(30, 190)
        outer = cds[0][0] - utr, cds[-1][1] + utr
        described = f"biotype=protein_coding;description=simulated gene;gene_id={gene};logic_name=simulated;version=1"
        self._row("gene", *outer, strand, ".", f"ID=gene:{gene};Name=SIM{self.genes};{described}")
        for number in range(TRANSCRIPTS_PER_GENE):
            kept = [
                span for place, span in enumerate(cds)
                if not number or place in (0, len(cds) - 1) or rng.random() < 0.85
            ]  # fmt: skip
            self._transcript(gene, kept, outer, strand, canonical=not number)

    def _transcript(
        self, gene: str, cds: list[tuple[int, int]], outer: tuple[int, int], strand: str, *, canonical: bool
    ) -> None:
        self.transcripts += 1
        name, parent = f"ENST{self.transcripts:011d}", f"Parent=transcript:ENST{self.transcripts:011d}"
        tags = "tag=basic,Ensembl_canonical,MANE_Select;" if canonical else "tag=basic;"
        text = f"ID=transcript:{name};Parent=gene:{gene};Name=SIM{self.genes}-{self.transcripts};"
        text += f"biotype=protein_coding;{tags}transcript_id={name};transcript_support_level=1;version=1"
        self._row("mRNA", *outer, strand, ".", text)
        left, right = ("five", "three") if strand == "+" else ("three", "five")
        self._row(f"{left}_prime_UTR", outer[0], cds[0][0], strand, ".", parent)
        self._row(f"{right}_prime_UTR", cds[-1][1], outer[1], strand, ".", parent)
        order = range(len(cds)) if strand == "+" else range(len(cds) - 1, -1, -1)
        phase = 0
        protein = f"ENSP{self.transcripts:011d}"
        for rank, place in enumerate(order, start=1):
            start, end = cds[place]
            exon = outer[0] if place == 0 else start, outer[1] if place == len(cds) - 1 else end
            exon_id = f"ENSE{self.transcripts:07d}{rank:04d}"
            text = f"{parent};Name={exon_id};constitutive=0;ensembl_end_phase=0;ensembl_phase=0;exon_id={exon_id};"
            self._row("exon", *exon, strand, ".", f"{text}rank={rank};version=1")
            self._row("CDS", start, end, strand, str(phase), f"ID=CDS:{protein};{parent};protein_id={protein}")
            phase = (phase - (end - start)) % 3

    def rna_gene(self, exons: list[tuple[int, int]], strand: str) -> None:
        name = f"ENSG9{self._seqid}{self.rows:08d}"
        outer = exons[0][0], exons[-1][1]
        self._row("ncRNA_gene", *outer, strand, ".", f"ID=gene:{name};biotype=lncRNA;gene_id={name};version=1")
        self._row("lnc_RNA", *outer, strand, ".", f"ID=transcript:{name};Parent=gene:{name};biotype=lncRNA;version=1")
        for start, end in exons:
            self._row("exon", start, end, strand, ".", f"Parent=transcript:{name};version=1")

    def _row(self, kind: str, start: int, end: int, strand: str, phase: str, attributes: str) -> None:
        self.rows += 1
        self._stream.write(f"{self._seqid}\tsim\t{kind}\t{start + 1}\t{end}\t.\t{strand}\t{phase}\t{attributes}\n")


def _write_sequence(stream, name: str, bases: np.ndarray) -> None:
    stream.write(f">{name}\n".encode())
    whole = len(bases) // LINE_BP
    step = 1 << 20
    for first in range(0, whole, step):
        count = min(step, whole - first)
        lines = np.full((count, LINE_BP + 1), ord("\n"), np.uint8)
        lines[:, :LINE_BP] = bases[first * LINE_BP : (first + count) * LINE_BP].reshape(count, LINE_BP)
        stream.write(lines.tobytes())
    if rest := bases[whole * LINE_BP :].tobytes():
        stream.write(rest + b"\n")
