"""The networks of the study DNA-LLM: their sizes, what they see, and that evaluation is evaluation."""

from __future__ import annotations

import pytest
import torch

from genet5.errors import InputError
from genet5.studies.dna_llm.gpt import Gpt, GptConfig, load_gpt, parameter_count, save_gpt
from genet5.studies.dna_llm.predictors import CnnBaseline, GptPredictor, load_predictor, save_predictor
from genet5.studies.dna_llm.variants import VARIANTS

SMALL = GptConfig("vocab4", layers=2, width=32, heads=2, context=40)


@pytest.fixture
def bases() -> torch.Tensor:
    return torch.randint(0, 4, (3, 40), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def core() -> Gpt:
    torch.manual_seed(0)
    return Gpt(SMALL)


def test_the_published_parameter_counts():
    full, vocab4 = Gpt(GptConfig("full")), Gpt(GptConfig("vocab4"))
    assert parameter_count(full) == 7_211_904
    assert parameter_count(vocab4) == 7_198_080
    assert parameter_count(full.blocks[0]) == 1_770_240
    assert not [name for name, _ in full.named_parameters() if name.endswith("bias")]
    predictor = GptPredictor(full, "causal", frozen=True)
    assert parameter_count(predictor.head) == 541_697
    assert parameter_count(predictor) == 7_753_601
    assert sum(p.numel() for p in predictor.parameters() if p.requires_grad) == 541_697
    assert parameter_count(GptPredictor(vocab4, "average", frozen=True)) == 7_739_777
    assert parameter_count(CnnBaseline()) == parameter_count(CnnBaseline(one_sided=True)) == 186_497


def test_a_letter_is_predicted_from_those_before_it_alone(core, bases):
    changed = bases.clone()
    changed[:, 20] = (changed[:, 20] + 1) % 4
    core.eval()
    one, two = core(bases), core(changed)
    assert torch.equal(one[:, :20], two[:, :20])
    assert not torch.allclose(one[:, 20:], two[:, 20:])


def test_the_head_is_the_embedding(core, bases):
    core.eval()
    core.letters.weight.data.zero_()
    assert not core(bases).any()


@pytest.mark.parametrize("direction", ["average", "concatenate"])
def test_both_directions_see_the_bases_after(core, bases, direction):
    changed = bases.clone()
    changed[:, 39] = (changed[:, 39] + 1) % 4
    causal, both = (GptPredictor(core, d, frozen=True).eval() for d in ("causal", direction))
    assert torch.equal(causal.features(bases)[:, :39], causal.features(changed)[:, :39])
    assert not torch.allclose(both.features(bases)[:, 5], both.features(changed)[:, 5])


@pytest.mark.parametrize(("one_sided", "before", "ahead"), [(False, 10, 10), (True, 15, 5)])
def test_what_a_cnn_sees(bases, one_sided, before, ahead):
    """The one-sided one as far ahead as the head of a GPT that reads forward, and not a base further."""
    model = CnnBaseline(one_sided=one_sided).eval()
    changed = bases.clone()
    changed[:, 20] = (changed[:, 20] + 1) % 4
    moved = (model(bases) != model(changed)).any(0).nonzero().flatten().tolist()
    assert (moved[0], moved[-1]) == (20 - ahead, 20 + before)


def test_a_frozen_gpt_that_reads_forward_sees_five_bases_ahead(core, bases):
    model = GptPredictor(core, "causal", frozen=True).eval()
    changed = bases.clone()
    changed[:, 20] = (changed[:, 20] + 1) % 4
    assert (model(bases) != model(changed)).any(0).nonzero().flatten()[0] == 15


@pytest.mark.parametrize(("direction", "frozen"), [("causal", True), ("average", False), ("concatenate", True)])
def test_features_are_centred_and_stay_so_on_the_disk(core, bases, tmp_path, direction, frozen):
    """Whatever constant the core adds, and whatever its scale."""
    plain = core.features
    core.features = lambda ids: 5 * plain(ids) + 100
    model = GptPredictor(core, direction, frozen)
    model.centre(bases)
    assert model.training and model.core.training is not frozen
    features = model.eval().features(bases).flatten(0, 1)
    torch.testing.assert_close(features.mean(0), torch.zeros(model.features_width), atol=1e-3, rtol=0)
    assert features.square().mean().item() == pytest.approx(1, abs=1e-3)
    save_predictor(model, tmp_path)
    saved = load_predictor(tmp_path)
    assert torch.equal(saved.mean, model.mean) and torch.equal(saved.spread, model.spread)
    saved.core.features = model.core.features
    assert torch.equal(saved(bases), model(bases))


def test_averaged_features_of_the_other_strand_are_the_same_backwards(core, bases):
    model = GptPredictor(core, "average", frozen=True).eval()
    turned = model.features((3 - bases).flip(1)).flip(1)
    torch.testing.assert_close(turned, model.features(bases))


@pytest.mark.parametrize("name", VARIANTS)
def test_evaluation_is_deterministic_and_training_is_not(bases, name):
    torch.manual_seed(0)
    variant = VARIANTS[name]
    merges = ("A A", "C G") if variant.alphabet == "bpe32" else ()
    core = Gpt(GptConfig(variant.alphabet or "vocab4", 2, 32, 2, 40, dropout=0.3, merges=merges))
    gpt = GptPredictor(core, variant.direction, variant.frozen, 0.3, bases=variant.bases)
    model = gpt if variant.alphabet else CnnBaseline(0.3, variant.one_sided)
    model.train()
    assert not torch.equal(model(bases), model(bases))
    model.eval()
    assert torch.equal(model(bases), model(bases))


def test_a_frozen_core_has_no_dropout_and_no_gradient_in_training_either(core, bases):
    model = GptPredictor(core, "average", frozen=True)
    model.train()
    assert torch.equal(model.features(bases), model.features(bases))
    batch = {"bases": bases, "scores": torch.ones(3, 40), "weights": torch.ones(3, 40)}
    model.training_losses(batch)["sum"].backward()
    assert all(p.grad is None for p in model.core.parameters())
    assert all(p.grad is not None and p.grad.any() for p in model.head.parameters())


@pytest.mark.parametrize("with_bases", [False, True])
def test_every_weight_of_a_core_that_is_trained_through_gets_a_gradient(core, bases, with_bases):
    model = GptPredictor(core, "average", frozen=False, bases=with_bases)
    batch = {"bases": bases, "scores": torch.rand(3, 40), "weights": torch.ones(3, 40)}
    model.training_losses(batch)["sum"].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_cnn_beside_a_core_is_the_baseline_where_features_are_ignored(core, bases):
    torch.manual_seed(0)
    model, cnn = GptPredictor(core, "concatenate", True, bases=True).eval(), CnnBaseline().eval()
    cnn.bases.load_state_dict(model.bases.state_dict())
    torch.testing.assert_close(model.norm(model.bases(bases)), cnn.head.norm(cnn.bases(bases)))
    changed = bases.clone()
    changed[:, 0] = (changed[:, 0] + 1) % 4
    far = slice(20, None)
    torch.testing.assert_close(cnn(bases)[:, far], cnn(changed)[:, far])
    assert not torch.allclose(model(bases)[:, far], model(changed)[:, far])  # the core sees further


def test_bases_of_weight_0_do_not_count(core, bases):
    model = GptPredictor(core, "causal", frozen=True).eval()
    weights = torch.ones(3, 40)
    weights[:, :30] = 0
    batch = {"bases": bases, "scores": torch.zeros(3, 40), "weights": weights}
    losses = model.training_losses(batch)
    assert losses["weight"] == 30
    batch["scores"] = torch.cat([torch.full((3, 30), 99.0), torch.zeros(3, 10)], dim=1)
    assert torch.equal(model.training_losses(batch)["sum"], losses["sum"])


def test_bits_per_base_do_not_depend_on_case():
    """A model that only knows that one of eight letters follows needs 3 bits a letter, 2 a base."""
    model = Gpt(GptConfig("full", 1, 8, 1, 12)).eval()
    letters = model.config.letters
    known = letters.ids("ACGTacgt")
    model.forward = lambda ids: torch.full((*ids.shape, 40), -1e9).index_fill(2, torch.from_numpy(known).long(), 0.0)
    ids = torch.from_numpy(letters.ids("ACGTacgtNNACG")).long()[None]
    losses = model.training_losses(ids)
    assert losses["bits_per_base_weight"] == 10  # 12 targets, two of them N
    assert losses["bits_per_base"] / losses["bits_per_base_weight"] == pytest.approx(2.0)


def test_models_come_back_as_they_were_saved(core, bases, tmp_path):
    for folder in ("gpt", "predictor", "cnn"):
        (tmp_path / folder).mkdir()
    core.eval()
    save_gpt(core, tmp_path / "gpt")
    assert torch.equal(load_gpt(tmp_path / "gpt").eval()(bases), core(bases))
    both = GptPredictor(core, "concatenate", False), GptPredictor(core, "concatenate", True, bases=True)
    for folder, model in (
        ("predictor", both[0]),
        ("predictor", both[1]),
        ("cnn", CnnBaseline()),
        ("cnn", CnnBaseline(one_sided=True)),
    ):
        save_predictor(model.eval(), tmp_path / folder)
        assert torch.equal(load_predictor(tmp_path / folder)(bases), model(bases))
    with pytest.raises(InputError, match=r"not a nucleotide GPT"):
        load_gpt(tmp_path / "cnn")
    with pytest.raises(InputError, match=r"not a predictor"):
        load_predictor(tmp_path)
    with pytest.raises(InputError, match=r"width: 30 is no multiple of heads \(4\)"):
        GptConfig(width=30)
    for name in ("layers", "width", "heads", "context"):
        for found in (0, 10**12, 10**40, 1.5):
            with pytest.raises(InputError, match=f"{name}: {str(found)[:40]}, allowed: 1 to"):
                GptConfig(**{name: found})
