"""Vectors of tokens: numbers of a window that is made by hand."""

from __future__ import annotations

from math import cos, pi, sin
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from genet5.writer.embedding import Embedder, features_at, wave_rates

LOC, OFF, SEGMENT_BP = 10, 13, 3  # two mile-posts, then three offsets
# One channel, both strands of windows of 6 and of 3 bases, with a zero base at either end.
FEATURES = torch.tensor(
    [
        [[0, 1, 2, 4, 8, 16, 32, 0], [0, 3, 5, 7, 11, 13, 17, 0]],
        [[0, 1, 1, 5, 0, 0, 0, 0], [0, 2, 4, 6, 0, 0, 0, 0]],
    ]
).float()[..., None]
LENGTHS = torch.tensor([6, 3])


@pytest.fixture
def embedder() -> Embedder:
    """Of four numbers a token gets the features of + and -, and the sine and cosine of its place; period 10."""
    config = SimpleNamespace(
        hidden_size=5,
        crf_config=SimpleNamespace(stem_channels=1),
        loc_base=LOC,
        num_loc=2,
        off_base=OFF,
        segment_bp=SEGMENT_BP,
    )
    made = Embedder(config)
    with torch.no_grad():
        for part in made.parameters():
            part.zero_()
        made.base_to_token.weight[1, 0] = made.base_to_token.weight[2, 1] = 1
        made.place_to_token.weight[3, 0] = made.place_to_token.weight[4, 16] = 1
    return made


@pytest.fixture
def tokens() -> nn.Embedding:
    """The first number of a token is its id."""
    return nn.Embedding.from_pretrained(torch.arange(20.0)[:, None] * torch.tensor([1.0, 0, 0, 0, 0]))


def waves(place: int) -> list[float]:
    return [sin(2 * pi * place / 10), cos(2 * pi * place / 10)]


def assert_rows(found: Tensor, expected: list[list[list[float]]]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-5)


def test_waves_have_periods_from_10_bases_to_100_000() -> None:
    assert (2 * pi / wave_rates()).tolist() == pytest.approx(
        [10 ** (1 + 4 * wave / 15) for wave in range(16)], rel=1e-4
    )


def test_waves_are_no_weights(embedder: Embedder) -> None:
    assert sorted(embedder.state_dict()) == [
        "base_to_token.bias", "base_to_token.weight", "place_to_token.bias", "place_to_token.weight",
    ]  # fmt: skip


def test_features_of_a_boundary_are_those_beside_it_on_both_strands() -> None:
    sample, forward = torch.tensor([0, 0, 0, 1]), torch.tensor([2, 0, 6, 5])
    found = features_at(FEATURES, LENGTHS, sample, forward)
    assert found.tolist() == [[2, 4, 11, 13], [0, 1, 17, 0], [32, 0, 0, 3], [0, 0, 0, 2]]


def test_prompt_tokens_show_the_mean_of_their_bases_and_where_they_begin(
    embedder: Embedder, tokens: nn.Embedding
) -> None:
    """What has no bases shows the one that follows, at the end of the window the last one."""
    prompts = SimpleNamespace(
        lengths=LENGTHS,
        ids=torch.tensor([[9, 10, 1, 11, 12, 11], [10, 2, 11, 0, 0, 0]]),
        start=torch.tensor([[0, 0, 0, 3, 3, 6], [0, 0, 3, 0, 0, 0]]),
        end=torch.tensor([[0, 0, 3, 3, 6, 6], [0, 3, 3, 0, 0, 0]]),
    )
    padding = [0, 1, 6, *waves(0)]
    assert_rows(
        embedder.prompt(tokens, prompts, FEATURES),
        [
            [
                [9, 1, 17, *waves(0)],
                [10, 1, 17, *waves(0)],
                [1, 7 / 3, 41 / 3, *waves(0)],
                [10, 8, 7, *waves(3)],
                [12, 56 / 3, 5, *waves(3)],
                [10, 32, 3, *waves(6)],
            ],
            [[10, 1, 6, *waves(0)], [2, 7 / 3, 4, *waves(0)], [10, 5, 2, *waves(3)], padding, padding, padding],
        ],
    )


def test_mile_posts_and_offsets_of_a_sequence_show_the_bases_at_their_place(
    embedder: Embedder, tokens: nn.Embedding
) -> None:
    """A mile-post that of its segment; no place is beyond the window; what is no place shows nothing."""
    ids = torch.tensor([[9, 10, 11, 12, 13, 15, 16]])
    forward = torch.tensor([[4, 2, 5, 4, 4, 6, 4]])
    expected = [
        [9, 0, 0, 0, 0],
        [10, 1, 17, *waves(0)],
        [10, 8, 7, *waves(3)],
        [12, 0, 0, 0, 0],
        [13, 16, 5, *waves(4)],
        [13, 0, 0, *waves(6)],
        [16, 0, 0, 0, 0],
    ]
    short = [
        [9, 0, 0, 0, 0],
        [10, 1, 6, *waves(0)],
        [10, 0, 0, *waves(3)],
        [12, 0, 0, 0, 0],
        [13, 0, 0, *waves(3)],
        [13, 0, 0, *waves(3)],
        [16, 0, 0, 0, 0],
    ]
    assert_rows(embedder.structure(tokens, FEATURES, LENGTHS[:1], ids, forward), [expected])
    both = ids.expand(2, -1), forward.expand(2, -1)
    assert_rows(embedder.structure(tokens, FEATURES, LENGTHS, *both), [expected, short])
    assert_rows(embedder.structure(tokens, FEATURES, LENGTHS, *both, windows=torch.tensor([1, 0])), [short, expected])
