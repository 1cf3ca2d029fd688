"""The objective: by hand on small numbers, against TRL's own code, and what groups of equal rewards do to weights."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from grpo_toy import toy_rollout, toy_windows
from model_toy import toy_model
from torch import Tensor

from genet5.grpo.objective import STD_FLOOR, group_advantages, token_losses
from genet5.grpo.policy import pack, score_choices


@pytest.fixture(scope="module")
def trl() -> SimpleNamespace:
    """TRL's loss and standard deviation; imported late, since that takes seconds."""
    from trl.trainer.grpo_trainer import GRPOTrainer
    from trl.trainer.utils import nanstd

    return SimpleNamespace(GRPOTrainer=GRPOTrainer, nanstd=nanstd)


# ---------------------------------------------------------------- advantages


def test_advantages_by_hand():
    rewards = np.array([[1.0, 0.0, 0.5, 0.5], [0.2, 0.2, 0.2, 0.6]])
    # Deviations 0.5, -0.5, 0, 0: variance 0.5 / 3. Deviations -0.1 (three times), 0.3: variance 0.12 / 3.
    first, second = math.sqrt(0.5 / 3) + 1e-4, 0.2 + 1e-4
    expected = [[0.5 / first, -0.5 / first, 0, 0], [-0.1 / second, -0.1 / second, -0.1 / second, 0.3 / second]]
    assert group_advantages(rewards, True) == pytest.approx(np.array(expected), abs=1e-12)
    unscaled = [[0.5, -0.5, 0, 0], [-0.1, -0.1, -0.1, 0.3]]
    assert group_advantages(rewards, False) == pytest.approx(np.array(unscaled), abs=1e-12)
    assert STD_FLOOR == 1e-4


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1 + 0.2, 0.6 * 2 / 3 + 0.4 * 0.5, 1 / 3])
@pytest.mark.parametrize("size", [2, 3, 7, 8])
def test_equal_rewards_have_advantages_of_exactly_zero(scale: bool, reward: float, size: int):
    rewards = np.stack([np.full(size, reward), np.linspace(0, 1, size)])
    found = group_advantages(rewards, scale)
    assert (found[0] == 0.0).all()
    assert abs(found[1]).max() > 0.4


def test_the_mean_of_equal_rewards_can_differ_from_them():
    """Why the rule for equal rewards is needed: deviations alone would leave noise of rounding."""
    noise = [np.full(size, reward) for reward in (0.1 + 0.2, 0.7, 1 / 3) for size in range(2, 30)]
    assert any((rewards - rewards.mean() != 0).any() for rewards in noise)
    assert all((group_advantages(rewards[None], True) == 0).all() for rewards in noise)


def test_advantages_are_those_of_trl(trl: SimpleNamespace):
    rewards = np.random.default_rng(0).random((50, 6))
    flat = torch.from_numpy(rewards)
    mean, std = flat.mean(dim=1, keepdim=True), trl.nanstd(flat, dim=1, keepdim=True)
    # TRL's correction n / (n - 1) is rounded to 32 bits.
    assert group_advantages(rewards, True) == pytest.approx(((flat - mean) / (std + 1e-4)).numpy(), rel=1e-7)
    assert group_advantages(rewards, False) == pytest.approx((flat - mean).numpy(), abs=1e-12)


# ---------------------------------------------------------------- losses of tokens

RATIOS = [1.0, 1.1, 1.5, 1.5, 0.5, 0.5, 0.9, 1.0]
ADVANTAGES = [2.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 0.0]
#: with clips 0.2 and 0.28: what the smaller of ratio x advantage and its clipped twin costs
LOSSES = [-2.0, -1.1, -1.28, 1.5, -0.5, 0.8, 0.9, 0.0]
CLIPPED = [False, False, True, False, False, True, False, False]


def test_clipped_ratios_by_hand():
    old = torch.log(torch.linspace(0.1, 0.8, 8, dtype=torch.float64))
    new = (old + torch.tensor(RATIOS, dtype=torch.float64).log()).requires_grad_()
    advantage = torch.tensor(ADVANTAGES, dtype=torch.float64)
    found = token_losses(new, old, None, advantage, 0.2, 0.28)
    assert found.policy.tolist() == pytest.approx(LOSSES, abs=1e-12)
    assert found.clipped.tolist() == CLIPPED
    assert (found.kl == 0).all() and not found.kl.requires_grad
    found.policy.sum().backward()
    # d(-ratio x advantage) / d(log-probability) = -ratio x advantage, and nothing where the clip decides.
    slopes = [0.0 if cut else -r * a for r, a, cut in zip(RATIOS, ADVANTAGES, CLIPPED, strict=True)]
    assert new.grad.tolist() == pytest.approx(slopes, abs=1e-12)


def test_the_divergence_by_hand():
    new = torch.log(torch.tensor([0.5, 0.5, 0.5], dtype=torch.float64)).requires_grad_()
    reference = torch.log(torch.tensor([0.5, 1.0, 0.25], dtype=torch.float64))
    found = token_losses(new, new.detach(), reference, torch.zeros(3, dtype=torch.float64), 0.2, 0.2)
    assert found.kl.tolist() == pytest.approx([0.0, 2 - math.log(2) - 1, 0.5 + math.log(2) - 1], abs=1e-12)
    assert (found.policy == 0).all()
    found.kl.sum().backward()
    assert new.grad.tolist() == pytest.approx([0.0, 1 - 2, 1 - 0.5], abs=1e-12)


