"""The same training with any number of processes: what they share, how a run changes it, and what is refused."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import patience
import pytest
import torch
import toy_training
from toy_training import OPTIONS, ToyOptions, assert_same_run, rows, tensors, toy_source, train_toy

from genet5.crf.options import CrfOptions
from genet5.errors import InputError
from genet5.options import read_options
from genet5.training.options import RunOptions
from genet5.training.processes import start_fabric
from genet5.writer.options import SftOptions

pytestmark = pytest.mark.usefixtures("one_thread")

ODD = 93  # samples that make an odd number of batches
TWO_BATCHES = {"windows_per_step": 14, "max_batch_size": 7, "eval_steps": 4, "epochs": 2}
KILLED = ("--kill-at", "5", "--kill-rank", "1", "--signal", "15")  # in step 6, and only one process gets the signal


def train(folder: Path, processes: list[int], *words: str, **options) -> str:
    """Train in so many processes, one number after the other; the console."""
    numbers = map(str, processes)
    command = [sys.executable, toy_training.__file__, folder, json.dumps(TWO_BATCHES | options)]
    # Variables of a scheduler's job must not be taken for the number of processes.
    environment = os.environ | {"SLURM_NTASKS": "7", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "3"}
    return patience.run([*command, "--num-samples", str(ODD), "--processes", *numbers, *words], env=environment).stdout


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A run of one process from its start to its end."""
    folder = tmp_path_factory.mktemp("alone")
    torch.set_num_threads(1)
    train_toy(folder, TWO_BATCHES, num_samples=ODD)
    assert len(toy_source(ODD, read_options(ToyOptions, OPTIONS | TWO_BATCHES, "test")).plan.batches(0)) % 2 == 1
    return folder


def test_one_process_with_two_batches_a_step_and_two_with_one_have_the_same_weights(tmp_path, alone):
    """To the last bit, with dropout on: a sum of two gradients has no order."""
    assert train(tmp_path / "two", [2]).splitlines()[-1] == "[[0, 0]]"
    assert_same_run(alone, tmp_path / "two")


@pytest.mark.parametrize(("first", "then"), [(2, 2), (2, 1), (1, 2)])
def test_a_stopped_run_goes_on_with_another_number_of_processes(tmp_path, alone, first, then):
    killed = KILLED if first == 2 else ("--kill-at", "11", *KILLED[4:])  # alone, step 6 has the batches 11 and 12
    said = train(tmp_path / "run", [first, then], *killed)
    assert json.loads(said.splitlines()[-1]) == [[143] * first, [0] * then], said
    assert "stopped by a signal after step 6" in said and "resumed at step 6 of 22 steps of 2 batches" in said
    assert_same_run(alone, tmp_path / "run")


def test_a_stopped_run_goes_on_with_another_number_of_data_workers(tmp_path, alone):
    assert "[[143]]" in train(tmp_path / "run", [1], "--kill-at", "11", *KILLED[4:], num_workers=2)
    assert "resumed at step 6" in train(tmp_path / "run", [2], num_workers=1)
    assert_same_run(alone, tmp_path / "run")


def test_four_batches_are_shared_by_two_processes(tmp_path):
    """Sums of four have an order, so the weights agree to rounding."""
    four = {"windows_per_step": 28, "max_steps": 5}
    train(tmp_path / "two", [2], **four)
    train_toy(tmp_path / "one", TWO_BATCHES | four, num_samples=ODD)
    losses = [[float(row["train_loss"]) for row in rows(tmp_path / n / "training_log.csv")] for n in ("one", "two")]
    assert len(losses[0]) == 5 and losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, tensor in tensors(tmp_path / "one/final").items():
        torch.testing.assert_close(tensors(tmp_path / "two/final")[name], tensor, rtol=1e-3, atol=1e-5)


def test_a_step_that_the_processes_cannot_share_is_refused_before_anything_is_written(tmp_path):
    said = train(tmp_path / "run", [2], windows_per_step=7)
    assert json.loads(said.splitlines()[-1]) == [[1, 1]] and not list((tmp_path / "run").glob("checkpoint*"))


@pytest.mark.parametrize(
    ("options", "processes", "message"),
    [
        (
            CrfOptions(),
            2,
            "a step of 1 batch cannot be shared by 2 processes: set windows_per_step to a multiple of 2, or use 1",
        ),
        (
            SftOptions(windows_per_step=8),
            2,
            "a step of 1 batch cannot be shared by 2 processes: set max_batch_size to 4 (the same step), "
            "windows_per_step to a multiple of 16, or use 1",
        ),
        (
            SftOptions(windows_per_step=48),
            4,
            "a step of 6 batches cannot be shared by 4 processes: set max_batch_size to 6 (the same step), "
            "windows_per_step to a multiple of 32, or use 1 or 2 or 3",
        ),
        (
            SftOptions(windows_per_step=20),
            1,
            "windows_per_step: found 20, expected a multiple of max_batch_size (8)",
        ),
        (
            SftOptions(windows_per_step=0),
            2,
            "a step of 1 batch cannot be shared by 2 processes: set windows_per_step to a multiple of 16, or use 1",
        ),
        (RunOptions(), 2, "a step of 1 batch cannot be shared by 2 processes; use 1"),
    ],
)
def test_what_is_refused_names_the_values_to_set(options, processes, message):
    with pytest.raises(InputError) as caught:
        options.batches_per_process(processes)
    assert str(caught.value) == message


def test_batches_of_a_step_follow_from_its_windows():
    assert SftOptions().batches_per_step() == 128 and SftOptions().batches_per_process(2) == 64
    assert SftOptions(windows_per_step=0).batches_per_step() == 1 == CrfOptions().batches_per_step()


def test_training_on_a_cpu_does_not_depend_on_the_order_of_threads():
    """Gradients of rows that are read often were 40 different ones in 40 repeats."""
    torch.use_deterministic_algorithms(False)
    start_fabric(CrfOptions(precision="fp32"), "cpu")
    torch.set_num_threads(2)
    rows, values = torch.randint(0, 30, (4096,)), torch.randn(4096, 64)
    table = torch.zeros(30, 64, requires_grad=True)
    found = set()
    for _ in range(40):
        table.grad = None
        (table[rows] * values).sum().backward()
        found.add(table.grad.numpy().tobytes())
    assert len(found) == 1
