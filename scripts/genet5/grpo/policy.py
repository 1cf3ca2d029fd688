"""Log-probabilities of sampled texts under the grammar they were sampled with, all texts of a prompt in one row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genet5.grpo.rollouts import Rollout
from genet5.writer.batch import Batch, collate_decisions
from genet5.writer.crf_scores import group_logsumexp
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import Branches, PromptPass, Reading


class Packed(NamedTuple):
    """A rollout as tensors: each row holds a prompt and all its texts."""

    batch: Batch
    branches: Branches
    reading: Reading


class Scored(NamedTuple):
    """Of each real choice [Q]: log-probability, entropy of the decision, row and text it belongs to."""

    log_probability: Tensor
    entropy: Tensor
    row: Tensor
    text: Tensor
    router_loss: Tensor | None = None


def pack(rollout: Rollout) -> Packed:
    """One row per prompt: the prompt, then the tokens of its texts one after the other."""
    width = max(sum(len(text.ids) for text in texts) for texts in rollout.texts)
    ids, places, text_number, depth = (np.zeros((len(rollout.texts), width), dtype=np.int64) for _ in range(4))
    text_number -= 1
    decisions = []
    for row, texts in enumerate(rollout.texts):
        first = 0
        for number, text in enumerate(texts):
            span = slice(first, first + len(text.ids))
            ids[row, span], places[row, span], text_number[row, span] = text.ids, text.places, number
            depth[row, span] = np.arange(len(text.ids))
            decisions += [(row, first + index, decision, target) for index, decision, target in text.choices]
            first += len(text.ids)
    device = rollout.fields["ids"].device
    tensors = {
        "target_ids": torch.from_numpy(ids),
        "target_forward": torch.from_numpy(places),
        "target_lengths": torch.tensor([sum(len(text.ids) for text in texts) for texts in rollout.texts]),
        "base_labels": torch.empty(0, dtype=torch.int8),
        **collate_decisions(decisions),
    }
    batch = Batch(**rollout.fields, **{name: tensor.to(device) for name, tensor in tensors.items()})
    branches = Branches(torch.from_numpy(text_number).to(device), torch.from_numpy(depth).to(device))
    return Packed(batch, branches, rollout.reading)


def score_choices(model: GeneT5Model, packed: Packed, temperature: float, read: PromptPass | None = None) -> Scored:
    """Log-probabilities of the choices taken, among all legal ones (nothing is cut off by top-k or top-p).

    read: the pass over the prompts under the same weights, if it is known; it is used up.
    """
    batch, branches, reading = packed
    states, post_keys, router_loss = model.hidden_states(batch, reading, branches, read)
    parts = []
    for choices in model.choices(batch, reading, states, post_keys):
        logits, size = choices.logits / temperature, len(choices.chosen)
        total = group_logsumexp(logits, choices.decision, size)
        log_all = logits - total[choices.decision]
        spread = torch.zeros_like(total).index_add(0, choices.decision, -log_all.exp() * log_all)
        text = branches.text[choices.sample, choices.step]
        parts.append((log_all[choices.chosen], spread, choices.sample, text))
    if not parts:
        nothing = states.flatten()[:0].float()  # part of the graph: a step may go backward through it
        return Scored(nothing, nothing, nothing.long(), nothing.long(), router_loss)
    return Scored(*(torch.cat(column) for column in zip(*parts, strict=True)), router_loss)
