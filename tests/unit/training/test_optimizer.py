"""Learning rate, parameter groups, normalisation and clipping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from toy_training import ToyModel, ToyOptions

from genet5.training import optimizer
from genet5.training.optimizer import build_optimizer, normalise_and_clip, reduce_gradients
from genet5.training.options import RunOptions
from genet5.training.schedule import learning_rate


@pytest.mark.parametrize("scheduler", ["cosine", "linear", "constant"])
def test_the_rate_rises_in_a_line_then_falls_to_its_last_value(scheduler):
    options = ToyOptions(lr=2.0, warmup_ratio=0.1, min_lr_ratio=0.25, scheduler=scheduler)
    rates = np.array([learning_rate(step, 100, options) for step in range(100)])
    assert rates[:10] == pytest.approx(0.2 * np.arange(1, 11))
    assert rates.max() == 2.0
    assert (np.diff(rates[9:]) <= 0).all()
    assert rates[-1] == pytest.approx(2.0 if scheduler == "constant" else 0.5)
    if scheduler == "cosine":
        assert rates[54] == pytest.approx((2.0 + 0.5) / 2)


def test_short_runs_have_finite_rates():
    for total in (1, 2, 3):
        for ratio in (0.0, 0.5, 1.0):
            options = ToyOptions(warmup_ratio=ratio)
            assert all(0 < learning_rate(s, total, options) <= options.lr for s in range(total))
            assert learning_rate(-1, total, options) == 0.0, "what is logged before the first step"


def test_only_matrices_that_are_no_embeddings_decay():
    model = ToyModel()  # its head is tied to the embedding
    model.free_head = nn.Linear(16, 4)
    optimizer = build_optimizer(model, ToyOptions(weight_decay=0.3))
    names = {id(p): name for name, p in model.named_parameters()}
    decay = {names[id(p)]: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert {n for n, value in decay.items() if value == 0.3} == {"body.0.weight", "free_head.weight"}
    assert set(decay) == set(dict(model.named_parameters()))
    assert optimizer.param_groups[0]["fused"]


def test_parameters_have_rates_of_their_own_and_frozen_ones_are_in_no_group():
    class Scaled(ToyModel):
        def learning_rate_scales(self) -> dict[str, float]:
            return {"body.": 0.1, "norm.bias": 0.0}

    model = Scaled()
    model.norm.weight.requires_grad_(False)
    optimizer = build_optimizer(model, RunOptions())
    names = {id(p): name for name, p in model.named_parameters()}
    scale = {names[id(p)]: g["lr_scale"] for g in optimizer.param_groups for p in g["params"]}
    assert scale == {"embed.weight": 1.0, "norm.bias": 0.0, "body.0.weight": 0.1, "body.0.bias": 0.1}
    assert {g["lr_scale"] for g in build_optimizer(ToyModel(), RunOptions()).param_groups} == {1.0}


@pytest.mark.parametrize("max_norm", [0.0, 0.05, 1e6])
def test_normalised_and_clipped_gradients_equal_the_mean_loss_clipped_by_torch(max_norm):
    torch.manual_seed(1)
    model, reference = nn.Linear(5, 3), nn.Linear(5, 3)
    reference.load_state_dict(model.state_dict())
    inputs, targets = torch.randn(7, 5), torch.randint(3, (7,))
    nn.functional.cross_entropy(model(inputs), targets, reduction="sum").backward()
    nn.functional.cross_entropy(reference(inputs), targets).backward()
    expected = torch.nn.utils.clip_grad_norm_(reference.parameters(), max_norm or 1e9)
    norm = normalise_and_clip(reduce_gradients(list(model.parameters()), 1), torch.tensor(7.0), max_norm)
    assert norm == pytest.approx(expected.item(), rel=1e-5)
    for p, q in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_a_parameter_without_gradient_gets_zeros():
    parameter = nn.Parameter(torch.ones(3))
    assert reduce_gradients([parameter], 1)[0].tolist() == [0.0, 0.0, 0.0]


def test_gradients_of_several_processes_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process holds twice what this one has; what is reduced at once stays small and of one type."""
    sent: list[torch.Tensor] = []

    def all_reduce(flat: torch.Tensor) -> None:
        sent.append(flat.clone())
        flat.mul_(3)

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    monkeypatch.setattr(optimizer, "BUCKET_ELEMENTS", 5)
    shapes = [((2, 2), torch.float32), ((3,), torch.float64), ((1,), torch.float32), ((7,), torch.float32)]
    parameters = [torch.nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape, dtype in shapes]
    for number, parameter in enumerate(parameters[:3]):
        parameter.grad = torch.arange(parameter.numel(), dtype=parameter.dtype).view_as(parameter) + number
    found = reduce_gradients(parameters, 2)
    assert [flat.tolist() for flat in sent] == [[0, 1, 2, 3, 2], [0.0] * 7, [1, 2, 3]]
    expected = [[[0, 3], [6, 9]], [3, 6, 9], [6], [0.0] * 7]
    assert [gradient.tolist() for gradient in found] == expected
    assert [parameter.grad.tolist() for parameter in parameters] == expected
