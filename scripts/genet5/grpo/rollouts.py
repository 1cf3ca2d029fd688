"""Sampling a group of completions for each prompt, with the network reading the prompt once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from genet5.bake.crops import Window
from genet5.genome.window_genes import WindowGene
from genet5.grpo.sampling import Sampling
from genet5.tokens.grammars import Grammars
from genet5.writer.batch import Prompt, Prompts, Taken, collate_prompts, make_prompt
from genet5.writer.decisions import Decision
from genet5.writer.decoding import write_sequences
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import PromptPass, WindowScores
from genet5.writer.prompt_cache import PromptCache
from genet5.writer.sequences import SequenceWriter, choosable, option_logits


@dataclass
class Completion:
    """A sampled structure sequence. choices: the real ones."""

    ids: list[int]
    places: list[int]
    genes: list[WindowGene]
    truncated: bool
    choices: list[Taken] = field(default_factory=list)


@dataclass
class Rollout:
    """Completions of a batch of windows, [windows][G], with their prompts and CRF scores.

    read: the pass over the prompts, with its graph if that was asked for, for the first use under the same weights.
    """

    windows: list[Window]
    completions: list[list[Completion]]
    prompts: Prompts
    scores: WindowScores
    read: PromptPass | None = None


@torch.no_grad()
def roll_out(
    model: GeneT5Model,
    grammars: Grammars,
    windows: Sequence[Window],
    group_size: int,
    sampling: Sampling,
    max_tokens: int,
    seed: Sequence[int],
    keep_graph: bool = False,
) -> Rollout:
    """Sample ``group_size`` completions for each window. ``keep_graph``: the pass over the prompts can be learnt
    through.

    Every completion has random numbers of its own (from ``seed``, its window's place and its own), so that it does not
    depend on what else is in the batch.
    """
    tokenizer = grammars.tokenizer
    prompts: list[Prompt] = []
    writers: list[SequenceWriter] = []
    for window in windows:
        grammar = grammars.of(window.clade, window.genetic_code)
        sites = grammar.sites(window.bases)
        prompts.append(make_prompt(sites, window.bases, window.clade, tokenizer))
        writers += [SequenceWriter(grammar, sites, max_tokens) for _ in range(group_size)]
    numbers = [
        np.random.default_rng([*seed, window, completion])
        for window in range(len(windows))
        for completion in range(group_size)
    ]
    choices: list[list[Taken]] = [[] for _ in writers]

    def choose(completions: list[int], decisions: list[Decision], weighed: list[np.ndarray]) -> None:
        for completion, decision, values in zip(completions, decisions, weighed, strict=True):
            writer = writers[completion]
            options = choosable(decision, tokenizer.segment_bp)
            logits = option_logits(decision, values, tokenizer.segment_bp)
            number = sampling.pick(logits, numbers[completion].random())
            token = writer.token_of(decision, int(options[number]))
            index = len(writer.ids)
            writer.take(token, 0.0)
            target = number if decision.structure is not None else writer.places[-1]
            choices[completion].append(Taken(index, decision, target))

    batch = collate_prompts(prompts).to(model.device)
    scores = model.score_apart(batch)
    with torch.set_grad_enabled(keep_graph):
        read = model.read_prompts(batch, scores)
    write_sequences(PromptCache(model, batch, scores, read.branch(detached=True), group_size), writers, choose)
    completions = [
        Completion(writer.ids, writer.places, writer.result().genes, writer.truncated, taken)
        for writer, taken in zip(writers, choices, strict=True)
    ]
    grouped = [completions[first : first + group_size] for first in range(0, len(completions), group_size)]
    return Rollout(list(windows), grouped, batch, scores, read if keep_graph else None)
