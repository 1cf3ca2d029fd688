"""Augmented windows: the labels still say where the sites are."""

from __future__ import annotations

import dna_llm_toy
import numpy as np
import pytest
from dna_llm_toy import toy_windows

from genet5.studies.dna_llm.augmentation import SITE_BP, augment, reverse_complement_windows, shift_range, shift_windows


@pytest.mark.parametrize(("max_shift", "reverse_complement"), [(10, False), (0, True), (10, True), (25, True)])
def test_labels_stay_aligned_with_the_bases(max_shift, reverse_complement):
    windows = toy_windows(300)
    rng = np.random.default_rng(3)
    bases, scores, weights = augment(windows.bases, windows.scores, max_shift, reverse_complement, rng)
    assert (bases != windows.bases).any(axis=1).mean() > 0.3
    truth = dna_llm_toy.site_scores(bases)
    counted = weights > 0
    np.testing.assert_array_equal(scores[counted], truth[counted])
    assert counted.mean() > 0.6
    assert (scores > 0).sum() == (windows.scores > 0).sum()  # no scored base has left its window


def test_a_shift_moves_bases_and_scores_by_the_same_number():
    windows = toy_windows(4)
    shifts = np.array([-3, 0, 5, 2])
    weights = np.ones_like(windows.scores)
    bases, scores, weights = shift_windows(windows.bases, windows.scores, weights, shifts, np.random.default_rng(0))
    np.testing.assert_array_equal(bases[0, :-3], windows.bases[0, 3:])
    np.testing.assert_array_equal(scores[2, 5:], windows.scores[2, :-5])
    np.testing.assert_array_equal(bases[1], windows.bases[1])
    # What comes in has weight 0, and the nine bases beside it, whose site the old edge may have cut.
    assert weights[0].tolist() == [1] * (60 - 3 - SITE_BP + 1) + [0] * (3 + SITE_BP - 1)
    assert weights[2].tolist() == [0] * (5 + SITE_BP - 1) + [1] * (60 - 5 - SITE_BP + 1)
    assert weights[1].all()


def test_no_shift_drops_a_scored_base():
    scores = np.zeros((4, 60), dtype=np.float32)
    scores[0, 3:13] = 1
    scores[1, 55:60] = 1
    scores[2, 0:10] = scores[2, 50:60] = 1
    low, high = shift_range(scores, 10)
    assert low.tolist() == [-3, -10, 0, -10]
    assert high.tolist() == [10, 0, 0, 10]


def test_the_other_strand_has_no_weight_at_its_edges():
    windows = toy_windows(2)
    weights = np.ones_like(windows.scores)
    turned = np.array([True, False])
    bases, scores, weights = reverse_complement_windows(windows.bases, windows.scores, weights, turned)
    np.testing.assert_array_equal(bases[0], 3 - windows.bases[0, ::-1])
    np.testing.assert_array_equal(scores[0], windows.scores[0, ::-1])
    assert np.flatnonzero(weights[0] == 0).tolist() == [*range(9), *range(51, 60)]
    assert weights[1].all()
    np.testing.assert_array_equal(bases[1], windows.bases[1])


def test_augmentation_depends_on_its_generator_alone():
    windows = toy_windows(10)
    one, two = (augment(windows.bases, windows.scores, 10, True, np.random.default_rng(5)) for _ in range(2))
    assert len(one) == 3 and len(one[0])
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_batch_none_of_which_is_turned_stays_as_it_is():
    windows = toy_windows(2)
    given = (windows.bases, windows.scores, np.ones(windows.scores.shape, np.float32))
    for one, two in zip(given, reverse_complement_windows(*given, np.zeros(2, bool)), strict=True):
        np.testing.assert_array_equal(one, two)
