"""A wide beam finds the most probable structure sequence; what it writes is scored as in training, in any batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from model_toy import (
    CLADE,
    GRAMMAR,
    PLAIN_GRAMMAR,
    SHAPES,
    TOKENIZER,
    forced_choices,
    forced_log_probabilities,
    random_bases,
    toy_model,
)

from genet5.tokens.codec import decode_genes
from genet5.tokens.grammar import Cursor, Grammar
from genet5.writer.batch import collate_prompts, make_prompt
from genet5.writer.beam import search_sequences, sequences_in_beam
from genet5.writer.crf_scores import ONE
from genet5.writer.decisions import Kind
from genet5.writer.decoding import write_genes
from genet5.writer.network import GeneT5Model
from genet5.writer.prompt_cache import PromptCache
from genet5.writer.sequences import SequenceWriter, WrittenWindow


def writing_model(seed: int, **shape: Any) -> GeneT5Model:
    """A network that would rather write one more gene than end: its best sequences are long."""
    model = toy_model(seed, **shape)
    model.head.boundary_scores.weights.data[Kind.NONE, ONE] = -8.0
    return model


def windows(seed: int, count: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [random_bases(rng, int(size), 0.01) for size in rng.integers(40, 300, size=count)]


def search(
    model: GeneT5Model, grammar: Grammar, bases: Sequence[str], width: int, limit: int = 0
) -> list[WrittenWindow]:
    """The beam of ``write_genes``, also of width 1 and with a limit to the tokens of a sequence."""
    sites = [grammar.sites(window) for window in bases]
    prompts = collate_prompts(
        [make_prompt(site, window, CLADE, TOKENIZER) for site, window in zip(sites, bases, strict=True)]
    )
    with torch.inference_mode():
        scores = model.score_apart(prompts)
        cache = PromptCache(model, prompts, scores, model.read_prompts(prompts, scores), sequences_in_beam(width))
        writers = search_sequences(cache, [SequenceWriter(grammar, site, limit) for site in sites], width)
    return [writer.result() for writer in writers]


def test_prompts_that_are_answered_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    keep = PromptCache.keep
    monkeypatch.setattr(PromptCache, "keep", lambda cache, rows: kept.append(len(rows)) or keep(cache, rows))
    search(writing_model(seed=3), GRAMMAR, windows(3, 8), 2)
    assert kept and kept[0] <= 4 and sorted(kept, reverse=True) == kept


def total(written: WrittenWindow) -> float:
    return sum(written.log_probabilities)


# ---------------------------------------------------------------- all structure sequences of a window


def all_sequences(grammar: Grammar, bases: str, most: int) -> list[list[int]]:
    """Every sequence that the grammar allows, or ``most`` of them."""
    found: list[list[int]] = []
    growing: list[tuple[Cursor, list[int]]] = [(grammar.begin(grammar.sites(bases)), [])]
    while growing and len(found) < most:
        cursor, ids = growing.pop()
        if cursor.finished:
            found.append(ids)
        for token in cursor.legal_ids().tolist():
            twin = cursor.fork()
            twin.advance(token)
            growing.append((twin, [*ids, token]))
    return found


def weighed_sequences(model: GeneT5Model, grammar: Grammar, bases: str) -> list[tuple[float, list[int]]]:
    """Log-probability and ids of every sequence, by the training path."""
    sequences = all_sequences(grammar, bases, 1_000)
    genes = [decode_genes(ids, len(bases), TOKENIZER) for ids in sequences]
    return [
        (sum(forced_log_probabilities(model, grammar, bases, members)), ids)
        for members, ids in zip(genes, sequences, strict=True)
    ]


def tiny_windows(grammar: Grammar, size: int, count: int) -> list[str]:
    """Random windows with 50 to 150 sequences."""
    found: list[str] = []
    rng = np.random.default_rng(size)
    while len(found) < count:
        bases = random_bases(rng, size)
        if 50 <= len(all_sequences(grammar, bases, 151)) <= 150:
            found.append(bases)
    return found


@pytest.mark.parametrize(("grammar", "size"), [(GRAMMAR, 17), (PLAIN_GRAMMAR, 36)])
def test_a_wide_beam_finds_the_best_of_all_sequences_and_a_narrow_one_no_better(grammar: Grammar, size: int):
    narrow_misses = 0
    for number, bases in enumerate(tiny_windows(grammar, size, 3)):
        model = (toy_model, writing_model)[number % 2](seed=number)
        sequences = weighed_sequences(model, grammar, bases)
        assert sum(np.exp(chance) for chance, _ in sequences) == pytest.approx(1.0, abs=1e-3), "these are all sequences"
        best, ids = max(sequences)
        (widest,) = write_genes(model, grammar, [bases], CLADE, beam_width=len(sequences))
        assert widest.ids == ids and total(widest) == pytest.approx(best, abs=1e-3)
        chances = [total(search(model, grammar, [bases], width)[0]) for width in (1, 4, 16)]
        for narrow, wide in zip(chances, [*chances[1:], best], strict=True):
            assert narrow <= wide + 1e-3
        narrow_misses += chances[0] < best - 1e-2
    assert narrow_misses, "windows on which a beam is of use"


# ---------------------------------------------------------------- what a beam writes


def test_a_beam_of_one_takes_the_best_option_of_every_choice():
    model = toy_model(seed=2)
    bases = windows(5, 4)
    checked = 0
    for window, result in zip(bases, search(model, GRAMMAR, bases, 1), strict=True):
        for chances, taken in forced_choices(model, GRAMMAR, window, result.genes).values():
            assert chances[taken] > chances.max() - 1e-4
            checked += len(chances) > 1
    assert checked > 20


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
def test_a_beam_scores_sequences_as_training_does(shape: dict, grammar: Grammar):
    """Forks share what the cache holds of their past: a wrong mask would show in what comes later."""
    model = writing_model(5, **shape)
    bases = windows(3, 6)
    results = write_genes(model, grammar, bases, CLADE, beam_width=4)
    assert sum(len(result.genes) for result in results) > 5
    for window, result in zip(bases, results, strict=True):
        assert not result.truncated
        forced = forced_log_probabilities(model, grammar, window, result.genes)
        assert result.log_probabilities == pytest.approx(forced, abs=1e-3)
        assert sum(result.gene_log_probability) + result.log_probabilities[-1] == pytest.approx(sum(forced), abs=1e-3)
    assert any(len(gene.cds) > 1 for result in results for gene in result.genes) == (grammar is GRAMMAR)
    greedy = write_genes(model, grammar, bases, CLADE)
    assert sum(map(total, results)) > sum(map(total, greedy)) - 1e-3


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_batches_of_any_size_write_the_same(shape: dict):
    model = writing_model(4, **shape)
    bases = [*windows(7, 5), "N" * 50, "ATGAAATAA"]
    alone = [write_genes(model, GRAMMAR, [window], CLADE, beam_width=3)[0] for window in bases]
    assert any(len(result.genes) > 1 for result in alone)
    together = write_genes(model, GRAMMAR, bases, CLADE, beam_width=3)
    backwards = write_genes(model, GRAMMAR, bases[::-1], CLADE, beam_width=3)[::-1]
    for one, *others in zip(alone, together, backwards, strict=True):
        for other in others:
            assert one.genes == other.genes and one.ids == other.ids
            assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-3)


@pytest.mark.parametrize("width", [2, 5])
def test_windows_with_nothing_in_them(width: int):
    model = toy_model()
    for window in ("N" * 100, "N", "CCCCC"):
        (result,) = write_genes(model, PLAIN_GRAMMAR, [window], CLADE, beam_width=width)
        forced = forced_log_probabilities(model, PLAIN_GRAMMAR, window, result.genes)
        assert result.log_probabilities == pytest.approx(forced, abs=1e-4)


def test_a_sequence_that_is_cut_is_taken_only_where_none_ends():
    """At most one token: only the empty sequence has its end."""
    model = toy_model(seed=2)
    results = search(model, GRAMMAR, windows(5, 6), 1, limit=1)
    assert all(result.truncated == (result.ids != [TOKENIZER.eos]) for result in results)
    assert any(result.truncated for result in results)
    for result in search(model, GRAMMAR, windows(5, 6), 3, limit=1):
        assert result.ids == [TOKENIZER.eos] and not result.truncated


# ---------------------------------------------------------------- forks


@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
def test_forks_of_a_sequence_know_nothing_of_each_other(grammar: Grammar):
    """Random walks that fork at every token: each twin stands where a fresh sequence of its tokens stands."""
    rng = np.random.default_rng(3)
    forked = 0
    for bases in windows(9, 4):
        sites = grammar.sites(bases)
        writers = [SequenceWriter(grammar, sites)]
        for _ in range(40):
            writer = writers[int(rng.integers(len(writers)))]
            if writer.finished:
                continue
            for _ in range(2):
                twin = writer.fork()
                twin.take(int(rng.choice(twin.cursor.legal_ids())), -1.0)
                writers.append(twin)
                forked += 1
        for writer in writers:
            fresh = SequenceWriter(grammar, sites)
            for token in writer.ids:
                fresh.take(token, -1.0)
            assert (fresh.places, fresh.log_probabilities) == (writer.places, writer.log_probabilities)
            assert fresh.cursor.step is writer.cursor.step
            assert fresh.cursor.legal_ids().tolist() == writer.cursor.legal_ids().tolist()
    assert forked > 100
