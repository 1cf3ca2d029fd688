"""Chromosomes made of single-gene loci, for CRFs that would otherwise only know one gene in the middle of a window.

Each locus is turned at random and loses a random part of the DNA on both sides of its gene; loci then follow each other
in random order. The seams are artefacts, but strands alternate and distances between genes vary as in a genome.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from experiment import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genes import Gene, Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.writing import write_gff3

LOCI_OF_A_CHROMOSOME = 40
LEAST_FLANK_BP = 20


class Locus(NamedTuple):
    """One complete gene in its DNA; coordinates are the locus's own."""

    bases: str
    gene: Gene


def join_loci(fna: Path, annotation: Path, names: Iterable[str], copies: int, seed: int, gff3: Path) -> None:
    """Write chromosomes with each usable locus of ``names`` ``copies`` times: ``gff3``, and a FASTA file beside it.

    Usable is a locus with a single gene, complete and sound in all its transcripts, and no don't-care region.
    """
    loci = list(usable_loci(fna, annotation, set(names)))
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(loci)) for _ in range(copies)]).tolist()
    sequences, genes = {}, []
    for first in range(0, len(order), LOCI_OF_A_CHROMOSOME):
        name, bases, length = f"joined{first // LOCI_OF_A_CHROMOSOME}", [], 0
        for place, member in enumerate(order[first : first + LOCI_OF_A_CHROMOSOME]):
            locus = trimmed(turned(loci[member]) if rng.random() < 0.5 else loci[member], rng)
            genes.append(moved(locus.gene, length, name, f"{name}.{place}"))
            bases.append(locus.bases)
            length += len(locus.bases)
        sequences[name] = "".join(bases)
    lengths = write_fasta(gff3.with_suffix(".fna"), sequences.items())
    write_gff3(gff3, genes, lengths)


def usable_loci(fna: Path, annotation: Path, names: set[str]) -> Iterator[Locus]:
    with Genome(fna) as genome:
        known = read_annotation(annotation, genome, GeneticCode.from_table(1))
        genes = defaultdict(list)
        for gene in known.genes:
            genes[gene.seqid].append(gene)
        unclear = {region.seqid for region in known.dont_care}
        for seqid in genome.lengths:
            if seqid in names - unclear and len(genes[seqid]) == 1 and is_complete(genes[seqid][0]):
                yield Locus(genome.sequence(seqid), genes[seqid][0])


def is_complete(gene: Gene) -> bool:
    return not gene.flags and all(transcript.complete5 and transcript.complete3 for transcript in gene.transcripts)


def turned(locus: Locus) -> Locus:
    """The same locus read from the other strand."""
    length, gene = len(locus.bases), locus.gene
    strand = "+" if gene.strand == "-" else "-"

    def turn(transcript: Transcript) -> Transcript:
        cds = tuple(Interval(length - end, length - start) for start, end in reversed(transcript.cds))
        return replace(transcript, cds=cds, phases=phases_from_lengths(cds, strand))

    transcripts = tuple(turn(transcript) for transcript in gene.transcripts)
    return Locus(reverse_complement(locus.bases), replace(gene, strand=strand, transcripts=transcripts))


def trimmed(locus: Locus, rng: np.random.Generator) -> Locus:
    """The locus with a random part of each flank."""
    first = rng.integers(max(locus.gene.start - LEAST_FLANK_BP, 0) + 1)
    last = len(locus.bases) - rng.integers(max(len(locus.bases) - locus.gene.end - LEAST_FLANK_BP, 0) + 1)
    return Locus(locus.bases[first:last], moved(locus.gene, -int(first), locus.gene.seqid, locus.gene.id))


def moved(gene: Gene, shift: int, seqid: str, name: str) -> Gene:
    """The gene ``shift`` bases further on, on another sequence, under another name."""

    def move(number: int, transcript: Transcript) -> Transcript:
        cds = tuple(Interval(start + shift, end + shift) for start, end in transcript.cds)
        return replace(transcript, id=f"{name}.t{number}", cds=cds)

    transcripts = tuple(move(number, transcript) for number, transcript in enumerate(gene.transcripts, start=1))
    return replace(gene, id=name, seqid=seqid, transcripts=transcripts)
