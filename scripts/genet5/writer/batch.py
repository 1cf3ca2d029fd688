"""Windows as tensors: from bases and genes to the arrays the network trains on, and how examples are collated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from genet5.crf.labels import NOT_A_SITE, PADDING, site_labels
from genet5.genome.sites import WindowSites
from genet5.genome.window_genes import WindowGene
from genet5.tokens.codec import encode_genes
from genet5.tokens.grammar import Grammar
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.training.batches import padded
from genet5.writer.decisions import BOUNDARY_STEPS, COLUMNS, LOC_STEPS, Decision, next_decision


@dataclass
class Prompt:
    """What the network sees of a window.

    codes: uint8 [2, W], strand coordinates. ids, start, end: int32 [P], tokens and their forward spans. posts: int32,
    indices of the mile-posts among the tokens. sites: int8 [2, 4, W + 1], strand coordinates, ``NOT_A_SITE`` or
    ``UNSCORED_SITE``.
    """

    codes: np.ndarray
    ids: np.ndarray
    start: np.ndarray
    end: np.ndarray
    posts: np.ndarray
    sites: np.ndarray

    @property
    def window_bp(self) -> int:
        return self.codes.shape[1]


class Taken(NamedTuple):
    """A decision at token ``step``, and what is taken: the index of the legal id, or the forward position."""

    step: int
    decision: Decision
    target: int

    @property
    def is_choice(self) -> bool:
        """Whether there is more than one way to go on, as far as the kind of the decision tells."""
        return self.decision.structure is None or len(self.decision.structure) > 1

    @property
    def place(self) -> int:
        """The forward position that the token stands for; 0 for a structure token."""
        return self.target if self.decision.structure is None else 0


@dataclass
class Example:
    """A prompt with its genes.

    target_ids: int32 [T], the structure sequence. steps: its decisions, one per token. num_violations: tokens outside
    the rules.
    """

    prompt: Prompt
    target_ids: np.ndarray
    steps: list[Taken]
    num_violations: int


def make_prompt(sites: WindowSites, bases: str | bytes, clade: str, tokenizer: GeneTokenizer) -> Prompt:
    tokens = tokenizer.prompt_ids(bases, clade)
    return Prompt(
        codes=sites.strand_codes,
        ids=tokens.ids,
        start=tokens.start,
        end=tokens.end,
        posts=np.flatnonzero(tokenizer.is_loc(tokens.ids)).astype(np.int32),
        sites=site_labels(sites.allowed),
    )


def make_example(bases: str | bytes, clade: str, genes: Sequence[WindowGene], grammar: Grammar) -> Example:
    """A training example; genes: what the network shall write."""
    sites = grammar.sites(bases)
    return Example(make_prompt(sites, bases, clade, grammar.tokenizer), *written_steps(genes, sites, grammar))


def written_steps(
    genes: Sequence[WindowGene], sites: WindowSites, grammar: Grammar
) -> tuple[np.ndarray, list[Taken], int]:
    """The structure sequence of genes, int32 [T], its decisions, one per token, and how many break the rules."""
    tokenizer = grammar.tokenizer
    target_ids = encode_genes(genes, sites.window_bp, tokenizer)
    cursor = grammar.begin(sites)
    steps = []
    ids = target_ids.tolist()
    for index, token in enumerate(ids):
        forward = None
        if cursor.step in BOUNDARY_STEPS:
            loc = index if cursor.step in LOC_STEPS else index - 1
            forward = tokenizer.position(ids[loc], ids[loc + 1])
        decision = next_decision(cursor, tokenizer, token, forward)
        if decision.structure is not None:
            steps.append(Taken(index, decision, int(np.flatnonzero(decision.structure == token)[0])))
        else:
            steps.append(Taken(index, decision, forward))
        cursor.advance(token, force=True)
    return target_ids, steps, cursor.violations


# -------------------------------------------------------------------- batches


class TensorFields:
    """A dataclass of tensors, or of such dataclasses, that moves to a device as one."""

    def to(self, device: torch.device | str) -> Self:
        return type(self)(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass
class Prompts(TensorFields):
    """Prompts of B windows; P tokens at most."""

    codes: Tensor  # uint8 [B, 2, W], PADDING beyond the window
    lengths: Tensor  # int64 [B], window lengths
    ids: Tensor  # int64 [B, P]
    start: Tensor  # int64 [B, P]
    end: Tensor  # int64 [B, P]
    prompt_lengths: Tensor  # int64 [B]
    posts: Tensor  # int64 [B, L], 0 where there are fewer mile-posts
    sites: Tensor  # int8 [B, 2, 4, W + 1]

    def alone(self, row: int) -> Prompts:
        """One of the prompts, without padding of its tokens."""
        rows = {field.name: getattr(self, field.name)[row : row + 1] for field in fields(self)}
        num_tokens = int(self.prompt_lengths[row])
        return Prompts(**rows | {name: rows[name][:, :num_tokens] for name in ("ids", "start", "end")})


@dataclass
class Sequences(TensorFields):
    """Structure sequences of B windows; T tokens at most."""

    ids: Tensor  # int64 [B, T], 0 beyond the end
    forward: Tensor  # int64 [B, T], forward position of a mile-post or offset token, else 0
    lengths: Tensor  # int64 [B]


@dataclass
class StructureDecisions(TensorFields):
    """S choices among structure tokens, with O legal ids in all and N candidates that support them."""

    sample: Tensor  # int64 [S], row of the batch
    step: Tensor  # int64 [S], token
    target: Tensor  # int64 [S], index of the right option
    option_decision: Tensor  # int64 [O], the decision an option belongs to
    option_id: Tensor  # int64 [O]
    table: Tensor  # int32 [N, 10], candidates (``decisions.py``)
    owner: Tensor  # int64 [N], the option a candidate supports

    def __len__(self) -> int:
        return len(self.sample)


@dataclass
class PlaceDecisions(TensorFields):
    """Q choices among positions, with N candidates in all."""

    sample: Tensor  # int64 [Q], row of the batch
    step: Tensor  # int64 [Q], token
    is_offset: Tensor  # bool [Q]
    loc: Tensor  # int64 [Q], segment of an offset decision
    target: Tensor  # int64 [Q], forward position
    table: Tensor  # int32 [N, 10], candidates (``decisions.py``)
    owner: Tensor  # int64 [N], the decision of a candidate

    def __len__(self) -> int:
        return len(self.sample)


@dataclass
class Decisions(TensorFields):
    """All real choices of a batch."""

    structure: StructureDecisions
    places: PlaceDecisions


@dataclass
class Batch(TensorFields):
    """Windows with their structure sequences and every choice in them."""

    prompts: Prompts
    sequences: Sequences
    decisions: Decisions

    @property
    def num_target_tokens(self) -> Tensor:
        return self.sequences.lengths.sum()


def collate_prompts(prompts: Sequence[Prompt]) -> Prompts:
    return Prompts(
        codes=padded([prompt.codes for prompt in prompts], PADDING, np.uint8),
        lengths=torch.tensor([prompt.window_bp for prompt in prompts]),
        ids=padded([prompt.ids for prompt in prompts], 0),
        start=padded([prompt.start for prompt in prompts], 0),
        end=padded([prompt.end for prompt in prompts], 0),
        prompt_lengths=torch.tensor([len(prompt.ids) for prompt in prompts]),
        posts=padded([prompt.posts for prompt in prompts], 0),
        sites=padded([prompt.sites for prompt in prompts], NOT_A_SITE, np.int8),
    )


def collate_decisions(rows: Sequence[tuple[int, Taken]]) -> Decisions:
    """Decisions of (row of the batch, what was taken)."""
    structure = [(sample, taken) for sample, taken in rows if taken.decision.structure is not None]
    places = [(sample, taken) for sample, taken in rows if taken.decision.structure is None]
    return Decisions(_structure_decisions(structure), _place_decisions(places))


def _structure_decisions(rows: Sequence[tuple[int, Taken]]) -> StructureDecisions:
    tables, owners = [np.empty((0, COLUMNS), np.int32)], [np.empty(0, np.int64)]
    option_decision, option_id = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    num_options = 0
    for number, (_, taken) in enumerate(rows):
        legal = taken.decision.structure
        tables.append(taken.decision.table)
        owners.append(num_options + taken.decision.groups.astype(np.int64))
        option_decision.append(np.full(len(legal), number, dtype=np.int64))
        option_id.append(legal.astype(np.int64))
        num_options += len(legal)
    sample, step, target = _columns([(sample, taken.step, taken.target) for sample, taken in rows], 3)
    return StructureDecisions(
        sample, step, target, _joined(option_decision), _joined(option_id), _joined(tables), _joined(owners)
    )


def _place_decisions(rows: Sequence[tuple[int, Taken]]) -> PlaceDecisions:
    tables, owners = [np.empty((0, COLUMNS), np.int32)], [np.empty(0, np.int64)]
    for number, (_, taken) in enumerate(rows):
        tables.append(taken.decision.table)
        owners.append(np.full(len(taken.decision.table), number, dtype=np.int64))
    facts = [(sample, taken.step, taken.decision.is_offset, taken.decision.loc, taken.target) for sample, taken in rows]
    sample, step, is_offset, loc, target = _columns(facts, 5)
    return PlaceDecisions(sample, step, is_offset.bool(), loc, target, _joined(tables), _joined(owners))


def _columns(rows: Sequence[tuple[int, ...]], count: int) -> list[Tensor]:
    table = np.array(rows, dtype=np.int64).reshape(-1, count)
    return [torch.from_numpy(column.copy()) for column in table.T]


def _joined(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))


def collate(examples: Sequence[Example]) -> Batch:
    """Examples -> batch, shorter windows padded at their end."""
    rows: list[tuple[int, Taken]] = []
    forwards = []
    for sample, example in enumerate(examples):
        forwards.append(np.array([taken.place for taken in example.steps], dtype=np.int64))
        rows += [(sample, taken) for taken in example.steps if taken.is_choice]
    sequences = Sequences(
        ids=padded([example.target_ids for example in examples], 0),
        forward=padded(forwards, 0),
        lengths=torch.tensor([len(example.target_ids) for example in examples]),
    )
    return Batch(collate_prompts([example.prompt for example in examples]), sequences, collate_decisions(rows))
