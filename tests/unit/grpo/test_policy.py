"""Completions of a prompt in one row say what each says alone, and what supervised training says, with gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from grpo_toy import CODES, GRAMMARS, SAMPLING, parts_of, toy_rollout, toy_windows
from model_toy import SHAPES, TOKENIZER, random_bases, toy_model
from torch import Tensor

from genet5.bake.crops import Window
from genet5.grpo.policy import Scored, pack, score_choices
from genet5.grpo.rollouts import Rollout
from genet5.writer.batch import Prompts, collate, collate_prompts, make_example, make_prompt
from genet5.writer.network import GeneT5Model

SIZES = (61, 240, 130, 400)
MAX_TOKENS = 35


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def sampled(request: pytest.FixtureRequest) -> tuple[GeneT5Model, Rollout]:
    """Completions of windows of two clades and several lengths."""
    model = toy_model(seed=6, **request.param)
    return model, toy_rollout(model, toy_windows(SIZES, 11), 5, MAX_TOKENS)


def prompts_of(windows: Sequence[Window]) -> Prompts:
    made = []
    for window in windows:
        sites = GRAMMARS.of(window.clade, window.genetic_code).sites(window.bases)
        made.append(make_prompt(sites, window.bases, window.clade, TOKENIZER))
    return collate_prompts(made)


def apart(model: GeneT5Model, rollout: Rollout) -> Iterator[tuple[int, int, Rollout]]:
    """Window number, completion number and a rollout of that completion alone, with CRF scores made anew."""
    for row, (window, group) in enumerate(zip(rollout.windows, rollout.completions, strict=True)):
        prompts = prompts_of([window])
        scores = model.score(prompts)
        for number, completion in enumerate(group):
            yield row, number, Rollout([window], [[completion]], prompts, scores)


def in_packed_order(rollout: Rollout, value: Callable[[int, int], float]) -> list[float]:
    """``value(row, completion number)`` of each real choice: structure tokens come first."""
    found: list[list[float]] = [[], []]
    for row, group in enumerate(rollout.completions):
        for number, completion in enumerate(group):
            for kind, places in enumerate(parts_of(completion)):
                found[kind] += [value(row, number)] * len(places)
    return found[0] + found[1]


def scores_apart(model: GeneT5Model, rollout: Rollout, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies of all choices, each completion alone, in packed order."""
    columns: tuple[list[list[Tensor]], ...] = ([[], []], [[], []])
    for _, _, alone in apart(model, rollout):
        scored = score_choices(model, pack(alone), temperature)
        cut = len(parts_of(alone.completions[0][0])[0])
        for column, values in zip(columns, (scored.log_probability, scored.entropy), strict=True):
            column[0].append(values[:cut])
            column[1].append(values[cut:])
    return tuple(torch.cat([*structure, *places]) for structure, places in columns)


def test_the_rollouts_cover_what_completions_can_be(sampled: tuple[GeneT5Model, Rollout]):
    _, rollout = sampled
    completions = [completion for group in rollout.completions for completion in group]
    assert {completion.truncated for completion in completions} == {True, False}
    assert len({len(completion.ids) for completion in completions}) > 6
    assert {gene.strand for completion in completions for gene in completion.genes} == {"+", "-"}
    assert {window.clade for window in rollout.windows} == set(CODES)
    assert len(set(rollout.prompts.prompt_lengths.tolist())) == len(SIZES)
    rows = [sum(len(completion.ids) for completion in group) for group in rollout.completions]
    assert len(set(rows)) == len(rows), "rows of the packed batch need padding"


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_packed_completions_say_what_each_says_alone(sampled: tuple[GeneT5Model, Rollout], temperature: float):
    model, rollout = sampled
    with torch.no_grad():
        packed = score_choices(model, pack(rollout), temperature)
        log_probability, entropy = scores_apart(model, rollout, temperature)
    assert len(packed.log_probability) > 100
    torch.testing.assert_close(packed.log_probability, log_probability, rtol=0, atol=1e-4)
    torch.testing.assert_close(packed.entropy, entropy, rtol=0, atol=1e-4)
    assert packed.row.tolist() == in_packed_order(rollout, lambda row, _: row)
    assert packed.completion.tolist() == in_packed_order(rollout, lambda _, number: number)
    assert float(packed.log_probability.std()) > 0.3 and (packed.log_probability <= 0).all()


