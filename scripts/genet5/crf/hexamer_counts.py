"""First weights of a fresh network from counts: what a hexamer says about the base it starts at.

How often each hexamer stands at each codon position, in introns and elsewhere is an old and good measure of coding DNA
(Claverie and Bougueleret 1986; Fickett and Tung 1992). Learning it by gradient takes a plateau of varying length
(docs/decisions.md); counting it takes seconds.
"""

from __future__ import annotations

import numpy as np
import torch

from genet5.crf.hexamer_loops import HEXAMERS
from genet5.crf.labels import IGNORED
from genet5.crf.network import CrfNetwork
from genet5.crf.stem import hexamer_ids

PRIOR = 10.0  # hexamers added to each class as they are spread overall: rare ones then say little
LEAST_COUNTED = 1000  # bases of a class below which its channel stays random


class HexamerCounts:
    """Counts of hexamers by the class of their first base, both strands."""

    def __init__(self, num_classes: int) -> None:
        self.counts = np.zeros((num_classes, HEXAMERS))

    def add(self, codes: np.ndarray, labels: np.ndarray) -> None:
        """codes, labels: [..., W] in strand coordinates, as in ``label_window``."""
        ids = hexamer_ids(torch.from_numpy(codes)).numpy()
        known = labels != IGNORED
        pairs = labels[known].astype(np.int64) * HEXAMERS + ids[known]
        self.counts += np.bincount(pairs, minlength=self.counts.size).reshape(self.counts.shape)

    def log_odds(self) -> np.ndarray:
        """log P(hexamer | class) / P(hexamer), unit variance over hexamers; float32 [classes, HEXAMERS].

        Not a number in classes with too few bases to tell. Hexamers with an unknown base say nothing: 0.
        """
        counts = self.counts[:, :-1]
        share = (counts.sum(0) + 1) / (counts + 1 / len(counts)).sum()
        odds = np.log((counts + PRIOR * share) / (counts.sum(1, keepdims=True) + PRIOR) / share)
        spread = odds.std(1, keepdims=True)
        enough = (counts.sum(1, keepdims=True) >= LEAST_COUNTED) & (spread > 0)
        odds = np.where(enough, odds / np.where(spread > 0, spread, 1.0), np.nan)
        return np.pad(odds, ((0, 0), (0, 1))).astype(np.float32)


@torch.no_grad()
def begin_from_counts(network: CrfNetwork, log_odds: np.ndarray) -> None:
    """Put log-odds [classes, HEXAMERS] into the first channels of the hexamer tables, as far as there are channels.

    The frame means get those of codon positions and introns: what speaks for neither is the rest.
    """
    classes = torch.from_numpy(log_odds)
    for table, rows in (
        (network.stem.embedding.weight, classes),
        (network.stem.scores.weight, classes[1:]),
        (network.site_embedding.weight, classes),
    ):
        for channel, values in enumerate(rows[: table.shape[1]]):
            if not values.isnan().any():
                table[:, channel] = values.to(table)
