"""What ends a run of reinforcement learning before its last step, and what is refused at its first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from grpo_toy import ToyInputs, numbers, rows, run_toy, tensors, write_inputs

from genet5.bake.shards import write_shard
from genet5.errors import InputError
from genet5.genome.genes import Interval
from genet5.grpo import run as grpo_run
from genet5.grpo.options import GrpoOptions
from genet5.grpo.policy import score_choices
from genet5.grpo.rollouts import Rollout
from genet5.options import read_options

ROLL_OUT = grpo_run.roll_out


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ToyInputs:
    return write_inputs(tmp_path_factory.mktemp("grpo") / "inputs")


def refusal(inputs: ToyInputs, folder: Path, options: Mapping[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        run_toy(inputs, folder, {"eval_steps": 99, **options})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_that_cannot_learn_says_so_and_ends(inputs: ToyInputs, tmp_path: Path):
    """Sampling as good as greedy: equal completions, equal rewards, step after step."""
    options = {"temperature": 1e-4, "max_steps_without_variance": 3, "max_steps": 9, "epochs": 9}
    message = refusal(inputs, tmp_path, options)
    assert message.startswith("step 3: all completions of every group earned the same for 3 steps (mean reward ")
    assert "raise temperature, top_p or group_size" in message
    assert len(rows(tmp_path / "grpo_log.csv")) == 2


@pytest.mark.parametrize("off", [0, 1])
def test_a_run_that_has_learned_everything_says_that(off: int, inputs: ToyInputs, tmp_path: Path, monkeypatch):
    """All completions as the window's genes are, or all of them a base off, which a dense term still rewards well."""

    def taught(*arguments: Any, **keywords: Any) -> Rollout:
        rollout = ROLL_OUT(*arguments, **keywords)
        for window, completions in zip(rollout.windows, rollout.completions, strict=True):
            genes = [
                dataclasses.replace(gene, cds=tuple(Interval(start + off, end + off) for start, end in gene.cds))
                for gene in window.genes
            ]
            for completion in completions:
                completion.genes = genes
        return rollout

    monkeypatch.setattr(grpo_run, "roll_out", taught)
    options = {
        "max_steps_without_variance": 2,
        "boundary_weight": 3.0,
        "batch_size": 8,
        "windows_per_step": 8,
        "epochs": 9,
    }
    message = refusal(inputs, tmp_path, options)
    assert message.startswith("step 2:")
    assert message.endswith("the model already writes these windows perfectly") == (off == 0)
    mean = float(rows(tmp_path / "grpo_log.csv")[0]["reward_mean"])
    assert 1.0 < mean <= 4.0 and (mean == pytest.approx(4.0)) == (off == 0)


def test_one_step_with_variance_is_enough_to_go_on(inputs: ToyInputs, tmp_path: Path, monkeypatch):
    """Steps without variance in a row are counted, not all of them."""
    calls = [0]

    def sometimes(*arguments: Any, **keywords: Any) -> Rollout:
        rollout = ROLL_OUT(*arguments, **keywords)
        calls[0] += 1
        if calls[0] % 2:  # steps 1, 3 and 5
            rollout.completions = [[group[0]] * len(group) for group in rollout.completions]
        return rollout

    monkeypatch.setattr(grpo_run, "roll_out", sometimes)
    run_toy(inputs, tmp_path, {"max_steps_without_variance": 2, "max_steps": 5, "epochs": 9, "eval_steps": 99})
    equal = numbers(rows(tmp_path / "grpo_log.csv"), "zero_variance_groups")
    assert equal[::2] == [1.0] * 3 and max(equal[1::2]) < 1


def test_steps_that_may_be_left_out_leave_the_weights_alone(inputs: ToyInputs, tmp_path: Path, monkeypatch, capsys):
    """A loss that is not finite in step 1 ends the run, or is left out where options allow it."""
    monkeypatch.setattr(
        grpo_run, "score_choices", lambda *arguments: score_choices(*arguments)._replace(router_loss=torch.tensor(1e39))
    )
    assert refusal(inputs, tmp_path / "no", {"max_steps": 1, "beta": 0.0}).startswith("step 1: loss ")
    run_toy(inputs, tmp_path / "yes", {"max_steps": 1, "beta": 0.0, "max_skipped_steps": 1, "eval_steps": 99})
    assert "left out (1 of 1)" in capsys.readouterr().out
    (row,) = rows(tmp_path / "yes/grpo_log.csv")
    assert row["reward_mean"] == row["total_loss"] == "nan"
    start, final = tensors(inputs.arguments["model_dir"]), tensors(tmp_path / "yes/final")
    assert all(torch.equal(start[name], final[name]) for name in start)


def test_input_that_cannot_be_used_is_one_line(inputs: ToyInputs, tmp_path: Path):
    assert "monitor: found 'f1'" in refusal(inputs, tmp_path / "monitor", {"monitor": "f1", "eval_steps": 1})
    copied = ToyInputs(tmp_path / "copied")
    copied.folder.mkdir()
    for name in ("validation.tar", "eval.json"):
        (copied.folder / name).write_bytes((inputs.folder / name).read_bytes())
    (copied.folder / "model").symlink_to(inputs.folder / "model")
    write_shard(copied.folder / "grpo_prompts.tar", [], "train")
    assert refusal(copied, tmp_path / "empty", {}) == "no samples to make batches of: the list of lengths is empty"
    (copied.folder / "grpo_prompts.tar").write_bytes(b"")
    assert "empty file, expected a shard" in refusal(copied, tmp_path / "cut", {})


@pytest.mark.parametrize(
    ("name", "value"),
    [("group_size", 1), ("temperature", 0.0), ("top_p", 0.0), ("top_p", 1.5), ("clip_low", 1.0), ("beta", -0.1)],
)
def test_options_out_of_range_are_refused(name: str, value: float):
    with pytest.raises(InputError, match=rf"^grpo: {name}: found {value}, allowed: "):
        read_options(GrpoOptions, {name: value}, "grpo")
