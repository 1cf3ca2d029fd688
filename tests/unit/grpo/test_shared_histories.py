"""Completions that make the same choices are one sequence, in sampling and in learning, and nothing tells it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from grpo_toy import GRAMMARS, SAMPLING, toy_rollout, toy_windows
from model_toy import SHAPES, toy_model

from genet5.grpo.policy import pack, score_choices
from genet5.grpo.rollouts import Completion, Rollout
from genet5.writer.batch import collate_prompts, make_prompt
from genet5.writer.decoding import write_sequences
from genet5.writer.network import GeneT5Model
from genet5.writer.prompt_cache import PromptCache
from genet5.writer.sequences import SequenceWriter, choosable, option_logits

SIZES, GROUP_SIZE, MAX_TOKENS = (90, 140, 60), 6, 60
COLD = replace(SAMPLING, temperature=0.2)  # so that completions stay together for long


@torch.no_grad()
def sampled_apart(model: GeneT5Model, seed: tuple[int, ...]) -> list[list[list[int]]]:
    """Ids of completions that are all written alone, each choice by the completion's own random numbers."""
    windows = toy_windows(SIZES, 11)
    sites = [GRAMMARS.of(one.clade, one.genetic_code).sites(one.bases) for one in windows]
    grammars = [GRAMMARS.of(one.clade, one.genetic_code) for one in windows]
    tokenizer = GRAMMARS.tokenizer
    prompts = collate_prompts(
        [make_prompt(site, one.bases, one.clade, tokenizer) for site, one in zip(sites, windows, strict=True)]
    )
    writers, numbers = [], []
    for window in range(len(windows)):
        writers += [SequenceWriter(grammars[window], sites[window], MAX_TOKENS) for _ in range(GROUP_SIZE)]
        numbers += [np.random.default_rng([*seed, window, completion]) for completion in range(GROUP_SIZE)]

    def choose(sequences, decisions, weighed):
        for sequence, decision, values in zip(sequences, decisions, weighed, strict=True):
            options = choosable(decision, tokenizer.segment_bp)
            logits = option_logits(decision, values, tokenizer.segment_bp)
            option = int(options[COLD.pick(logits, numbers[sequence].random())])
            writers[sequence].take(writers[sequence].token_of(decision, option), 0.0)

    scores = model.score_apart(prompts)
    write_sequences(
        PromptCache(model, prompts, scores, model.read_prompts(prompts, scores), GROUP_SIZE), writers, choose
    )
    return [[one.ids for one in writers[first : first + GROUP_SIZE]] for first in range(0, len(writers), GROUP_SIZE)]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_completions_are_those_that_are_sampled_apart(shape):
    model = toy_model(seed=6, **shape)
    shared = 0
    for seed in ((5, 0, 1), (5, 0, 2)):
        rollout = toy_rollout(model, toy_windows(SIZES, 11), GROUP_SIZE, MAX_TOKENS, sampling=COLD, seed=seed)
        assert [[one.ids for one in group] for group in rollout.completions] == sampled_apart(model, seed)
        for group in rollout.completions:
            alike = {tuple(one.ids) for one in group}
            assert len({id(one) for one in group}) == len(alike), "equal completions are one object"
            shared += len(group) - len(alike)
    assert shared > 3


def repeated(rollout: Rollout) -> Rollout:
    """The same with an object for each completion."""
    copies = [[Completion(**vars(one)) for one in group] for group in rollout.completions]
    return replace(rollout, completions=copies)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equal_completions_are_learnt_from_once_with_the_weight_of_all(shape):
    model = toy_model(seed=6, **shape)
    rollout = toy_rollout(model, toy_windows(SIZES, 11), GROUP_SIZE, MAX_TOKENS, sampling=COLD)
    once, each = pack(rollout), pack(repeated(rollout))
    assert once.batch.num_target_tokens < each.batch.num_target_tokens
    assert torch.equal(each.batch.sequences.ids, pack(rollout, repeat=True).batch.sequences.ids)
    gradients = []
    for packed in (once, each):
        scored = score_choices(model, packed, 0.7)
        weight = torch.sin(torch.arange(len(scored.log_probability)))
        model.zero_grad()
        (scored.log_probability * weight).sum().backward()
        found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        gradients.append((scored, found))
    (one, first), (two, second) = gradients
    torch.testing.assert_close(one.log_probability, two.log_probability, rtol=0, atol=1e-4)
    torch.testing.assert_close(one.entropy, two.entropy, rtol=0, atol=1e-4)
    assert torch.equal(one.row, two.row) and torch.equal(one.completion, two.completion)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3 * float(second.abs().max()))
