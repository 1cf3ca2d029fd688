"""Training examples: a right answer among the candidates of every decision, and batches that hold the examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_toy import CLADE, GRAMMAR, PLAIN_GRAMMAR, TOKENIZER, random_bases, random_genes, toy_batch, toy_model

from genet5.crf.labels import NOT_A_SITE, UNSCORED_SITE
from genet5.genome.genes import Interval
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.window_genes import WindowGene, reverse_complement_genes
from genet5.tokens.codec import encode_genes
from genet5.tokens.grammar import Grammar
from genet5.writer.batch import Example, collate, make_example
from genet5.writer.decisions import FORWARD


def drawn(grammar: Grammar, seed: int, size: int = 240) -> tuple[str, list[WindowGene]]:
    rng = np.random.default_rng(seed)
    bases = random_bases(rng, size, 0.01)
    return bases, random_genes(grammar, bases, rng)


@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
@pytest.mark.parametrize("seed", range(4))
def test_a_prompt_tells_nothing_of_the_genes(grammar: Grammar, seed: int):
    """Its sites are those that the bases allow, true or not."""
    bases, genes = drawn(grammar, seed)
    prompt, empty = (make_example(bases, CLADE, shown, grammar).prompt for shown in (genes, []))
    for name, array in vars(empty).items():
        assert np.array_equal(getattr(prompt, name), array), name
    allowed = grammar.sites(bases).allowed
    assert allowed.any() and np.array_equal(prompt.sites, np.where(allowed, UNSCORED_SITE, NOT_A_SITE))


@pytest.mark.parametrize("seed", range(4))
def test_the_other_strand_is_the_same_example_turned(seed: int):
    bases, genes = drawn(GRAMMAR, seed)
    here = make_example(bases, CLADE, genes, GRAMMAR)
    there = make_example(reverse_complement(bases), CLADE, reverse_complement_genes(genes, 240), GRAMMAR)
    assert np.array_equal(here.prompt.sites, there.prompt.sites[::-1])
    assert np.array_equal(here.prompt.codes, there.prompt.codes[::-1])


def right_answers(example: Example) -> None:
    """Each decision holds its right answer once among its options."""
    ids = example.target_ids.tolist()
    assert [taken.step for taken in example.steps] == list(range(len(ids)))
    for step, decision, target in example.steps:
        if decision.structure is None:
            unit = ids[step] - (TOKENIZER.off_base if decision.is_offset else TOKENIZER.loc_base)
            assert unit == (target % TOKENIZER.segment_bp if decision.is_offset else target // TOKENIZER.segment_bp)
            assert (decision.table[:, FORWARD] == target).sum() == 1
        else:
            assert decision.structure[target] == ids[step]
            assert len(set(decision.structure.tolist())) == len(decision.structure)


@pytest.mark.parametrize("seed", range(4))
def test_every_decision_offers_the_right_answer(seed):
    bases, genes = drawn(GRAMMAR, seed)
    example = make_example(bases, CLADE, genes, GRAMMAR)
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
    example = make_example(bases, CLADE, odd, GRAMMAR)
    assert example.num_violations > 4
    right_answers(example)
    model = toy_model()
    found = model.training_losses(collate([example]))
    found["sum"].backward()
    assert torch.isfinite(found["sum"])
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_batches_hold_what_the_examples_hold():
    batch = toy_batch((60, 144, 100))
    prompts = batch.prompts
    assert prompts.codes.shape == (3, 2, 144) and prompts.lengths.tolist() == [60, 144, 100]
    assert (prompts.codes[0, :, 60:] == 5).all() and (prompts.codes[0, :, :60] < 5).all()
    for row, size in enumerate((60, 144, 100)):
        count = size // 12 + 1
        posts = prompts.posts[row, :count]
        assert (prompts.posts[row, count:] == 0).all()
        assert prompts.ids[row, posts].tolist() == [TOKENIZER.loc_base + i for i in range(count)]
        assert prompts.start[row, posts].tolist() == [12 * i for i in range(count)]
    assert int(batch.num_target_tokens) == int(batch.sequences.lengths.sum())


def leaves(value: object, name: str = "batch") -> dict[str, torch.Tensor]:
    """Every tensor of a batch, by its place in it."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    parts = (leaves(inner, f"{name}.{part}") for part, inner in vars(value).items())
    return {place: tensor for part in parts for place, tensor in part.items()}


def test_a_batch_moves_to_a_device_as_a_whole():
    batch = toy_batch((60, 144))
    before = leaves(batch)
    assert len(before) == 8 + 3 + 7 + 7
    moved = leaves(batch.to("meta"))
    assert moved.keys() == before.keys()
    for name, tensor in moved.items():
        assert tensor.device.type == "meta", name
        assert (tensor.shape, tensor.dtype) == (before[name].shape, before[name].dtype), name
    assert all(tensor.device.type == "cpu" for tensor in leaves(batch).values()), "the batch itself stays"
    again = leaves(batch.to("cpu"))
    assert all(torch.equal(tensor, again[name]) for name, tensor in before.items())
