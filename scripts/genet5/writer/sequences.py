"""A structure sequence while it grows: legal choices one by one, forced tokens taken without asking the network."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from genet5.genome.sites import WindowSites
from genet5.genome.window_genes import WindowGene
from genet5.tokens.codec import decode_genes
from genet5.tokens.grammar import Cursor, Grammar
from genet5.writer.batch import Taken, collate_decisions
from genet5.writer.decisions import BOUNDARY_STEPS, FORWARD, LOC_STEPS, Decision, next_decision
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import WindowScores

MAX_TOKENS_PER_KB = 200  # a sequence this dense is a runaway; real genomes stay far below


@dataclass
class WrittenWindow:
    """What the network wrote for one window.

    genes: in the order written. gene_log_probability: of each gene's tokens, given what stands before. ids and
    log_probabilities: every token of the sequence. truncated: True if the sequence was cut for its length.
    """

    genes: list[WindowGene]
    gene_log_probability: list[float]
    ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    truncated: bool = False


class SequenceWriter:
    """The sequence of one window while it grows.

    ids, places, log_probabilities: of every token so far; a place is the forward position that a mile-post or offset
    stands for, else 0. num_read: tokens that the network has read. limit: tokens at most (0: by the window's length).
    """

    def __init__(self, grammar: Grammar, sites: WindowSites, limit: int = 0) -> None:
        self.tokens = grammar.tokenizer
        self.cursor: Cursor = grammar.begin(sites)
        self.ids: list[int] = []
        self.places: list[int] = []
        self.log_probabilities: list[float] = []
        self.num_read = 0
        self.limit = limit or 64 + sites.window_bp * MAX_TOKENS_PER_KB // 1000
        self.truncated = False
        self.reading_stop = -1  # where the frame of the start being written meets its stop

    @property
    def finished(self) -> bool:
        return self.truncated or self.cursor.finished

    def fork(self) -> SequenceWriter:
        """A second sequence with the same history, read as far."""
        twin = copy(self)
        twin.cursor = self.cursor.fork()
        twin.ids, twin.places = list(self.ids), list(self.places)
        twin.log_probabilities = list(self.log_probabilities)
        return twin

    def take(self, token: int, log_probability: float) -> None:
        place = 0
        if self.cursor.step in BOUNDARY_STEPS:
            loc = token - self.tokens.loc_base if self.cursor.step in LOC_STEPS else self.cursor.loc
            place = loc * self.tokens.segment_bp
            if self.cursor.step not in LOC_STEPS:
                place += token - self.tokens.off_base
        self.cursor.advance(token)
        self.ids.append(token)
        self.places.append(place)
        self.log_probabilities.append(log_probability)

    def choice(self) -> Decision | None:
        """The next token that is a real choice; tokens before it are taken. None when the sequence has ended."""
        while not self.cursor.finished:
            if len(self.ids) >= self.limit:
                self.truncated = True
                return None
            decision = next_decision(self.cursor, self.tokens)
            options = choosable(decision, self.tokens.segment_bp)
            if len(options) > 1:
                return decision
            self.take(self.token_of(decision, int(options[0])), 0.0)
        return None

    def token_of(self, decision: Decision, option: int) -> int:
        """The token that stands for one of the ``choosable`` options of a decision."""
        if decision.structure is not None:
            return option
        if decision.is_offset:
            return self.tokens.off_base + option - decision.loc * self.tokens.segment_bp
        return self.tokens.loc_base + option

    def result(self) -> WrittenWindow:
        genes = decode_genes(self.ids, self.cursor.window_bp, self.tokens, strict=not self.truncated)
        scores: list[float] = []
        total = 0.0
        for token, log_probability in zip(self.ids, self.log_probabilities, strict=True):
            total += log_probability
            if token == self.tokens.end:
                scores.append(total)
                total = 0.0
        return WrittenWindow(genes, scores[: len(genes)], self.ids, self.log_probabilities, self.truncated)


def candidate_units(decision: Decision, segment_bp: int) -> np.ndarray:
    """Of each candidate of a boundary: its segment while a mile-post is chosen, its position while an offset is."""
    forward = decision.table[:, FORWARD]
    return forward if decision.is_offset else forward // segment_bp


def choosable(decision: Decision, segment_bp: int) -> np.ndarray:
    """What a decision is between, ascending: legal ids, segments or forward positions."""
    if decision.structure is not None:
        return decision.structure
    units = candidate_units(decision, segment_bp)
    least = units.min()
    return least + np.flatnonzero(np.bincount(units - least))


def option_logits(decision: Decision, scores: np.ndarray, segment_bp: int) -> np.ndarray:
    """Logits of the ``choosable`` options of a decision, from what ``choice_scores`` gives."""
    if decision.structure is not None:
        return scores
    units = candidate_units(decision, segment_bp)
    order = np.argsort(units, kind="stable")
    first = np.concatenate([[0], np.flatnonzero(np.diff(units[order])) + 1])
    return np.logaddexp.reduceat(scores[order], first)


def choice_scores(
    model: GeneT5Model,
    hidden: Tensor,
    scores: WindowScores,
    lengths: Tensor,
    post_keys: Tensor,
    choices: Sequence[tuple[int, Decision]],
) -> list[np.ndarray]:
    """How the network weighs (window, decision) pairs; hidden: [len(choices), H], the states before them.

    Of each: float64 logits of its legal ids, or of a boundary the scores of its candidates (those of one unit add up).
    """
    rows = [(window, Taken(position, decision, 0)) for position, (window, decision) in enumerate(choices)]
    decisions = collate_decisions(rows).to(hidden.device)
    found = [np.empty(0)] * len(choices)
    if len(decisions.structure):
        step = decisions.structure.step
        logits = model.head.structure_logits(hidden[step], decisions.structure, scores.sums, model.written_tokens)
        _hand_out(found, logits, decisions.structure.option_decision, step)
    if len(decisions.places):
        step = decisions.places.step
        values = model.head.candidate_scores(hidden[step], scores, lengths, post_keys, decisions.places)
        _hand_out(found, values, decisions.places.owner, step)
    return found


def _hand_out(found: list[np.ndarray], values: Tensor, owner: Tensor, position: Tensor) -> None:
    """Put the values of each owner, which are together, at its position in ``found``."""
    numbers = owner.cpu().numpy()
    cuts = np.flatnonzero(np.diff(numbers)) + 1
    parts = np.split(values.double().cpu().numpy(), cuts)
    for where, part in zip(position.tolist(), parts, strict=True):
        found[where] = part
