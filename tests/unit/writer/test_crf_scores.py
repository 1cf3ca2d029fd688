"""Scores of candidates, losses and frame means against slow versions of themselves, base by base."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from model_toy import CLADE, GRAMMAR, PLAIN_GRAMMAR, random_bases, random_genes
from torch import Tensor
from torch.nn import functional as F

from genet5.crf.hexamer_loops import CODON_REACHES
from genet5.crf.messages import chain_messages
from genet5.crf.stem import frame_means
from genet5.writer.batch import collate, make_example
from genet5.writer.crf_scores import (
    AFTER,
    CODING_SPAN,
    HAZARD,
    INTRON_SPAN,
    LEAST_LOG_PROBABILITY,
    NUM_FEATURES,
    SITE,
    BoundaryScores,
    ScoreSums,
    score_sums,
)
from genet5.writer.decisions import FORWARD, KIND, POSITION, RANK, STRAND, Kind
from genet5.writer.losses import choice_loss, group_logsumexp, router_loss

PENALTY = torch.tensor(2.0)
ENDS = (Kind.DONOR, Kind.STOP, Kind.EDGE)


@pytest.fixture(scope="module")
def case() -> dict:
    """Windows of three lengths with all their candidates, and made-up logits for their bases and sites."""
    rng = np.random.default_rng(0)
    examples = []
    for number, size in enumerate((400, 173, 290, 61, 333)):
        grammar = (GRAMMAR, PLAIN_GRAMMAR)[number % 2]
        bases = random_bases(rng, size, 0.01)
        examples.append(make_example(bases, CLADE, random_genes(grammar, bases, rng), grammar))
    batch = collate(examples)
    prompts, structure, places = batch.prompts, batch.decisions.structure, batch.decisions.places
    generator = torch.Generator().manual_seed(1)
    count, width = len(examples), prompts.codes.shape[-1]
    potentials = torch.randn(count, 2, width, 4, generator=generator) * 0.3
    sites = torch.randn(count, 2, 4, width + 1, generator=generator)
    sums = score_sums(potentials, sites, PENALTY, prompts.sites, prompts.lengths)
    messages = [
        [
            chain_messages(
                potentials[row, strand, : prompts.lengths[row]][None],
                sites[row, strand, :, : prompts.lengths[row] + 1][None],
                PENALTY,
                prompts.sites[row, strand, :, : prompts.lengths[row] + 1][None] > -2,
                prompts.lengths[row : row + 1],
                torch.tensor([strand == 0]),
            )
            for strand in range(2)
        ]
        for row in range(count)
    ]
    return {
        "prompts": prompts,
        "potentials": potentials,
        "sites": sites,
        "messages": messages,
        "sums": sums,
        "tables": {True: structure.table, False: places.table},
        "samples": {
            True: structure.sample[structure.option_decision[structure.owner]],
            False: places.sample[places.owner],
        },
    }


def slow_features(case: dict, row: list[int], sample: int, opening: bool) -> list[float]:
    strand, kind, frame, position, anchor, direct, previous, forward, rank, first_codon = row
    potentials, sites = case["potentials"][sample, strand].double(), case["sites"][sample, strand].double()
    length = int(case["prompts"].lengths[sample])
    messages = case["messages"][sample]

    def coding(begin: int, end: int) -> float:
        return sum(float(potentials[base, (base - frame) % 3]) for base in range(begin, min(end, length)))

    def intron(begin: int, end: int) -> float:
        return sum(float(potentials[base, 3]) for base in range(begin, min(end, length)))

    is_end, is_acceptor, is_start = kind in ENDS, kind == Kind.ACCEPTOR, kind == Kind.START
    skipped = 0.0
    for row_strand in range(2):
        for place in range(length + 1):
            key = place if row_strand == 0 else length - place
            if previous < key < forward:
                skipped += float(messages[row_strand].skipped[0, place])
    span = math.log1p(max(position - anchor, 0)) / 4 if is_end or is_acceptor else 0.0
    span = math.log1p(direct - position) / 4 if is_start else span
    next_position = (position - frame) % 3
    site = {Kind.STOP: 1, Kind.DONOR: 2, Kind.ACCEPTOR: 3}.get(kind)
    site_value = 0.0 if site is None else float(sites[site, position])
    state = {Kind.STOP: 0, Kind.DONOR: 4 + next_position, Kind.ACCEPTOR: 1 + next_position}.get(kind)
    after = 0.0 if state is None else float(messages[strand].after[0, position, state])
    if is_start:
        site_value = float(messages[strand].start[0, position])
    if kind == Kind.CUT and opening:
        site_value = -20.0 if rank else max(float(messages[strand].cut[0, next_position]), -20.0)
    if kind == Kind.CUT and not opening:
        after = float(messages[strand].after[0, 0, 1 + next_position])
    return [
        coding(anchor, position) if is_end else 0.0,
        intron(anchor, position) if is_acceptor else 0.0,
        site_value,
        after,
        -skipped if kind in (Kind.START, Kind.CUT, Kind.NONE) else 0.0,
        1.0,
        span,
        span**2,
        math.log1p(rank) if is_start else 0.0,
        float(first_codon and is_start),
    ]


@pytest.mark.parametrize("opening", [True, False])
def test_the_ten_numbers_of_every_kind_of_candidate(case, opening):
    table, sample = case["tables"][opening], case["samples"][opening]
    found = BoundaryScores().features(case["sums"], table, sample, opening)
    assert found.shape == (len(table), NUM_FEATURES)
    rng = np.random.default_rng(1)
    kinds = (Kind.START, Kind.CUT, Kind.NONE) if opening else set(Kind) - {Kind.NONE}
    for kind in kinds:
        rows = (table[:, KIND] == kind).nonzero().flatten().numpy()
        assert len(rows), f"no candidate of kind {kind.name}"
        for index in rng.permutation(rows)[:40]:
            wanted = slow_features(case, table[index].tolist(), int(sample[index]), opening)
            assert found[index].tolist() == pytest.approx(wanted, abs=1e-3), Kind(kind).name


def test_a_second_gene_that_the_same_edge_cuts_is_all_but_ruled_out(case):
    rows = case["tables"][True][:, KIND] == Kind.CUT
    table, sample = case["tables"][True][rows], case["samples"][True][rows]
    second = table.clone()
    second[:, RANK] = 1
    first_cut, second_cut = (BoundaryScores()(case["sums"], rows, sample, opening=True) for rows in (table, second))
    expected = BoundaryScores().features(case["sums"], table, sample, opening=True)[:, SITE]
    torch.testing.assert_close(first_cut - second_cut, expected - LEAST_LOG_PROBABILITY)
    assert (first_cut - second_cut > 1).any()


def test_a_score_is_the_weighted_sum(case):
    scores = BoundaryScores()
    with torch.no_grad():
        scores.weights.normal_(generator=torch.Generator().manual_seed(3))
    table, sample = case["tables"][False], case["samples"][False]
    features = scores.features(case["sums"], table, sample)
    found = scores(case["sums"], table, sample).detach()
    assert len(features) == len(found) > 37
    for index in range(0, len(features), 37):
        wanted = (scores.weights[int(table[index, KIND])] * features[index]).sum().detach()
        assert float(found[index]) == pytest.approx(float(wanted), rel=1e-5, abs=1e-5)


def test_the_sums_of_a_window_do_not_depend_on_its_batch(case):
    prompts = case["prompts"]
    assert len(prompts.lengths) > 1
    for sample in range(len(prompts.lengths)):
        size = int(prompts.lengths[sample])
        alone = score_sums(
            case["potentials"][sample : sample + 1, :, :size],
            case["sites"][sample : sample + 1, :, :, : size + 1],
            PENALTY,
            prompts.sites[sample : sample + 1, :, :, : size + 1],
            prompts.lengths[sample : sample + 1],
        )
        for name, whole, part in zip(ScoreSums._fields, case["sums"], alone, strict=True):
            shown = whole[sample, :, : size + 1] if name == "after" else whole[sample, ..., : part.shape[-1]]
            torch.testing.assert_close(shown, part[0], msg=name)
            if name in ("coding", "intron"):  # reading on beyond the end adds nothing
                assert (whole[sample, ..., part.shape[-1] :] == part[0, ..., -1:]).all()


def test_log_sums_of_groups():
    values = torch.tensor([1.0, -2.0, 3.0, 1e4, 1e4, -1e4], requires_grad=True)
    group = torch.tensor([0, 2, 0, 3, 3, 5])
    found = group_logsumexp(values, group, 6)
    wanted = [math.log(math.e + math.e**3), -math.inf, -2.0, 1e4 + math.log(2), -math.inf, -1e4]
    assert found.tolist() == pytest.approx(wanted, rel=1e-6)
    found[torch.isfinite(found)].sum().backward()
    softmax = math.e / (math.e + math.e**3)
    assert values.grad.tolist() == pytest.approx([softmax, 1.0, 1 - softmax, 0.5, 0.5, 1.0], rel=1e-5)


# ---------------------------------------------------------------- losses


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_choice_loss_is_cross_entropy_over_the_options(smoothing):
    generator = torch.Generator().manual_seed(0)
    sizes = [1, 2, 7, 3, 40]
    choices = [torch.randn(size, generator=generator) * 3 for size in sizes]
    targets = [0, 1, 3, 2, 11]
    wanted = sum(
        F.cross_entropy(options[None], torch.tensor([target]), label_smoothing=smoothing)
        for options, target in zip(choices, targets, strict=True)
    )
    # The options of one choice need not stand together.
    order = torch.randperm(sum(sizes), generator=generator)
    group = torch.repeat_interleave(torch.arange(5), torch.tensor(sizes))[order]
    starts = np.cumsum([0, *sizes[:-1]])
    where = torch.tensor(
        [int((order == start + target).nonzero()) for start, target in zip(starts, targets, strict=True)]
    )
    found = choice_loss(torch.cat(choices)[order], group, where, 5, smoothing)
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)


def test_router_loss_is_one_for_an_even_spread_and_counts_real_tokens_only():
    even = torch.tensor([[9.0, 0, 9, 0], [0, 9, 0, 9]] * 3)
    assert float(router_loss([even, even], torch.ones(6, dtype=torch.bool), 2)) == pytest.approx(1.0, rel=1e-6)
    uneven = torch.tensor([[9.0, 9, 0, 0]] * 6)
    p = math.exp(9) / (2 * math.exp(9) + 2)  # probability of either expert that all tokens choose
    real = torch.tensor([True] * 4 + [False] * 2)
    assert float(router_loss([uneven], real, 2)) == pytest.approx(4 * 2 * 0.5 * p, rel=1e-5)
    mixed = torch.cat([even[:4], uneven[:2]])
    assert float(router_loss([mixed], real, 2)) == pytest.approx(1.0, rel=1e-6)
    assert float(router_loss([even, uneven], real, 2)) == pytest.approx((1 + 4 * p) / 2, rel=1e-5)


# ---------------------------------------------------------------- stem


def slow_frame_means(scores: Tensor) -> Tensor:
    count, kinds, width = scores.shape
    found = torch.zeros(count, kinds, len(CODON_REACHES), 2, width)
    for which, reach in enumerate(CODON_REACHES):
        for place in range(width):
            after = [place + 3 * step for step in range(reach) if place + 3 * step < width]
            before = [place - 3 * step for step in range(1, reach + 1) if place - 3 * step >= 0]
            for side, places in enumerate((after, before)):
                found[:, :, which, side, place] = scores[:, :, places].sum(-1) / reach**0.5
    return found.flatten(1, 3)


@pytest.mark.parametrize("width", [1, 2, 3, 100, 260])
def test_frame_means_against_loops(width):
    scores = torch.randn(2, 3, width, generator=torch.Generator().manual_seed(width))
    found = frame_means(scores.transpose(1, 2))  # [N, W, reach and side and kind]
    wanted = slow_frame_means(scores).unflatten(1, (3, -1)).permute(0, 3, 2, 1).flatten(2)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_candidate_tables_are_strand_coordinates_of_forward_places(case):
    lengths = case["prompts"].lengths[case["samples"][False]]
    strand, position, forward = (case["tables"][False][:, column].long() for column in (STRAND, POSITION, FORWARD))
    assert torch.equal(torch.where(strand == 0, position, lengths - position), forward)


def test_the_first_weights_write_as_the_crf_would():
    """By kind: coding and intron span, site, what may follow, and the chance of a start before."""
    expected = torch.zeros(7, NUM_FEATURES)
    for kind, columns in (
        (Kind.START, (SITE, HAZARD)),
        (Kind.DONOR, (CODING_SPAN, SITE, AFTER)),
        (Kind.STOP, (CODING_SPAN, SITE, AFTER)),
        (Kind.EDGE, (CODING_SPAN,)),
        (Kind.ACCEPTOR, (INTRON_SPAN, SITE, AFTER)),
        (Kind.CUT, (SITE, AFTER, HAZARD)),
        (Kind.NONE, (HAZARD,)),
    ):
        expected[kind, list(columns)] = 1
    assert torch.equal(BoundaryScores().weights, expected)
