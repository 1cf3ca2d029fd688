"""Writing genes: cached, batched, constrained decoding of windows, greedy or with a beam (``beam.py``).

Tokens that the grammar leaves no choice about are taken without asking the network and are read together with the next
chosen token, so that a bacterial gene costs the network about three steps instead of eight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from genet5.genome.window_genes import WindowGene
from genet5.tokens.grammar import Grammar
from genet5.writer.batch import collate_prompts, make_prompt
from genet5.writer.beam import search_sequences, sequences_in_beam
from genet5.writer.decisions import DIRECT, KIND, Decision, Kind
from genet5.writer.network import GeneT5Model
from genet5.writer.prompt_cache import PromptCache
from genet5.writer.reading_frames import keep_frames
from genet5.writer.sequences import SequenceWriter, WrittenWindow, candidate_units


class Choice(NamedTuple):
    """An option of a decision, its log-probability, and where the frame of a start being written meets its stop."""

    option: int
    log_probability: float
    reading_stop: int = -1


def _best(decision: Decision, scores: np.ndarray, segment_bp: int, reading_stop: int) -> Choice:
    """The best option.

    Alternative starts of one gene share its probability, and by themselves each may lose against the sole start of a
    gene further on. So a start is chosen in two steps: first the stop, whose starts together are most probable, then
    the best of its starts.
    """
    if decision.structure is not None:
        best = int(scores.argmax())
        return Choice(int(decision.structure[best]), float(scores[best] - np.logaddexp.reduce(scores)))
    table = decision.table
    allowed = np.ones(len(table), dtype=bool)
    is_start = table[:, KIND] == Kind.START
    if is_start.all():
        if not decision.is_offset:
            stops, group = np.unique(table[:, DIRECT], return_inverse=True)
            mass = np.full(len(stops), -np.inf)
            np.logaddexp.at(mass, group, scores)
            reading_stop = int(stops[mass.argmax()])
        if (table[:, DIRECT] == reading_stop).any():
            allowed = table[:, DIRECT] == reading_stop
    units, group = np.unique(candidate_units(decision, segment_bp), return_inverse=True)
    total = np.full(len(units), -np.inf)
    np.logaddexp.at(total, group, scores)
    inside = np.full(len(units), -np.inf)
    np.logaddexp.at(inside, group[allowed], scores[allowed])
    best = int(inside.argmax())
    return Choice(int(units[best]), float(total[best] - np.logaddexp.reduce(scores)), reading_stop)


def write_sequences(cache: PromptCache, writers: Sequence[SequenceWriter], choose: Callable[..., None]) -> None:
    """Let every sequence grow to its end.

    choose(sequences, decisions, scores) takes one token for each of ``sequences``; scores as ``choice_scores`` gives
    them.
    """
    per_prompt = cache.per_prompt
    while True:
        open_sequences, decisions = [], []
        for prompt in cache.prompts:
            for sequence in range(prompt * per_prompt, (prompt + 1) * per_prompt):
                if not writers[sequence].finished and (decision := writers[sequence].choice()) is not None:
                    open_sequences.append(sequence)
                    decisions.append(decision)
        if not open_sequences:
            return
        choose(open_sequences, decisions, cache.weigh(writers, open_sequences, decisions))


@torch.inference_mode()
def write_genes(
    model: GeneT5Model,
    grammar: Grammar,
    windows: Sequence[str],
    clade: str,
    frames: Sequence[Sequence[WindowGene]] | None = None,
    beam_width: int = 1,
    precision: str = "fp32",
) -> list[WrittenWindow]:
    """Decode a batch of windows (upper-case bases). The model's weights decide the device.

    frames: of each window, genes whose reading frames alone may be used (``reading_frames.py``); None allows all.
    beam_width: sequences of a window that are kept at a time; 1 is greedy.
    precision: of the CRF's networks, ``auto``, ``fp32`` or ``bf16``.
    """
    tokenizer = grammar.tokenizer
    sites = [grammar.sites(window) for window in windows]
    for site, genes in zip(sites, frames or (), strict=False):
        keep_frames(site, genes)
    prompts = [make_prompt(site, window, clade, tokenizer) for site, window in zip(sites, windows, strict=True)]
    writers = [SequenceWriter(grammar, site) for site in sites]
    batch = collate_prompts(prompts).to(model.device)
    scores = model.score_apart(batch, precision)

    def choose(sequences: list[int], decisions: list[Decision], weighed: list[np.ndarray]) -> None:
        for sequence, decision, values in zip(sequences, decisions, weighed, strict=True):
            writer = writers[sequence]
            choice = _best(decision, values, tokenizer.segment_bp, writer.reading_stop)
            writer.reading_stop = choice.reading_stop
            writer.take(writer.token_of(decision, choice.option), choice.log_probability)

    read = model.read_prompts_apart(batch, scores)
    if beam_width == 1:
        write_sequences(PromptCache(model, batch, scores, read), writers, choose)
    else:
        cache = PromptCache(model, batch, scores, read, sequences_in_beam(beam_width))
        writers = search_sequences(cache, writers, beam_width)
    return [writer.result() for writer in writers]
