"""The control without a network: the mean score of each 10-mer in the training windows, looked up."""

from __future__ import annotations

import numpy as np

from genet5.studies.dna_llm.augmentation import SITE_BP


class KmerLookup:
    """Mean score of each 10-mer, both strands together: of a site that is exactly it, 0 where it is none."""

    def __init__(self) -> None:
        self.means = np.zeros(4**SITE_BP)

    def fit(self, bases: np.ndarray, scores: np.ndarray) -> KmerLookup:
        """Count in windows of base codes and scores, [windows, bp] each."""
        spans = np.lib.stride_tricks.sliding_window_view(scores, SITE_BP, axis=1)
        site_scores = np.where(spans.min(axis=2) == spans.max(axis=2), spans[..., 0], 0.0).ravel()
        total, seen = np.zeros_like(self.means), np.zeros_like(self.means)
        for numbers in (kmer_numbers(bases), kmer_numbers(3 - bases[:, ::-1])[:, ::-1]):
            total += np.bincount(numbers.ravel(), site_scores, len(total))
            seen += np.bincount(numbers.ravel(), minlength=len(seen))
        self.means = total / np.maximum(seen, 1)
        return self

    @property
    def sites(self) -> int:
        """10-mers with a score."""
        return int((self.means > 0).sum())

    @property
    def size(self) -> int:
        """Numbers that were counted."""
        return self.sites

    def predict(self, bases: np.ndarray) -> np.ndarray:
        """The highest mean of the 10-mers over each base, float32, [windows, bp]."""
        return highest_over_bases(self.means[kmer_numbers(bases)])


def highest_over_bases(sites: np.ndarray) -> np.ndarray:
    """The highest score over each base, float32, [windows, bp], of sites whose score stands at their first base."""
    highest = np.zeros((len(sites), sites.shape[1] + SITE_BP - 1), dtype=np.float32)
    for offset in range(SITE_BP):
        part = highest[:, offset : offset + sites.shape[1]]
        np.maximum(part, sites.astype(np.float32), out=part)
    return highest


def kmer_numbers(bases: np.ndarray) -> np.ndarray:
    """The base-4 number of each 10-mer, int64, [windows, bp - 9]."""
    length = bases.shape[1] - SITE_BP + 1
    numbers = np.zeros((len(bases), length), dtype=np.int64)
    for offset in range(SITE_BP):
        numbers = numbers * 4 + bases[:, offset : offset + length]
    return numbers
