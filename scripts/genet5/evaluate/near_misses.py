"""Near misses: genes that are almost right, lost, made up, split or fused, and borders that are misplaced.

Scored reference genes are compared with the predictions that were not ignored, on the same strand. Only coding bases
count.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from genet5.evaluate.features import Axis, Coding
from genet5.evaluate.intervals import Integers, overlapping_pairs, shared_ids

BASE_F1_STEPS = (0.95, 0.80)
OFFSET_EDGES_BP = (-99, -30, -9, -3, -2, -1, 0, 1, 2, 3, 4, 10, 31, 100)
"""Lower edges of the offset bins; the first bin is open below and the last above. 0 has a bin of its own."""
_MOST = 0.5

Booleans = NDArray[np.bool_]


def gene_ladder(reference: Coding, predicted: Coding, scored: Booleans, counted: Booleans, right: Booleans) -> dict:
    """Near misses at gene level.

    ``scored`` marks the reference genes, ``counted`` the predicted genes that take part, ``right`` the predicted
    genes that match exactly. Keys of the result:

    * ``base_f1_95``, ``base_f1_80``: genes whose best partner (over pairs of transcripts) shares coding bases with F1
      of at least .95 or .80
    * ``missed``, ``wrong``: reference genes, and predicted genes, that share no base with the other side
    * ``split``: reference genes that are not found, and that hold most of at least two predicted genes side by side
    * ``fused``: predicted genes that are not right, and that hold most of at least two reference genes side by side
    """
    one, other, share_bp = _transcript_overlaps(reference, predicted)
    keep = scored[reference.gene[one]] & counted[predicted.gene[other]]
    one, other, share_bp = one[keep], other[keep], share_bp[keep]
    genes, partners = reference.gene[one], predicted.gene[other]
    base_f1 = 2 * share_bp / (reference.length[one] + predicted.length[other])
    best_reference, best_predicted = np.zeros(len(reference.genes)), np.zeros(len(predicted.genes))
    np.maximum.at(best_reference, genes, base_f1)
    np.maximum.at(best_predicted, partners, base_f1)
    ladder: dict = {}
    for step in BASE_F1_STEPS:
        found, good = int((best_reference >= step).sum()), int((best_predicted >= step).sum())
        ladder[f"base_f1_{round(100 * step)}"] = {
            "found": found,
            "right": good,
            "recall": _share(found, int(scored.sum())),
            "precision": _share(good, int(counted.sum())),
        }
    found_exactly = np.zeros(len(reference.genes), bool)
    found_exactly[genes[base_f1 == 1]] = True
    in_reference = share_bp > _MOST * predicted.length[other]
    in_predicted = share_bp > _MOST * reference.length[one]
    split = _holders_of_several(genes[in_reference], partners[in_reference], *_spans(predicted))
    fused = _holders_of_several(partners[in_predicted], genes[in_predicted], *_spans(reference))
    ladder["missed"] = int((scored & (best_reference == 0)).sum())
    ladder["wrong"] = int((counted & (best_predicted == 0)).sum())
    ladder["split"] = sum(not found_exactly[gene] for gene in split)
    ladder["fused"] = sum(not right[gene] for gene in fused)
    return ladder


def exon_ladder(reference: Coding, predicted: Coding, required: Booleans, counted: Booleans, axis: Axis) -> dict:
    """Near misses of distinct exons, and how far their borders are off.

    ``required`` and ``counted`` mark the segments of either side that take part. ``one_border``: not exact, but a
    predicted exon starts or ends where it does; ``overlap_only``: shares bases, no border; ``missed``: shares none.
    The histograms hold, for each reference exon and the predicted exon that shares most bases with it, predicted
    minus reference border in transcript direction (positive: further 3').
    """
    start, end = _distinct(reference.start[required], reference.end[required])
    made_start, made_end = _distinct(predicted.start[counted], predicted.end[counted])
    ids, made_ids = shared_ids((start, end), (made_start, made_end))
    exact = np.isin(ids, made_ids)
    border = ~exact & (np.isin(start, made_start) | np.isin(end, made_end))
    exon, partner, share_bp = overlapping_pairs(start, end, made_start, made_end)
    touched = np.zeros(len(start), bool)
    touched[exon] = True
    # Of partners that share equally many bases the longest overlap in proportion wins, then the first: a fixed choice.
    order = np.lexsort((partner, made_end[partner] - made_start[partner], -share_bp, exon))
    exon, partner = exon[order], partner[order]
    best = np.concatenate(([True], exon[1:] != exon[:-1])) if len(exon) else np.zeros(0, bool)
    exon, partner = exon[best], partner[best]
    at_start, at_end = made_start[partner] - start[exon], made_end[partner] - end[exon]
    reverse = axis.is_reverse(start[exon])
    return {
        "exact": int(exact.sum()),
        "one_border": int(border.sum()),
        "overlap_only": int((touched & ~exact & ~border).sum()),
        "missed": int((~touched).sum()),
        "offset_5prime": _histogram(np.where(reverse, -at_end, at_start)),
        "offset_3prime": _histogram(np.where(reverse, -at_start, at_end)),
    }


def offset_bins() -> tuple[str, ...]:
    """Names of the histogram's bins, in bases, ascending."""
    edges = OFFSET_EDGES_BP
    names = [f"<{edges[0]}"]
    for low, high in pairwise(edges):
        names.append(str(low) if high - low == 1 else f"{low}..{high - 1}")
    return (*names, f">={edges[-1]}")


def _histogram(offsets: Integers) -> dict[str, int]:
    names = offset_bins()
    number = np.bincount(np.searchsorted(OFFSET_EDGES_BP, offsets, side="right"), minlength=len(names))
    return dict(zip(names, number.tolist(), strict=True))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _transcript_overlaps(reference: Coding, predicted: Coding) -> tuple[Integers, Integers, Integers]:
    """Pairs of transcripts that share coding bases, and how many."""
    left, right, share_bp = overlapping_pairs(reference.start, reference.end, predicted.start, predicted.end)
    number = max(len(predicted.chains), 1)
    pairs, which = np.unique(reference.transcript[left] * number + predicted.transcript[right], return_inverse=True)
    total = np.bincount(which, share_bp, len(pairs)).astype(np.int64)
    return pairs // number, pairs % number, total


def _spans(coding: Coding) -> tuple[Integers, Integers]:
    start = coding.gene_position()
    end = np.zeros(len(coding.genes), np.int64)
    np.maximum.at(end, coding.gene, coding.end[coding.last])
    return start, end


def _holders_of_several(holders: Integers, members: Integers, starts: Integers, ends: Integers) -> list[int]:
    """Holders with at least two members whose spans do not overlap."""
    number = max(len(starts), 1)
    pairs = np.unique(holders * number + members)
    holders, members = pairs // number, pairs % number
    # The first member to end and the last to start lie apart if any two do.
    ids, which = np.unique(holders, return_inverse=True)
    first_end = np.full(len(ids), np.iinfo(np.int64).max)
    last_start = np.full(len(ids), np.iinfo(np.int64).min)
    np.minimum.at(first_end, which, ends[members])
    np.maximum.at(last_start, which, starts[members])
    return ids[last_start >= first_end].tolist()


def _distinct(starts: Integers, ends: Integers) -> tuple[Integers, Integers]:
    ids, _ = shared_ids((starts, ends), (starts[:0], ends[:0]))
    _, first = np.unique(ids, return_index=True)
    return starts[first], ends[first]