def test_the_divergence_is_an_unbiased_estimate_and_never_negative():
    policy, reference = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.2, 0.3, 0.5])
    found = token_losses(policy.log(), policy.log(), reference.log(), torch.zeros(3), 0.2, 0.2)
    assert (found.kl >= 0).all()
    exact = float((policy * (policy / reference).log()).sum())
    assert float((policy * found.kl).sum()) == pytest.approx(exact, abs=1e-6)


# ---------------------------------------------------------------- TRL


def trl_loss(trl: SimpleNamespace, numbers: dict[str, Tensor], mask: Tensor, beta: float) -> tuple[Tensor, Any]:
    """TRL's loss where the network's log-probabilities are ``numbers["new"]``, and what it logs."""
    metrics: Any = {"train": defaultdict(list)}
    accelerator = SimpleNamespace(gather=lambda value: value, reduce=lambda value, reduction: value)
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (numbers["new"], torch.zeros_like(numbers["new"]), None),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        beta=beta,
        epsilon_low=0.2,
        epsilon_high=0.28,
        loss_type="bnpo",
        use_vllm=False,
        current_gradient_accumulation_steps=1,
        _entropy_bonus_enabled=False,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False),
        model=SimpleNamespace(training=True),
        accelerator=accelerator,
        _metrics=metrics,
    )
    rows, width = mask.shape
    inputs = {
        "prompt_ids": torch.zeros(rows, 3, dtype=torch.long),
        "prompt_mask": torch.ones(rows, 3, dtype=torch.long),
        "completion_ids": torch.zeros(rows, width, dtype=torch.long),
        "completion_mask": mask.long(),
        "advantages": numbers["advantage"],
        "old_per_token_logps": numbers["old"],
        "ref_per_token_logps": numbers["reference"],
    }
    loss = trl.GRPOTrainer._compute_loss(trainer, trainer.model, inputs)
    return loss, {name: values[0] for name, values in metrics["train"].items()}


@pytest.mark.parametrize("beta", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(4))
def test_losses_and_gradients_are_those_of_trl(beta: float, seed: int, trl: SimpleNamespace):
    """Eight completions of 1 to 12 tokens, ratios from 0.4 to 2.5: clipped on either side, or not."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 13, 8)
    lengths[0] = 12
    mask = torch.arange(12) < torch.from_numpy(lengths)[:, None]
    old, shift, drift = (torch.from_numpy(rng.normal(-1.0 if i == 0 else 0.0, 0.35, (8, 12))) for i in range(3))
    rewards = rng.random((2, 4))
    numbers = {
        "new": (old + shift).requires_grad_(),
        "old": old,
        "reference": old + drift,
        "advantage": torch.from_numpy(group_advantages(rewards, True)).flatten(),
    }
    wanted, logged = trl_loss(trl, numbers, mask, beta)
    (wanted_gradient,) = torch.autograd.grad(wanted, numbers["new"])

    new = numbers["new"].detach().requires_grad_()
    advantage = numbers["advantage"][:, None].expand(8, 12)[mask]
    reference = numbers["reference"][mask] if beta else None
    found = token_losses(new[mask], old[mask], reference, advantage, 0.2, 0.28)
    loss = (found.policy.sum() + beta * found.kl.sum()) / mask.sum()
    (gradient,) = torch.autograd.grad(loss, new)
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), abs=1e-12)
    torch.testing.assert_close(gradient, wanted_gradient, rtol=1e-9, atol=1e-12)
    assert gradient.abs().sum() > 0
    assert float(found.clipped.double().mean()) == pytest.approx(logged["clip_ratio/region_mean"], abs=1e-6)
    assert 0.1 < logged["clip_ratio/region_mean"] < 0.6
    if beta:
        assert float(found.kl.detach().mean()) == pytest.approx(logged["kl"], abs=1e-6)
        assert logged["kl"] > 0.01


# ---------------------------------------------------------------- groups without variance


def policy_gradients(advantages: Tensor, shape: dict[str, Any], keep: slice = slice(None)) -> dict[str, Tensor]:
    """Gradients of the summed policy loss (beta 0) over the windows ``keep`` of a rollout of three."""
    model = toy_model(**shape)
    rollout = toy_rollout(model, toy_windows((120, 90, 150), 7)[keep], 4)
    scored = score_choices(model, pack(rollout), 0.9)
    advantage = advantages[keep][scored.row, scored.completion]
    losses = token_losses(scored.log_probability, scored.log_probability.detach(), None, advantage, 0.2, 0.2)
    losses.policy.sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("shape", [{}, {"num_experts": 3}])
def test_groups_of_equal_rewards_have_a_gradient_of_exactly_zero(shape: dict[str, Any]):
    rewards = np.array([[0.1 + 0.2] * 4, [1.0] * 4, [0.6 * 2 / 3 + 0.4 * 0.5] * 4])
    gradients = policy_gradients(torch.from_numpy(group_advantages(rewards, True)).float(), shape)
    assert len(gradients) > 20
    assert all((gradient == 0.0).all() for gradient in gradients.values())


def test_a_group_of_equal_rewards_adds_nothing_to_the_gradient_of_others():
    rewards = np.array([[0.0, 0.3, 0.9, 0.1], [0.7] * 4, [0.1 + 0.2] * 4])
    advantages = torch.from_numpy(group_advantages(rewards, True)).float()
    together, alone = policy_gradients(advantages, {}), policy_gradients(advantages, {}, slice(0, 1))
    largest = max(float(gradient.abs().max()) for gradient in alone.values())
    assert largest > 0.1
    for name, gradient in alone.items():
        torch.testing.assert_close(together[name], gradient, rtol=1e-4, atol=1e-5 * largest)
