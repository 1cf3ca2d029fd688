"""Lengths of introns: counts, shares, what a length adds, and what a genome itself says of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from genet5.adapt.counting import Counts
from genet5.adapt.intron_lengths import (
    LEAST_INTRONS,
    LEVEL,
    PRIOR,
    PRIOR_OF_RELATIVES,
    TOLD_BP,
    IntronLengths,
    count_lengths,
    geometric,
)
from genet5.adapt.own_introns import intron_bp
from genet5.adapt.relatives import Relatives
from genet5.genome.genes import Interval
from genet5.genome.window_genes import WindowGene


def test_long_introns_are_counted_together() -> None:
    counts, bases = count_lengths([60, 60, 61, TOLD_BP - 1, TOLD_BP, 5000])
    assert (counts[60], counts[61], counts[TOLD_BP - 1], counts[TOLD_BP], counts.sum()) == (2, 1, 1, 2, 6)
    assert bases == 60 + 60 + 61 + 399 + 400 + 5000
    none, nothing = count_lengths([])
    assert none.shape == (TOLD_BP + 1,) and not none.any() and nothing == 0


def test_a_geometric_distribution_has_its_mean() -> None:
    for mean_bp in (2.0, 21.0, 100.0):
        shares = geometric(mean_bp)
        assert shares.sum() == pytest.approx(1) and shares[0] == 0
        assert shares[1] == pytest.approx(1 / mean_bp) and shares[2] / shares[1] == pytest.approx(1 - 1 / mean_bp)
        assert shares[TOLD_BP] == pytest.approx((1 - 1 / mean_bp) ** (TOLD_BP - 1))


def test_few_introns_say_nothing_and_many_say_what_they_are() -> None:
    assert IntronLengths.of(*count_lengths([50] * (LEAST_INTRONS - 1))) is None
    number = 980
    lengths = IntronLengths.of(*count_lengths([60] * number))
    assert lengths.mean_bp == 60 and lengths.shares.sum() == pytest.approx(1)
    even, wide = geometric(60.0), 0.06 * 60
    near = number / (np.sqrt(2 * np.pi) * wide)  # a normal distribution about 60, at its top
    assert lengths.shares[60] == pytest.approx((near + PRIOR * even[60]) / (number + PRIOR), rel=1e-3)
    assert lengths.shares[200] == pytest.approx(PRIOR / (number + PRIOR) * even[200])
    added = lengths.log_odds
    assert added.argmax() in (60, 61) and added[60] == pytest.approx(np.log(0.9 * lengths.shares[60] / even[60] + 0.1))
    assert added.min() >= np.log(LEVEL) and added[0] == 0


def test_introns_that_are_geometric_add_nothing() -> None:
    lengths = np.random.default_rng(1).geometric(1 / 90, 200_000)
    added = IntronLengths.of(*count_lengths(lengths)).log_odds
    assert np.abs(added[15:350]).max() < 0.12


def test_what_a_genome_shows_joins_its_relatives() -> None:
    relatives = IntronLengths.of(*count_lengths([60] * 500))
    counts, bases = count_lengths([48] * 100)
    own = IntronLengths.of(counts, bases, relatives)
    assert own.mean_bp == pytest.approx((4800 + PRIOR_OF_RELATIVES * 60) / (100 + PRIOR_OF_RELATIVES))
    assert own.shares.sum() == pytest.approx(1) and own.log_odds[48] > 2 > relatives.log_odds[48]
    nothing = IntronLengths.of(*count_lengths([]), relatives)
    np.testing.assert_allclose(nothing.shares, relatives.shares)


def test_relatives_count_the_same_each_and_those_without_introns_not() -> None:
    counts = {"A": Counts(), "B": Counts(), "none": Counts()}
    counts["A"].add_introns([50] * 400)
    counts["B"].add_introns([80] * 40)
    tables = Relatives.of(counts, 0.5, 1.0)
    one, other = tables.lengths_of("A"), tables.lengths_of("B")
    assert tables.lengths_of("none") is None
    found = tables.typical().lengths
    np.testing.assert_allclose(found.shares, (one.shares + other.shares) / 2)
    assert found.mean_bp == 65
    assert tables.without(["A", "B"]).typical().lengths is None
    assert len(tables.without(["A", "B"]).typical().introns) == 0
    assert np.array_equal(tables.adaptation("A", 0.3).introns, one.log_odds)
    both = tables.without(["B"]).joined(tables.without(["A"]))
    assert both.lengths_of("B").mean_bp == 80 and both.lengths_of("A").mean_bp == 50


def test_introns_of_genes_are_those_between_their_exons() -> None:
    exons = (Interval(10, 40), Interval(100, 130), Interval(135, 200))
    genes = [WindowGene("-", exons), WindowGene("+", (Interval(300, 360),), True, True, 1)]
    assert intron_bp(genes) == [after.start - before.end for before, after in pairwise(exons)] == [60, 5]
