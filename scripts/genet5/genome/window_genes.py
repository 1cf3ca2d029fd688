"""Genes as a window shows them, in coordinates of the window, and their turn to the other strand.

Forward coordinates count bases from the window's first base. Strand coordinates count from the 5' end of a strand, so
that a gene of either strand is read left to right: forward coordinate = q on ``+`` and ``window_bp - q`` on ``-``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from genet5.genome.genes import Interval


def mirrored(segments: Iterable[tuple[int, int]], window_bp: int) -> tuple[Interval, ...]:
    """Ascending segments of one strand in the coordinates of the other one, ascending again. Its own inverse."""
    return tuple(Interval(window_bp - end, window_bp - start) for start, end in reversed(list(segments)))


@dataclass(frozen=True, slots=True)
class WindowGene:
    """The coding structure of one gene as far as a window shows it.

    ``cds``: window coordinates, 0-based half-open, ascending on the forward strand. ``partial5``/``partial3``: the
    window cuts it before its start / after its last visible base. ``phase``: bases to skip to the first codon of the
    5'-most visible segment (GFF3); 0 for a gene that is complete at its 5' end.
    """

    strand: str
    cds: tuple[Interval, ...]
    partial5: bool = False
    partial3: bool = False
    phase: int = 0

    @property
    def start(self) -> int:
        return self.cds[0].start

    @property
    def end(self) -> int:
        return self.cds[-1].end

    def on_strand(self, window_bp: int) -> tuple[Interval, ...]:
        """CDS segments 5' to 3' in strand coordinates."""
        return self.cds if self.strand == "+" else mirrored(self.cds, window_bp)

    def introns_on_strand(self, window_bp: int) -> list[Interval]:
        """Introns 5' to 3' in strand coordinates; one that the window cuts reaches its edge."""
        segments = self.on_strand(window_bp)
        introns = [Interval(left.end, right.start) for left, right in pairwise(segments)]
        if self.partial5 and segments[0].start > 0:
            introns.insert(0, Interval(0, segments[0].start))
        if self.partial3 and segments[-1].end < window_bp:
            introns.append(Interval(segments[-1].end, window_bp))
        return introns

    def turned(self, window_bp: int) -> WindowGene:
        """The same gene on the reverse complement of its window."""
        strand = "-" if self.strand == "+" else "+"
        return WindowGene(strand, mirrored(self.cds, window_bp), self.partial5, self.partial3, self.phase)


class ScoredGene(NamedTuple):
    """A gene of a window and its log-probability: of its tokens, or among all chains of genes."""

    gene: WindowGene
    log_probability: float


def transcript_order(gene: WindowGene) -> tuple[tuple[int, int], ...]:
    """(5' boundary, 3' boundary) of each CDS segment, 5' to 3', in forward-strand coordinates."""
    if gene.strand == "+":
        return tuple((start, end) for start, end in gene.cds)
    return tuple((end, start) for start, end in reversed(gene.cds))


def gene_order_key(gene: WindowGene) -> tuple:
    """Key of the order in which genes are written: 5' boundary, then + before -, then the rest of the structure.

    The first boundary written decides, so the order can be enforced as soon as it is known.
    """
    segments = transcript_order(gene)
    return segments[0][0], gene.strand != "+", gene.partial5, gene.phase, segments, gene.partial3


def reverse_complement_genes(genes: Sequence[WindowGene], window_bp: int) -> list[WindowGene]:
    """The same genes on the reverse complement of their window, in ``gene_order_key`` order. Its own inverse."""
    return sorted((gene.turned(window_bp) for gene in genes), key=gene_order_key)
