"""Stopped runs of reinforcement learning go on as if nothing had been; finished ones are not repeated."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpo_toy
import patience
import pytest
import torch
from grpo_toy import ToyInputs, numbers, rows, run_toy, tensors, write_inputs

from genet5.errors import InputError
from genet5.grpo import run as grpo_run
from genet5.grpo.rollouts import Rollout
from genet5.writer import decoding
from genet5.writer import windows as training_windows

ROLL_OUT = grpo_run.roll_out
SAMPLE = grpo_run.GrpoRun._sample


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ToyInputs:
    return write_inputs(tmp_path_factory.mktemp("grpo") / "inputs")


@pytest.fixture(scope="module")
def whole(inputs: ToyInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain run."""
    folder = tmp_path_factory.mktemp("whole")
    run_toy(inputs, folder, {})
    return folder


RESUMED: dict[str, Any] = {
    "windows_per_step": 4, "max_steps": 5, "eval_steps": 2, "log_every": 2, "save_steps": 2, "epochs": 9
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "one update": {"beta": 0.0, "max_steps_without_variance": 4},
    "two updates, a reference": {"beta": 0.3, "updates_per_rollout": 2, "lr": 5e-3, "top_k": 5, "top_p": 0.95},
}

PLACES = {"roll_out": (grpo_run, ROLL_OUT), "write_genes": (training_windows, decoding.write_genes)}
#: the call of a function (two a step, two an evaluation) at which a run is stopped, and the run that goes on with it
INTERRUPTIONS = {
    # the first evaluation, steps 1 and 2, the evaluation of step 4, step 5
    "one update": [("write_genes", 1), ("roll_out", 2), ("roll_out", 1), ("write_genes", 3), ("roll_out", 1)],
    # steps 1, 3 and 5
    "two updates, a reference": [("roll_out", 2), ("roll_out", 3), ("roll_out", 4)],
}


def assert_same_run(one: Path, two: Path) -> None:
    for log in ("grpo_log.csv", "eval_log.csv"):
        assert rows(one / log) == rows(two / log)
    for name in ("best", "final", "."):
        for key, tensor in tensors(one / name).items():
            assert torch.equal(tensor, tensors(two / name)[key]), (name, key)


