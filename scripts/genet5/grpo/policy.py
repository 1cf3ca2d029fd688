"""Log-probabilities of sampled completions under their grammar, all completions of a prompt in one row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genet5.grpo.rollouts import Rollout
from genet5.training.batches import padded
from genet5.writer.batch import Batch, Sequences, collate_decisions
from genet5.writer.losses import group_logsumexp
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import Branches, PromptPass, WindowScores


class Packed(NamedTuple):
    """A rollout as tensors: each row holds a prompt and its completions, equal ones once.

    sequence_of: [B, G], which of the row's sequences a completion is, -2 where a row has fewer.
    """

    batch: Batch
    branches: Branches
    scores: WindowScores
    sequence_of: Tensor


class Scored(NamedTuple):
    """Of each real choice [Q]: log-probability, entropy of the decision, row and completion it belongs to."""

    log_probability: Tensor
    entropy: Tensor
    row: Tensor
    completion: Tensor
    router_loss: Tensor | None = None


def pack(rollout: Rollout, repeat: bool = False) -> Packed:
    """One row per prompt: the prompt, then the tokens of its completions one after the other.

    repeat: equal completions stand there as often as they were sampled, as routers of experts are taught.
    """
    packed, sequence_of = [], []
    for group in rollout.completions:
        numbers: dict[int, int] = {}
        keys = [number if repeat else id(one) for number, one in enumerate(group)]
        sequence_of.append([numbers.setdefault(key, len(numbers)) for key in keys])
        packed.append([group[sequence_of[-1].index(number)] for number in range(len(numbers))])
    lengths = [sum(len(one.ids) for one in group) for group in packed]
    ids, places, number_of, depth = (np.zeros((len(lengths), max(lengths)), dtype=np.int64) for _ in range(4))
    number_of -= 1
    decisions = []
    for row, group in enumerate(packed):
        first = 0
        for number, one in enumerate(group):
            span = slice(first, first + len(one.ids))
            ids[row, span], places[row, span], number_of[row, span] = one.ids, one.places, number
            depth[row, span] = np.arange(len(one.ids))
            decisions += [(row, taken._replace(step=first + taken.step)) for taken in one.choices]
            first += len(one.ids)
    device = rollout.prompts.ids.device
    sequences = Sequences(torch.from_numpy(ids), torch.from_numpy(places), torch.tensor(lengths))
    batch = Batch(rollout.prompts, sequences.to(device), collate_decisions(decisions).to(device))
    branches = Branches(torch.from_numpy(number_of).to(device), torch.from_numpy(depth).to(device))
    return Packed(
        batch, branches, rollout.scores, padded([np.array(numbers) for numbers in sequence_of], -2).to(device)
    )


def score_choices(model: GeneT5Model, packed: Packed, temperature: float, read: PromptPass | None = None) -> Scored:
    """Log-probabilities of the choices of all completions, among all legal ones (nothing is cut off by top-k or top-p).

    read: the pass over the prompts under the same weights, if it is known; it is used up.
    """
    batch, branches, scores, sequence_of = packed
    states, post_keys, router_loss = model.hidden_states(batch, scores, branches, read)
    parts = []
    for choices in model.choices(batch, scores, states, post_keys):
        logits, size = choices.logits / temperature, len(choices.chosen)
        total = group_logsumexp(logits, choices.decision, size)
        log_all = logits - total[choices.decision]
        spread = torch.zeros_like(total).index_add(0, choices.decision, -log_all.exp() * log_all)
        # Each choice counts for all completions that have made it.
        of_sequence = branches.sequence[choices.sample, choices.step]
        choice, completion = torch.nonzero(sequence_of[choices.sample] == of_sequence[:, None], as_tuple=True)
        order = torch.argsort(choices.sample[choice] * sequence_of.shape[1] + completion, stable=True)
        choice, completion = choice[order], completion[order]
        parts.append((log_all[choices.chosen][choice], spread[choice], choices.sample[choice], completion))
    if not parts:
        nothing = states.flatten()[:0].float()  # part of the graph: a step may go backward through it
        return Scored(nothing, nothing, nothing.long(), nothing.long(), router_loss)
    return Scored(*(torch.cat(column) for column in zip(*parts, strict=True)), router_loss)
