"""Genes of sampled chains: in strand coordinates, and as a window shows them on both strands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genet5.crf.chain_sums import NO_LENGTHS
from genet5.crf.sampling import AT, CUT3, CUT5, KIND, STATE, Chain, Strand, sample_chains
from genet5.genome.genes import Interval
from genet5.genome.sites import DONOR_SITE, SHARED_STOP_BP, START_SITE, STOP_SITE
from genet5.genome.window_genes import WindowGene, gene_order_key, mirrored


class StrandGene(NamedTuple):
    """A gene in strand coordinates. segments: 5' to 3'. phase: None if complete at its 5' end."""

    segments: tuple[tuple[int, int], ...]
    phase: int | None
    partial3: bool

    def of_window(self, sign: str, size: int) -> WindowGene:
        segments = self.segments if sign == "+" else mirrored(self.segments, size)
        cds = tuple(Interval(*segment) for segment in segments)
        return WindowGene(sign, cds, self.phase is not None, self.partial3, self.phase or 0)


def genes_of(chain: Chain, stops: np.ndarray) -> list[StrandGene]:
    """The genes of a chain, 5' to 3'; what shows no coding base is none. stops: bool [W + 1], ends of stop codons."""
    found: list[StrandGene] = []
    segments: list[tuple[int, int]] = []
    begin, phase, state = 0, None, 0
    for kind, at, of_edge in chain.events[:, [KIND, AT, STATE]].tolist():
        if kind in (CUT5, START_SITE):
            segments, begin, state = [], at, of_edge or 1
            phase = None if kind == START_SITE else (4 - state) % 3 if state < 4 else (7 - state) % 3
        elif kind == DONOR_SITE:
            segments.append((begin, at))
            state = 4 + (state - 1 + at - begin) % 3
        elif kind in (STOP_SITE, CUT3):
            coding = kind == STOP_SITE or of_edge < 4
            end = _first_stop(at, stops, begin) if kind == STOP_SITE else at
            segments += [(begin, end)] * coding
            # A stop codon that ends with the strand ends the gene.
            cut = kind == CUT3 and not (of_edge == 3 and stops[at])
            if segments:
                found.append(StrandGene(tuple(segments), phase, cut))
        else:
            begin, state = at, state - 3
    return found


def _first_stop(at: int, stops: np.ndarray, begin: int) -> int:
    """Of two stop codons in a row that the next start could share, a gene ends with the first."""
    first = at - SHARED_STOP_BP[1] + SHARED_STOP_BP[0]
    return first if first > begin and stops[first] else at


def sample_genes(
    potentials: np.ndarray,
    site_potentials: np.ndarray,
    allowed: np.ndarray,
    gene_penalty: float,
    number: int,
    seed: int,
    temperature: float = 1.0,
    introns: np.ndarray = NO_LENGTHS,
) -> list[list[WindowGene]]:
    """``number`` annotations of a window, both strands drawn independently; genes in the codec's order.

    potentials: [2, W, 4], site_potentials: [2, 4, W + 1], allowed: bool [2, 4, W + 1] and introns, as in
    ``gene_log_posteriors``.
    """
    size = potentials.shape[1]
    samples: list[list[WindowGene]] = [[] for _ in range(number)]
    for row, sign in enumerate("+-"):
        strand = Strand.of(potentials[row], site_potentials[row], allowed[row], gene_penalty, temperature, introns)
        chains = sample_chains(strand, strand.sums(), number, 2 * seed + row)
        for genes, chain in zip(samples, chains, strict=True):
            genes += [gene.of_window(sign, size) for gene in genes_of(chain, allowed[row, STOP_SITE])]
    return [sorted(genes, key=gene_order_key) for genes in samples]
