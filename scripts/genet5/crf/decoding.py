"""The best genes of both strands of a window, by dynamic programming over the CRF's potentials.

The best chain of genes of each strand is exact (``best_chain.py``). The strands are decoded independently, so a gene
within an intron of the other strand is found. Where genes of both strands claim more than a few coding bases, each
strand is decoded again around the other's, and the one that loses less by it yields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from genet5.crf.best_chain import Found, StrandPotentials, best_chain
from genet5.crf.chain_sums import NO_LENGTHS
from genet5.genome.genes import Interval
from genet5.genome.sites import WindowSites
from genet5.genome.window_genes import WindowGene, gene_order_key, mirrored

MAX_OPPOSITE_OVERLAP_BP = 60
YIELDING_ROUNDS = 4  # times that one strand yields to the other; conflicts left then lose the worse gene
TAKEN_POTENTIAL = -1e3  # of coding, per base that genes of the other strand claim


def best_genes(
    potentials: np.ndarray,
    site_potentials: np.ndarray,
    sites: WindowSites,
    gene_penalty: float,
    introns: np.ndarray = NO_LENGTHS,
    max_opposite_overlap_bp: int = MAX_OPPOSITE_OVERLAP_BP,
) -> list[tuple[WindowGene, float]]:
    """The genes of a window with their scores, in the codec's order.

    potentials: [2, W, 4], of coding at codon position 0, 1, 2 and of intron, against neither. site_potentials: [2, 4,
    W + 1], start, stop, donor, acceptor at each boundary. Both in strand coordinates. gene_penalty: what a gene has to
    earn. introns: [L], what an intron of each length below L adds. max_opposite_overlap_bp: coding bases that two genes
    of opposite strands may share.

    Raises ``ValueError`` for arrays of the wrong shape and values that are not finite.
    """
    size = sites.window_bp
    for name, array, shape in (
        ("potentials", potentials, (2, size, 4)),
        ("site_potentials", site_potentials, (2, 4, size + 1)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape} for a window of {size} bp")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
    bases, boundaries = potentials.astype(np.float64), site_potentials.astype(np.float64)

    def read(row: int, taken: np.ndarray) -> list[Found]:
        odds = bases[row]
        if taken.any():
            odds = odds.copy()
            odds[taken, :3] = TAKEN_POTENTIAL
        return best_chain(sites.strand("+-"[row]), StrandPotentials.of(odds, boundaries[row], introns), gene_penalty)

    return genes_of_both(settle_strands(read, size, max_opposite_overlap_bp), size)


def genes_of_both(found: Sequence[Sequence[Found]], size: int) -> list[tuple[WindowGene, float]]:
    """Genes of + and of - as a window shows them, with their scores, in the codec's order."""
    genes = [
        (_window_gene(gene, "+-"[row], size), gene.score)
        for row, strand_genes in enumerate(found)
        for gene in strand_genes
    ]
    return sorted(genes, key=lambda gene: gene_order_key(gene[0]))


def settle_strands(
    read: Callable[[int, np.ndarray], list[Found]], size: int, max_overlap_bp: int = MAX_OPPOSITE_OVERLAP_BP
) -> list[list[Found]]:
    """Genes of + and of -, without conflicts.

    read: the best genes of a strand (0: +) where no base of a mask, bool [size] in strand coordinates, is coding. Where
    genes conflict, both strands are read around the other's; the one that loses less by it yields.
    """
    taken = np.zeros((2, size), dtype=bool)
    found = [read(row, taken[row]) for row in (0, 1)]
    for _ in range(YIELDING_ROUNDS):
        groups = _groups(_conflicts(found, size, max_overlap_bp))
        if not groups:
            return found
        claims = [[_claim(found[1 - row], group[1 - row], size, max_overlap_bp) for group in groups] for row in (0, 1)]
        around = [read(row, np.logical_or.reduce([taken[row], *claims[row]])) for row in (0, 1)]
        yielding = np.zeros(len(groups), dtype=int)
        for index, group in enumerate(groups):
            spans = [_forward(found[row][gene], row, size) for row in (0, 1) for gene in group[row]]
            low, high = min(span[0][0] for span in spans), max(span[-1][1] for span in spans)
            loss = [
                _worth(found[row], row, size, low, high) - _worth(around[row], row, size, low, high) for row in (0, 1)
            ]
            yielding[index] = loss[1] < loss[0]
            taken[yielding[index]] |= claims[yielding[index]][index]
        for row in (0, 1):
            if (yielding == row).all():
                found[row] = around[row]
            elif (yielding == row).any():
                found[row] = read(row, taken[row])
    return _drop_worse(found, _conflicts(found, size, max_overlap_bp))


