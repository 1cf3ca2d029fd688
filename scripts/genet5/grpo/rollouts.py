"""Sampling a group of texts for each prompt, with the network reading the prompt once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from genet5.grpo.sampling import Sampling
from genet5.tokens.codec import WindowGene
from genet5.tokens.grammars import Grammars
from genet5.writer.batch import Prompt, collate_prompts, make_prompt
from genet5.writer.decisions import Decision
from genet5.writer.decoding import write_texts
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import PromptPass, Reading
from genet5.writer.prompt_cache import PromptCache, read_windows_apart
from genet5.writer.sequences import TextWriter, choosable, option_logits
from genet5.writer.windows import Window


@dataclass
class Text:
    """A sampled text. choices: (token, decision, what was taken) of the real ones, for ``collate_decisions``."""

    ids: list[int]
    places: list[int]
    genes: list[WindowGene]
    truncated: bool
    choices: list[tuple[int, Decision, int]] = field(default_factory=list)


@dataclass
class Rollout:
    """Texts of a batch of windows, [windows][G], with what the network made of their DNA.

    read: the pass over the prompts, with its graph if that was asked for, for the first use under the same weights.
    """

    windows: list[Window]
    prompts: list[Prompt]
    texts: list[list[Text]]
    fields: dict[str, Tensor]
    reading: Reading
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
    """Sample ``group_size`` texts for each window. ``keep_graph``: the pass over the prompts can be learnt through.

    Every text has random numbers of its own (from ``seed``, its window's place and its own), so that it does not depend
    on what else is in the batch.
    """
    tokenizer = grammars.tokenizer
    prompts: list[Prompt] = []
    writers: list[TextWriter] = []
    for window in windows:
        grammar = grammars.of(window.clade, window.genetic_code)
        sites = grammar.sites(window.bases)
        prompts.append(make_prompt(sites, window.bases, window.clade, tokenizer))
        writers += [TextWriter(grammar, sites, max_tokens) for _ in range(group_size)]
    numbers = [
        np.random.default_rng([*seed, number, text]) for number in range(len(windows)) for text in range(group_size)
    ]
    choices: list[list[tuple[int, Decision, int]]] = [[] for _ in writers]

    def choose(texts: list[int], decisions: list[Decision], scores: list[np.ndarray]) -> None:
        for text, decision, values in zip(texts, decisions, scores, strict=True):
            writer = writers[text]
            options = choosable(decision, tokenizer.segment_bp)
            logits = option_logits(decision, values, tokenizer.segment_bp)
            number = sampling.pick(logits, numbers[text].random())
            token = writer.token_of(decision, int(options[number]))
            index = len(writer.ids)
            writer.take(token, 0.0)
            target = number if decision.structure is not None else writer.places[-1]
            choices[text].append((index, decision, target))

    fields = {name: tensor.to(model.device) for name, tensor in collate_prompts(prompts).items()}
    reading = read_windows_apart(model, fields["codes"], fields["lengths"], fields["sites"])
    with torch.set_grad_enabled(keep_graph):
        read = model.read_prompts(fields, reading)
    write_texts(PromptCache(model, fields, reading, read.branch(detached=True), group_size), writers, choose)
    texts = [
        Text(writer.ids, writer.places, writer.result().genes, writer.truncated, taken)
        for writer, taken in zip(writers, choices, strict=True)
    ]
    grouped = [texts[first : first + group_size] for first in range(0, len(texts), group_size)]
    return Rollout(list(windows), prompts, grouped, fields, reading, read if keep_graph else None)
