"""Verdicts: a predicted gene is exact, partial or wrong; a reference gene may be missed. They colour the loci."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from genet5.genome.genes import Annotation, Gene

EXACT, PARTIAL, WRONG, MISSED, UNJUDGED = "exact", "partial", "wrong", "missed", "unjudged"


class CodingBases:
    """The union of coding segments by (sequence, strand), for overlap questions in logarithmic time."""

    def __init__(self, segments: Iterable[tuple[str, str, int, int]]):
        """``segments`` are (seqid, strand, start, end); strand ``.`` counts on both."""
        grouped: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for seqid, strand, start, end in segments:
            for side in "+-" if strand == "." else strand:
                grouped[seqid, side].append((start, end))
        self._merged: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        for key, intervals in grouped.items():
            pairs = np.array(sorted(intervals))
            reach = np.maximum.accumulate(pairs[:, 1])
            first = np.concatenate(([True], pairs[1:, 0] > reach[:-1]))
            last = np.concatenate((first[1:], [True]))
            self._merged[key] = (pairs[first, 0], reach[last])

    def touch(self, gene: Gene) -> bool:
        """True when a coding base of any transcript of ``gene`` lies in the union, on its strand."""
        merged = self._merged.get((gene.seqid, gene.strand))
        if merged is None:
            return False
        starts, ends = merged
        for transcript in gene.transcripts:
            cds = np.asarray(transcript.cds)
            # The first merged interval that ends after a segment's start is the only one that can be the first overlap.
            index = np.searchsorted(ends, cds[:, 0], side="right")
            inside = index < len(starts)
            if np.any(starts[index[inside]] < cds[inside, 1]):
                return True
        return False


def _segments(genes: Iterable[Gene]) -> Iterable[tuple[str, str, int, int]]:
    for gene in genes:
        for transcript in gene.transcripts:
            for start, end in transcript.cds:
                yield gene.seqid, gene.strand, start, end


def _chains(genes: Iterable[Gene]) -> set[tuple[str, str, tuple]]:
    return {(gene.seqid, gene.strand, transcript.cds) for gene in genes for transcript in gene.transcripts}


def judge(reference: Annotation, predicted: Sequence[Gene]) -> tuple[list[str], list[str]]:
    """Verdicts for ``reference.genes`` and for ``predicted``, in their orders.

    A gene is exact when both sides have the same coding chain, base for base. It is partial when they share coding
    bases on the same strand. A prediction that touches no reference gene is wrong. A reference gene that no prediction
    touches is missed. Flagged reference genes, and predictions that touch nothing but don't-care bases, are unjudged.
    """
    trusted = reference.trusted
    trusted_chains, predicted_chains = _chains(trusted), _chains(predicted)
    trusted_bases, predicted_bases = CodingBases(_segments(trusted)), CodingBases(_segments(predicted))
    dont_care = CodingBases((part.seqid, part.strand, part.start, part.end) for part in reference.dont_care)

    def shares_chain(gene: Gene, chains: set) -> bool:
        return any((gene.seqid, gene.strand, transcript.cds) in chains for transcript in gene.transcripts)

    of_reference = []
    for gene in reference.genes:
        if gene.flags:
            of_reference.append(UNJUDGED)
        elif shares_chain(gene, predicted_chains):
            of_reference.append(EXACT)
        else:
            of_reference.append(PARTIAL if predicted_bases.touch(gene) else MISSED)
    of_predicted = []
    for gene in predicted:
        if shares_chain(gene, trusted_chains):
            of_predicted.append(EXACT)
        elif trusted_bases.touch(gene):
            of_predicted.append(PARTIAL)
        else:
            of_predicted.append(UNJUDGED if dont_care.touch(gene) else WRONG)
    return of_reference, of_predicted
