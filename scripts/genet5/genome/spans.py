"""Spans of positions, 0-based and half-open, as arrays."""

from __future__ import annotations

import numpy as np


def true_runs(mask: np.ndarray) -> np.ndarray:
    """Starts and ends of the runs of True in ``mask`` (bool, [positions]), ascending; int64, [runs, 2]."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges.astype(np.int64).reshape(-1, 2)
