"""Training examples: labels against base-by-base loops, and a right answer among the candidates of every decision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_toy import CLADE, GRAMMAR, PLAIN_GRAMMAR, TOKENIZER, random_bases, random_genes, toy_batch, toy_model

from genet5.genome.genes import Interval
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.window_genes import WindowGene, reverse_complement_genes, transcript_order
from genet5.tokens.codec import encode_genes
from genet5.tokens.grammar import Grammar
from genet5.writer.batch import Example, chain_labels, collate, label_bases, make_example, make_prompt

DONT_CARE = ((20, 60, "+"), (55, 90, "-"), (150, 151, "."))


def drawn(grammar: Grammar, seed: int, size: int = 240) -> tuple[str, list[WindowGene]]:
    rng = np.random.default_rng(seed)
    bases = random_bases(rng, size, 0.01)
    return bases, random_genes(grammar, bases, rng)


def slow_labels(genes: list[WindowGene], size: int) -> np.ndarray:
    """Per-base classes, one base at a time, in forward coordinates turned into strand coordinates at the end."""
    labels = np.zeros((2, size), dtype=np.int8)

    def place(strand: str, forward_base: int) -> tuple[int, int]:
        return (0, forward_base) if strand == "+" else (1, size - 1 - forward_base)

    coding = []
    for gene in genes:
        step = 1 if gene.strand == "+" else -1
        bases = []  # coding bases, 5' to 3'
        for five, three in transcript_order(gene):
            bases += range(five, three) if step > 0 else range(five - 1, three - 1, -1)
        coding.append((place(gene.strand, bases[0]), gene, bases))
        covered = set(bases)
        first, last = bases[0], bases[-1]
        if gene.partial5:
            first = 0 if step > 0 else size - 1
        if gene.partial3:
            last = size - 1 if step > 0 else 0
        for base in range(first, last + step, step):
            if base not in covered:
                labels[place(gene.strand, base)] = 4
    # A base that is intron of one gene and coding in another is coding; where two genes share it the later one counts.
    for _, gene, bases in sorted(coding, key=lambda entry: entry[0]):
        for number, base in enumerate(bases):
            labels[place(gene.strand, base)] = 1 + (number - gene.phase) % 3
    return labels


def slow_sites(genes: list[WindowGene], size: int) -> set[tuple[int, int, int]]:
    """(strand row, kind of site, strand position) of every true site."""
    found = set()
    for gene in genes:
        row = int(gene.strand == "-")
        ends = [tuple(size - p if row else p for p in pair) for pair in transcript_order(gene)]
        for index, (five, three) in enumerate(ends):
            opens_complete = index == 0 and not gene.partial5
            closes_complete = index == len(ends) - 1 and not gene.partial3
            if opens_complete:
                found.add((row, 0, five))
            elif index or five > 0:
                found.add((row, 3, five))
            if closes_complete:
                found.add((row, 1, three))
            elif index < len(ends) - 1 or three < size:
                found.add((row, 2, three))
    return found


@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
@pytest.mark.parametrize("seed", range(6))
def test_labels_and_sites_say_what_the_genes_say(grammar, seed):
    bases, genes = drawn(grammar, seed)
    example = make_example(bases, CLADE, genes, (), grammar)
    assert np.array_equal(example.base_labels, slow_labels(genes, len(bases)))
    true = {tuple(map(int, where)) for where in np.argwhere(example.prompt.sites == 1)}
    assert true == slow_sites(genes, len(bases))
    possible = make_example(bases, CLADE, [], (), grammar).prompt.sites
    assert ((example.prompt.sites >= 0) == (possible >= 0)).all()  # every site is either true or false


def test_nothing_is_labelled_where_nobody_cares():
    bases, _ = drawn(GRAMMAR, 3)
    plain = make_example(bases, CLADE, [], (), GRAMMAR)
    example = make_example(bases, CLADE, [], DONT_CARE, GRAMMAR)
    size = len(bases)
    ignored = np.zeros((2, size), dtype=bool)
    unscored = np.zeros((2, size + 1), dtype=bool)
    for start, end, strand in DONT_CARE:
        for base in range(start, end):
            ignored[0, base] |= strand != "-"
            ignored[1, size - 1 - base] |= strand != "+"
        for boundary in range(start, end + 1):
            unscored[0, boundary] |= strand != "-"
            unscored[1, size - boundary] |= strand != "+"
    assert np.array_equal(example.base_labels == -100, ignored)
    was_site = plain.prompt.sites >= 0
    assert np.array_equal(example.prompt.sites == -1, was_site & unscored[:, None])
    assert np.array_equal(example.prompt.sites[:, :, ~unscored.any(0)], plain.prompt.sites[:, :, ~unscored.any(0)])


@pytest.mark.parametrize("seed", range(4))
def test_the_other_strand_is_the_same_example_turned(seed):
    bases, genes = drawn(GRAMMAR, seed)
    here = make_example(bases, CLADE, genes, DONT_CARE, GRAMMAR)
    spans = [(240 - end, 240 - start, {"+": "-", "-": "+"}.get(strand, strand)) for start, end, strand in DONT_CARE]
    genes = reverse_complement_genes(genes, 240)
    there = make_example(reverse_complement(bases), CLADE, genes, spans, GRAMMAR)
    assert np.array_equal(here.base_labels, there.base_labels[::-1])
    assert np.array_equal(here.prompt.sites, there.prompt.sites[::-1])
    assert np.array_equal(here.prompt.codes, there.prompt.codes[::-1])


def right_answers(example: Example) -> None:
    """Each decision holds its right answer once among its options."""
    ids = example.target_ids.tolist()
    assert [step for step, _, _ in example.steps] == list(range(len(ids)))
    for step, decision, target in example.steps:
        if decision.structure is None:
            unit = ids[step] - (TOKENIZER.off_base if decision.is_offset else TOKENIZER.loc_base)
            assert unit == (target % TOKENIZER.segment_bp if decision.is_offset else target // TOKENIZER.segment_bp)
            assert (decision.table[:, 7] == target).sum() == 1
        else:
            assert decision.structure[target] == ids[step]
            assert len(set(decision.structure.tolist())) == len(decision.structure)


@pytest.mark.parametrize("seed", range(4))
def test_every_decision_offers_the_right_answer(seed):
    bases, genes = drawn(GRAMMAR, seed)
    example = make_example(bases, CLADE, genes, (), GRAMMAR)
    assert example.num_violations == 0
    assert np.array_equal(example.target_ids, encode_genes(genes, len(bases), TOKENIZER))
    right_answers(example)


def test_genes_outside_the_rules_can_be_learnt_and_are_counted():
    bases = random_bases(np.random.default_rng(0), 200)
    odd = [
        WindowGene("+", (Interval(11, 40), Interval(43, 77))),  # no start, no splice sites, no stop
        WindowGene("-", (Interval(90, 121),)),
        WindowGene("+", (Interval(150, 171),), partial5=True, partial3=True, phase=2),
    ]
    example = make_example(bases, CLADE, odd, (), GRAMMAR)
    assert example.num_violations > 4
    right_answers(example)
    model = toy_model()
    found = model.training_losses(collate([example]))
    found["sum"].backward()
    assert torch.isfinite(found["sum"])
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_batches_hold_what_the_examples_hold():
    batch = toy_batch((60, 144, 100))
    assert batch.codes.shape == (3, 2, 144) and batch.lengths.tolist() == [60, 144, 100]
    assert (batch.codes[0, :, 60:] == 5).all() and (batch.codes[0, :, :60] < 5).all()
    for row, size in enumerate((60, 144, 100)):
        posts = batch.posts[row, : batch.num_posts[row]]
        assert batch.num_posts[row] == size // 12 + 1
        assert batch.ids[row, posts].tolist() == [TOKENIZER.loc_base + i for i in range(size // 12 + 1)]
        assert batch.start[row, posts].tolist() == [12 * i for i in range(size // 12 + 1)]
    assert int(batch.num_target_tokens) == int(batch.target_lengths.sum())
    moved = batch.to("cpu")
    assert all(torch.equal(getattr(batch, name), getattr(moved, name)) for name in ("ids", "place_table", "sites"))


def test_labels_of_chains_leave_the_second_of_two_overlapping_genes_open():
    bases = random_bases(np.random.default_rng(0), 100)
    prompt = make_prompt(PLAIN_GRAMMAR.sites(bases), bases, CLADE, TOKENIZER)

    def gene(strand: str, *cds: tuple[int, int]) -> WindowGene:
        return WindowGene(strand, tuple(Interval(*segment) for segment in cds))

    first, second, third = gene("+", (3, 33)), gene("+", (25, 55)), gene("+", (51, 81))
    labels = label_bases(prompt, [first, second, third], ())
    found = chain_labels(prompt, [first, second, third], labels)[0].tolist()
    assert found[3:33] == [1, 2, 3] * 10  # whole, to its stop
    assert found[33:55] == [-100] * 22  # shares eight bases
    assert found[55:81] == ([1, 2, 3] * 10)[4:]  # shares four
    assert found[:3] == [0] * 3 and found[81:] == [0] * 19
    turned = [gene("-", (100 - 33, 100 - 3)), gene("-", (100 - 55, 100 - 25))]
    labels = label_bases(prompt, turned, ())
    assert chain_labels(prompt, turned, labels)[1].tolist()[:55] == [0] * 3 + [1, 2, 3] * 10 + [-100] * 22
    apart = [gene("+", (3, 33)), gene("-", (20, 50)), gene("+", (33, 63))]
    labels = label_bases(prompt, apart, ())
    assert (chain_labels(prompt, apart, labels) == labels).all()
