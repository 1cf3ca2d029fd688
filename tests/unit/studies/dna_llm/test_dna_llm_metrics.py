"""Metrics of the study DNA-LLM against plain definitions, and the controls without a network."""

from __future__ import annotations

import numpy as np
import pytest
from dna_llm_toy import SCORE, SITE, toy_windows

from genet5.studies.dna_llm.kmer_lookup import KmerLookup, kmer_numbers
from genet5.studies.dna_llm.markov import MarkovChain
from genet5.studies.dna_llm.metrics import average_precision, pearson_r, resampled, score
from genet5.studies.dna_llm.site_rule import SiteRule, labelled_starts


def plain_average_precision(predicted: np.ndarray, in_site: np.ndarray) -> float:
    """Precision at each threshold, times the recall gained there (Su et al. 2015)."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(predicted.tolist()), reverse=True):
        chosen = predicted >= threshold
        recall = in_site[chosen].sum() / in_site.sum()
        total += in_site[chosen].mean() * (recall - before)
        before = recall
    return total


@pytest.mark.parametrize("digits", [1, 8])
def test_metrics_agree_with_their_definitions(digits):
    rng = np.random.default_rng(1)
    scores = np.where(rng.random((8, 30)) < 0.2, 5.0, 0.0)
    predicted = (scores + rng.normal(size=scores.shape)).round(digits)  # one digit: many ties
    assert pearson_r(predicted, scores) == pytest.approx(np.corrcoef(predicted.ravel(), scores.ravel())[0, 1])
    expected = plain_average_precision(predicted.ravel(), (scores > 0).ravel())
    assert average_precision(predicted, scores > 0) == pytest.approx(expected)
    assert score(predicted, scores)["mse"]["value"] == pytest.approx(((predicted - scores) ** 2).mean())


def test_perfect_and_constant_predictions():
    scores = np.array([[0.0, 0.0, 3.0, 0.0]])
    assert pearson_r(2 * scores, scores) == pytest.approx(1)
    assert average_precision(scores, scores > 0) == 1
    assert np.isnan(pearson_r(np.ones((1, 4)), scores))
    assert average_precision(np.ones((1, 4)), scores > 0) == 0.25


def test_a_resample_is_the_metric_of_the_windows_it_draws():
    rng = np.random.default_rng(2)
    scores = np.where(rng.random((12, 40)) < 0.2, 5.0, 0.0)
    predicted = scores + 3 * rng.normal(size=scores.shape)
    stretches = np.repeat(np.arange(4), 3)
    draws = resampled(predicted, scores, stretches, 5, seed=7)
    times = np.random.default_rng(7).multinomial(4, np.full(4, 0.25), size=5)
    assert draws and len(times) == 5
    for draw, counts in enumerate(times):
        rows = np.concatenate([np.tile(np.flatnonzero(stretches == s), n) for s, n in enumerate(counts)])
        direct = score(predicted[rows], scores[rows])
        for metric, values in draws.items():
            assert values[draw] == pytest.approx(direct[metric]["value"]), metric


def test_intervals_hold_the_value_and_need_resamples():
    rng = np.random.default_rng(3)
    scores = np.where(rng.random((40, 30)) < 0.2, 5.0, 0.0)
    predicted = scores + rng.normal(size=scores.shape)
    for metric in score(predicted, scores, resampled(predicted, scores, np.arange(40), 200, 1)).values():
        low, high = metric["interval"]
        assert low < metric["value"] < high
    assert all(metric["interval"] is None for metric in score(predicted, scores).values())


def test_the_lookup_knows_a_site_on_either_strand_and_nothing_else():
    windows = toy_windows(90)
    train, test = windows.part("train"), windows.part("test")
    table = KmerLookup().fit(train.bases, train.scores)
    assert (table.means > 0).sum() == 2  # the site and its reverse complement
    assert table.means.max() == SCORE
    np.testing.assert_array_equal(table.predict(test.bases), test.scores)
    turned = (3 - test.bases)[:, ::-1]
    np.testing.assert_array_equal(table.predict(turned)[:, ::-1], test.scores)


def test_a_markov_chain_needs_as_many_bits_as_its_source():
    """A chain in which each base is followed by one of two, evenly: 1 bit; by any: 2 bits."""
    rng = np.random.default_rng(4)
    steps = rng.integers(0, 2, size=200_000)
    codes = (np.cumsum(steps)) % 4
    chain = MarkovChain(2).fit([codes[:150_000]], both_strands=False)
    windows = codes[150_000:].reshape(-1, 100)
    assert chain.bits_per_base(windows) == pytest.approx(1.0, abs=0.01)
    uniform = rng.integers(0, 4, size=(500, 100))
    assert MarkovChain(0).fit([uniform.ravel()]).bits_per_base(uniform) == pytest.approx(2.0, abs=0.01)


def test_unknown_bases_are_neither_context_nor_target():
    windows = np.array([[0, 1, 4, 2, 3, 0]])
    chain = MarkovChain(1).fit([np.array([0, 1] * 50)], both_strands=False)
    expected = -np.log2([51 / 54, 1 / 4, 1 / 4]).sum()
    assert chain.bits_per_base(windows) == pytest.approx(expected / 3)


def test_the_rule_of_the_labels_on_windows_made_by_hand():
    """Of two sites four bases apart the better is labelled, of equal ones the right one, of a chain the last."""
    rng = np.random.default_rng(0)
    stretch = rng.integers(0, 4, size=18, dtype=np.uint8)
    low, high, middle = stretch[:10], stretch[4:14], stretch[8:]  # each begins four bases after the one before
    repeat = np.resize(np.array([3, 0, 0, 0], dtype=np.uint8), 18)
    rule = SiteRule()
    for site, value in ((low, 6.5), (high, 9.0), (middle, 7.0), (repeat[:10], 8.0)):
        rule.scores[kmer_numbers(site[None])[0, 0]] = value
    bases = np.full((5, 60), 2, dtype=np.uint8)
    expected = np.zeros((5, 60), dtype=np.float32)
    bases[0, 10:20], expected[0, 10:20] = low, 6.5
    bases[1, 10:24], expected[1, 14:24] = stretch[:14], 9.0
    bases[2, 10:24], expected[2, 10:20] = stretch[4:], 9.0
    bases[3, 10:28], expected[3, 18:28] = repeat, 8.0
    bases[4, 10:20], bases[4, 20:30], expected[4, 10:20], expected[4, 20:30] = low, low, 6.5, 6.5
    np.testing.assert_array_equal(rule.predict(bases), expected)


def test_the_rule_is_learned_from_labels_and_guesses_sites_that_the_edge_cuts():
    windows = toy_windows(300)
    rule = SiteRule().fit(windows.bases, windows.scores)
    assert np.unique(rule.scores).tolist() == [0, SCORE]
    assert (rule.scores > 0).sum() == 2  # the site and its reverse complement
    np.testing.assert_array_equal(rule.predict(windows.bases)[:, :-9], windows.scores[:, :-9])
    cut = windows.bases[:1].copy()
    cut[0, -9:] = SITE[:9]
    spans = np.lib.stride_tricks.sliding_window_view(windows.bases, 10, axis=1)
    alike = (spans[..., :9] == SITE[:9]).all(axis=2)
    whole = (spans == SITE).all(axis=2)
    assert rule.predict(cut)[0, -1] == pytest.approx(SCORE * (alike & whole).sum() / alike.sum())


def test_labelled_sites_are_runs_of_ten_equal_scores():
    scores = np.zeros((1, 60), dtype=np.float32)
    scores[0, 5:15], scores[0, 15:25], scores[0, 30:39], scores[0, 50:60] = 7, 8, 7, 9
    found = labelled_starts(scores)
    assert np.flatnonzero(found[0]).tolist() == [5, 15, 50]
    assert found[0, [5, 15, 50]].tolist() == [7, 8, 9]
