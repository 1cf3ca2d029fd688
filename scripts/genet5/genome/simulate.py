"""Annotated genomes drawn from the gene models that AUGUSTUS publishes: training data for gene finders.

A contig is a row of genes on both strands with DNA between them. Each stretch of it has one class of GC content. Beside
a gene is DNA like untranslated DNA, with ATGs in it. The DNA between genes holds decoys, which are not annotated.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.genome.genes import Gene, Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.simulated_decoys import DecoySampler
from genet5.genome.simulated_genes import DnaClass, GeneSampler, Piece
from genet5.genome.simulation_options import SimulateOptions
from genet5.genome.simulation_origin import origin_notes
from genet5.genome.writing import wrapped, write_gff3
from genet5.sources.augustus_jitter import jittered
from genet5.sources.augustus_parameters import AugustusParameters
from genet5.species_table import LEAST_SIMULATED_BP

_LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
_LONGEST_GENE_BP = 100_000
_LONGEST_INTERGENIC_BP = 20_000


@dataclass(frozen=True)
class SimulatedGenome:
    """``contigs``: letters of each by name, in the order of the file. ``mean_intergenic_bp``: as drawn for it.

    ``augustus_name``: the species of the parameters.
    """

    augustus_name: str
    contigs: dict[str, bytes]
    genes: tuple[Gene, ...]
    mean_intergenic_bp: float

    @property
    def lengths(self) -> dict[str, int]:
        """Bases of each contig."""
        return {name: len(letters) for name, letters in self.contigs.items()}


def simulate_genome(
    parameters: AugustusParameters,
    bases: int,
    name: str,
    options: SimulateOptions | None = None,
    code: GeneticCode | None = None,
) -> SimulatedGenome:
    """A genome of exactly ``bases`` bases with its genes; equal arguments give equal genomes.

    ``name`` begins the names of contigs and genes, and gives the genome its own random numbers. ``code``: the genetic
    code, by default the one of the parameters. InputError for fewer than ``LEAST_SIMULATED_BP`` bases, for parameters
    that allow no gene, and where no gene found room.
    """
    if bases < LEAST_SIMULATED_BP:
        raise InputError(f"simulate {name}: {bases} bases, at least {LEAST_SIMULATED_BP} are needed")
    options = options or SimulateOptions()
    rng = np.random.default_rng(species_seed(name, options.seed))
    if options.jitter:
        parameters = jittered(parameters, options.jitter, rng)
    code = code or GeneticCode.from_table(parameters.genetic_code)
    sampler = _GenomeSampler(rng, parameters, options, code)
    contigs: dict[str, bytes] = {}
    genes: list[Gene] = []
    for length in sampler.contig_lengths(bases):
        seqid = f"{name}_{len(contigs) + 1}"
        contigs[seqid], found = sampler.contig(length)
        for piece in found:
            genes.append(_gene(f"{name}_g{len(genes) + 1}", seqid, piece))
    if not genes:
        raise InputError(f"simulate {name}: no gene of {parameters.name} found room in {bases} bases; ask for more")
    return SimulatedGenome(parameters.name, contigs, tuple(genes), sampler.mean_intergenic_bp)


def species_seed(name: str, seed: int) -> int:
    """The seed of one species: another one for each name, the same in every run."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big")


def mean_intergenic_bp(parameters: AugustusParameters) -> float:
    """A mean distance between genes that fits the species: the more intron DNA its genes have, the sparser they are."""
    return min(_LONGEST_INTERGENIC_BP, 400 + parameters.introns_per_gene * parameters.mean_intron_bp)


def write_simulated(genome: SimulatedGenome, fna: str | Path, gff: str | Path) -> int:
    """Write the contigs as FASTA and the genes as GFF3, both compressed; returns the number of genes.

    A comment of the GFF3 says whose parameters they were drawn from.
    """
    with (
        atomic_write(fna, "wb") as packed,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as stream,
    ):
        for name, letters in genome.contigs.items():
            stream.write(f">{name}\n{wrapped(letters.decode('ascii'))}".encode("ascii"))
    notes = origin_notes(genome.augustus_name)
    return write_gff3(gff, genome.genes, genome.lengths, source="simulated", notes=notes)


class _GenomeSampler:
    """Draws once for a genome how far its genes lie apart, the runs of its strands, its isochores and its decoys."""

    def __init__(
        self,
        rng: np.random.Generator,
        parameters: AugustusParameters,
        options: SimulateOptions,
        code: GeneticCode,
    ) -> None:
        self.options = options
        self.rng = rng
        self.genes = GeneSampler(parameters, code, options, _LONGEST_GENE_BP)
        mean = options.intergenic_bp or mean_intergenic_bp(parameters) * np.exp(self.rng.normal(0, 0.35))
        self.mean_intergenic_bp = float(mean)
        self._same_strand = self.rng.uniform(0.4, 0.75)
        classes = len(self.genes.classes)
        self._class_shares = self.rng.dirichlet(np.full(classes, 1.5))
        self._decoys = DecoySampler(self.rng, self.genes, options)

    def contig_lengths(self, bases: int) -> Iterator[int]:
        """Lengths that add up to ``bases``; a rest too short for a contig is part of the last one."""
        while bases > 0:
            length = int(self.options.contig_bp * self.rng.uniform(0.5, 1.5))
            if bases - length < LEAST_SIMULATED_BP:
                length = bases
            yield length
            bases -= length

    def contig(self, length: int) -> tuple[bytes, list[Piece]]:
        """The letters of a contig, and its genes in their order, each with its place in it."""
        rng = self.rng
        parts: list[np.ndarray] = []
        found: list[Piece] = []
        at = isochore_end = 0
        minus = rng.random() < 0.5
        dna = self.genes.classes[0]
        while True:
            if at >= isochore_end:
                dna = self.genes.classes[int(rng.choice(len(self._class_shares), p=self._class_shares))]
                isochore_end = at + int(rng.gamma(2, self.options.isochore_bp / 2))
            between = self._decoys.between_genes(rng, dna, 30 + int(rng.gamma(1.2, self.mean_intergenic_bp / 1.2)))
            piece = self.genes.gene(rng, dna)
            if at + len(between) + len(piece.bases) > length:
                parts.append(self._rest(dna, between, length - at))
                break
            parts += [between, piece.bases]
            minus ^= rng.random() > self._same_strand
            if minus:
                piece = piece.turned()
                parts[-1] = piece.bases
            begin = at + len(between)
            cds = tuple(Interval(begin + start, begin + end) for start, end in piece.cds)
            found.append(Piece(piece.bases, cds, piece.strand))
            at = begin + len(piece.bases)
        return _LETTERS[np.concatenate(parts)].tobytes(), found

    def _rest(self, dna: DnaClass, between: np.ndarray, length: int) -> np.ndarray:
        """``length`` bases at the end of a contig, where no gene fits: DNA as it is between genes."""
        parts = [between]
        while sum(map(len, parts)) < length:
            parts.append(self._decoys.between_genes(self.rng, dna, 5000))
        return np.concatenate(parts)[:length]


def _gene(name: str, seqid: str, piece: Piece) -> Gene:
    transcript = Transcript(f"{name}.t1", piece.cds, phases_from_lengths(piece.cds, piece.strand))
    return Gene(name, seqid, piece.strand, (transcript,))
