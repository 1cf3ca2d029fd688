"""Logits of places and of ids, of numbers that are made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from genet5.writer.batch import PlaceDecisions, StructureDecisions
from genet5.writer.choices import ChoiceHead
from genet5.writer.decisions import COLUMNS, FORWARD
from genet5.writer.passes import WindowScores

LN2 = 0.6931472


class Said(nn.Module):
    """Stands for what the CRF says of candidates; notes how it is asked."""

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = torch.tensor(numbers, dtype=torch.float32)
        self.asked: list[tuple] = []

    def forward(self, sums: object, _table: Tensor, sample: Tensor, opening: bool = False) -> Tensor:
        self.asked.append((sums, sample.tolist(), opening))
        return self.numbers


@pytest.fixture
def head() -> ChoiceHead:
    """Pointers of four numbers to vectors of two; queries of bases are three times those of mile-posts."""
    config = SimpleNamespace(hidden_size=2, pointer_size=4, segment_bp=10, crf_config=SimpleNamespace(stem_channels=1))
    made = ChoiceHead(config)
    with torch.no_grad():
        for linear, factor in ((made.post_query, 1), (made.base_query, 3), (made.base_key, 1)):
            linear.weight.copy_(torch.eye(4)[:, : linear.in_features] * factor)
            linear.bias.zero_()
    return made


def places(forward: list[int], owner: list[int]) -> PlaceDecisions:
    """A mile-post of the first window, then an offset of the second, then an offset of the first."""
    table = torch.zeros(len(forward), COLUMNS, dtype=torch.int32)
    table[:, FORWARD] = torch.tensor(forward, dtype=torch.int32)
    return PlaceDecisions(
        sample=torch.tensor([0, 1, 0]),
        step=torch.tensor([0, 1, 2]),
        is_offset=torch.tensor([False, True, True]),
        loc=torch.tensor([-1, 0, 1]),
        target=torch.tensor([25, 1, 11]),
        table=table,
        owner=torch.tensor(owner, dtype=torch.int64),
    )


def test_a_candidate_scores_its_match_with_its_segment_or_with_its_bases_and_what_the_crf_says(
    head: ChoiceHead,
) -> None:
    head.boundary_scores = Said(0.5, 0.25, 0, 7)
    features = torch.zeros(2, 2, 32, 1)
    features[1, 0, 1:3, 0] = torch.tensor([2.0, 4.0])  # before and behind forward boundary 1 of the second window
    features[0, 0, 11, 0], features[0, 0, 12, 0] = 6, 10
    post_keys = torch.zeros(2, 4, 4)
    post_keys[0, 2], post_keys[0, 1] = torch.tensor([5.0, 7, 1, 1]), torch.tensor([1.0, 0, 0, 0])
    hidden = torch.tensor([[1.0, 2], [1, 1], [2, 0]])
    found = head.candidate_scores(
        hidden,
        WindowScores(features, "sums"),
        torch.tensor([30, 20]),
        post_keys,
        places([29, 19, 1, 11], [0, 0, 1, 2]),
    )
    # (5 + 14) / 2, 1 / 2, 3 (2 + 4) / 2, 3 (2 * 6) / 2
    assert found.tolist() == [10, 0.75, 9, 25]
    assert head.boundary_scores.asked == [("sums", [0, 0, 1, 0], False)]


def test_candidates_of_one_segment_are_one_choice_and_those_of_an_offset_are_not(head: ChoiceHead) -> None:
    found = head.place_units(torch.tensor([1.0, 1, 3, 4, 5]), places([20, 29, 30, 1, 2], [0, 0, 0, 1, 1]))
    expected = [[1 + LN2, 3, 4, 5], [0, 0, 1, 1], [2, 3, 1, 2]]
    assert [part.tolist() for part in found] == [pytest.approx(part) for part in expected]
    nothing = head.place_units(torch.zeros(0), places([], []))
    assert [part.tolist() for part in nothing] == [[], [], []]


def test_an_id_scores_its_vector_and_with_a_weight_what_its_candidates_sum_to(head: ChoiceHead) -> None:
    head.boundary_scores = Said(1, 1, -1)
    tokens = nn.Embedding.from_pretrained(torch.tensor([[0.0, 0], [1, 0], [2, 3]]))
    decisions = StructureDecisions(
        sample=torch.tensor([1, 0]),
        step=torch.tensor([0, 4]),
        target=torch.tensor([0, 1]),
        option_decision=torch.tensor([0, 0, 1, 1]),
        option_id=torch.tensor([1, 2, 0, 2]),
        table=torch.zeros(3, COLUMNS, dtype=torch.int32),
        owner=torch.tensor([1, 1, 2]),
    )
    hidden = torch.tensor([[1.0, 10], [2, 1]])
    with torch.no_grad():
        head.option_weight.fill_(2)
        found = head.structure_logits(hidden, decisions, "sums", tokens)
    assert found.tolist() == pytest.approx([1, 32 + 2 * (1 + LN2), -2, 7])
    assert head.boundary_scores.asked == [("sums", [1, 1, 0], True)]
    fresh = ChoiceHead(head.config)
    assert fresh.option_weight.item() == 1
