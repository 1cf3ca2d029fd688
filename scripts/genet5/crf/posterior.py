"""How probable each gene of a window is among all chains of genes of its strand, exactly.

The chains that contain this gene are: all that may come before it, times the gene, times all that may follow
(``chain_sums.py``). Sums made once for a strand are looked up at the gene's ends, and prefix sums along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from genet5.crf.best_chain import StrandPotentials
from genet5.crf.chain_sums import NO_LENGTHS, StrandSums, strand_sums
from genet5.crf.labels import CODING, NEITHER
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, SHARED_STOP_BP, START_SITE, STOP_SITE
from genet5.genome.window_genes import WindowGene


def gene_log_posteriors(
    potentials: np.ndarray,
    site_potentials: np.ndarray,
    allowed: np.ndarray,
    gene_penalty: float,
    genes: Sequence[WindowGene],
    introns: np.ndarray = NO_LENGTHS,
) -> list[float]:
    """Log-probability of each gene as it stands in the window (cut where the window cuts it), at most 0.

    potentials: [2, W, 4], site_potentials: [2, 4, W + 1], in strand coordinates as in ``best_genes``. allowed: bool [2,
    4, W + 1], sites that the bases allow. introns: [L], what an intron of each length below L adds.

    The CRF refuses a gene whose stop codon is split by an intron. Such a gene's chains are added to all others.
    """
    strands = {
        sign: _Strand.of(
            potentials[row].astype(np.float64), site_potentials[row].astype(np.float64), allowed[row], introns
        )
        for row, sign in enumerate("+-")
        if any(gene.strand == sign for gene in genes)
    }
    sums = {
        sign: strand_sums(strand.potentials, strand.scores.sites, strand.allowed, gene_penalty, introns)
        for sign, strand in strands.items()
    }
    found = []
    for gene in genes:
        strand, of_strand = strands[gene.strand], sums[gene.strand]
        mass = strand.mass(gene, of_strand, gene_penalty)
        total = np.logaddexp(of_strand.total, mass) if strand.refuses(gene) else of_strand.total
        found.append(min(float(mass - total), 0.0))
    return found


@dataclass(frozen=True)
class _Strand:
    """One strand of a window; ``scores`` holds its prefix sums and sites."""

    potentials: np.ndarray
    allowed: np.ndarray
    scores: StrandPotentials

    @classmethod
    def of(cls, potentials: np.ndarray, sites: np.ndarray, allowed: np.ndarray, introns: np.ndarray) -> _Strand:
        return cls(potentials, allowed, StrandPotentials.of(potentials, sites, introns))

    def _segments(self, gene: WindowGene) -> list[tuple[int, int, int]]:
        """(begin, end, frame) 5' to 3' in strand coordinates; codons begin at positions = frame (mod 3)."""
        found, missing = [], gene.phase
        for begin, end in gene.on_strand(len(self.potentials)):
            found.append((begin, end, (begin + missing) % 3))
            missing = (missing - (end - begin)) % 3
        return found

    def refuses(self, gene: WindowGene) -> bool:
        """Whether the CRF has no chain with this gene."""
        segments = self._segments(gene)
        size, stops = len(self.potentials), self.allowed[STOP_SITE]
        last = segments[-1][1]
        if not gene.partial3 and last < size and not stops[last]:
            return True
        for begin, end, frame in segments:
            first = begin + 1 + (frame - begin - 1) % 3  # boundaries of codons after the first base
            open_end = end if end == last and not gene.partial3 else end + 1
            if stops[first : min(open_end, size) : 3].any():
                return True
        return False

    def mass(self, gene: WindowGene, sums: StrandSums, penalty: float) -> float:
        """Log-sum of all chains that contain the gene, whether or not the CRF allows its stop codon."""
        coding, intron, sites = self.scores.coding, self.scores.intron, self.scores.sites
        segments = self._segments(gene)
        size = len(self.potentials)
        first, last, frame = segments[0][0], *segments[-1][1:]
        value = self._entry(first, sums) + sites[START_SITE, first] if not gene.partial5 else 0.0
        if gene.partial5 and first:  # the edge cuts an intron
            value += intron[first] + sites[ACCEPTOR_SITE, first]
        value -= penalty
        for (_, donor, _), (acceptor, _, _) in pairwise(segments):
            value += sites[DONOR_SITE, donor] + intron[acceptor] - intron[donor] + sites[ACCEPTOR_SITE, acceptor]
            if acceptor - donor < len(self.scores.introns):
                value += self.scores.introns[acceptor - donor]
        for begin, end, of_segment in segments:
            value += coding[of_segment, end] - coding[of_segment, begin]
        if gene.partial3:
            return value if last == size else value + sites[DONOR_SITE, last] + intron[size] - intron[last]
        stop = sites[STOP_SITE, last]
        # The CRF does not tell a gene that ends with the strand from one that goes on.
        ends = [stop + sums.after[last, NEITHER] if last < size else 0.0]
        # Another gene may begin right behind, or share the last bases of the stop codon: these then count once, as its.
        for shared in (0, *SHARED_STOP_BP):
            at = last - shared
            if at < size and self.allowed[START_SITE, at] and (not shared or at > segments[-1][0]):
                begun = sites[START_SITE, at] - penalty + self.potentials[at, 0] + sums.after[at, CODING]
                ends.append(stop + begun - (coding[frame, last] - coding[frame, at]))
        return value + float(np.logaddexp.reduce(ends))

    def _entry(self, first: int, sums: StrandSums) -> float:
        """Log-sum of all that may stand before a gene that starts at ``first``."""
        if first == 0:
            return 0.0
        stops, sites = self.allowed[STOP_SITE], self.scores.sites[STOP_SITE]
        before = sums.before[first - 1]
        ways = [before[NEITHER]]
        if stops[first]:
            ways.append(before[CODING + 2] + sites[first])
        for shared in SHARED_STOP_BP:
            if first + shared < len(stops) and stops[first + shared]:
                ways.append(before[CODING + 1] + sites[first + shared])
        return float(np.logaddexp.reduce(ways))
