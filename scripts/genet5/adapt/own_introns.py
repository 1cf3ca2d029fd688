"""Lengths of introns that a genome itself seems to have: those of the best genes of a sample, and its relatives'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from genet5.adapt.adaptation import Adaptation
from genet5.adapt.intron_lengths import IntronLengths, count_lengths
from genet5.adapt.sampling import SampledWindow
from genet5.crf.decoding import best_genes
from genet5.crf.window_decoder import WindowDecoder
from genet5.genome.window_genes import WindowGene

ROUNDS = 2


def genes_of(decoder: WindowDecoder, window: SampledWindow, adaptation: Adaptation) -> list[WindowGene]:
    """The best genes of a window that is read with an adaptation."""
    potentials = adaptation(window.sites, window.potentials)
    return [gene for gene, _ in best_genes(*potentials, window.sites, decoder.gene_penalty, adaptation.introns)]


def intron_bp(genes: Sequence[WindowGene]) -> list[int]:
    """Lengths of the whole introns of genes."""
    return [after.start - before.end for gene in genes for before, after in pairwise(gene.cds)]


def with_own_introns(
    decoder: WindowDecoder, windows: Sequence[SampledWindow], adaptation: Adaptation, prior: IntronLengths | None
) -> Adaptation:
    """An adaptation with the lengths of introns that it finds in windows; as it is where relatives have none."""
    for _ in range(ROUNDS if prior is not None else 0):
        read = decoder.each(lambda window, found=adaptation: genes_of(decoder, window, found), windows)
        counts, bases = count_lengths([length for genes in read for length in intron_bp(genes)])
        adaptation = replace(adaptation, lengths=IntronLengths.of(counts, bases, prior))
    return adaptation
