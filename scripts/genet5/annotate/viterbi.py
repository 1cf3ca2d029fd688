"""The evidence decoder: the best set of genes by dynamic programming over the base head alone.

It needs no language model: the baseline of one, and a decoder by itself. The best chain of genes of each strand is
exact (``gene_chain.py``). The strands are read independently, so a gene within an intron of the other strand is found.
Where genes of both strands claim more than a few coding bases, the better ones stay and the other strand is read again
around them.
"""

from __future__ import annotations

import numpy as np

from genet5.annotate.gene_chain import Evidence, Found, best_chain
from genet5.genome.genes import Interval
from genet5.tokens.codec import WindowGene, gene_order_key
from genet5.tokens.sites import WindowSites

MAX_OPPOSITE_OVERLAP_BP = 60
SETTLING_ROUNDS = 4  # readings of a strand around the genes of the other; afterwards conflicts are only dropped
TAKEN_LOG_ODDS = -1e3  # of coding, per base that a better gene of the other strand claims


def best_genes(
    class_log_odds: np.ndarray,
    site_log_odds: np.ndarray,
    sites: WindowSites,
    *,
    coding_scale: float,
    site_scale: float,
    gene_penalty: float,
    intron_scale: float = 0.3,
    max_opposite_overlap_bp: int = MAX_OPPOSITE_OVERLAP_BP,
) -> list[tuple[WindowGene, float]]:
    """The genes of a window with their scores, in the codec's order.

    class_log_odds: [2, W, 4], logits of coding at codon position 0, 1, 2 and of intron, minus the logit of neither.
    site_log_odds: [2, 4, W + 1], start, stop, donor, acceptor at each boundary. Both in strand coordinates.
    coding_scale, site_scale: factors on sums over coding bases and on sites. intron_scale: factor on intron bases,
    relative to coding_scale. gene_penalty: what a gene has to earn, in scaled log-odds.
    max_opposite_overlap_bp: coding bases that two genes of opposite strands may share.

    Raises ``ValueError`` for arrays of the wrong shape and values that are not finite.
    """
    size = sites.window_bp
    for name, array, shape in (
        ("class_log_odds", class_log_odds, (2, size, 4)),
        ("site_log_odds", site_log_odds, (2, 4, size + 1)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape} for a window of {size} bp")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
    factors = coding_scale * np.array([1.0, 1.0, 1.0, intron_scale])
    bases = class_log_odds.astype(np.float64) * factors
    boundaries = site_log_odds.astype(np.float64) * site_scale
    found: list[list[Found]] = [[], []]
    unread = [0, 1]
    for reading in range(SETTLING_ROUNDS):
        read = list(found)
        for row in unread:
            odds = bases[row]
            if reading:
                odds = _around(odds, found[row], found[1 - row], max_opposite_overlap_bp)
            read[row] = best_chain(sites.strand("+-"[row]), Evidence.of(odds, boundaries[row]), gene_penalty)
        found = _settle(read, size, max_opposite_overlap_bp)
        unread = [row for row in (0, 1) if len(found[row]) < len(read[row])]
        if not unread:
            break
    genes = [
        (_window_gene(gene, "+-"[row], size), gene.score)
        for row, strand_genes in enumerate(found)
        for gene in strand_genes
    ]
    return sorted(genes, key=lambda gene: gene_order_key(gene[0]))


def _forward(gene: Found, row: int, size: int) -> list[tuple[int, int]]:
    """CDS segments in forward coordinates, ascending."""
    if row == 0:
        return list(gene.segments)
    return [(size - end, size - begin) for begin, end in reversed(gene.segments)]


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


def _settle(found: list[list[Found]], size: int, max_overlap_bp: int) -> list[list[Found]]:
    """Genes left when those that conflict with better ones of the other strand are dropped.

    From the best one down, a gene stays if it outweighs all its remaining rivals together.
    """
    rivals: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for plus, minus in _conflicts(found, size, max_overlap_bp):
        rivals.setdefault((0, plus), []).append((1, minus))
        rivals.setdefault((1, minus), []).append((0, plus))
    dropped: set[tuple[int, int]] = set()
    for gene in sorted(rivals, key=lambda gene: (-found[gene[0]][gene[1]].score, gene)):
        left = [rival for rival in rivals[gene] if rival not in dropped]
        if gene in dropped or not left:
            continue
        weight = sum(found[row][index].score for row, index in left)
        dropped.update(left if weight <= found[gene[0]][gene[1]].score else [gene])
    return [
        [gene for index, gene in enumerate(genes) if (row, index) not in dropped] for row, genes in enumerate(found)
    ]


def _around(odds: np.ndarray, own: list[Found], others: list[Found], max_overlap_bp: int) -> np.ndarray:
    """Log-odds of a strand with the bases taken that genes of the other strand claim.

    The first and last ``max_overlap_bp`` coding bases of each of them stay free, and so do the strand's own genes.
    """
    size = len(odds)
    taken = np.zeros(size, dtype=bool)
    for gene in others:
        bases = np.concatenate([np.arange(size - end, size - begin) for begin, end in gene.segments[::-1]])
        taken[bases[max_overlap_bp : len(bases) - max_overlap_bp]] = True
    for gene in own:
        for begin, end in gene.segments:
            taken[begin:end] = False
    changed = odds.copy()
    changed[taken, :3] = TAKEN_LOG_ODDS
    return changed
