"""What each token may see, what a window's neighbours in a batch may not change, and what training reaches."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_toy import (
    CLADE,
    GRAMMAR,
    PLAIN_GRAMMAR,
    SLIDING,
    TOKENIZER,
    random_bases,
    random_genes,
    toy_batch,
    toy_crf,
    toy_example,
    toy_model,
)
from torch import Tensor

from genet5.crf.model import score_codes, window_codes
from genet5.crf.stem import hexamer_ids
from genet5.genome.genetic_code import reverse_complement
from genet5.training.optimizer import build_optimizer
from genet5.training.options import RunOptions
from genet5.training.trainable import Trainable
from genet5.writer.batch import Batch, collate, collate_prompts, make_example, make_prompt
from genet5.writer.crf_scores import ScoreSums, score_sums
from genet5.writer.network import GeneT5Model


def states(model: GeneT5Model, batch: Batch) -> Tensor:
    """[B, T, H], the states the target tokens are predicted from."""
    with torch.no_grad():
        return model.hidden_states(batch, model.score(batch.prompts)).states


def losses(model: GeneT5Model, batch: Batch) -> dict[str, Tensor]:
    with torch.no_grad():
        return model.training_losses(batch)


def prompt_states(model: GeneT5Model, bases: str) -> Tensor:
    """[L + 1, H], the states of a window's mile-posts and of its last token."""
    prompts = collate_prompts([make_prompt(GRAMMAR.sites(bases), bases, CLADE, TOKENIZER)])
    with torch.no_grad():
        read = model.read_prompts(prompts, model.score(prompts))
        return torch.cat([read.posts[0], read.last])


def with_prompts(batch: Batch, **changed: Tensor) -> Batch:
    return replace(batch, prompts=replace(batch.prompts, **changed))


def with_sequences(batch: Batch, **changed: Tensor) -> Batch:
    return replace(batch, sequences=replace(batch.sequences, **changed))


# ---------------------------------------------------------------- prefix LM


