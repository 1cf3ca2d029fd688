"""First weights of the CRF from counts of hexamers: hand-counted sequences, rare classes, what stays random."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genet5.crf.config import CrfConfig
from genet5.crf.hexamer_counts import LEAST_COUNTED, HexamerCounts, begin_from_counts
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.crf.network import CrfNetwork

CLASSES = 5
AAAAAA, CCCCCC = 0, sum(4**k for k in range(6))


def counted(coding: int = LEAST_COUNTED) -> HexamerCounts:
    """Class 0 is all A, class 1 all C; six C end the sequence so that its last A see other hexamers."""
    counts = HexamerCounts(CLASSES)
    codes = np.repeat([0, 1], [2 * LEAST_COUNTED, coding + 5]).astype(np.uint8)
    labels = np.repeat([0, 1], [2 * LEAST_COUNTED, coding + 5]).astype(np.int8)
    labels[-5:] = -100  # don't care: the hexamers that the end cuts
    counts.add(codes[None], labels[None])
    return counts


def test_hexamers_are_counted_by_the_class_of_their_first_base() -> None:
    counts = counted().counts
    assert counts[0, AAAAAA] == 2 * LEAST_COUNTED - 5  # the last five reach into C
    assert counts[1, CCCCCC] == LEAST_COUNTED
    assert counts.sum() == 3 * LEAST_COUNTED
    assert counts[2:].sum() == 0


def test_log_odds_tell_classes_apart_and_rare_ones_nothing() -> None:
    odds = counted().log_odds()
    assert odds.shape == (CLASSES, HEXAMERS)
    assert odds[0, AAAAAA] > 0 > odds[0, CCCCCC]
    assert odds[1, CCCCCC] > 0 > odds[1, AAAAAA]
    np.testing.assert_allclose(odds[:2, :-1].std(axis=1), 1, rtol=1e-4)
    assert (odds[:2, -1] == 0).all()  # an unknown base says nothing
    assert np.isnan(odds[2:, :-1]).all()
    assert np.isnan(counted(coding=LEAST_COUNTED - 1).log_odds()[1, :-1]).all()


def test_the_network_takes_what_was_counted_and_keeps_the_rest() -> None:
    torch.manual_seed(0)
    network = CrfNetwork(CrfConfig(stem_channels=8, score_channels=2, site_channels=8))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    odds = counted().log_odds()
    begin_from_counts(network, odds)
    after = network.state_dict()
    for name, rows in (
        ("stem.embedding.weight", odds),
        ("site_embedding.weight", odds),
        ("stem.scores.weight", odds[1:]),
    ):
        for channel, values in enumerate(rows[:2]):
            if not np.isnan(values).any():
                assert after[name][:, channel].numpy() == pytest.approx(values)
        assert torch.equal(after[name][:, 2:], before[name][:, 2:])
    tables = ("stem.embedding", "stem.scores", "site_embedding")
    assert all(torch.equal(after[name], before[name]) for name in before if not name.startswith(tables))
