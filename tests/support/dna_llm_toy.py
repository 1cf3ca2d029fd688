"""Windows whose scores follow from their bases, so that every label can be checked against the DNA."""

from __future__ import annotations

import numpy as np

from genet5.studies.dna_llm.augmentation import SITE_BP
from genet5.studies.dna_llm.binding_windows import BindingWindows

SITE = np.array([0, 2, 1, 3, 3, 1, 0, 0, 2, 3], dtype=np.uint8)  # AGCTTCAAGT, not its own reverse complement
SCORE = np.float32(8.0)


def is_site(bases: np.ndarray) -> np.ndarray:
    """Whether the site begins at each base (forward or as its reverse complement); bool, [rows, bp - 9]."""
    spans = np.lib.stride_tricks.sliding_window_view(bases, SITE_BP, axis=1)
    return (spans == SITE).all(axis=2) | (spans == 3 - SITE[::-1]).all(axis=2)


def site_scores(bases: np.ndarray) -> np.ndarray:
    """The score at each base of a site, 0 elsewhere; float32, [rows, bp]."""
    scores = np.zeros(bases.shape, dtype=np.float32)
    for row, start in zip(*np.nonzero(is_site(bases)), strict=True):
        scores[row, start : start + SITE_BP] = SCORE
    return scores


def toy_windows(count: int = 60, bp: int = 60, seed: int = 0) -> BindingWindows:
    """Random windows with one or two sites, on either strand, every third of them in another split."""
    rng = np.random.default_rng(seed)
    bases = rng.integers(0, 4, size=(count, bp), dtype=np.uint8)
    for row in range(count):
        for start in rng.choice(np.arange(0, bp - SITE_BP, 2 * SITE_BP), size=rng.integers(1, 3), replace=False):
            bases[row, start : start + SITE_BP] = SITE if rng.random() < 0.5 else 3 - SITE[::-1]
    splits = np.array(["train", "validation", "test"], dtype="<U10")[np.arange(count) % 3]
    starts = np.arange(count, dtype=np.int64) * bp
    return BindingWindows(bases, site_scores(bases), np.full(count, "chr1"), starts, splits)
