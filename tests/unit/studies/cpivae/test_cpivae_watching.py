"""Study cpiVAE: gradients and weights in TensorBoard are those of the training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cpivae_toy import tiny_settings, toy_data
from event_files import read_events

from genet5.errors import InputError
from genet5.studies.cpivae.batches import PairedDataModule
from genet5.studies.cpivae.settings import check_settings
from genet5.studies.cpivae.training import fit_model, start_model

# One batch, so the last step of an epoch is its only one; clipping makes each gradient shorter than this.
ONE_STEP = {"batch_size": 1000, "max_epochs": 1, "gradient_clip_val": 1e-3}


def logged(folder, data, epochs: int = 1, **logging: int):
    """Scalars and histograms of a training."""
    settings = tiny_settings(training={**ONE_STEP, "max_epochs": epochs}, logging=logging)
    fit_model(settings, data, folder, "m")
    return read_events(folder / "tensorboard_logs")


def first_step(data) -> torch.nn.Module:
    """The model before its first step, with the gradient of that step by plain backpropagation."""
    settings = tiny_settings(training=ONE_STEP)
    model = start_model(settings, data, None)
    (batch,) = PairedDataModule(data, ONE_STEP["batch_size"], settings["data"]).train_dataloader()
    noise = np.random.SeedSequence([settings["data"]["random_seed"], 0, 0])
    torch.manual_seed(int(noise.generate_state(1)[0]))
    model.train().losses(batch)["total"].backward()
    return model


def test_what_is_logged_is_the_gradient_of_the_loss_and_the_weights_it_was_taken_at(tmp_path):
    data = toy_data()
    scalars, histograms = logged(tmp_path, data, histograms_every_epochs=1)
    parameters = dict(first_step(data).named_parameters())
    assert {name for name in histograms if name.startswith("weights/")} == {f"weights/{name}" for name in parameters}
    squares = 0.0
    for name, parameter in parameters.items():
        for kind, tensor in (("weights", parameter), ("gradients", parameter.grad)):
            histogram, values = histograms[f"{kind}/{name}"][0], tensor.detach().double().numpy().ravel()
            np.testing.assert_allclose(
                [histogram.num, histogram.min, histogram.max, histogram.sum_squares],
                [len(values), values.min(), values.max(), values @ values], rtol=1e-4, atol=1e-12,
            )  # fmt: skip
            # Each limit has as many values below it as the buckets up to it hold. Gradients of two runs differ in
            # their last digit, so a value at a limit may change its bucket.
            held = np.cumsum(histogram.bucket)
            below = (values[None] < np.array(histogram.bucket_limit)[:, None]).sum(axis=1)
            assert held[-1] == len(values) and np.abs(held - below).max() <= 0.01 * len(values) + 1, name
        length = float(parameter.grad.double().norm())
        assert scalars[f"gradient_norm/{name}"][0] == pytest.approx(length, rel=1e-4)
        squares += length**2
    assert scalars["gradient_norm/total"][0] == pytest.approx(np.sqrt(squares), rel=1e-4)
    assert squares > ONE_STEP["gradient_clip_val"] ** 2  # so what is logged is the gradient before it is clipped


@pytest.mark.parametrize(
    ("norms", "histograms", "norm_steps", "histogram_steps"),
    [(1, 2, [0, 1, 2, 3, 4], [0, 2, 4]), (3, 0, [0, 3], []), (0, 4, [], [0, 4]), (0, 0, [], [])],
)
def test_the_settings_say_how_often(tmp_path, norms, histograms, norm_steps, histogram_steps):
    found = logged(
        tmp_path, toy_data(), epochs=5, gradient_norms_every_epochs=norms, histograms_every_epochs=histograms
    )
    assert sorted(found[0].get("gradient_norm/total", {})) == norm_steps
    assert sorted({step for steps in found[1].values() for step in steps}) == histogram_steps
    assert "val_total_loss" in found[0]


def test_several_batches_are_logged_once_at_the_last_step(tmp_path):
    data = toy_data()
    settings = tiny_settings(
        training={"batch_size": 10, "max_epochs": 2, "accumulate_grad_batches": 3},
        logging={"histograms_every_epochs": 1},
    )
    # 48 samples: 5 batches, so the second step of an epoch has the gradient of two batches.
    fit_model(settings, data, tmp_path, "m")
    scalars, histograms = read_events(tmp_path / "tensorboard_logs")
    assert list(scalars["gradient_norm/total"]) == [1, 3]
    assert all(list(steps) == [1, 3] for steps in histograms.values())


def test_a_number_below_zero_is_refused():
    with pytest.raises(InputError, match=r"mine, key logging.histograms_every_epochs: -1 .*at least 0"):
        check_settings(tiny_settings(logging={"histograms_every_epochs": -1}), "mine")
