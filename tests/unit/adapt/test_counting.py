"""Counts are those made by hand, and log-odds are what the counts say."""

from __future__ import annotations

import numpy as np
import pytest

from genet5.adapt.counting import (
    AROUND_BP,
    BEFORE_BP,
    OTHER,
    REACHES,
    REAL,
    Counts,
    base_probabilities,
    hexamers_before,
)
from genet5.crf.chain_sums import Marginals
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.genome.sites import START_SITE, STOP_SITE, GeneRules, StrandSites, encode_bases


def hexamer(letters: str) -> int:
    return int(sum(int(code) * 4 ** (5 - place) for place, code in enumerate(encode_bases(letters))))


def test_a_hexamer_ends_at_its_base() -> None:
    ids = hexamers_before(encode_bases("ACGTACGNACGTAC"))
    assert ids.tolist() == [HEXAMERS - 1] * 5 + [hexamer("ACGTAC"), hexamer("CGTACG")] + [HEXAMERS - 1] * 6 + [
        hexamer("ACGTAC")
    ]


def test_bases_count_in_the_class_that_is_sure() -> None:
    """ATGAAATAG: the last three bases are surely codon positions 0, 1, 2; the one before may be anything."""
    codes = encode_bases("ATGAAATAG")
    of_base = np.zeros((9, 4))
    of_base[5] = 0.2, 0.2, 0.2, 0.2
    of_base[6, 0], of_base[7, 1], of_base[8, 2] = 0.96, 1.0, 0.94
    counts = Counts()
    counts.add_strand(codes, np.zeros((4, 10), bool), Marginals(of_base, np.zeros((4, 10))))
    expected = np.zeros((5, HEXAMERS))
    expected[0, HEXAMERS - 1] = 5  # what ends at the first five bases is unknown
    expected[1, hexamer("TGAAAT")] = 0.96
    expected[2, hexamer("GAAATA")] = 1.0
    np.testing.assert_allclose(counts.bases, expected)


def test_sites_count_with_the_bases_around_them() -> None:
    """Of two start codons one is real and one is none; one in between tells nothing."""
    bases = "CCATGCCCATGGGGATGTT"
    strand = StrandSites(encode_bases(bases), GeneRules())
    of_site = np.zeros((4, len(bases) + 1))
    of_site[START_SITE, 2], of_site[START_SITE, 8], of_site[START_SITE, 14] = 1.0, 0.5, 0.04
    counts = Counts()
    counts.add_strand(strand.codes, strand.allowed, Marginals(np.zeros((len(bases), 4)), of_site))
    starts = counts.sites[:, START_SITE]
    np.testing.assert_allclose(starts.sum((1, 2)), [0.96 * AROUND_BP, 1.0 * AROUND_BP])
    for row, at, share in ((REAL, 2, 1.0), (OTHER, 14, 0.96)):
        for place in range(AROUND_BP):
            base = at - BEFORE_BP + place
            code = "ACGT".index(bases[base]) if 0 <= base < len(bases) else 4
            assert starts[row, place, code] == pytest.approx(share)
    assert not counts.sites[:, STOP_SITE].any()


def test_probabilities_are_smoothed_towards_shorter_contexts() -> None:
    counts = np.zeros(HEXAMERS)
    assert np.allclose(base_probabilities(counts), 0.25)
    counts[hexamer("AAAAAC")] = 1e6
    found = base_probabilities(counts)
    np.testing.assert_allclose(found.sum(1), 1)
    assert found[0, 1] > 0.999 and found[hexamer("CAAAAA") // 4, 1] > 0.999  # four A say C whatever stands before
    # Nothing was seen behind T: the share of all bases decides.
    np.testing.assert_allclose(found[hexamer("AAAATA") // 4], (np.array([0, 1e6, 0, 0]) + 7.5) / (1e6 + 30), rtol=1e-6)


def test_log_odds_of_hexamers_are_against_neither() -> None:
    counts = Counts()
    rng = np.random.default_rng(1)
    counts.bases = rng.integers(0, 50, counts.bases.shape).astype(float)
    odds = counts.hexamer_log_odds()
    assert odds.shape == (4, HEXAMERS) and odds.dtype == np.float32 and not odds[:, -1].any()
    neither, intron = (base_probabilities(counts.bases[row]) for row in (0, 4))
    np.testing.assert_allclose(odds[3, :-1], np.log(intron / neither).reshape(-1), rtol=1e-5, atol=1e-6)


def test_log_odds_of_sites_say_nothing_without_counts_and_out_of_reach() -> None:
    assert not Counts().site_log_odds().any()
    counts = Counts()
    counts.sites[OTHER, ..., :4] = 1000
    counts.sites[REAL, ..., 2] = 980  # G wherever a site is real; 20 more as elsewhere
    odds = counts.site_log_odds()
    for kind, (before, after) in REACHES.items():
        within = odds[kind, BEFORE_BP - before : BEFORE_BP + after]
        np.testing.assert_allclose(within[:, 2], np.log(985 / 1000 * 4), rtol=1e-5)
        np.testing.assert_allclose(within[:, 0], np.log(5 / 1000 * 4), rtol=1e-5)
        assert not within[:, 4].any()
        assert not odds[kind, : BEFORE_BP - before].any() and not odds[kind, BEFORE_BP + after :].any()
