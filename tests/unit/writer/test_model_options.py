"""Each option of the network does what it says: dropout, spread of first weights, tied vectors, latent tokens."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from model_toy import LATENTS, SHAPES, TOKENIZER, toy_batch, toy_crf, toy_model
from torch import Tensor

from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.batch import Batch
from genet5.writer.building import load_model, new_model, resize_model, save_model
from genet5.writer.config import GeneT5Config
from genet5.writer.network import GeneT5Model


def loss(model: GeneT5Model, batch: Batch, seed: int = 0) -> float:
    torch.manual_seed(seed)
    with torch.no_grad():
        return float(model.training_losses(batch)["language"])


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("shape", [{}, {"num_experts": 3}], ids=["dense", "experts"])
def test_dropout_works_in_training_alone_and_follows_the_seed(shape: dict):
    batch, model = toy_batch((200, 150)), toy_model(dropout=0.3, **shape)
    without = loss(toy_model(**shape), batch)
    assert loss(model, batch) == without, "in evaluation mode"
    model.train()
    assert loss(model, batch, 1) == loss(model, batch, 1)
    assert len({loss(model, batch, seed) for seed in range(4)} | {without}) == 5


def test_dropout_takes_its_share_of_each_layers_output():
    model = toy_model(dropout=0.25).train()
    dropped: dict[str, Tensor] = {}
    for name in ("self_attn", "mlp"):
        module = getattr(model.backbone.layers[1], name)
        module.register_forward_hook(
            lambda _module, _inputs, output, name=name: dropped.update(
                {name: output[0] if isinstance(output, tuple) else output}
            )
        )
    loss(model, toy_batch((400, 350)))
    shares = {name: float((output == 0).float().mean()) for name, output in dropped.items()}
    assert shares == pytest.approx({"self_attn": 0.25, "mlp": 0.25}, abs=0.03)


def test_dropout_is_left_out_of_reinforcement_learning():
    batch, model = toy_batch((200, 150)), toy_model(dropout=0.3).train()
    model.leave_out_dropout()
    assert loss(model, batch, 1) == loss(model, batch, 2) == loss(toy_model(), batch)


# ---------------------------------------------------------------- first weights


def first_model(**overrides: float) -> GeneT5Model:
    shape = {"hidden_size": 64, "num_layers": 2, "num_experts": 4, "num_latents": 40, "tie_embeddings": False}
    return new_model("demo", TOKENIZER, toy_crf(), 3, {**shape, **overrides})


def spread(model: GeneT5Model, part: str) -> float:
    return float(model.state_dict()[part].std())


PARTS = {
    "init_embedding_std": ("backbone.embed_tokens.weight", "output_embeddings.weight", "latents.weight"),
    "init_attention_std": tuple(f"backbone.layers.1.self_attn.{name}_proj.weight" for name in "qkvo"),
    "init_feed_forward_std": tuple(f"backbone.layers.0.mlp.experts.{name}_proj" for name in ("gate_up", "down")),
    "init_router_std": ("backbone.layers.1.mlp.gate.weight",),
}
OTHERS = ("head.post_query.weight", "embedder.base_to_token.weight")


@pytest.mark.parametrize("option", PARTS)
def test_parts_have_first_deviations_of_their_own(option: str):
    usual, model = first_model(init_std=0.03), first_model(init_std=0.03, **{option: 0.11})
    for name, parts in PARTS.items():
        standard = 0.006 if name == "init_router_std" else 0.03
        for part in parts:
            assert spread(usual, part) == pytest.approx(standard, rel=0.15), part
            assert spread(model, part) == pytest.approx(0.11 if name == option else standard, rel=0.15), part
    for part in OTHERS:
        assert torch.equal(usual.state_dict()[part], model.state_dict()[part])


def test_a_part_without_a_deviation_takes_the_common_one():
    model = first_model(init_std=0.05, init_router_std=0.0)
    for part in (*sum(PARTS.values(), ()), "head.post_query.weight"):
        assert spread(model, part) == pytest.approx(0.05, rel=0.2), part


def test_feed_forward_layers_without_experts_have_the_deviation_too():
    model = first_model(num_experts=0, init_feed_forward_std=0.2)
    for name in ("gate", "up", "down"):
        assert spread(model, f"backbone.layers.0.mlp.{name}_proj.weight") == pytest.approx(0.2, rel=0.1)
    assert spread(model, "backbone.layers.0.self_attn.q_proj.weight") == pytest.approx(0.02, rel=0.1)


# ---------------------------------------------------------------- tied vectors


def test_tied_tokens_are_written_with_the_vectors_they_are_read_with():
    model, batch = toy_model(), toy_batch((200, 150))
    assert model.output_embeddings is None and model.written_tokens is model.get_input_embeddings()
    untied = toy_model(tie_embeddings=False)
    before = loss(untied, batch)
    assert before != pytest.approx(loss(model, batch), rel=1e-4)
    embedding = model.state_dict()["backbone.embed_tokens.weight"]
    untied.load_state_dict({**model.state_dict(), "output_embeddings.weight": embedding})
    assert loss(untied, batch) == pytest.approx(loss(model, batch), rel=1e-6)


def test_untied_vectors_learn_apart():
    model = toy_model(tie_embeddings=False)
    model.training_losses(toy_batch((200, 150)))["sum"].backward()
    written = model.output_embeddings.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert written and all(TOKENIZER.dna_size <= index < TOKENIZER.loc_base for index in written)
    assert model.get_input_embeddings().weight.grad[: TOKENIZER.dna_size].abs().sum() > 0


def test_untied_vectors_grow_with_the_tokenizer_and_are_stored(tmp_path: Path):
    tokenizer = GeneTokenizer.build("kmer", k=3, segment_bp=12, max_window_bp=1200)
    model, batch = toy_model(tokenizer=tokenizer, tie_embeddings=False), toy_batch((200, 150))
    before, known = loss(model, batch), model.output_embeddings.weight.detach().clone()
    tokenizer.append_tokens(["<later>"])
    resize_model(model, tokenizer)
    assert len(model.output_embeddings.weight) == tokenizer.size == len(known) + 1
    assert torch.equal(model.output_embeddings.weight[:-1], known)
    save_model(model, tokenizer, tmp_path / "m")
    assert loss(load_model(tmp_path / "m")[0], batch) == before


# ---------------------------------------------------------------- latents


def test_latents_read_all_dna():
    """Any base changes the keys of each latent in the second layer; without layers before it none does."""
    model = toy_model(**LATENTS)
    batch = toy_batch((400,)).prompts
    with torch.no_grad():
        scores = model.score(batch)
        before = model.read_prompts(batch, scores).cache
        for place in (4, batch.ids.shape[1] // 2, batch.ids.shape[1] - 3):
            ids = batch.ids.clone()
            ids[0, place] = TOKENIZER.id("AAC") if ids[0, place] != TOKENIZER.id("AAC") else TOKENIZER.id("AAG")
            after = model.read_prompts(replace(batch, ids=ids), scores).cache
            apart = [
                (one.keys[0, :, :3] - two.keys[0, :, :3]).abs().amax((0, 2))
                for one, two in zip(before.layers, after.layers, strict=True)
            ]
            assert (apart[0] == 0).all() and (apart[1] > 0).all()


def test_latents_are_read_by_every_structure_token():
    model, batch = toy_model(**LATENTS), toy_batch((400, 300), seed=4)
    states = []
    for shift in (0.0, 1.0):
        with torch.no_grad():
            model.latents.weight[2] += shift
            states.append(model.hidden_states(batch, model.score(batch.prompts)).states)
    apart = (states[0] - states[1]).abs().amax(-1)
    assert batch.sequences.lengths.min() > 0 and len(apart) == 2
    for row, length in enumerate(batch.sequences.lengths.tolist()):
        assert (apart[row, :length] > 0).all()


def test_latents_learn_and_their_number_changes_the_loss():
    batch = toy_batch((300, 200))
    found = [loss(toy_model(num_latents=number), batch) for number in (0, 2, 5)]
    assert len(set(found)) == 3
    model = toy_model(num_latents=5)
    model.training_losses(batch)["sum"].backward()
    assert model.latents.weight.shape == (5, 32)
    assert (model.latents.weight.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_latents_or_not_a_window_does_not_depend_on_its_batch(shape: dict):
    model = toy_model(**shape)
    together, alone = toy_batch((400, 550), seed=6), toy_batch((400,), seed=6)
    with torch.no_grad():
        both, one = (model.hidden_states(batch, model.score(batch.prompts)).states for batch in (together, alone))
    length = int(alone.sequences.lengths[0])
    torch.testing.assert_close(both[0, :length], one[0, :length], rtol=1e-4, atol=1e-4)


def test_latents_with_experts_are_counted_by_the_router():
    batch = toy_batch((300, 200))
    found = [float(toy_model(num_experts=3, num_latents=n).training_losses(batch)["router"].detach()) for n in (0, 7)]
    assert all(math.isfinite(value) and value > 0 for value in found) and found[0] != found[1]


def test_latents_are_kept_in_a_stored_model(tmp_path: Path):
    model, batch = toy_model(**LATENTS), toy_batch((200, 150))
    save_model(model, TOKENIZER, tmp_path / "m")
    loaded, _ = load_model(tmp_path / "m")
    assert torch.equal(loaded.latents.weight, model.latents.weight)
    assert loss(loaded, batch) == loss(model, batch)


def test_stored_models_keep_their_former_names_of_windows():
    """Models made when DNA and structure tokens shared one window, stored as block_size and window_size."""
    stored = GeneT5Config(block_size=16, window_size=64)
    assert (stored.dna_block_size, stored.dna_window_size) == (16, 64)
    assert not hasattr(stored, "block_size")
