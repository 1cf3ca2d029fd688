"""The control that writes down how the labels were made: 10-mers with a score, and which of two close sites counts.

The scores are a scan with the matrix of one motif, so a site's score follows from its ten bases. Of two sites that
overlap by half or more only the better is labelled, and of equal ones the right one; a chain of equal sites, as in
(TAAA)n, keeps its last. Sites that overlap by less are both labelled.
"""

from __future__ import annotations

import numpy as np

from genet5.studies.dna_llm.augmentation import SITE_BP
from genet5.studies.dna_llm.kmer_lookup import highest_over_bases, kmer_numbers

LEAST_SEEN = 3  # labelled sites of a 10-mer, so that two sites side by side or one odd label make no new one
TOO_CLOSE_BP = SITE_BP // 2
_EQUAL = 1e-3  # means of the same score differ in their last digits


class SiteRule:
    """``scores``: score of each 10-mer, 0 of those that are no site; ``edges[m]``: mean score of a site of which a
    window shows the first m bases, float64, [4 ** m]."""

    def __init__(self) -> None:
        self.scores = np.zeros(4**SITE_BP)
        self.edges = {shown: np.zeros(4**shown) for shown in range(1, SITE_BP)}

    def fit(self, bases: np.ndarray, scores: np.ndarray) -> SiteRule:
        """Count in windows of base codes and scores, [windows, bp] each."""
        starts = labelled_starts(scores)
        numbers = kmer_numbers(bases)
        total, seen = np.zeros_like(self.scores), np.zeros_like(self.scores)
        for strand in (numbers, kmer_numbers(3 - bases[:, ::-1])[:, ::-1]):
            total += np.bincount(strand.ravel(), starts.ravel(), len(total))
            seen += np.bincount(strand[starts > 0], minlength=len(seen))
        self.scores = np.where(seen >= LEAST_SEEN, total / np.maximum(seen, 1), 0)
        for shown in self.edges:
            prefixes = (numbers // 4 ** (SITE_BP - shown)).ravel()
            sums = np.bincount(prefixes, starts.ravel(), 4**shown)
            self.edges[shown] = sums / np.maximum(np.bincount(prefixes, minlength=4**shown), 1)
        return self

    @property
    def sites(self) -> int:
        """10-mers with a score."""
        return int((self.scores > 0).sum())

    @property
    def size(self) -> int:
        """Numbers that were counted: those and the mean scores at the edge."""
        return self.sites + sum(int((means > 0).sum()) for means in self.edges.values())

    def predict(self, bases: np.ndarray) -> np.ndarray:
        """The highest score of the labelled sites over each base, float32, [windows, bp]."""
        sites = self.scores[kmer_numbers(bases)]
        predicted = highest_over_bases(np.where(_beaten(sites), 0, sites))
        for shown, means in self.edges.items():
            numbers = bases[:, -shown:].astype(np.int64) @ 4 ** np.arange(shown - 1, -1, -1)
            part = predicted[:, -shown:]
            np.maximum(part, means[numbers, None].astype(np.float32), out=part)
        return predicted


def labelled_starts(scores: np.ndarray) -> np.ndarray:
    """The score of each run of exactly ten equal scores above 0, at its first base; float32, [windows, bp - 9]."""
    spans = np.lib.stride_tricks.sliding_window_view(scores, SITE_BP, axis=1)
    whole = spans.min(axis=2) == spans.max(axis=2)
    whole[:, 1:] &= scores[:, :-SITE_BP] != scores[:, 1 : 1 - SITE_BP]
    whole[:, :-1] &= scores[:, SITE_BP:] != scores[:, SITE_BP - 1 : -1]
    return np.where(whole, spans[..., 0], np.float32(0))


def _beaten(sites: np.ndarray) -> np.ndarray:
    """Which sites stand too close to a better one, or to an equal one on their right; bool, same shape."""
    beaten = np.zeros(sites.shape, dtype=bool)
    for distance in range(1, TOO_CLOSE_BP + 1):
        left, right = sites[:, :-distance], sites[:, distance:]
        beaten[:, :-distance] |= (right > 0) & (right > left - _EQUAL)
        beaten[:, distance:] |= left > right + _EQUAL
    return beaten
