"""Study cpiVAE: every model learns with all its parameters, counts measured cells alone, and says the same twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cpivae_toy import MODELS, tiny_settings, toy_data

from genet5.studies.cpivae import losses
from genet5.studies.cpivae.batches import PartDataset
from genet5.studies.cpivae.models.adversarial import AdversarialDecoder
from genet5.studies.cpivae.models.autoregressive import AutoregressiveDecoder
from genet5.studies.cpivae.models.base import PlatformModel
from genet5.studies.cpivae.models.diffusion import DiffusionDecoder, cosine_signal
from genet5.studies.cpivae.models.registry import build_model
from genet5.studies.cpivae.models.vq import Codebooks
from genet5.studies.cpivae.networks import PlanarFlows
from genet5.studies.cpivae.settings import merged


@pytest.fixture(scope="module")
def data():
    return toy_data()


@pytest.fixture(scope="module")
def batch(data):
    return PartDataset(data.parts["train"])[list(range(16))]


def built(name: str, data, /, **sections) -> PlatformModel:
    torch.manual_seed(0)
    model = build_model(tiny_settings(name, **sections), data.widths["a"], data.widths["b"])
    model.start_from(data)
    return model.train()


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient_and_so_does_every_term(name, data, batch):
    extra = {"model": {"use_attention": True, "attention_heads": 2}} if name == "res_unet" else {}
    model = built(name, data, **extra)
    losses_ = model.losses(batch)
    losses_["total"].backward()
    dead = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []
    for term in set(losses_) - {"total"}:
        model.zero_grad()
        model.losses(batch)[term].backward()
        assert sum(float(p.grad.abs().sum()) for p in model.parameters() if p.grad is not None) > 1e-6, term


@pytest.mark.parametrize("name", MODELS)
def test_evaluation_is_deterministic_and_independent_of_the_other_samples(name, data, batch):
    model = built(name, data).eval()
    first, second = model.losses(batch), model.losses(batch)
    assert all(torch.equal(first[key], second[key]) for key in first)
    with torch.no_grad():
        whole = model.predict(batch["a"], "a", "b")
        assert torch.equal(whole, model.predict(batch["a"], "a", "b"))
        torch.testing.assert_close(model.predict(batch["a"][3:5], "a", "b"), whole[3:5])
    assert whole.shape == batch["b"].shape


@pytest.mark.parametrize("name", MODELS)
def test_cells_that_were_not_measured_change_nothing_but_what_is_read(name, data, batch):
    model = built(name, data).eval()
    assert not batch["observed_b"].all()
    filled = torch.where(batch["observed_b"], batch["b"], torch.full_like(batch["b"], 7.0))
    inputs = {p: batch[p] for p in "ab"}
    # What is compared changes where nothing was measured; what encoders read stays.
    before, after = (model.terms({**batch, "b": target}, inputs) for target in (batch["b"], filled))
    for key in before:
        torch.testing.assert_close(after[key], before[key])
    wrong = model.terms({**batch, "b": batch["b"] + 1}, inputs)
    assert any(not torch.allclose(wrong[key], before[key]) for key in before)


@pytest.mark.parametrize("name", MODELS)
def test_samples_of_the_posterior_spread_around_the_prediction(name, data, batch):
    model = built(name, data).eval()
    with torch.no_grad():
        drawn = [model.sample(batch["a"], "a", "b", torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    if name == "res_unet":
        assert drawn == [None] * 3
        return
    assert torch.equal(drawn[0], drawn[1])
    assert drawn[0].shape == batch["b"].shape and not torch.equal(drawn[0], drawn[2])


def test_training_adds_noise_to_what_is_read_alone(data, batch):
    model = built("joint_vae", data, training={"data_augmentation": {"gaussian_noise_std": 0.5}})
    noisy = model._augmented(batch["a"])
    assert 0.3 < float((noisy - batch["a"]).std()) < 0.7
    seen = {}
    model.terms = lambda batch, inputs: seen.update(targets=batch["a"], inputs=inputs["a"]) or {}
    model.term_weights = dict
    model.losses(batch)
    assert torch.equal(seen["targets"], batch["a"]) and not torch.equal(seen["inputs"], batch["a"])
    model.eval()
    assert torch.equal(model._augmented(batch["a"]), batch["a"])


def test_weights_of_the_loss_are_those_of_the_settings(data, batch):
    model = built("joint_vae", data).eval()
    terms = model.losses(batch)
    weighted = 0.9 * terms["recon"] + 1.4 * terms["cross"] + 1.9 * terms["align"] + 0.00014 * terms["kl"]
    torch.testing.assert_close(terms["total"], weighted)


@pytest.mark.parametrize(
    ("schedule", "epoch", "step", "beta"),
    [
        ("constant", 0, 0, 0.8),
        ("linear", 0, 0, 0.2),
        ("linear", 1, 0, 0.4),
        ("linear", 9, 0, 0.8),
        ("cyclical", 0, 0, 0.0),
        ("cyclical", 0, 2, 0.4),
        ("cyclical", 0, 4, 0.8),
        ("cyclical", 0, 7, 0.8),
        ("cyclical", 0, 8, 0.0),
    ],
)
def test_the_weight_of_kl_follows_its_schedule_in_training_alone(data, monkeypatch, schedule, epoch, step, beta):
    lengths = {"anneal_epochs": 4, "kl_cycle_length": 8, "kl_anneal_ratio": 0.5}
    options = {"kl_schedule": schedule, "max_beta": 0.8, **lengths}
    model = built("joint_vae", data, training=options)
    monkeypatch.setattr(type(model), "current_epoch", epoch)
    monkeypatch.setattr(type(model), "global_step", step)
    assert model.beta == pytest.approx(beta)
    assert model.eval().beta == 0.8


def test_masked_errors_by_hand():
    predicted, values = torch.tensor([[1.0, 5.0], [2.0, 0.0]]), torch.tensor([[0.0, 9.0], [4.0, float("nan")]])
    observed = torch.tensor([[True, False], [True, False]])
    assert losses.masked_mse(predicted, values, observed) == pytest.approx((1 + 4) / 2)
    assert losses.masked_mse(predicted, values, torch.zeros_like(observed)) == 0
    found = losses.masked_log_likelihood(predicted, values, observed)
    normal = torch.distributions.Normal(predicted[:, 0], 1.0)
    torch.testing.assert_close(found, normal.log_prob(values[:, 0]))


def test_divergences_agree_with_torch():
    mean_a, mean_b, log_a, log_b = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1))
    a, b = (torch.distributions.Normal(m, (0.5 * v).exp()) for m, v in ((mean_a, log_a), (mean_b, log_b)))
    kl = torch.distributions.kl_divergence
    standard = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(losses.kl_to_standard(mean_a, log_a), kl(a, standard).mean())
    both = 0.5 * (kl(a, b) + kl(b, a)).mean()
    torch.testing.assert_close(losses.symmetric_kl(mean_a, log_a, mean_b, log_b), both)
    torch.testing.assert_close(losses.gaussian_log_density(mean_b, mean_a, log_a), a.log_prob(mean_b).sum(-1))


@pytest.mark.parametrize("width", [2, 128, 1000])
def test_mmd_sees_a_difference_in_any_number_of_dimensions(width):
    generator = torch.Generator().manual_seed(1)
    x, y, z = (torch.randn(100, width, generator=generator) for _ in range(3))
    z = (z + 1).requires_grad_()
    near, far = losses.mmd(x, y), losses.mmd(x, z)
    assert float(losses.mmd(x, x)) == pytest.approx(0, abs=1e-6)
    assert float(far.detach()) > 3 * float(near) > 0
    far.backward()
    assert float(z.grad.abs().sum()) > 1e-3


def test_total_correlation_is_of_dependence():
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(400, 2, generator=generator)
    tied = means[:, :1].expand(-1, 2)
    small = torch.full_like(means, math.log(0.05))
    free, bound = losses.total_correlation(means, means, small), losses.total_correlation(tied, tied, small)
    assert float(bound) > float(free) + 0.3


def test_flows_know_how_they_stretch_space():
    torch.manual_seed(1)
    flows = PlanarFlows(4, 3).double()
    with torch.no_grad():
        for parameter in flows.parameters():
            parameter.mul_(3)
    z = torch.randn(5, 3, dtype=torch.float64)
    _, log_det = flows(z)
    assert log_det.shape == (5,)
    for row, found in zip(z, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: flows(x[None])[0][0], row)
        torch.testing.assert_close(found, torch.linalg.slogdet(jacobian)[1])


def test_flows_that_shrink_space_make_it_denser(data, batch, monkeypatch):
    """The KL divergence of flows that shrink all to a tenth, by the definition of the density of what they make."""
    model = built("joint_vae_plus", data, model={"use_flows": True}).eval()
    drawn = {}

    def shrunk(self, z):
        drawn.setdefault(id(self), z)  # the mean goes through, too, later
        return z / 10, torch.full((len(z),), -math.log(10) * z.shape[1])

    monkeypatch.setattr(PlanarFlows, "forward", shrunk)
    found, expected = model.losses(batch)["kl"], 0.0
    for platform in ("a", "b"):
        mean, log_variance = model.encoders[platform](batch[platform])
        z = drawn[id(model.flows[platform])]
        posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(z).sum(1)
        prior = torch.distributions.Normal(0, 1).log_prob(z / 10).sum(1)
        expected += ((posterior + math.log(10) * z.shape[1] - prior).mean() / z.shape[1]).item()
    assert found.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_prior_of_learned_inputs_is_exact_in_half_precision(data, kind):
    model = built("JointVAEVampPrior", data).eval()
    with torch.no_grad():
        for p in "ab":  # narrow components far from 0, where the terms of the square are large and cancel
            model.encoders[p].mean.bias += 20
            model.encoders[p].log_variance.bias -= 6
        with torch.autocast("cpu", kind):
            posteriors = [model.encoders[p](inputs) for p, inputs in model.pseudo_inputs.items()]
            z = posteriors[0][0][:3]
            found = model.prior_log_density(z)
        mean, log_variance = (torch.cat(parts).double() for parts in zip(*posteriors, strict=True))
        wanted = losses.gaussian_log_density(z.double()[:, None], mean, log_variance).logsumexp(1) - math.log(len(mean))
    assert z.dtype == kind and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, rtol=1e-2, atol=1e-2)


def test_the_prior_of_learned_inputs_is_their_mixture(data):
    model = built("JointVAEVampPrior", data).eval()
    z = torch.randn(7, 4)
    with torch.no_grad():
        posteriors = [model.encoders[p](inputs) for p, inputs in model.pseudo_inputs.items()]
        mean, log_variance = (torch.cat(parts) for parts in zip(*posteriors, strict=True))
        normal = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
        mixture = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(torch.ones(len(mean))), torch.distributions.Independent(normal, 1)
        )
        torch.testing.assert_close(model.prior_log_density(z), mixture.log_prob(z), rtol=1e-4, atol=1e-4)


def test_learned_inputs_do_not_move_the_statistics_of_samples(data, batch):
    model = built("JointVAEVampPrior", data)
    norms = [m for m in model.encoders.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    before = [norm.running_mean.clone() for norm in norms]
    model.prior_log_density(torch.randn(3, 4))
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True))
    assert all(norm.training for norm in norms)


def test_more_importance_samples_tighten_the_bound(data, batch):
    bounds = []
    for number in (1, 50):
        model = built("JointIWAE", data, model={"k_samples": number}).eval()
        model.noise = lambda like, *shape: torch.randn(*shape)
        torch.manual_seed(1)
        with torch.no_grad():
            bounds.append(np.mean([float(model.losses(batch)["bound"]) for _ in range(20)]))
    assert bounds[1] < bounds[0]


def test_codes_are_the_nearest_ones_and_gradients_pass_them():
    codebooks = Codebooks(2, 3, 4)
    with torch.no_grad():
        codebooks.codes.copy_(torch.tensor([[[0.0, 0], [5, 5], [9, 9]], [[1, 0], [0, 1], [4, 4]]]))
    z = torch.tensor([[4.0, 4.5, 0.2, 0.7]], requires_grad=True)
    quantised, loss = codebooks(z, 0.25)
    assert quantised.tolist() == [[5, 5, 0, 1]]
    squares = (1 + 0.25 + 0.04 + 0.09) / 4
    assert float(loss.detach()) == pytest.approx(1.25 * squares)
    quantised.sum().backward()
    assert z.grad.tolist() == [[1, 1, 1, 1]]


def test_features_never_see_their_own_group_nor_later_ones():
    torch.manual_seed(1)
    decoder = AutoregressiveDecoder(3, 11, 32, 3, groups=4, group_dropout=0.0).eval()
    x, z = torch.randn(1, 11), torch.randn(1, 3)
    jacobian = torch.autograd.functional.jacobian(lambda v: decoder.means(v[None], z)[0], x[0])
    seen, group = jacobian.abs() > 0, decoder.group
    assert not seen[group[:, None] <= group[None]].any()
    # And they do see the earlier ones.
    assert seen[group[:, None] > group[None]].all()
    by_latent = torch.autograd.functional.jacobian(lambda v: decoder.means(x, v[None])[0], z[0])
    assert (by_latent.abs() > 0).all()


def test_the_mean_path_writes_each_group_from_the_ones_before():
    torch.manual_seed(1)
    decoder = AutoregressiveDecoder(3, 11, 32, 2, groups=4, group_dropout=0.5).eval()
    z = torch.randn(2, 3)
    with torch.no_grad():
        written = decoder.decode(z)
        torch.testing.assert_close(decoder.means(written, z), written)


def test_noise_of_the_diffusion_begins_at_nothing_and_ends_at_everything():
    signal = cosine_signal(10)
    assert signal[0] == 1 and signal[-1] == pytest.approx(0, abs=1e-12) and (signal.diff() < 0).all()


def test_a_perfect_denoiser_gives_back_what_it_was_trained_on():
    """With the network replaced by the right answer, decoding, sampling and the loss all lead to the values."""
    torch.manual_seed(1)
    decoder = DiffusionDecoder(2, 5, 8, 1, steps=12)
    truth, z = torch.randn(4, 5), torch.randn(4, 2)

    def velocity(noisy, step, _z):
        signal = decoder.signal[step, None]
        noise = (noisy - signal.sqrt() * truth) / (1 - signal).sqrt()
        return signal.sqrt() * noise - (1 - signal).sqrt() * truth

    decoder.velocity = velocity
    torch.testing.assert_close(decoder.decode(z), truth)
    torch.testing.assert_close(decoder.draw(z, torch.Generator().manual_seed(1)), truth, rtol=1e-4, atol=1e-4)
    loss = decoder.loss(z, truth, torch.ones(4, 5, dtype=torch.bool), lambda *shape: torch.randn(*shape))
    assert float(loss) == pytest.approx(0, abs=1e-8)


def test_generator_and_discriminator_pull_in_opposite_directions():
    torch.manual_seed(1)
    decoder = AdversarialDecoder(2, 5, 16, 1, 2).eval()
    z, x = torch.randn(32, 2), torch.randn(32, 5) + 2
    observed = torch.ones_like(x).bool()
    numbers = torch.randn(32, 2)
    game = lambda: decoder.game(z, x, observed, lambda *shape: numbers)  # noqa: E731
    before = game()
    before.backward()
    for part, raises in ((decoder.generator, True), (decoder.discriminator, False)):
        kept = {key: value.clone() for key, value in part.state_dict().items()}
        with torch.no_grad():
            for parameter in part.parameters():
                parameter -= 0.05 * parameter.grad
        assert (game().item() > before.item()) == raises
        part.load_state_dict(kept)


def test_types_are_told_apart_by_their_own_keys(data):
    plain = built("JointVAEVampPrior", data, model={"use_vampprior": False})
    assert not plain.pseudo_inputs and plain.prior_log_density(torch.zeros(1, 4)) == pytest.approx(-2 * losses.LOG_2PI)
    without = built("joint_vae_plus", data, model={"use_flows": False})
    assert not list(without.flows.parameters())
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
