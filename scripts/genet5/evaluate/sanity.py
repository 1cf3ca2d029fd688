"""Checks that a predicted gene set looks like a gene set: densities and shapes beside the reference's, with alarms.

Gene finders fail in known ways. They predict two or ten times too many genes, or far too few. They predict no
multi-exon genes, or no others. They break genes into micro-exons, or place introns where there are no splice sites.
Accuracy on some test genes does not show this. These counts do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Region
from genet5.genome.genetic_code import reverse_complement

DENSITY = "Genes per Mb"
DENSITY_FACTOR = 2.0
RATIO_FACTOR = 2.0
LENGTH_FACTOR = 2.0
NON_CANONICAL_FACTOR = 2.0
# Shares below this are sampling noise on a small test region: no alarm for 3 introns in 200.
NON_CANONICAL_FLOOR = 0.05
MICRO_EXON_BP = 5
MICRO_EXON_LIMIT = 0.05
# Ratios of a handful of genes say nothing.
FEWEST_GENES = 20
CANONICAL_SPLICE = frozenset({("GT", "AG"), ("GC", "AG"), ("AT", "AC")})


@dataclass(frozen=True, slots=True)
class GeneSetShape:
    """Counts and shapes of one set of genes over ``bases`` of sequence (canonical transcripts)."""

    bases: int
    genes: int
    single_exon: int
    multi_exon: int
    introns: int
    non_canonical_introns: int
    multi_exon_genes_non_canonical: int
    micro_exon_genes: int
    partial_genes: int
    median_cds_bp: float

    @property
    def genes_per_mb(self) -> float | None:
        return 1e6 * self.genes / self.bases if self.bases else None

    @property
    def mono_to_multi(self) -> float | None:
        return self.single_exon / self.multi_exon if self.multi_exon else None

    @property
    def non_canonical_share(self) -> float | None:
        """Share of the introns without GT-AG, GC-AG or AT-AC."""
        return self.non_canonical_introns / self.introns if self.introns else None

    @property
    def micro_exon_share(self) -> float | None:
        return self.micro_exon_genes / self.genes if self.genes else None

    @property
    def partial_share(self) -> float | None:
        return self.partial_genes / self.genes if self.genes else None


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: a measure of the prediction and of the reference, and the alarm (None when fine).

    ``kind`` is ``number``, ``ratio`` or ``share``. ``expected`` may be a range: the clade's usual one.
    """

    name: str
    predicted: float | None
    expected: float | tuple[float, float] | None
    kind: str
    alarm: str | None


def inside(genes: Sequence[Gene], regions: Sequence[Region] | None) -> list[Gene]:
    """The genes that lie whole inside one of the regions; all of them when there are no regions."""
    if not regions:
        return list(genes)
    grouped: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for seqid, start, end in regions:
        grouped[seqid].append((start, end))
    return [
        gene
        for gene in genes
        if any(start <= gene.start and gene.end <= end for start, end in grouped.get(gene.seqid, ()))
    ]


def scored_bases(lengths: Mapping[str, int], regions: Sequence[Region] | None) -> int:
    """Bases of the regions, or of the whole genome."""
    return sum(end - start for _, start, end in regions) if regions else sum(lengths.values())


def gene_set_shape(genes: Sequence[Gene], genome: Genome | None, bases: int) -> GeneSetShape:
    """Shape of a gene set. Without a genome, splice sites are not looked at (0 introns counted as non-canonical)."""
    odd = _non_canonical(genes, genome) if genome is not None else np.zeros(len(genes), dtype=int)
    transcripts = [gene.canonical for gene in genes]
    return GeneSetShape(
        bases=bases,
        genes=len(genes),
        single_exon=sum(len(transcript.cds) == 1 for transcript in transcripts),
        multi_exon=sum(len(transcript.cds) > 1 for transcript in transcripts),
        introns=sum(len(transcript.cds) - 1 for transcript in transcripts),
        non_canonical_introns=int(odd.sum()),
        multi_exon_genes_non_canonical=int((odd > 0).sum()),
        micro_exon_genes=sum(
            min(end - start for start, end in transcript.cds) <= MICRO_EXON_BP for transcript in transcripts
        ),
        partial_genes=sum(not (transcript.complete5 and transcript.complete3) for transcript in transcripts),
        median_cds_bp=float(np.median([transcript.length for transcript in transcripts])) if transcripts else 0.0,
    )


def _non_canonical(genes: Sequence[Gene], genome: Genome) -> np.ndarray:
    """Number of introns of each gene whose ends are none of the allowed pairs."""
    counts = np.zeros(len(genes), dtype=int)
    for index, gene in enumerate(genes):
        for start, end in gene.canonical.introns:
            left, right = genome.sequence(gene.seqid, start, start + 2), genome.sequence(gene.seqid, end - 2, end)
            if gene.strand == "-":
                left, right = reverse_complement(right), reverse_complement(left)
            counts[index] += (left, right) not in CANONICAL_SPLICE
    return counts


