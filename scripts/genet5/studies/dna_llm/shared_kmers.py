"""How much of a sequence also stands elsewhere: the check that held-out DNA is held out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from genet5.genome.kmers import canonical_kmers

KMER_BP = 24
"""Long enough that human DNA shares one by common descent (repeats, duplications), hardly ever by chance."""


class KmerSet:
    """The canonical 24-mers of some sequences."""

    def __init__(self, sequences: Iterable[bytes]):
        hashes = [canonical_kmers(sequence, KMER_BP)[1] for sequence in sequences]
        self.hashes = np.unique(np.concatenate(hashes)) if hashes else np.zeros(0, np.uint64)

    def contains(self, hashes: np.ndarray) -> np.ndarray:
        """Which hashes are in the set, bool, same shape."""
        if not len(self.hashes):
            return np.zeros(hashes.shape, dtype=bool)
        places = np.searchsorted(self.hashes, hashes).clip(max=len(self.hashes) - 1)
        return self.hashes[places] == hashes

    def share(self, sequence: bytes) -> float:
        """Share of the 24-mers of ``sequence`` that are in the set, either strand; 0 where it has none."""
        found = self.contains(canonical_kmers(sequence, KMER_BP)[1])
        return float(found.mean()) if len(found) else 0.0

    def covered(self, sequence: bytes, window_bp: int, share: float, piece_bp: int = 1 << 22) -> np.ndarray:
        """Bases inside any window of ``window_bp`` with at least ``share`` of its 24-mers in the set; bool, [bases].

        Works on pieces of ``piece_bp`` that overlap by a window, so memory does not grow with a chromosome.
        """
        marked = np.zeros(len(sequence), dtype=bool)
        for start in range(0, len(sequence) - window_bp + 1, piece_bp):
            piece = sequence[start : start + piece_bp + window_bp - 1]
            marked[start : start + len(piece)] |= self._covered_piece(piece, window_bp, share)
        return marked

    def _covered_piece(self, piece: bytes, window_bp: int, share: float) -> np.ndarray:
        positions, hashes = canonical_kmers(piece, KMER_BP)
        hits = np.zeros(len(piece) + 1, dtype=np.int64)
        hits[1:][positions] = self.contains(hashes)
        totals, per_window = np.cumsum(hits), window_bp - KMER_BP + 1
        starts = np.flatnonzero(
            totals[per_window : len(piece) - KMER_BP + 2] - totals[: len(piece) - window_bp + 1] >= share * per_window
        )
        edges = np.zeros(len(piece) + 1, dtype=np.int64)
        np.add.at(edges, starts, 1)
        np.add.at(edges, starts + window_bp, -1)
        return np.cumsum(edges[:-1]) > 0
