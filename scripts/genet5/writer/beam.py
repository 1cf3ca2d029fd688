"""Beam search: the most probable sequence of a window that is found while a few are kept at a time.

Sequences are compared by summed log-probability. It only falls as a sequence grows: one that is behind looks better
than one that has paid for more choices. Sequences are therefore compared with others that have come as far:

* Within a gene, sequences make one real choice each in a round, and the best ``width`` continuations go on.
* A sequence that has closed its gene waits, and takes no place from those that still write theirs. Once none does, the
  best ``width`` that wait begin the next gene. So a gene of one exon, written with few choices, does not drive out one
  of many before both are whole.

Comparing after every choice instead, without waiting, found sequences of lower log-probability (docs/decisions.md). A
sequence below the best one that has ended, or below ``width`` that wait, is dropped at once: it can only fall further.
Of ended sequences only the best is kept, and takes no place. Lengths are not normalised: forced tokens cost nothing,
and a sequence pays for its choices only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genet5.tokens.grammar_steps import Step
from genet5.writer.decisions import Decision
from genet5.writer.prompt_cache import PromptCache
from genet5.writer.sequences import SequenceWriter, choosable, option_logits


def sequences_in_beam(width: int) -> int:
    """Sequences of a window that the cache has to hold: those that write a gene and those that wait for them."""
    return 2 * width


@dataclass
class Candidate:
    """A sequence in the beam.

    place: which of the cache's sequences of its window it is. log_probability: of all its choices so far. decision: the
    one it stands before, None at its end.
    """

    writer: SequenceWriter
    place: int
    log_probability: float = 0.0
    decision: Decision | None = None

    @property
    def rank(self) -> tuple[bool, float]:
        """The best has the highest; a sequence that was cut for its length is worse than any other."""
        return not self.writer.truncated, self.log_probability


class Beam:
    """The sequences of one window.

    writing: make their next choices. waiting: have closed their gene before the others. best: the best that has ended.
    """

    def __init__(self, writer: SequenceWriter, width: int) -> None:
        self.width = width
        self.segment_bp = writer.tokens.segment_bp
        self.writing: list[Candidate] = []
        self.waiting: list[Candidate] = []
        self.best: Candidate | None = None
        self._sort_in(Candidate(writer, 0))
        self._prune()

    def grow(self, scores: Sequence[np.ndarray]) -> list[tuple[int, int]]:
        """Take the best choices of the sequences that write; scores: of each sequence, as ``choice_scores`` gives them.

        Returns the places (from, to) of sequences that fork.
        """
        picked = self._best_choices(scores)
        taken = {parent.place for parent, *_ in picked} | {candidate.place for candidate in self.waiting}
        free = iter([place for place in range(sequences_in_beam(self.width)) if place not in taken])
        forks = []
        kept: set[int] = set()
        grown = []
        for parent, option, chance in picked:
            place, writer = parent.place, parent.writer.fork()
            if place in kept:
                place = next(free)
                forks.append((parent.place, place))
            kept.add(place)
            writer.take(writer.token_of(parent.decision, option), chance)
            grown.append(Candidate(writer, place, parent.log_probability + chance))
        self.writing = []
        for candidate in grown:
            self._sort_in(candidate)
        self._prune()
        return forks

    def _best_choices(self, scores: Sequence[np.ndarray]) -> list[tuple[Candidate, int, float]]:
        """(sequence, option, its log-probability) of the best ``width`` continuations; of equal ones the first."""
        found = []
        for parent, values in zip(self.writing, scores, strict=True):
            logits = option_logits(parent.decision, values, self.segment_bp)
            chances = logits - np.logaddexp.reduce(logits)
            options = choosable(parent.decision, self.segment_bp)
            best = np.argsort(-chances, kind="stable")[: self.width]
            found += [(parent, int(options[number]), float(chances[number])) for number in best]
        return sorted(found, key=lambda choice: -choice[0].log_probability - choice[2])[: self.width]

    def _sort_in(self, candidate: Candidate) -> None:
        candidate.decision = candidate.writer.choice()
        if candidate.decision is None:
            if self.best is None or candidate.rank > self.best.rank:
                self.best = candidate
        elif candidate.writer.cursor.step is Step.GENE:
            self.waiting.append(candidate)
        else:
            self.writing.append(candidate)

    def _prune(self) -> None:
        """Drop what cannot be among the best any more; once no gene is open, those that wait begin the next one."""
        least = -np.inf if self.best is None or self.best.writer.truncated else self.best.log_probability
        waiting = [candidate for candidate in self.waiting if candidate.log_probability > least]
        self.waiting = sorted(waiting, key=lambda candidate: -candidate.log_probability)[: self.width]
        if len(self.waiting) == self.width:
            least = max(least, self.waiting[-1].log_probability)
        self.writing = [candidate for candidate in self.writing if candidate.log_probability > least]
        if not self.writing:
            self.writing, self.waiting = self.waiting, []


def search_sequences(cache: PromptCache, writers: Sequence[SequenceWriter], width: int) -> list[SequenceWriter]:
    """The best sequence of each window.

    cache: of ``sequences_in_beam(width)`` sequences a prompt, nothing read yet. writers: one a window, nothing written
    yet.
    """
    per_prompt = cache.per_prompt
    beams = [Beam(writer, width) for writer in writers]
    of_place: list[SequenceWriter | None] = [None] * (per_prompt * len(beams))
    while any(beam.writing for beam in beams):
        sequences, decisions = [], []
        for number, beam in enumerate(beams):
            for candidate in beam.writing:
                sequences.append(number * per_prompt + candidate.place)
                decisions.append(candidate.decision)
                of_place[sequences[-1]] = candidate.writer
        scores = iter(cache.weigh(of_place, sequences, decisions))
        forks = []
        for number, beam in enumerate(beams):
            pairs = beam.grow([next(scores) for _ in beam.writing]) if beam.writing else []
            forks += [(number * per_prompt + old, number * per_prompt + new) for old, new in pairs]
        cache.fork(forks)
    return [beam.best.writer for beam in beams]
