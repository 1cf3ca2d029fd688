"""Cached constrained decoding says what teacher forcing says, whatever the batch, and finds planted genes exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_toy import (
    BACTERIA,
    CLADE,
    GRAMMAR,
    PLAIN_GRAMMAR,
    SHAPES,
    STOPS,
    TOKENIZER,
    forced_log_probabilities,
    random_bases,
    toy_model,
)
from torch import Tensor

from genet5.crf.labels import PADDING, label_window
from genet5.crf.model import Crf, CrfScores, score_codes
from genet5.genome.genes import Interval
from genet5.genome.window_genes import WindowGene
from genet5.tokens.grammar import Grammar
from genet5.writer import network
from genet5.writer.batch import collate, collate_decisions, make_example
from genet5.writer.decisions import KIND, Kind
from genet5.writer.decoding import write_genes
from genet5.writer.sequences import WrittenWindow


def windows(seed: int, count: int, grammar: Grammar = GRAMMAR) -> list[str]:
    rng = np.random.default_rng(seed)
    return [random_bases(rng, int(size), 0.01) for size in rng.integers(40, 420, size=count)]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
def test_cached_decoding_scores_sequences_as_training_does(shape, grammar):
    model = toy_model(seed=1, **shape)
    bases = windows(3, 9, grammar)
    results = write_genes(model, grammar, bases, CLADE)
    assert sum(len(result.genes) for result in results) >= 5
    for window, result in zip(bases, results, strict=True):
        assert not result.truncated
        forced = forced_log_probabilities(model, grammar, window, result.genes)
        assert result.log_probabilities == pytest.approx(forced, abs=1e-3)
        batch = collate([make_example(window, CLADE, result.genes, grammar)])
        assert batch.sequences.ids[0].tolist() == result.ids
        with torch.no_grad():
            loss = float(model.training_losses(batch)["language"])
        assert sum(result.log_probabilities) == pytest.approx(-loss, abs=1e-3)
        assert sum(result.gene_log_probability) + result.log_probabilities[-1] == pytest.approx(-loss, abs=1e-3)


def test_each_greedy_choice_is_the_best_without_a_cache():
    """Structure tokens and ends: the training path's most probable option. (A start is chosen by its stop first.)"""
    model = toy_model(seed=2)
    checked = 0
    for window in windows(5, 3):
        (result,) = write_genes(model, GRAMMAR, [window], CLADE)
        example = make_example(window, CLADE, result.genes, GRAMMAR)
        batch = collate([example])
        lengths = batch.prompts.lengths
        with torch.no_grad():
            scores = model.score(batch.prompts)
            states, post_keys, _ = model.hidden_states(batch, scores)
        for taken in example.steps:
            decision, decisions = taken.decision, collate_decisions([(0, taken)])
            hidden = states[0, taken.step][None]
            if decision.structure is not None:
                tokens = model.written_tokens
                logits = model.head.structure_logits(hidden, decisions.structure, scores.sums, tokens)
                assert int(logits.argmax()) == taken.target
                checked += len(logits) > 1
            elif not (decision.table[:, KIND] == Kind.START).all():
                weighed = model.head.candidate_scores(hidden, scores, lengths, post_keys, decisions.places)
                values, _, unit = model.head.place_units(weighed, decisions.places)
                wanted = taken.target if decision.is_offset else taken.target // TOKENIZER.segment_bp
                assert int(unit[values.argmax()]) == wanted
                checked += len(values) > 1
    assert checked > 20


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_batches_of_any_size_write_the_same(shape):
    model = toy_model(seed=4, **shape)
    bases = [*windows(7, 6), "N" * 50, "ATGAAATAA"]
    alone: list[WrittenWindow] = [write_genes(model, GRAMMAR, [window], CLADE)[0] for window in bases]
    for size in (3, 8):
        together = [r for i in range(0, 8, size) for r in write_genes(model, GRAMMAR, bases[i : i + size], CLADE)]
        for one, other in zip(alone, together, strict=True):
            assert one.genes == other.genes and one.ids == other.ids
            assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-3)
    backwards = write_genes(model, GRAMMAR, bases[::-1], CLADE)[::-1]
    assert [result.ids for result in backwards] == [result.ids for result in alone]


def test_windows_with_nothing_in_them():
    model = toy_model()
    for window in ("N" * 100, "N", "CCCCC"):
        (result,) = write_genes(model, PLAIN_GRAMMAR, [window], CLADE)
        assert result.log_probabilities == pytest.approx(
            forced_log_probabilities(model, PLAIN_GRAMMAR, window, result.genes), abs=1e-4
        )
    stops = "TAATTAATTAA" * 4  # a stop in every frame of either strand: only cut genes could stand here
    closed = Grammar(TOKENIZER, BACTERIA)
    (result,) = write_genes(model, closed, [stops], CLADE)
    assert all(gene.partial5 or gene.partial3 for gene in result.genes)


