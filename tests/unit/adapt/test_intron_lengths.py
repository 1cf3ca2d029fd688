"""Lengths of introns: counts, shares, what a length adds, and what a genome itself says of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from genet5.adapt.adaptation import Adaptation
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
from genet5.adapt.own_introns import genes_of, intron_bp, with_own_introns
from genet5.adapt.relatives import Relatives
from genet5.adapt.sampling import SampledWindow
from genet5.clades import read_clades
from genet5.crf.annotating_network import WindowPotentials
from genet5.genome.genes import Interval
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, START_SITE, STOP_SITE, WindowSites
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


def spliced(number: int, intron: int, seed: int = 1) -> tuple[SimpleNamespace, list[SampledWindow]]:
    """A decoder, and windows with a gene of two exons each that the networks see clearly."""
    rules, rng, windows = read_clades()["fungi"].gene_rules(1), np.random.default_rng(seed), []
    for _ in range(number):
        first, second = ("".join(rng.choice(["GCC", "AAG", "CTC", "GAC"], 60)) for _ in range(2))
        between = "GT" + "".join(rng.choice(list("ACGT"), intron - 4)) + "AG"
        bases = "C" * 200 + "ATG" + first + between + second + "TAA" + "C" * 200
        sites, size = WindowSites(bases, rules), len(bases)
        donor, acceptor, end = 383, 383 + intron, 383 + intron + 183
        of_bases, of_sites = np.full((2, size, 4), -0.3, np.float32), np.full((2, 4, size + 1), -5, np.float32)
        coding = np.r_[200:donor, acceptor:end]
        of_bases[0, coding, np.arange(len(coding)) % 3] = 0.3
        of_bases[0, donor:acceptor, 3] = 0.3
        for kind, at in zip(
            (START_SITE, DONOR_SITE, ACCEPTOR_SITE, STOP_SITE), (200, donor, acceptor, end), strict=True
        ):
            of_sites[0, kind, at] = 5
        windows.append(SampledWindow(sites, WindowPotentials(of_bases, of_sites), np.zeros(size, bool)))
    return SimpleNamespace(gene_penalty=3.0, each=map, rules=rules), windows


def test_lengths_are_learned_from_the_genome_and_relatives_are_asked_first() -> None:
    decoder, windows = spliced(60, 48)
    relatives = IntronLengths.of(*count_lengths([70] * 300))
    start = replace(Adaptation.neutral(), lengths=relatives)
    found = with_own_introns(decoder, windows, start, relatives)
    counts, bases = count_lengths([48] * 60)
    np.testing.assert_allclose(found.lengths.shares, IntronLengths.of(counts, bases, relatives).shares)
    assert found.introns[48] > 1.5 > 0.5 > start.introns[48]
    assert [intron_bp(genes_of(decoder, window, found)) for window in windows] == [[48]] * 60
    alone = with_own_introns(decoder, windows, Adaptation.neutral(), None)
    assert alone.lengths is None and len(alone.introns) == 0


def test_a_length_that_is_common_is_chosen_where_sites_are_alike() -> None:
    """A second acceptor, 15 bases on, is as good: introns of 48 or 63."""
    decoder, (window,) = spliced(1, 48)
    bases = list(
        "C" * 200 + "ATG" + "GCC" * 60 + "GT" + "C" * 44 + "AG" + "GCC" * 4 + "GAG" + "GCC" * 60 + "TAA" + "C" * 200
    )
    sites = WindowSites("".join(bases), decoder.rules)
    of_bases, of_sites = np.zeros((2, len(bases), 4), np.float32), np.full((2, 4, len(bases) + 1), -9, np.float32)
    for kind, at in (
        (START_SITE, 200),
        (DONOR_SITE, 383),
        (ACCEPTOR_SITE, 431),
        (ACCEPTOR_SITE, 446),
        (STOP_SITE, 629),
    ):
        of_sites[0, kind, at] = 6
    window = SampledWindow(sites, WindowPotentials(of_bases, of_sites), np.zeros(len(bases), bool))
    for length in (48, 63):
        lengths = IntronLengths.of(*count_lengths([length] * 100))
        (gene,) = genes_of(decoder, window, replace(Adaptation.neutral(), lengths=lengths))
        assert intron_bp([gene]) == [length]
