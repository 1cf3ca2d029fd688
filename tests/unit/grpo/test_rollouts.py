"""Sampling: which option a random number stands for, and groups of completions as they come without any cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from grpo_toy import GRAMMARS, SAMPLING, toy_rollout, toy_windows
from hypothesis import given, settings
from hypothesis import strategies as st
from model_toy import SHAPES, TOKENIZER, toy_model
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from genet5.bake.crops import Window
from genet5.grpo.rollouts import Completion
from genet5.grpo.sampling import Sampling
from genet5.tokens.codec import decode_genes, encode_genes
from genet5.writer.batch import Batch, Sequences, Taken, collate_decisions, collate_prompts, make_prompt
from genet5.writer.decisions import FORWARD, next_decision
from genet5.writer.network import GeneT5Model
from genet5.writer.sequences import SequenceWriter

# ---------------------------------------------------------------- picking


def probabilities(sampling: Sampling, logits: np.ndarray) -> np.ndarray:
    """Length of the stretch of [0, 1) that each option is picked for, to about 1e-12; each has one at most."""
    found = np.zeros(len(logits))
    low = 0.0
    while low < 1.0:
        option = sampling.pick(logits, low)
        assert found[option] == 0.0, "an option has two stretches"
        inside, outside = low, 1.0
        for _ in range(45):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if sampling.pick(logits, middle) == option else (inside, middle)
        found[option] = outside - low
        low = outside if outside < 1.0 - 1e-12 else 1.0
    return found


def warped(sampling: Sampling, logits: np.ndarray) -> np.ndarray:
    """The same from the generation code of transformers."""
    scores = torch.from_numpy(logits)[None].double()
    scores = TemperatureLogitsWarper(sampling.temperature)(None, scores)
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1.0:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    return torch.softmax(scores, -1)[0].numpy()


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.5, 0.05])
@pytest.mark.parametrize("top_k", [0, 1, 4, 50])
@pytest.mark.parametrize("temperature", [0.5, 0.8, 1.0, 1.7])
def test_options_are_picked_as_often_as_transformers_would(temperature: float, top_k: int, top_p: float):
    sampling = Sampling(temperature, top_k, top_p)
    rng = np.random.default_rng(4)
    for size in (1, 2, 5, 12):
        logits = rng.normal(0, 2, size)
        found, wanted = probabilities(sampling, logits), warped(sampling, logits)
        assert ((found > 0) == (wanted > 0)).all()
        assert found == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(
    logits=st.lists(st.floats(-300, 300), min_size=1, max_size=20),
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 25),
    top_p=st.floats(0.01, 1),
    uniform=st.floats(0, 1, exclude_max=True),
)
def test_whatever_is_picked_is_one_of_the_best(
    logits: list[float], temperature: float, top_k: int, top_p: float, uniform: float
):
    values = np.array(logits)
    picked = Sampling(temperature, top_k, top_p).pick(values, uniform)
    better = values > values[picked]
    assert better.sum() < (top_k or len(values))
    share = np.exp((values - values.max()) / temperature)
    assert share[better].sum() <= top_p * share.sum() * (1 + 1e-9), "the nucleus was full without it"


def test_edges_of_the_unit_interval_and_equal_options():
    logits = np.log(np.array([0.25, 0.5, 0.25]))
    plain = Sampling()
    assert [plain.pick(logits, u) for u in (0.0, 0.49, 0.51, 0.74, 0.76, 1 - 1e-16)] == [1, 1, 0, 0, 2, 2]
    assert [Sampling(top_p=0.5).pick(logits, u) for u in (0.0, 0.5, 1 - 1e-16)] == [1, 1, 1]
    assert [Sampling(top_k=2).pick(logits, u) for u in (0.0, 0.66, 0.67, 1 - 1e-16)] == [1, 1, 0, 0]
    # The nucleus never loses an option to rounding: 10 x 0.1 is less than 1 in floating point.
    assert {Sampling().pick(np.zeros(10), (i + 0.5) / 10) for i in range(10)} == set(range(10))
    assert {Sampling(top_p=0.3).pick(np.zeros(10), (i + 0.5) / 10) for i in range(10)} == {0, 1, 2}


# ---------------------------------------------------------------- without a cache


def written_without_a_cache(
    model: GeneT5Model, window: Window, sampling: Sampling, max_tokens: int, numbers: np.random.Generator
) -> list[int]:
    """A completion, sampled by the code that trains: for each choice one pass over the prompt and all tokens so far."""
    grammar = GRAMMARS.of(window.clade, window.genetic_code)
    sites = grammar.sites(window.bases)
    prompts = collate_prompts([make_prompt(sites, window.bases, window.clade, TOKENIZER)])
    cursor = grammar.begin(sites)
    ids: list[int] = []
    places: list[int] = []
    with torch.no_grad():
        scores = model.score(prompts)
        while not cursor.finished and len(ids) < max_tokens:
            decision = next_decision(cursor, TOKENIZER)
            units = np.unique(decision.table[:, FORWARD])  # forward positions
            if decision.structure is not None:
                tokens = decision.structure
            elif decision.is_offset:
                tokens = TOKENIZER.off_base + units % TOKENIZER.segment_bp
            else:
                tokens = TOKENIZER.loc_base + np.unique(units // TOKENIZER.segment_bp)
            token = int(tokens[0])
            if len(tokens) > 1:
                # Any option may stand as the one taken: only the logits of all are wanted.
                target = 0 if decision.structure is not None else int(units[0])
                sequences = Sequences(
                    torch.tensor([[*ids, 0]]), torch.tensor([[*places, 0]]), torch.tensor([len(ids) + 1])
                )
                batch = Batch(prompts, sequences, collate_decisions([(0, Taken(len(ids), decision, target))]))
                states, post_keys, _ = model.hidden_states(batch, scores)
                (choices,) = model.choices(batch, scores, states, post_keys)
                assert len(choices.logits) == len(tokens)
                token = int(tokens[sampling.pick(choices.logits.double().numpy(), numbers.random())])
            is_loc, is_off = TOKENIZER.is_loc(token), TOKENIZER.is_off(token)
            place = (token - TOKENIZER.loc_base) * TOKENIZER.segment_bp if is_loc else 0
            place = places[-1] + token - TOKENIZER.off_base if is_off else place
            cursor.advance(token)
            ids.append(token)
            places.append(place)
    return ids


@pytest.mark.parametrize(
    ("shape", "sampling"), [*((shape, SAMPLING) for shape in SHAPES.values()), (SHAPES["dense"], Sampling(0.8, 3, 0.9))]
)
def test_cached_groups_are_the_completions_that_come_without_a_cache(shape: dict[str, Any], sampling: Sampling):
    model = toy_model(seed=8, **shape)
    windows = toy_windows((61, 150, 90, 240), 21)
    seed, group_size, max_tokens = (42, 1, 7), 4, 20
    rollout = toy_rollout(model, windows, group_size, max_tokens, sampling=sampling, seed=seed)
    for number, window in enumerate(windows):
        for place in range(group_size):
            numbers = np.random.default_rng([*seed, number, place])
            alone = written_without_a_cache(model, window, sampling, max_tokens, numbers)
            assert rollout.completions[number][place].ids == alone
    completions = [completion for group in rollout.completions for completion in group]
    assert {completion.truncated for completion in completions} == {True, False}
    assert len({tuple(completion.ids) for completion in completions}) > 6
    assert len({gene.strand for completion in completions for gene in completion.genes}) == 2


def ids_of(group: Sequence[Completion]) -> list[list[int]]:
    return [completion.ids for completion in group]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_completions_of_a_window_depend_on_nothing_beside_it(shape: dict[str, Any]):
    model = toy_model(seed=6, **shape)
    windows, others = toy_windows((100, 90, 61), 3), toy_windows((200, 40, 120, 80), 4)
    whole = toy_rollout(model, windows, 4)
    mixed = toy_rollout(model, [others[0], windows[1], *others[1:]], 4)
    assert ids_of(mixed.completions[1]) == ids_of(whole.completions[1])
    assert ids_of(toy_rollout(model, windows[:1], 4).completions[0]) == ids_of(whole.completions[0])
    for group_size in (2, 7):
        other = toy_rollout(model, windows, group_size)
        shared = min(group_size, 4)
        for one, two in zip(whole.completions, other.completions, strict=True):
            assert ids_of(one[:shared]) == ids_of(two[:shared])


def test_completions_differ_with_the_seed_the_window_and_their_number():
    model = toy_model(seed=6)
    windows = toy_windows((150, 120), 3)
    same = [replace(windows[0]), replace(windows[0])]
    first = toy_rollout(model, same, 4, seed=(1, 2, 3))
    assert ids_of(first.completions[0]) != ids_of(first.completions[1])
    assert len({tuple(one.ids) for one in first.completions[0]}) > 1
    for seed in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert ids_of(toy_rollout(model, same, 4, seed=seed).completions[0]) != ids_of(first.completions[0])
    assert [ids_of(group) for group in toy_rollout(model, same, 4, seed=(1, 2, 3)).completions] == [
        ids_of(group) for group in first.completions
    ]


# ---------------------------------------------------------------- what completions are


@pytest.mark.parametrize("temperature", [0.7, 3.0])
def test_every_completion_is_legal_and_says_what_it_chose(temperature: float):
    model = toy_model(seed=6)
    windows = [*toy_windows((61, 150, 200, 333), 8), *(Window(bases, [], [], "fungi", 1) for bases in ("N" * 40, "AC"))]
    rollout = toy_rollout(model, windows, 6, 70, sampling=Sampling(temperature, 0, 1.0))
    finished = 0
    for window, group in zip(rollout.windows, rollout.completions, strict=True):
        grammar = GRAMMARS.of(window.clade, window.genetic_code)
        for one in group:
            assert 0 < len(one.ids) == len(one.places) <= 70
            cursor = grammar.begin(grammar.sites(window.bases))
            chosen = {taken.step: taken for taken in one.choices}
            for index, (token, place) in enumerate(zip(one.ids, one.places, strict=True)):
                legal = cursor.legal_ids()
                assert token in legal
                assert (index in chosen) == (len(legal) > 1), "real choices are listed and forced tokens are not"
                if index in chosen:
                    _, decision, target = chosen[index]
                    is_place = decision.structure is None
                    assert target == place if is_place else decision.structure[target] == token
                cursor.advance(token)
            assert cursor.finished == (not one.truncated)
            assert one.genes == decode_genes(one.ids, len(window.bases), TOKENIZER, strict=not one.truncated)
            if not one.truncated:
                finished += 1
                assert encode_genes(one.genes, len(window.bases), TOKENIZER).tolist() == one.ids
    assert finished >= 20


@pytest.mark.parametrize("limit", [1, 2, 7, 20])
def test_no_completion_is_longer_than_the_limit(limit: int):
    model = toy_model(seed=6)
    windows = toy_windows((150, 200), 8)
    free, cut = (
        [one for group in toy_rollout(model, windows, 5, length).completions for one in group]
        for length in (1000, limit)
    )
    lengths = set()
    for one, other in zip(free, cut, strict=True):
        assert not one.truncated
        assert other.truncated == (len(one.ids) > limit)
        assert other.ids == one.ids[:limit]
        assert other.genes == one.genes[: len(other.genes)] and other.places == one.places[:limit]
        assert other.truncated or other.genes == one.genes
        assert all(taken.step < limit for taken in other.choices)
        lengths.add(len(other.ids))
    assert max(lengths) == limit
    writer = SequenceWriter(GRAMMARS.of("fungi", 1), GRAMMARS.of("fungi", 1).sites("ACGT" * 30))
    assert writer.limit == 64 + 120 // 5, "no limit asked for: by the window's length"


def test_a_nearly_cold_sampler_writes_the_most_probable_completion_again_and_again():
    model = toy_model(seed=6)
    rollout = toy_rollout(model, toy_windows((150, 90), 8), 5, sampling=Sampling(1e-4, 0, 1.0))
    best = toy_rollout(model, toy_windows((150, 90), 8), 5, sampling=Sampling(1.0, 1, 1.0))
    assert len(best.completions) == 2
    for cold, top in zip(rollout.completions, best.completions, strict=True):
        assert ids_of(cold) == ids_of(top) and len({tuple(one.ids) for one in top}) == 1


def test_sampled_completions_are_as_frequent_as_the_network_says():
    """First choice of 400 completions: strand of the first gene, or no gene at all."""
    model = toy_model(seed=6)
    (window,) = toy_windows((80,), 8)
    completions = toy_rollout(model, [window], 400, 1).completions[0]
    decision = completions[0].choices[0].decision
    assert len(decision.structure) == 3
    counts = np.bincount([one.choices[0].target for one in completions], minlength=3) / 400
    shares = []
    for option in range(3):
        rollout = toy_rollout(model, [window], 1, 1)
        (completion,) = rollout.completions[0]
        sequences = Sequences(torch.tensor([completion.ids]), torch.zeros(1, 1, dtype=torch.long), torch.tensor([1]))
        batch = Batch(rollout.prompts, sequences, collate_decisions([(0, Taken(0, decision, option))]))
        with torch.no_grad():
            states, post_keys, _ = model.hidden_states(batch, rollout.scores)
            (choices,) = model.choices(batch, rollout.scores, states, post_keys)
        shares.append(float(torch.softmax(choices.logits / SAMPLING.temperature, 0)[option]))
    assert sum(shares) == pytest.approx(1.0, abs=1e-5)
    assert counts == pytest.approx(np.array(shares), abs=0.08)
    assert max(shares) < 0.9