# ---------------------------------------------------------------- a CRF without fault


def planted_exon(rng: np.random.Generator, codons: int) -> str:
    sense = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in STOPS]
    return "".join(rng.choice(sense, size=codons))


def junk(rng: np.random.Generator, size: int) -> str:
    return "".join(rng.choice(list("ACGT"), size=size))


def planted(rng: np.random.Generator, spliced: bool) -> tuple[str, list[WindowGene]]:
    """A window of genes on both strands, each with its room; no gene so near an end that an edge could cut it."""
    complement = str.maketrans("ACGT", "TGCA")
    bases, genes = junk(rng, 100), []
    for _ in range(int(rng.integers(1, 5))):
        pieces = ["ATG" + planted_exon(rng, int(rng.integers(10, 25)))]
        if spliced:
            for _ in range(int(rng.integers(0, 3))):
                cut = int(rng.integers(1, 3))  # introns that split codons, too
                exon = planted_exon(rng, int(rng.integers(8, 20)))
                pieces[-1] += exon[:cut]
                pieces += ["GT" + junk(rng, int(rng.integers(20, 50))) + "AG", exon[cut:]]
        pieces[-1] += str(rng.choice(sorted(STOPS)))
        text, cds, at = "".join(pieces), [], 0
        for number, piece in enumerate(pieces):
            if number % 2 == 0:
                cds.append((at, at + len(piece)))
            at += len(piece)
        strand = str(rng.choice(["+", "-"]))
        if strand == "-":
            text = text[::-1].translate(complement)
            cds = [(len(text) - end, len(text) - start) for start, end in reversed(cds)]
        genes.append(WindowGene(strand, tuple(Interval(len(bases) + s, len(bases) + e) for s, e in cds)))
        bases += text + junk(rng, int(rng.integers(30, 80)))
    return bases + junk(rng, 100), genes


def without_fault(genes_of: dict[str, list[WindowGene]], monkeypatch) -> None:
    """Replace the CRF's potentials by +-20 as the genes have it; the language part stays untrained.

    genes_of: the genes of each window, by its bases.
    """
    letters = np.frombuffer(b"ACGTN", dtype=np.uint8)

    def perfect(crf: Crf, codes: Tensor, precision: str) -> CrfScores:
        scores = score_codes(crf, codes, precision)
        potentials = torch.full_like(scores.potentials, -20.0)
        site_potentials = torch.full_like(scores.site_potentials, -20.0)
        for row, code in enumerate(codes[:, 0].numpy()):
            bases = letters[code[code < PADDING]].tobytes().decode()
            labels, sites = label_window(GRAMMAR.sites(bases), genes_of[bases], ())
            classes = torch.from_numpy(labels.astype(np.int64))
            potentials[row, :, : len(bases)] = torch.nn.functional.one_hot(classes, 5)[..., 1:].float() * 40 - 20
            true = torch.from_numpy(sites) == 1
            site_potentials[row, :, :, : len(bases) + 1] = torch.where(true, 20.0, -20.0)
        return scores._replace(potentials=potentials, site_potentials=site_potentials)

    monkeypatch.setattr(network, "score_codes", perfect)


def can_be_written(bases: str, genes: list[WindowGene], grammar: Grammar) -> bool:
    """The grammar refuses an exon whose frame, read past its donor, meets a gene written before."""
    return len(bases) <= 1200 and make_example(bases, CLADE, genes, grammar).num_violations == 0


@pytest.mark.parametrize("spliced", [False, True])
def test_a_crf_without_fault_gives_exactly_its_genes(spliced, monkeypatch):
    rng = np.random.default_rng(11)
    grammar = GRAMMAR if spliced else PLAIN_GRAMMAR
    drawn = [planted(rng, spliced) for _ in range(14)]
    cases = {bases: genes for bases, genes in drawn if can_be_written(bases, genes, grammar)}
    assert len(cases) >= 12
    model = toy_model(init_std=0.02)
    without_fault(cases, monkeypatch)
    results = write_genes(model, grammar, list(cases), CLADE)
    for genes, result in zip(cases.values(), results, strict=True):
        assert sorted(result.genes, key=str) == sorted(genes, key=str)
    assert any(len(gene.cds) > 1 for genes in cases.values() for gene in genes) == spliced
