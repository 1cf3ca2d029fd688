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
    """Completions of a batch of windows, [windows][G], with their prompts and CRF scores. Equal ones are one object.

    read: the pass over the prompts, with its graph if that was asked for, for the first use under the same weights.
    """

    windows: list[Window]
    completions: list[list[Completion]]
    prompts: Prompts
    scores: WindowScores
    read: PromptPass | None = None


class Group:
    """The completions of one window; those that have made the same choices so far are one sequence.

    writers: of each sequence, as many as completions have parted into. members: completions of each. choices: of each.
    """

    def __init__(self, writer: SequenceWriter, uniform: Sequence[np.random.Generator]) -> None:
        """uniform: random numbers of each completion."""
        self.uniform = uniform
        self.writers = [writer]
        self.members = [list(range(len(uniform)))]
        self.choices: list[list[Taken]] = [[]]

    def take(self, sequence: int, decision: Decision, values: np.ndarray, sampling: Sampling) -> list[int]:
        """Let the completions of a sequence make a choice; those that part from the first one become sequences.

        values: as ``choice_scores`` gives them. Returns the new sequences.
        """
        writer, before = self.writers[sequence], self.choices[sequence]
        segment_bp = writer.tokens.segment_bp
        options, logits = choosable(decision, segment_bp), option_logits(decision, values, segment_bp)
        picked: dict[int, list[int]] = {}
        for completion in self.members[sequence]:
            picked.setdefault(sampling.pick(logits, self.uniform[completion].random()), []).append(completion)
        places = [sequence, *range(len(self.writers), len(self.writers) + len(picked) - 1)]
        twins = [writer, *(writer.fork() for _ in places[1:])]
        self.writers += twins[1:]
        self.members += [[]] * (len(places) - 1)
        self.choices += [[]] * (len(places) - 1)
        for place, twin, (number, members) in zip(places, twins, picked.items(), strict=True):
            index = len(twin.ids)
            twin.take(twin.token_of(decision, int(options[number])), 0.0)
            target = number if decision.structure is not None else twin.places[-1]
            self.members[place] = members
            self.choices[place] = [*before, Taken(index, decision, target)]
        return places[1:]

    def completions(self) -> list[Completion]:
        """In their order; those that are alike are one object."""
        found: list[Completion | None] = [None] * len(self.uniform)
        for writer, members, choices in zip(self.writers, self.members, self.choices, strict=True):
            one = Completion(writer.ids, writer.places, writer.result().genes, writer.truncated, choices)
            for member in members:
                found[member] = one
        return found


def sample_groups(cache: PromptCache, groups: Sequence[Group], sampling: Sampling) -> None:
    """Let the completions of every window grow to their end; the network reads what several have in common once."""
    per_prompt = cache.per_prompt
    of_place: list[SequenceWriter | None] = [None] * (per_prompt * len(groups))
    while True:
        places, decisions = [], []
        for prompt in cache.prompts:
            for number, writer in enumerate(groups[prompt].writers):
                if not writer.finished and (decision := writer.choice()) is not None:
                    places.append(prompt * per_prompt + number)
                    decisions.append(decision)
                    of_place[places[-1]] = writer
        if not places:
            return
        forks = []
        for place, decision, values in zip(places, decisions, cache.weigh(of_place, places, decisions), strict=True):
            prompt, number = divmod(place, per_prompt)
            parted = groups[prompt].take(number, decision, values, sampling)
            forks += [(place, prompt * per_prompt + other) for other in parted]
        cache.fork(forks)


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
    prompts: list[Prompt] = []
    groups: list[Group] = []
    for number, window in enumerate(windows):
        grammar = grammars.of(window.clade, window.genetic_code)
        sites = grammar.sites(window.bases)
        prompts.append(make_prompt(sites, window.bases, window.clade, grammars.tokenizer))
        uniform = [np.random.default_rng([*seed, number, completion]) for completion in range(group_size)]
        groups.append(Group(SequenceWriter(grammar, sites, max_tokens), uniform))
    batch = collate_prompts(prompts).to(model.device)
    scores = model.score_apart(batch)
    with torch.set_grad_enabled(keep_graph):
        read = model.read_prompts(batch, scores)
    sample_groups(PromptCache(model, batch, scores, read.branch(detached=True), group_size), groups, sampling)
    grouped = [group.completions() for group in groups]
    return Rollout(list(windows), grouped, batch, scores, read if keep_graph else None)