def deadly(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which at a call of this number first sends its own process SIGTERM."""
    count = [0]

    def call(*arguments, **keywords):
        count[0] += 1
        if count[0] == calls:
            os.kill(os.getpid(), signal.SIGTERM)
        return function(*arguments, **keywords)

    return call


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_and_resumed_is_the_uninterrupted_run(kind: str, inputs: ToyInputs, tmp_path: Path, monkeypatch):
    options = RESUMED | KINDS[kind]
    run_toy(inputs, tmp_path / "whole", options)
    stopped = tmp_path / "stopped"
    for name, calls in INTERRUPTIONS[kind]:
        module, function = PLACES[name]
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as caught:
            patch.setattr(module, name, deadly(calls, function))
            run_toy(inputs, stopped, options)
        assert caught.value.code == 128 + signal.SIGTERM
    assert (stopped / "checkpoint_latest").resolve().name == "checkpoint_step_5"
    assert not (stopped / "finished.json").exists()
    run_toy(inputs, stopped, options)
    assert_same_run(tmp_path / "whole", stopped)
    log = rows(stopped / "grpo_log.csv")
    assert [row["step"] for row in log] == ["2", "4", "5"]
    assert [row["step"] for row in rows(stopped / "eval_log.csv")] == ["0", "2", "4", "5"]
    if options["beta"]:
        assert min(numbers(log, "kl")) > 0
        assert max(numbers(log, "clip_share")) > 0
    else:
        assert set(numbers(log, "kl")) == {0.0}


def test_a_run_that_broke_off_goes_on_from_its_last_checkpoint(
    inputs: ToyInputs, whole: Path, tmp_path: Path, monkeypatch
):
    """Without a chance to save: in step 1, when only the starting weights are scored, and in step 4 after a save in 2.

    Rows that were logged after the checkpoint are written again, not twice.
    """

    def broken(calls: int) -> Callable[..., Rollout]:
        count = [0]

        def call(*arguments: Any, **keywords: Any) -> Rollout:
            count[0] += 1
            if count[0] == calls:
                raise MemoryError("as if killed")
            return ROLL_OUT(*arguments, **keywords)

        return call

    for calls, logged, evaluated in ((1, [], ["0"]), (4, ["1", "2", "3"], ["0", "2"])):
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(grpo_run, "roll_out", broken(calls))
            run_toy(inputs, tmp_path, {"save_steps": 2})
        log = tmp_path / "grpo_log.csv"
        assert ([row["step"] for row in rows(log)] if log.exists() else []) == logged
        assert [row["step"] for row in rows(tmp_path / "eval_log.csv")] == evaluated
    run_toy(inputs, tmp_path, {"save_steps": 2})
    assert_same_run(whole, tmp_path)


def test_a_run_of_one_process_goes_on_with_two(inputs: ToyInputs, tmp_path: Path, monkeypatch):
    """The completions of a window do not depend on who samples them."""
    options = {"windows_per_step": 4, "epochs": 2, "max_steps": 3, "eval_steps": 9}
    run_toy(inputs, tmp_path / "one", options)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(grpo_run, "roll_out", deadly(3, ROLL_OUT))  # in step 2
        run_toy(inputs, tmp_path / "both", options)
    words = [inputs.folder, tmp_path / "both", json.dumps(options), "2"]
    said = patience.run([sys.executable, grpo_toy.__file__, *words]).stdout
    assert "resumed at step 2 of 3 steps of 2 batches" in said and said.splitlines()[-1] == "[0, 0]", said
    one, both = (rows(tmp_path / name / "grpo_log.csv") for name in ("one", "both"))
    for column in ("step", "reward_mean", "completion_tokens", "exon_f1"):
        assert [row[column] for row in one] == [row[column] for row in both]
    for name, tensor in tensors(tmp_path / "one/final").items():
        torch.testing.assert_close(tensors(tmp_path / "both/final")[name], tensor, rtol=1e-3, atol=1e-5)


def test_the_reference_is_the_model_it_started_from(inputs: ToyInputs, tmp_path: Path, monkeypatch):
    """In every step, before and after a resume, while the policy itself has moved on."""
    start = tensors(inputs.arguments["model_dir"])
    distances: list[float] = []

    def spy(self: grpo_run.GrpoRun, *arguments: Any) -> grpo_run.SampledBatch:
        reference = {name: tensor for name, tensor in self.reference.state_dict().items() if name in start}
        assert len(reference) == len(start) and not self.reference.training
        assert all(torch.equal(start[name], tensor) for name, tensor in reference.items())
        policy = self.model.state_dict()
        distances.append(max(float((policy[name] - start[name]).abs().max()) for name in start))
        return SAMPLE(self, *arguments)

    monkeypatch.setattr(grpo_run.GrpoRun, "_sample", spy)
    options = {"max_steps": 3, "eval_steps": 9}
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(grpo_run, "roll_out", deadly(2, ROLL_OUT))
        run_toy(inputs, tmp_path, options)
    run_toy(inputs, tmp_path, options)
    assert len(distances) == 3 and distances[0] == 0.0 < distances[1] < distances[2]


def test_a_finished_run_is_exported_again_and_another_is_refused(inputs: ToyInputs, whole: Path, tmp_path: Path):
    before = (whole / "grpo_log.csv").read_bytes()
    (whole / "model.safetensors").unlink()
    run_toy(inputs, whole, {})
    assert (whole / "model.safetensors").read_bytes() == (whole / "best/model.safetensors").read_bytes()
    assert (whole / "grpo_log.csv").read_bytes() == before
    with pytest.raises(InputError, match=r"beta is 0\.05 there, 0\.1 here"):
        run_toy(inputs, whole, {"beta": 0.1})
    missing = dataclasses.replace(inputs, folder=tmp_path)
    with pytest.raises(InputError, match=r"grpo_prompts\.tar: no such file; run grpo_prompts first$"):
        run_toy(missing, tmp_path / "run", {})
