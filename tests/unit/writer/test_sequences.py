"""A structure sequence while it grows: its length, its places, what it is between, and the scores of its genes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_toy import GRAMMAR, PLAIN_GRAMMAR, TOKENIZER

from genet5.writer.decisions import COLUMNS, DIRECT, FORWARD, KIND, Decision, Kind
from genet5.writer.decoding import _best
from genet5.writer.sequences import (
    SequenceWriter,
    _hand_out,
    candidate_units,
    choosable,
    option_logits,
)

BASES = "CCATGAAACCCAAACCCAAACCCAAACCCTAACC"  # a gene of 30 bases from 2 to 32


def writer(limit: int = 0) -> SequenceWriter:
    return SequenceWriter(GRAMMAR, GRAMMAR.sites(BASES), limit)


def boundary(forward: list[int], is_offset: bool) -> Decision:
    table = np.zeros((len(forward), COLUMNS), dtype=np.int32)
    table[:, FORWARD] = forward
    return Decision(None, table, np.zeros(len(forward), dtype=np.int32), is_offset, 2 if is_offset else -1)


LOC, OFFSET = boundary([37, 24, 25, 11, 48], False), boundary([29, 25, 29], True)
IDS = Decision(np.array([3, 8]), np.zeros((0, COLUMNS), np.int32), np.zeros(0, np.int32))


def test_a_boundary_is_between_segments_or_positions() -> None:
    assert [candidate_units(one, 12).tolist() for one in (LOC, OFFSET)] == [[3, 2, 2, 0, 4], [29, 25, 29]]
    assert [choosable(one, 12).tolist() for one in (LOC, OFFSET, IDS)] == [[0, 2, 3, 4], [25, 29], [3, 8]]


def test_scores_of_candidates_of_one_unit_add_up() -> None:
    scores = np.array([1.0, 2, 2, 4, 5])
    assert option_logits(LOC, scores, 12).tolist() == pytest.approx([4, 2 + np.log(2), 1, 5])
    assert option_logits(OFFSET, scores[:3], 12).tolist() == pytest.approx([2, 2 + np.log(1 + np.exp(-1))])
    assert option_logits(IDS, scores[:2], 12).tolist() == [1, 2]


def test_the_token_of_an_option_is_an_id_a_mile_post_or_an_offset_in_its_segment() -> None:
    one = writer()
    assert [one.token_of(IDS, 8), one.token_of(LOC, 3)] == [8, TOKENIZER.loc_base + 3]
    assert [one.token_of(OFFSET, option) for option in (25, 29)] == [TOKENIZER.off_base + 1, TOKENIZER.off_base + 5]


def chosen(forward: list[int], stops: list[int], chances: list[int], kind: Kind, is_offset: bool, stop: int) -> list:
    """The best option, its probability, and the stop codon that is read from then on."""
    decision = boundary(forward, is_offset)
    decision.table[:, DIRECT], decision.table[:, KIND] = stops, kind
    option, log_probability, reading_stop = _best(decision, np.log(np.array(chances, float)), 12, stop)
    return [option, pytest.approx(np.exp(log_probability)), reading_stop]


def test_the_best_start_is_one_of_the_stop_codon_whose_starts_are_most_probable() -> None:
    """A mile-post chooses the stop codon, and the offset keeps it where it can; all candidates count."""
    start, donor = Kind.START, Kind.DONOR
    assert chosen([13, 25, 40], [100, 100, 200], [2, 2, 3], start, False, -1) == [1, 2 / 7, 100]
    assert chosen([25, 26, 40], [100, 200, 100], [2, 3, 2], start, False, 7) == [2, 5 / 7, 100]
    assert chosen([25, 29], [100, 200], [5, 1], start, True, 200) == [29, 1 / 6, 200]
    assert chosen([25, 29], [100, 200], [5, 1], start, True, -1) == [25, 5 / 6, -1]
    assert chosen([13, 14, 40], [100, 200, 7], [2, 2, 3], donor, False, 7) == [1, 4 / 7, 7]
    assert tuple(_best(IDS, np.log(np.array([1.0, 3])), 12, 9)) == (8, pytest.approx(np.log(3 / 4)), -1)


def test_values_are_handed_to_the_decisions_they_belong_to() -> None:
    found = [np.empty(0)] * 4
    owner, position = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([3, 0, 1])
    _hand_out(found, torch.arange(6.0), owner, position)
    assert [part.tolist() for part in found] == [[2], [3, 4, 5], [], [0, 1]]
    assert found[0].dtype == np.float64


def test_a_sequence_is_limited_by_its_window_unless_said() -> None:
    assert [writer().limit, writer(5).limit] == [64 + 6, 5]  # 34 bases at 200 tokens per kb
    assert SequenceWriter(GRAMMAR, GRAMMAR.sites("A" * 1005)).limit == 64 + 201


@pytest.mark.parametrize(("limit", "truncated"), [(1, True), (2, False)])
def test_a_sequence_as_long_as_its_limit_is_cut(limit: int, truncated: bool) -> None:
    one = writer(limit)
    assert one.choice() is not None and not one.finished
    one.take(TOKENIZER.plus, -0.5)
    assert ((one.choice() is None), one.truncated, one.finished) == (truncated,) * 3
    if not truncated:
        return
    written = one.result()
    assert (written.truncated, written.genes, written.ids) == (truncated, [], one.ids)


def test_a_whole_sequence_has_its_places_and_the_score_of_its_gene() -> None:
    """Each token is scored: those of the gene up to its end are the gene's, what stands behind is nobody's."""
    one, tokens = writer(), TOKENIZER
    loc, off = tokens.loc_base, tokens.off_base
    ids = [tokens.plus, tokens.cds, loc, off + 2, loc + 2, off + 8, tokens.end, tokens.eos]
    twin = one.fork()
    for number, token in enumerate(ids):
        one.take(token, -(2.0**number))
    assert (twin.ids, twin.places, twin.log_probabilities, twin.cursor.finished) == ([], [], [], False)
    found = one.result()
    assert one.finished and one.places == [0, 0, 0, 2, 24, 32, 0, 0]
    assert [[tuple(part) for part in gene.cds] for gene in found.genes] == [[(2, 32)]]
    assert (found.gene_log_probability, found.ids, found.truncated) == ([-127.0], ids, False)
    assert found.log_probabilities == [-(2.0**number) for number in range(8)]


def test_what_is_no_choice_is_taken_without_asking() -> None:
    short = SequenceWriter(PLAIN_GRAMMAR, PLAIN_GRAMMAR.sites("C"))
    assert (short.num_read, short.reading_stop) == (0, -1)
    short.take(TOKENIZER.plus, -0.5)
    assert short.choice() is not None and not short.finished
    assert (short.ids, short.log_probabilities) == ([TOKENIZER.plus, TOKENIZER.partial5], [-0.5, 0.0])
