"""Parameters beside those of a species: all of them, moved by amounts that are given, compared with sums by hand."""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np
import pytest

from genet5.sources.augustus_jitter import jittered
from genet5.sources.augustus_parameters import AugustusParameters, CompositionClass
from genet5.sources.augustus_tables import Motif, SplicePatterns

GIVEN = np.array([[0.64, 0.04, 0.16, 0.16]])  # square roots .8 .2 .4 .4


class Draws:
    """In place of a generator: gives these pairs in turn, and notes what it is asked for."""

    def __init__(self, *pairs: tuple[float, float]) -> None:
        self.left = [np.array(pair) for pair in pairs]
        self.asked: list[tuple] = []

    def normal(self, *asked: float) -> np.ndarray:
        self.asked.append(asked)
        return self.left.pop(0)


def parameters(acceptor_motif: Motif | None) -> AugustusParameters:
    site = SplicePatterns(1, 0, np.array([[0], [3]]), np.array([0.2, 0.8]))
    motif = Motif(0, np.array([[[0.1, 0.2, 0.3, 0.4]]]))
    one = CompositionClass(
        np.array([0.3, 0.2, 0.2, 0.3]), np.stack([GIVEN] * 3), GIVEN, GIVEN[:, ::-1], motif, acceptor_motif, 0.8, 100
    )
    numbers = np.arange(4.0)
    return AugustusParameters(
        "made", Path("made"), 1, np.array([10.0, 20, 30, 40]), numbers, numbers, numbers, 2000, 150, numbers, site,
        SplicePatterns(0, 1, site.patterns, np.array([0.5, 0.5])), {"TAA": 1.0}, False, (one, one),
    )  # fmt: skip


def test_drawn_amounts_move_all_tables_as_told() -> None:
    # GC content: A and T are halved, C and G doubled. Purines: A and G doubled, C and T halved.
    # Temperatures 2 and .5, introns three times as long, five times as many exons.
    draws = Draws((2 * log(2), 4 * log(2)), (2 * log(2), -2 * log(2)), (log(3), log(5)))
    before = parameters(None)
    found = jittered(before, 0.3, draws)
    assert draws.asked == [(0, 0.3, 2)] * 3
    for one in found.classes:
        assert one.composition.tolist() == pytest.approx([0.15 / 1.1, 0.4 / 1.1, 0.4 / 1.1, 0.15 / 1.1])
        assert one.exon.tolist() == [[pytest.approx([0.8 / 2.7, 0.2 / 2.7, 1.6 / 2.7, 0.1 / 2.7])]] * 3
        assert one.intron[0].tolist() == pytest.approx([0.4 / 1.8, 0.4 / 1.8, 0.8 / 1.8, 0.2 / 1.8])
        assert one.intergenic[0].tolist() == pytest.approx([0.2 / 1.8, 0.8 / 1.8, 0.4 / 1.8, 0.4 / 1.8])
        assert one.start_motif.order == 0 and one.acceptor_motif is None
        assert one.start_motif.table[0, 0].tolist() == pytest.approx([0.01 / 0.3, 0.04 / 0.3, 0.09 / 0.3, 0.16 / 0.3])
        assert (one.short_intron_share, one.mean_extra_intron_bp) == (0.8, pytest.approx(300))
    assert found.exon_counts.tolist() == pytest.approx([2, 20, 150, 40])
    assert found.donors.probabilities.tolist() == pytest.approx([0.04 / 0.68, 0.64 / 0.68])
    assert found.acceptors.probabilities.tolist() == pytest.approx([0.5, 0.5])
    assert (found.name, found.stops, found.max_exon_bp) == ("made", {"TAA": 1.0}, 2000)
    assert found.donors.patterns.tolist() == [[0], [3]] and len(found.classes) == 2


def test_acceptors_have_a_motif_where_the_species_has_one() -> None:
    draws = Draws((0, 0), (0, -2 * log(2)), (0, 0))
    motif = Motif(2, np.array([[[0.1, 0.2, 0.3, 0.4]]]))
    moved = jittered(parameters(motif), 1, draws).classes[0].acceptor_motif
    assert moved.order == 2 and moved.table[0, 0].tolist() == pytest.approx([0.01 / 0.3, 0.04 / 0.3, 0.3, 0.16 / 0.3])