def test_packed_completions_say_what_supervised_training_says(sampled: tuple[GeneT5Model, Rollout]):
    """The loss of supervised training on each finished completion is minus the sum of its log-probabilities."""
    model, rollout = sampled
    with torch.no_grad():
        scored = score_choices(model, pack(rollout), 1.0)
    finished = 0
    for row, (window, group) in enumerate(zip(rollout.windows, rollout.completions, strict=True)):
        grammar = GRAMMARS.of(window.clade, window.genetic_code)
        for number, completion in enumerate(group):
            if completion.truncated:
                continue
            example = make_example(window.bases, window.clade, completion.genes, grammar)
            assert example.target_ids.tolist() == completion.ids and example.num_violations == 0
            with torch.no_grad():
                language = float(model.training_losses(collate([example]))["language"])
            mine = scored.log_probability[(scored.row == row) & (scored.completion == number)]
            assert -float(mine.sum()) == pytest.approx(language, abs=1e-4 * max(1, len(mine)))
            finished += 1
    assert finished > 8


def gradients(model: GeneT5Model, loss: Callable[[GeneT5Model], Tensor]) -> dict[str, Tensor]:
    """Gradients of all parameters on a fresh copy."""
    copied = copy.deepcopy(model)
    loss(copied).backward()
    return {name: p.grad for name, p in copied.named_parameters() if p.grad is not None}


def assert_same_gradients(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys() and len(found) > 20
    one, two = (torch.cat([grads[name].flatten() for name in found]).double() for grads in (found, wanted))
    assert float(two.abs().max()) > 0.1
    assert float(torch.cosine_similarity(one, two, dim=0)) > 1 - 1e-7
    assert float((one - two).abs().max()) < 1e-4 * float(two.abs().max())
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4 * float(two.abs().max()), msg=name)


def test_gradients_of_packed_completions_are_those_of_completions_alone(sampled: tuple[GeneT5Model, Rollout]):
    """Each choice with a weight of its own, of either sign, as advantages give it."""
    model, rollout = sampled
    size = sum(len(completion.choices) for group in rollout.completions for completion in group)
    weight = torch.from_numpy(np.random.default_rng(0).normal(0, 1, size)).float()
    packed = gradients(model, lambda m: (score_choices(m, pack(rollout), 0.7).log_probability * weight).sum())
    alone = gradients(model, lambda m: (scores_apart(m, rollout, 0.7)[0] * weight).sum())
    assert_same_gradients(packed, alone)


def test_gradients_of_packed_completions_are_those_of_supervised_training(sampled: tuple[GeneT5Model, Rollout]):
    model, rollout = sampled
    groups = [[completion for completion in group if not completion.truncated] for group in rollout.completions]
    kept = [row for row, group in enumerate(groups) if group]
    windows, groups = [rollout.windows[row] for row in kept], [groups[row] for row in kept]
    prompts = prompts_of(windows)
    finished = Rollout(windows, groups, prompts, model.score(prompts))
    assert len({len(group) for group in groups}) > 1, "groups of different size in one batch"
    examples = [
        make_example(window.bases, window.clade, completion.genes, GRAMMARS.of(window.clade, window.genetic_code))
        for window, group in zip(windows, groups, strict=True)
        for completion in group
    ]
    packed = gradients(model, lambda m: -score_choices(m, pack(finished), 1.0).log_probability.sum())
    supervised = gradients(model, lambda m: m.training_losses(collate(examples))["language"])
    supervised = {name: gradient for name, gradient in supervised.items() if name in packed or gradient.any()}
    assert_same_gradients(packed, supervised)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_pass_over_the_prompts_can_be_used_again(shape: dict[str, Any]):
    """What sampling read of the prompts, with its graph, gives the values and gradients of a pass of its own."""
    model = toy_model(seed=6, **shape)
    rollout = toy_rollout(model, toy_windows(SIZES, 11), 5, MAX_TOKENS, keep_graph=True)
    plain = toy_rollout(model, toy_windows(SIZES, 11), 5, MAX_TOKENS)
    assert plain.read is None
    assert [[one.ids for one in group] for group in plain.completions] == [
        [one.ids for one in group] for group in rollout.completions
    ]
    scores, grads = [], []
    size = sum(len(one.choices) for group in plain.completions for one in group)
    weight = torch.from_numpy(np.random.default_rng(0).normal(0, 1, size))
    for read in (rollout.read, None):
        model.zero_grad()
        scored = score_choices(model, pack(rollout), 0.7, read)
        (scored.log_probability * weight.float()).sum().backward()
        scores.append(scored)
        grads.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(scores[0].log_probability, scores[1].log_probability, rtol=0, atol=1e-4)
    torch.testing.assert_close(scores[0].entropy, scores[1].entropy, rtol=0, atol=1e-4)
    assert (scores[0].router_loss is None) == ("num_experts" not in shape)
    if scores[0].router_loss is not None:
        torch.testing.assert_close(scores[0].router_loss, scores[1].router_loss, rtol=0, atol=1e-5)
    assert_same_gradients(*grads)