@pytest.mark.parametrize("shape", [{}, SLIDING, {"num_experts": 3}])
def test_a_later_structure_token_changes_no_earlier_state(shape):
    model, batch = toy_model(**shape), toy_batch((240,), seed=4)
    before = states(model, batch)
    length = int(batch.sequences.lengths[0])
    assert length > 20
    for place in (1, length // 2, length - 2):
        ids = batch.sequences.ids.clone()
        ids[0, place] = TOKENIZER.cds if ids[0, place] != TOKENIZER.cds else TOKENIZER.end
        after = states(model, with_sequences(batch, ids=ids))
        assert torch.equal(after[0, : place + 1], before[0, : place + 1])  # the state after it is at place + 1
        assert not torch.equal(after[0, place + 1], before[0, place + 1])


def test_a_later_place_changes_no_earlier_state():
    model, batch = toy_model(), toy_batch((240,), seed=4)
    before = states(model, batch)
    place = next(i for i in range(5, batch.sequences.ids.shape[1]) if TOKENIZER.is_off(int(batch.sequences.ids[0, i])))
    forward = batch.sequences.forward.clone()
    forward[0, place] += 3
    after = states(model, with_sequences(batch, forward=forward))
    assert torch.equal(after[0, : place + 1], before[0, : place + 1])
    assert not torch.equal(after[0, place + 1], before[0, place + 1])


def test_structure_tokens_see_all_dna_and_dna_sees_no_structure():
    model, batch = toy_model(), toy_batch((240,), seed=4)
    before = states(model, batch)
    for token in (2, int(batch.prompts.prompt_lengths[0]) - 2):
        ids = batch.prompts.ids.clone()
        ids[0, token] = 6 + (ids[0, token] + 1) % 64
        after = states(model, with_prompts(batch, ids=ids))
        assert ((after - before).abs().amax(-1) > 1e-6).all()
    other = with_sequences(batch, ids=torch.full_like(batch.sequences.ids, TOKENIZER.cds))
    assert torch.equal(states(model, other)[0, 0], before[0, 0])  # the state after <sep>


def test_dna_sees_both_directions():
    model = toy_model()
    bases = random_bases(np.random.default_rng(0), 120)
    before = prompt_states(model, bases)
    middle = bases[:60] + reverse_complement(bases[60:66])[::-1] + bases[66:]  # as long, other bases
    after = prompt_states(model, middle)
    changed = (after - before).abs().amax(-1) > 1e-6
    assert changed.all()


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize("shape", [{}, SLIDING, {"num_experts": 3}])
def test_a_window_means_the_same_alone_and_in_any_batch(shape):
    model = toy_model(**shape)
    sizes = (61, 400, 130, 12, 299)
    examples = [toy_example(size, 10 + size, unknown=0.02) for size in sizes]
    together = collate(examples)
    states_together, all_losses = states(model, together), losses(model, together)
    alone = [collate([example]) for example in examples]
    for row, single in enumerate(alone):
        length = int(single.sequences.lengths[0])
        torch.testing.assert_close(states_together[row, :length], states(model, single)[0], rtol=1e-4, atol=1e-4)
    singles = [losses(model, single) for single in alone]
    assert float(all_losses["language"]) == pytest.approx(sum(float(one["language"]) for one in singles), abs=1e-3)
    assert int(all_losses["weight"]) == sum(int(one["weight"]) for one in singles)


def test_what_stands_in_the_padding_does_not_matter():
    model, batch = toy_model(), toy_batch((70, 260))
    before = losses(model, batch)
    ids, sequences = batch.prompts.ids.clone(), batch.sequences
    targets, forward = sequences.ids.clone(), sequences.forward.clone()
    ids[0, batch.prompts.prompt_lengths[0] :] = 17
    targets[0, sequences.lengths[0] :] = TOKENIZER.plus
    forward[0, sequences.lengths[0] :] = 33
    after = losses(model, with_prompts(with_sequences(batch, ids=targets, forward=forward), ids=ids))
    assert before.keys() == after.keys()
    for name in before:
        assert float(after[name]) == pytest.approx(float(before[name]), rel=1e-6)


@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
def test_the_crf_is_the_same_on_either_strand(grammar):
    crf = toy_crf()
    bases = random_bases(np.random.default_rng(1), 301, unknown=0.01)

    def score(bases: str) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return tuple(part[0] for part in crf(window_codes([grammar.sites(bases)])))

    assert len(score(bases)) > 1
    for here, turned in zip(score(bases), score(reverse_complement(bases)), strict=True):
        torch.testing.assert_close(here, turned.flip(0), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(here[0], here[1], atol=1e-2)


def test_scores_are_those_of_the_crf_at_once_and_window_by_window():
    """A window that is scored apart has the same bits in any batch of its width."""
    model, batch = toy_model(), toy_batch((70, 260, 131))
    at_once, apart = model.score(batch.prompts), model.score_apart(batch.prompts)
    scores = score_codes(model.crf, batch.prompts.codes)
    sums = score_sums(
        scores.potentials, scores.site_potentials, model.crf.gene_penalty, batch.prompts.sites, batch.prompts.lengths
    )
    assert torch.equal(apart.features[:, :, 1:-1], scores.features)
    assert not apart.features[:, :, 0].any() and not apart.features[:, :, -1].any()
    for name in ScoreSums._fields:
        assert torch.equal(getattr(apart.sums, name), getattr(sums, name)), name
        torch.testing.assert_close(getattr(at_once.sums, name), getattr(sums, name), rtol=1e-4, atol=1e-3, msg=name)
    torch.testing.assert_close(at_once.features, apart.features, rtol=1e-4, atol=1e-4)
    prompts = collate([toy_example(260, 1), toy_example(70, 0), toy_example(260, 1)]).prompts  # the same windows
    turned = model.score_apart(prompts)
    assert torch.equal(turned.features[2], apart.features[1]) and torch.equal(turned.features[1], apart.features[0])


def test_hexamers_are_read_from_their_first_base():
    codes = torch.tensor([0, 1, 2, 3, 0, 0, 1, 4, 2, 2, 2, 2, 2, 2])
    ids = hexamer_ids(codes).tolist()
    assert ids[0] == ((((0 * 4 + 1) * 4 + 2) * 4 + 3) * 4 + 0) * 4 + 0
    assert ids[1] == ((((1 * 4 + 2) * 4 + 3) * 4 + 0) * 4 + 0) * 4 + 1
    unknown = 4**6
    assert ids[2:8] == [unknown] * 6 and ids[8] == int("222222", 4) and ids[9:] == [unknown] * 5


# ---------------------------------------------------------------- windows at the edge of what there is


@pytest.mark.parametrize("bases", ["N" * 60, "ACGTA", "A", "ATGAAATAA" + "N" * 40, "ACG" * 4])
@pytest.mark.parametrize("grammar", [GRAMMAR, PLAIN_GRAMMAR])
def test_odd_windows_train_and_differ_not_from_themselves(bases, grammar):
    model = toy_model()
    rng = np.random.default_rng(2)
    for genes in ([], random_genes(grammar, bases, rng)):
        single = collate([make_example(bases, CLADE, genes, grammar)])
        together = collate([make_example(bases, CLADE, genes, grammar), toy_example(200, 3)])
        found = losses(model, single)
        assert all(torch.isfinite(value).all() for value in found.values())
        assert int(found["weight"]) == int(single.sequences.lengths[0])
        torch.testing.assert_close(
            states(model, together)[0, : int(found["weight"])], states(model, single)[0], rtol=1e-4, atol=1e-4
        )


def test_a_batch_without_a_choice_has_no_language_loss():
    model = toy_model()
    batch = collate([make_example("A" * 30, CLADE, [], PLAIN_GRAMMAR)])
    assert len(batch.decisions.places) == 0
    found = losses(model, batch)
    if len(batch.decisions.structure) == 0:
        assert float(found["language"]) == 0
    assert torch.isfinite(found["sum"])


# ---------------------------------------------------------------- training

#: without a shared expert (its size is 0) its gate multiplies nothing; the CRF is trained beforehand
NEVER = ("shared_expert", "crf.")


def untrained(model: GeneT5Model, batch: Batch) -> set[str]:
    """Parameters that one step on ``batch`` would leave as they are."""
    model.train().zero_grad()
    model.training_losses(batch)["sum"].backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is None or torch.isfinite(gradient).all() for gradient in gradients.values())
    return {name for name, gradient in gradients.items() if gradient is None or not gradient.abs().sum() > 0}


@pytest.mark.parametrize("shape", [{}, SLIDING, {"num_experts": 4}])
def test_one_step_moves_every_parameter_but_the_crf(shape):
    left = untrained(toy_model(**shape), toy_batch((300, 500, 410, 600), seed=20))
    assert {name for name in left if not any(part in name for part in NEVER)} == set()


def test_the_crf_takes_no_gradient_and_no_step():
    """An optimizer that gets all parameters leaves it as it is, weight decay included."""
    model, batch = toy_model(stem_dropout=0.5).train(), toy_batch((300, 200), seed=20)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model.training_losses(batch)["sum"].backward()
        optimizer.step()
    assert len(list(model.crf.parameters())) > 20
    for parameter in model.crf.parameters():
        assert parameter.grad is None and not parameter.requires_grad
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert len(moved) > 20 and not any(name.startswith("crf.") for name in moved)
    assert not any(parameter.requires_grad for parameter in copy.deepcopy(model).crf.parameters())


def test_the_training_loop_can_ask_all_it_wants():
    model = toy_model()
    assert isinstance(model, Trainable) and model.learning_rate_scales() == {}
    optimized = {id(p) for group in build_optimizer(model, RunOptions()).param_groups for p in group["params"]}
    assert optimized == {id(p) for name, p in model.named_parameters() if not name.startswith("crf.")}


def test_training_leaves_the_crf_without_dropout():
    model, batch = toy_model(stem_dropout=0.5).train(), toy_batch((300,), seed=20)
    assert model.training and model.backbone.training
    assert not any(module.training for module in model.crf.modules())
    features = [model.score(batch.prompts).features for _ in range(2)]
    assert torch.equal(*features)


def test_label_smoothing_changes_the_language_loss_alone():
    model, batch = toy_model(num_experts=2), toy_batch((300, 200), seed=20)
    plain = losses(model, batch)
    model.label_smoothing = 0.1
    smoothed = losses(model, batch)
    differing = {name for name in plain if float(plain[name]) != float(smoothed[name])}
    assert differing == {"sum", "language"}  # in particular not the router's


def test_a_few_steps_learn_a_batch_by_heart():
    model, batch = toy_model(num_experts=4, init_std=0.05).train(), toy_batch((120, 150), seed=6)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    first = float(losses(model, batch)["sum"])
    for _ in range(40):
        optimizer.zero_grad()
        found = model.training_losses(batch)
        (found["sum"] / found["weight"]).backward()
        optimizer.step()
    assert float(losses(model, batch)["sum"]) < 0.4 * first


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_gradient_checkpointing_changes_no_gradient():
    batch = toy_batch((150, 200), seed=6)
    gradients = []
    for checkpointing in (False, True):
        model = toy_model(num_experts=2, stem_dropout=0.0).train()
        if checkpointing:
            model.recompute_activations()
            assert all(layer.gradient_checkpointing for layer in model.backbone.layers)
        model.training_losses(batch)["sum"].backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        if gradient is not None:
            torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- layers with a window


def test_a_window_as_wide_as_the_prompt_changes_nothing():
    batch = toy_batch((150, 90), seed=8)
    wide = toy_model(num_layers=4, dna_block_size=16, dna_window_size=1024)
    full = toy_model(num_layers=4)
    assert float(losses(wide, batch)["sum"]) == pytest.approx(float(losses(full, batch)["sum"]), rel=1e-6)
    narrow = toy_model(**SLIDING)
    assert float(losses(narrow, batch)["language"]) != pytest.approx(float(losses(full, batch)["language"]), rel=1e-6)


# ---------------------------------------------------------------- precision


def test_pointers_keep_their_precision_under_bf16():
    """A shift of all keys adds the same to every match of a query: what is chosen must not change, in bf16 neither."""
    model, batch = toy_model(), toy_batch((240, 300), seed=4)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        before = model.training_losses(batch)["language"]
        for key in (model.head.post_key, model.head.base_key):
            key.bias += 100.0
        after = model.training_losses(batch)["language"]
    assert float(after) == pytest.approx(float(before), rel=1e-3)
