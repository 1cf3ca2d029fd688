"""A small genome with sound genes on both strands, written as FASTA and GFF3, for the tests of baking."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from genet5.genome.genetic_code import reverse_complement

_CODONS = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in ("TAA", "TAG", "TGA")]


@dataclass
class ToyGenome:
    """``genes``: id -> (seqid, strand, ascending CDS segments), in 0-based half-open coordinates."""

    fasta: Path
    gff: Path
    sequences: dict[str, str]
    genes: dict[str, tuple[str, str, list[tuple[int, int]]]]


def write_toy_genome(folder: Path, lengths: dict[str, int], *, seed: int = 1, spacing_bp: int = 900) -> ToyGenome:
    """Contigs of ``lengths`` bp with a gene of one to three exons about every ``spacing_bp``."""
    rng = random.Random(seed)
    sequences, genes, rows = {}, {}, ["##gff-version 3"]
    for seqid, length in lengths.items():
        bases = bytearray(rng.choices(b"ACGT", k=length))
        position = rng.randrange(100, spacing_bp)
        while True:
            strand, pieces, segments = _random_gene(rng, position)
            if segments[-1][1] + 100 > length:
                break
            for (start, _), text in pieces:
                bases[start : start + len(text)] = text.encode()
            name = f"gene-{seqid}-{len(genes)}"
            genes[name] = (seqid, strand, segments)
            rows += _gff_rows(seqid, name, strand, segments)
            position = segments[-1][1] + rng.randrange(60, 2 * spacing_bp)
        sequences[seqid] = bases.decode()
    folder.mkdir(parents=True, exist_ok=True)
    fasta, gff = folder / "toy.fna", folder / "toy.gff"
    with fasta.open("w") as stream:
        for seqid, text in sequences.items():
            stream.write(f">{seqid}\n")
            stream.writelines(f"{text[i : i + 70]}\n" for i in range(0, len(text), 70))
    gff.write_text("\n".join(rows) + "\n")
    return ToyGenome(fasta, gff, sequences, genes)


def _random_gene(
    rng: random.Random, start: int
) -> tuple[str, list[tuple[tuple[int, int], str]], list[tuple[int, int]]]:
    strand = rng.choice("+-")
    coding = "ATG" + "".join(rng.choices(_CODONS, k=rng.randrange(20, 200))) + rng.choice(("TAA", "TAG", "TGA"))
    cuts = sorted(rng.sample(range(10, len(coding) - 10), rng.choice((0, 0, 1, 2))))
    parts = [coding[a:b] for a, b in zip([0, *cuts], [*cuts, len(coding)], strict=True)]
    blocks: list[tuple[bool, str]] = []
    for number, part in enumerate(parts):
        if number:
            blocks.append((False, "GT" + "".join(rng.choices("ACGT", k=rng.randrange(40, 120))) + "AG"))
        blocks.append((True, part))
    if strand == "-":
        blocks = [(is_exon, reverse_complement(text)) for is_exon, text in reversed(blocks)]
    pieces, segments = [], []
    for is_exon, text in blocks:
        bounds = (start, start + len(text))
        pieces.append((bounds, text))
        if is_exon:
            segments.append(bounds)
        start = bounds[1]
    return strand, pieces, segments


def _gff_rows(seqid: str, name: str, strand: str, segments: list[tuple[int, int]]) -> list[str]:
    start, end = segments[0][0] + 1, segments[-1][1]
    rows = [
        f"{seqid}\ttoy\tgene\t{start}\t{end}\t.\t{strand}\t.\tID={name};gene_biotype=protein_coding",
        f"{seqid}\ttoy\tmRNA\t{start}\t{end}\t.\t{strand}\t.\tID={name}.t1;Parent={name}",
    ]
    phase, phased = 0, []
    for left, right in segments if strand == "+" else reversed(segments):
        phased.append((left, right, phase))
        phase = (phase - (right - left)) % 3
    rows += [
        f"{seqid}\ttoy\tCDS\t{left + 1}\t{right}\t.\t{strand}\t{phase}\tID={name}.cds;Parent={name}.t1"
        for left, right, phase in sorted(phased)
    ]
    return rows
