"""Matching: a predicted feature is right when the reference has exactly the same one.

Definitions (coding sequence only, strand-aware, stop codon inside the CDS):

* exon: distinct (sequence, strand, start, end) of a CDS segment; intron: distinct gap between two segments of a
  transcript;
* start: first base of the start codon; stop: last base of the stop codon; only of transcripts complete on that side;
* transcript: distinct ordered CDS chain;
* gene: a reference gene is found when a predicted gene has a transcript whose CDS chain equals one of its isoforms'.
  Genes are paired one to one (a largest matching), so a gene predicted twice is right once and wrong once.

A predicted feature that matches nothing can be *ignored*: it is neither right nor wrong. It is ignored when it equals
a feature of a reference that is not scored, or when more than half of its coding bases are don't-care bases of its
strand. Its coding bases are those of its segments: an exon is one, an intron has the two beside it, a start or stop
has the one it lies in, and transcripts and genes have all of theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genet5.evaluate.features import Coding
from genet5.evaluate.intervals import Integers, IntervalSet, covered, shared_ids

Booleans = NDArray[np.bool_]
FEATURE_LEVELS = ("exon", "intron", "start", "stop", "transcript")


class Features(NamedTuple):
    """One kind of feature of a ``Coding``, repeated per transcript that carries it.

    ``keys`` are columns that together identify a feature; ``position`` is where it is counted; ``left`` and ``right``
    are its first and last segment (indices into the segment arrays); ``transcript`` carries it.
    """

    keys: tuple[Integers, ...]
    position: Integers
    left: Integers
    right: Integers
    transcript: Integers


class Outcome(NamedTuple):
    """Axis positions of right, wrong and missed features, and the number of predictions ignored."""

    tp: Integers
    fp: Integers
    fn: Integers
    ignored: int


class GeneMatch(NamedTuple):
    """Per reference gene the index of its predicted partner and the reverse; -1 where there is none."""

    of_reference: Integers
    of_predicted: Integers


def features_of(coding: Coding, level: str, chain_ids: Integers) -> Features:
    """The features of one of ``FEATURE_LEVELS``; ``chain_ids`` numbers the distinct CDS chains, one per transcript."""
    first, last = coding.first, coding.last
    if level == "exon":
        index = np.arange(len(coding.start))
        return Features((coding.start, coding.end), coding.start, index, index, coding.transcript)
    if level == "intron":
        left = np.flatnonzero((coding.transcript[1:] == coding.transcript[:-1]) & (coding.start[1:] > coding.end[:-1]))
        gap = coding.end[left], coding.start[left + 1]
        return Features(gap, gap[0], left, left + 1, coding.transcript[left])
    if level == "transcript":
        index = np.arange(len(first))
        return Features((chain_ids,), coding.start[first], first, last, index)
    at_right = coding.reverse if level == "start" else ~coding.reverse
    whole = np.flatnonzero(coding.complete5 if level == "start" else coding.complete3)
    segment = np.where(at_right, last, first)[whole]
    point = np.where(at_right[whole], coding.end[segment] - 1, coding.start[segment])
    return Features((point,), point, segment, segment, whole)


def number_chains(reference: Coding, predicted: Coding) -> tuple[Integers, Integers]:
    """Numbers for the CDS chains of all transcripts: equal chains on the same strand get equal numbers."""
    numbers: dict[tuple, int] = {}
    ids = [[numbers.setdefault(chain, len(numbers)) for chain in coding.chains] for coding in (reference, predicted)]
    return np.array(ids[0], np.int64), np.array(ids[1], np.int64)


def compare_features(
    reference: Features,
    required: Booleans,
    predicted: Features,
    segment_bp: tuple[Integers, Integers],
) -> Outcome:
    """Compare distinct features.

    ``required`` says, per reference feature, whether missing it counts; one that is not required may be predicted
    without blame. ``segment_bp`` holds running sums over the predicted segments, leading 0 included: all bases, and
    don't-care bases.
    """
    reference_ids, predicted_ids = shared_ids(reference.keys, predicted.keys)
    number = 1 + max(reference_ids.max(initial=-1), predicted_ids.max(initial=-1))
    needed, known, made = (np.zeros(number, bool) for _ in range(3))
    needed[reference_ids[required]] = True
    known[reference_ids] = True
    made[predicted_ids] = True
    position = np.zeros(number, np.int64)
    position[predicted_ids] = predicted.position
    position[reference_ids] = reference.position
    all_bp, spared_bp = (
        np.bincount(predicted_ids, running[predicted.right + 1] - running[predicted.left], number)
        for running in segment_bp
    )
    unmatched = made & ~needed
    ignored = unmatched & (known | (2 * spared_bp > all_bp))
    return Outcome(
        tp=position[made & needed],
        fp=position[unmatched & ~ignored],
        fn=position[needed & ~made],
        ignored=int(ignored.sum()),
    )


def running_segment_bp(coding: Coding, spared: IntervalSet) -> tuple[Integers, Integers]:
    """Running sums over segments, leading 0 included: all bases, and bases in the ``spared`` set."""
    inside = covered(spared, coding.start, coding.end)
    return tuple(np.concatenate(([0], np.cumsum(bases))) for bases in (coding.end - coding.start, inside))


def match_genes(
    reference_chains: Integers, reference_gene: Integers, predicted_chains: Integers, predicted_gene: Integers
) -> GeneMatch:
    """Pair genes that share a CDS chain, one to one, as many as possible (augmenting paths).

    The chain arrays hold one number per transcript, the gene arrays the gene it belongs to.
    """
    holders: dict[int, list[int]] = {}
    for chain, gene in zip(reference_chains.tolist(), reference_gene.tolist(), strict=True):
        holders.setdefault(chain, []).append(gene)
    options: dict[int, list[int]] = {}
    for chain, gene in zip(predicted_chains.tolist(), predicted_gene.tolist(), strict=True):
        if chain in holders:
            options.setdefault(gene, []).extend(holders[chain])
    owner: dict[int, int] = {}
    partner: dict[int, int] = {}
    for gene, choices in options.items():
        free = next((choice for choice in choices if choice not in owner), None)
        if free is None:
            _augment(gene, options, owner, partner)
        else:
            owner[free], partner[gene] = gene, free
    of_reference, of_predicted = (
        np.full(int(genes.max(initial=-1)) + 1, -1, np.int64) for genes in (reference_gene, predicted_gene)
    )
    for gene, taken in partner.items():
        of_reference[taken], of_predicted[gene] = gene, taken
    return GeneMatch(of_reference, of_predicted)


def _augment(gene: int, options: dict[int, list[int]], owner: dict[int, int], partner: dict[int, int]) -> None:
    """Give ``gene`` a partner by moving others along an alternating path, if there is one (breadth first)."""
    came_from: dict[int, int] = {}
    queue = [gene]
    while queue:
        following = []
        for current in queue:
            for choice in options[current]:
                if choice in came_from:
                    continue
                came_from[choice] = current
                if choice in owner:
                    following.append(owner[choice])
                else:
                    _flip_path(choice, came_from, owner, partner)
                    return
        queue = following


def _flip_path(choice: int, came_from: dict[int, int], owner: dict[int, int], partner: dict[int, int]) -> None:
    freed: int | None = choice
    while freed is not None:
        holder, choice = came_from[freed], freed
        freed = partner.get(holder)
        owner[choice], partner[holder] = holder, choice