def compare(
    predicted: GeneSetShape,
    reference: GeneSetShape | None,
    clade: str | None = None,
    usual_genes_per_mb: tuple[float, float] | None = None,
) -> list[Check]:
    """Every measure with its alarm.

    Without a reference, the gene density is compared with ``usual_genes_per_mb``: the lowest and the highest that are
    usual in ``clade``. None means that they are not known.
    """
    if reference is not None:
        density = _density(predicted, reference)
    else:
        density = _density_in_clade(predicted, clade, usual_genes_per_mb)
    checks = [density]
    if reference is not None:
        checks += [_mono_to_multi(predicted, reference), _length(predicted, reference)]
    checks += [_splice(predicted, reference), _micro(predicted, reference), _partial(predicted, reference)]
    return checks


def _off(value: float | None, expected: float | None, factor: float) -> str | None:
    """How far off, in words, when two positive numbers differ by more than ``factor``."""
    if value is None or expected is None or expected <= 0:
        return None
    if value <= 0:
        return "none at all"
    ratio = value / expected
    if ratio > factor:
        return f"{ratio:.1f} times the reference"
    if ratio < 1 / factor:
        return f"{1 / ratio:.1f} times too low"
    return None


def _density(predicted: GeneSetShape, reference: GeneSetShape) -> Check:
    value, expected = predicted.genes_per_mb, reference.genes_per_mb
    alarm = _off(value, expected, DENSITY_FACTOR) if reference.genes >= FEWEST_GENES else None
    return Check(DENSITY, value, expected, "number", alarm)


def _density_in_clade(predicted: GeneSetShape, clade: str | None, usual: tuple[float, float] | None) -> Check:
    value = predicted.genes_per_mb
    unusual = usual is not None and value is not None and not usual[0] <= value <= usual[1]
    alarm = f"unusual for genomes of clade {clade}" if unusual else None
    return Check(DENSITY, value, usual, "number", alarm)


def _mono_to_multi(predicted: GeneSetShape, reference: GeneSetShape) -> Check:
    name = "Single-exon : multi-exon genes"
    if reference.multi_exon == 0 or reference.single_exon == 0:
        # Bacteria: the ratio is infinite by nature, so only the appearance of spliced genes is news.
        share = predicted.multi_exon / predicted.genes if predicted.genes else 0.0
        news = reference.multi_exon == 0 and share > NON_CANONICAL_FLOOR and predicted.genes >= FEWEST_GENES
        alarm = f"{predicted.multi_exon} spliced genes where the reference has none" if news else None
        return Check(name, predicted.mono_to_multi, reference.mono_to_multi, "ratio", alarm)
    if min(reference.multi_exon, reference.single_exon) < FEWEST_GENES:
        return Check(name, predicted.mono_to_multi, reference.mono_to_multi, "ratio", None)
    if predicted.multi_exon == 0 and predicted.genes:
        alarm = "no multi-exon gene at all"
    else:
        alarm = _off(predicted.mono_to_multi, reference.mono_to_multi, RATIO_FACTOR)
    return Check(name, predicted.mono_to_multi, reference.mono_to_multi, "ratio", alarm)


def _length(predicted: GeneSetShape, reference: GeneSetShape) -> Check:
    enough = reference.genes >= FEWEST_GENES and predicted.genes > 0
    alarm = _off(predicted.median_cds_bp, reference.median_cds_bp, LENGTH_FACTOR) if enough else None
    shown = predicted.median_cds_bp if predicted.genes else None
    return Check("Median coding length (bp)", shown, reference.median_cds_bp, "number", alarm)


def _splice(predicted: GeneSetShape, reference: GeneSetShape | None) -> Check:
    share = predicted.non_canonical_share
    expected = reference.non_canonical_share if reference is not None else None
    limit = max(NON_CANONICAL_FLOOR, NON_CANONICAL_FACTOR * (expected or 0.0))
    high = share is not None and share > limit and predicted.introns >= FEWEST_GENES
    alarm = f"more than {100 * limit:.0f} % of introns" if high else None
    return Check("Introns without canonical splice sites", share, expected, "share", alarm)


def _micro(predicted: GeneSetShape, reference: GeneSetShape | None) -> Check:
    share = predicted.micro_exon_share
    expected = reference.micro_exon_share if reference is not None else None
    limit = max(MICRO_EXON_LIMIT, 2 * (expected or 0.0))
    high = share is not None and share > limit and predicted.genes >= FEWEST_GENES
    return Check(
        f"Genes with an exon of {MICRO_EXON_BP} bp or less", share, expected, "share", "too many" if high else None
    )


def _partial(predicted: GeneSetShape, reference: GeneSetShape | None) -> Check:
    expected = reference.partial_share if reference is not None else None
    return Check("Partial genes", predicted.partial_share, expected, "share", None)