def test_one_row_of_all_completions_is_seen_by_no_other_row(sampled: tuple[GeneT5Model, Rollout]):
    """Another completion in a group, or another window in the batch, changes no log-probability of the rest."""
    model, rollout = sampled
    groups = [list(group) for group in rollout.completions]
    other = next(one for one in groups[1] if len(one.ids) != len(groups[1][2].ids))
    groups[1][2] = replace(other)  # a completion of another length in its place
    changed = replace(rollout, completions=groups)
    with torch.no_grad():
        before, after = (score_choices(model, pack(one), 1.0) for one in (rollout, changed))
    for row in range(len(SIZES)):
        for number in range(5):
            one, two = (s.log_probability[(s.row == row) & (s.completion == number)] for s in (before, after))
            if (row, number) == (1, 2):
                assert len(one) != len(two) or float((one - two).abs().max()) > 1e-3
            else:
                torch.testing.assert_close(one, two, rtol=0, atol=1e-5)


def test_temperature_and_entropy_are_of_all_legal_choices(sampled: tuple[GeneT5Model, Rollout]):
    """From the raw logits of one completion: softmax of logits / T over everything legal, nothing cut off."""
    model, rollout = sampled
    _, _, alone = next(apart(model, rollout))
    packed = pack(alone)
    with torch.no_grad():
        states, post_keys, _ = model.hidden_states(packed.batch, packed.scores, packed.branches)
        log_probability, entropy = [], []
        for choices in model.choices(packed.batch, packed.scores, states, post_keys):
            for number, chosen in enumerate(choices.chosen.tolist()):
                share = torch.log_softmax(choices.logits[choices.decision == number].double() / 0.7, 0)
                first = int((choices.decision < number).sum())
                assert (choices.decision[first : first + len(share)] == number).all()
                log_probability.append(float(share[chosen - first]))
                entropy.append(float(-(share.exp() * share).sum()))
        scored = score_choices(model, packed, 0.7)
    assert scored.log_probability.tolist() == pytest.approx(log_probability, abs=1e-5)
    assert scored.entropy.tolist() == pytest.approx(entropy, abs=1e-5)
    assert len(entropy) >= 1


def test_sampled_choices_are_likely_under_the_policy_that_sampled_them():
    """Importance: -log p of sampled choices averages to their entropy, at the temperature they were sampled with."""
    model = toy_model(seed=6)
    rollout = toy_rollout(model, toy_windows((90, 150), 12), 60, 60)
    with torch.no_grad():
        scored: Scored = score_choices(model, pack(rollout), SAMPLING.temperature)
    surprise, spread = -scored.log_probability, scored.entropy
    error = float((surprise - spread).std()) / len(spread) ** 0.5
    assert len(spread) > 500
    assert abs(float(surprise.mean() - spread.mean())) < 4 * error < 0.3


def test_a_prompt_without_a_choice_scores_nothing_and_teaches_nothing():
    """No completion makes a real choice: there is no loss, and no gradient that would break a step."""
    model = toy_model(seed=6)
    bases = random_bases(np.random.default_rng(0), 60)
    rollout = toy_rollout(model, [Window(bases, [], [], "bacteria", 11)], 2, 1)
    groups = [[replace(completion, choices=[]) for completion in group] for group in rollout.completions]
    scored = score_choices(model, pack(replace(rollout, completions=groups)), 1.0)
    assert len(scored.log_probability) == len(scored.entropy) == len(scored.row) == len(scored.completion) == 0
    scored.log_probability.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())