def _claim(genes: list[Found], chosen: list[int], size: int, max_overlap_bp: int) -> np.ndarray:
    """Bases the other strand must not read as coding: those of ``chosen``, but each gene's first and last few.

    Boolean [size], in coordinates of the other strand.
    """
    claimed = np.zeros(size, dtype=bool)
    for index in chosen:
        coding = np.concatenate([np.arange(begin, end) for begin, end in genes[index].segments])
        claimed[size - 1 - coding[max_overlap_bp : len(coding) - max_overlap_bp]] = True
    return claimed


def _worth(genes: list[Found], row: int, size: int, low: int, high: int) -> float:
    """Summed scores of the genes that reach into [low, high), forward coordinates."""
    spans = [(_forward(gene, row, size), gene.score) for gene in genes]
    return sum(score for segments, score in spans if segments[0][0] < high and segments[-1][1] > low)


def _forward(gene: Found, row: int, size: int) -> Sequence[tuple[int, int]]:
    """CDS segments in forward coordinates, ascending."""
    return gene.segments if row == 0 else mirrored(gene.segments, size)


def _window_gene(gene: Found, sign: str, size: int) -> WindowGene:
    cds = tuple(Interval(*segment) for segment in _forward(gene, int(sign == "-"), size))
    return WindowGene(sign, cds, gene.phase is not None, gene.partial3, gene.phase or 0)


def _conflicts(found: list[list[Found]], size: int, max_overlap_bp: int) -> list[tuple[int, int]]:
    """Pairs (gene of +, gene of -) that share more than ``max_overlap_bp`` coding bases."""
    plus, minus = (
        sorted((*segment, index) for index, gene in enumerate(genes) for segment in _forward(gene, row, size))
        for row, genes in enumerate(found)
    )
    shared: dict[tuple[int, int], int] = {}
    first = 0
    reach = np.maximum.accumulate([end for _, end, _ in minus]).tolist() if minus else []
    for begin, end, gene in plus:
        while first < len(minus) and reach[first] <= begin:  # ends before this and all later segments
            first += 1
        at = first
        while at < len(minus) and minus[at][0] < end:
            common = min(end, minus[at][1]) - max(begin, minus[at][0])
            if common > 0:
                pair = gene, minus[at][2]
                shared[pair] = shared.get(pair, 0) + common
            at += 1
    return sorted(pair for pair, common in shared.items() if common > max_overlap_bp)


def _groups(conflicts: list[tuple[int, int]]) -> list[tuple[list[int], list[int]]]:
    """Genes of + and genes of - that conflict with each other, directly or through others."""
    rivals: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for plus, minus in conflicts:
        rivals.setdefault((0, plus), []).append((1, minus))
        rivals.setdefault((1, minus), []).append((0, plus))
    groups: list[tuple[list[int], list[int]]] = []
    seen: set[tuple[int, int]] = set()
    for first in rivals:
        group: tuple[list[int], list[int]] = ([], [])
        reached = [first]
        while reached:
            gene = reached.pop()
            if gene not in seen:
                seen.add(gene)
                group[gene[0]].append(gene[1])
                reached += rivals[gene]
        if group[0]:
            groups.append(group)
    return groups


def _drop_worse(found: list[list[Found]], conflicts: list[tuple[int, int]]) -> list[list[Found]]:
    """Drops the gene of lower score of each pair, beginning with the best gene's rivals."""
    dropped: tuple[set[int], set[int]] = (set(), set())

    def scores(pair: tuple[int, int]) -> tuple[float, float]:
        return found[0][pair[0]].score, found[1][pair[1]].score

    for pair in sorted(conflicts, key=lambda pair: -max(scores(pair))):
        if pair[0] not in dropped[0] and pair[1] not in dropped[1]:
            worse = int(scores(pair)[1] <= scores(pair)[0])
            dropped[worse].add(pair[worse])
    return [[gene for index, gene in enumerate(found[row]) if index not in dropped[row]] for row in (0, 1)]
