"""What a completion earns: F1 of its exons and genes on coordinates and strand, from the scorer of windows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from genet5.evaluate.window_scores import Exon, Structure, judged_exons, window_f1


class Reward(NamedTuple):
    """The weighted sum and its terms."""

    reward: float
    exon_f1: float
    gene_f1: float
    nucleotide_f1: float
    boundary_f1: float


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the terms; their sum is the reward of a perfect completion."""

    exon: float = 0.6
    gene: float = 0.4
    nucleotide: float = 0.0
    boundary: float = 0.0
    boundary_bp: int = 30

    def of(
        self,
        reference: Sequence[Structure],
        written: Sequence[Structure],
        dont_care: Sequence[tuple[int, int, str]] = (),
    ) -> Reward:
        """Reward of the genes written for a window; terms as in ``window_f1`` and ``boundary_f1``."""
        scores = window_f1(reference, written, dont_care)
        boundary = boundary_f1(reference, written, self.boundary_bp, dont_care)
        total = (
            self.exon * scores.exon_f1
            + self.gene * scores.gene_f1
            + self.nucleotide * scores.nucleotide_f1
            + self.boundary * boundary
        )
        return Reward(total, scores.exon_f1, scores.gene_f1, scores.nucleotide_f1, boundary)


def boundary_f1(
    reference: Iterable[Structure],
    written: Iterable[Structure],
    reach_bp: int,
    dont_care: Sequence[tuple[int, int, str]] = (),
) -> float:
    """F1 of exon ends where a near miss counts in part: an end d bases off earns 1 - d / ``reach_bp``, or nothing.

    Each distinct end (strand, left or right, position) is compared with the nearest one of its kind on the other side.
    Ends of wrong exons that lie mostly on ``dont_care`` do not count. Both sides empty: 1; one side empty: 0.
    """
    right = _exons(reference)
    wanted, made = _ends(right), _ends(judged_exons(right, _exons(written), dont_care))
    size, other = sum(map(len, wanted.values())), sum(map(len, made.values()))
    if not size or not other:
        return float(size == other)
    recall = _credit(wanted, made, reach_bp) / size
    precision = _credit(made, wanted, reach_bp) / other
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def _exons(genes: Iterable[Structure]) -> set[Exon]:
    return {(gene.strand, start, end) for gene in genes for start, end in gene.cds}


def _ends(exons: Iterable[Exon]) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], set[int]] = {}
    for strand, *segment in exons:
        for side, position in enumerate(segment):
            found.setdefault((strand, side), set()).add(position)
    return {kind: sorted(positions) for kind, positions in found.items()}


def _credit(ends: dict[tuple[str, int], list[int]], others: dict[tuple[str, int], list[int]], reach_bp: int) -> float:
    total = 0.0
    for kind, positions in ends.items():
        there = others.get(kind, [])
        for position in positions:
            at = bisect_left(there, position)
            distances = [abs(position - there[near]) for near in (at - 1, at) if 0 <= near < len(there)]
            total += max(0.0, 1 - min(distances, default=reach_bp) / reach_bp)
    return total
