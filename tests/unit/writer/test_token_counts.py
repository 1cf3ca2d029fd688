"""Tokens of windows, counted by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from genet5.bake.samples import SampleGene
from genet5.genome.genes import Interval
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.token_counts import DnaRate, TokenCounts, longest_sequence

CHAR = GeneTokenizer.build("char", segment_bp=10, max_window_bp=100)


def test_a_model_adds_nothing_unless_said() -> None:
    """Three tokens of the frame, a mile-post at the begin and one behind each segment."""
    counts = TokenCounts(CHAR)
    assert [counts.added, counts.bases("ACGT" * 5), counts.prompts(20, 20), counts.prompts(9, 9)] == [0, 26, 26, 13]
    more = TokenCounts(CHAR, 5)
    assert [more.bases("ACGT" * 5), more.prompts(20, 20)] == [31, 31]


@pytest.mark.parametrize(
    ("added", "tokens", "kept"),
    [(0, 0, 10), (0, 23, 10), (0, 24, 20), (0, 35, 30), (4, 27, 10), (4, 28, 20), (4, 99, 30)],
)
def test_what_fits_ends_at_a_mile_post_with_the_token_behind_it(added: int, tokens: int, kept: int) -> None:
    """Mile-posts are tokens 2, 11, 22 and 33 here; with one and <sep> behind it a part has two tokens more."""
    prompt = SimpleNamespace(posts=np.array([2, 11, 22, 33]), window_bp=35)
    assert TokenCounts(CHAR, added).fitting_bp(prompt, tokens) == kept
    assert TokenCounts(CHAR, added).fitting_bp(SimpleNamespace(posts=np.array([2]), window_bp=7), tokens) == 7


def test_a_rate_is_the_mean_and_the_largest_deviation_by_the_root_of_the_length() -> None:
    rate = DnaRate.measured([10, 4, 6], [36, 4, 40])
    assert (rate.mean, rate.spread) == (0.25, 1.5)  # (10 - 9) / 6, (4 - 1) / 2, (6 - 10) / root of 40
    assert rate.tokens(np.array([0, 1, 4, 16, 100, 99])).tolist() == [0, 1, 4, 10, 40, 40]
    assert rate.tokens(np.array([16])).dtype == np.int64


def gene(*cds: tuple[int, int], whole: bool = True) -> SampleGene:
    parts = tuple(Interval(*part) for part in cds)
    return SampleGene("g", "+", parts, (0,) * len(parts), complete3=whole)


@pytest.mark.parametrize(
    ("one", "tokens"),
    [
        (gene((40, 60)), 8),  # <eos>, two of the gene, five of its segment
        (gene((30, 70)), 8),
        (gene((29, 70)), 11),  # a crop that begins as late as it can cuts it
        (gene((30, 71)), 11),
        (gene((40, 60), whole=False), 11),
        (gene((5, 10), (40, 60)), 11),  # the first segment ends where the first crop begins
        (gene((5, 11), (40, 60)), 16),
        (gene((40, 60), (89, 95)), 16),
        (gene((40, 60), (90, 95)), 11),
        (gene((90, 99)), 1),
        (gene((0, 10)), 1),
    ],
)
def test_a_sequence_counts_what_a_crop_of_60_bases_within_10_to_90_could_show(one: SampleGene, tokens: int) -> None:
    assert longest_sequence([one], 10, 90, 60) == tokens
    assert longest_sequence([one, one], 10, 90, 60) == 2 * tokens - 1
