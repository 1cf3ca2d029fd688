"""Runs of positions in arrays."""

from __future__ import annotations

import numpy as np
import pytest

from genet5.genome.spans import true_runs


@pytest.mark.parametrize(
    ("text", "runs"),
    [("", []), ("....", []), ("####", [(0, 4)]), ("#.##.", [(0, 1), (2, 4)]), (".#", [(1, 2)])],
)
def test_runs_of_true(text, runs):
    found = true_runs(np.array([letter == "#" for letter in text], dtype=bool))
    assert found.dtype == np.int64 and found.shape == (len(runs), 2)
    assert [tuple(run) for run in found.tolist()] == runs
