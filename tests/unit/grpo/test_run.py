"""Whole runs on toy windows: logs, the best weights, what does not move, several processes."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpo_toy
import numpy as np
import pytest
import torch
from grpo_toy import (
    CODES,
    GRAMMARS,
    OPTIONS,
    ToyInputs,
    numbers,
    planted_windows,
    rows,
    run_toy,
    tensors,
    toy_rollout,
    write_inputs,
)
from model_toy import toy_model

from genet5.bake.crops import Window, crop, read_eval_windows
from genet5.bake.shards import ShardReader
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.window_genes import reverse_complement_genes
from genet5.grpo import run as grpo_run
from genet5.grpo.options import GrpoOptions
from genet5.grpo.policy import score_choices
from genet5.grpo.rewards import RewardWeights
from genet5.grpo.rollouts import Rollout
from genet5.grpo.run import AUDIT, audit, reward_weights
from genet5.grpo.training import PromptData
from genet5.options import read_options
from genet5.writer import windows as training_windows
from genet5.writer.building import load_model
from genet5.writer.windows import WindowScorer

ROLL_OUT = grpo_run.roll_out
COLUMNS = [
    "timestamp", "elapsed_s", "step", "total_steps", "epoch", "reward_mean", "reward_std", "exon_f1", "gene_f1",
    "nucleotide_f1", "boundary_f1", "zero_variance_groups", "empty_completions", "repeated_completions",
    "truncated_completions", "completion_tokens", "policy_loss", "kl", "clip_share", "entropy", "router_loss",
    "total_loss", "lr", "grad_norm", "rollout_s", "update_s", "tokens_per_s", "eta_s", "gpu_alloc_gb", "gpu_max_gb",
    "ram_used_gb",
]  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ToyInputs:
    return write_inputs(tmp_path_factory.mktemp("grpo") / "inputs")


def finished(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "finished.json").read_text())


def score_of(model_dir: Path, inputs: ToyInputs) -> dict[str, float]:
    """The model's mean rewards on the validation windows, by a scorer of this test's own."""
    paths = inputs.arguments
    with ShardReader(paths["validation"]) as shards:
        windows = read_eval_windows(paths["eval_windows"], shards)
    model, _ = load_model(model_dir)
    weights = reward_weights(read_options(GrpoOptions, OPTIONS, "test"))
    with torch.no_grad():
        return WindowScorer(windows, GRAMMARS, score=weights.of)(model.eval())


# ---------------------------------------------------------------- from beginning to end


@pytest.fixture(scope="module")
def whole(inputs: ToyInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain run."""
    folder = tmp_path_factory.mktemp("whole")
    run_toy(inputs, folder, {})
    return folder


def test_a_run_leaves_its_logs_its_configuration_and_a_model(inputs: ToyInputs, whole: Path):
    header = (whole / "grpo_log.csv").read_text().splitlines()[0]
    assert header.split(",") == COLUMNS
    log, evaluations = rows(whole / "grpo_log.csv"), rows(whole / "eval_log.csv")
    assert numbers(log, "step") == [1, 2, 3, 4]
    assert [row["step"] for row in evaluations] == ["0", "2", "4"]
    assert list(evaluations[0]) == ["epoch", "step", "reward", "exon_f1", "gene_f1", "nucleotide_f1", "boundary_f1"]
    assert not (whole / "training_log.csv").exists()
    first = score_of(inputs.arguments["model_dir"], inputs)
    assert {name: float(evaluations[0][name]) for name in first} == pytest.approx(first, abs=1e-9)
    config = json.loads((whole / "grpo_config.json").read_text())
    wanted = dataclasses.asdict(read_options(GrpoOptions, OPTIONS, "test"))
    assert config["options"] == json.loads(json.dumps(wanted))
    assert config["inputs"]["prompts"] == str(inputs.arguments["prompts"])
    assert set(config["sha256"]) == {"prompts", "validation", "eval_windows", "model", "clades"}
    for name in ("config.json", "genet5_tokenizer.json", "model.safetensors", "tokenizer.json"):
        assert (whole / name).read_bytes() == (whole / "best" / name).read_bytes()
    assert finished(whole)["steps"] == 4


def test_numbers_of_the_log_are_possible_ones(whole: Path):
    log = rows(whole / "grpo_log.csv")
    for row in log:
        assert float(row["policy_loss"]) + 0.05 * float(row["kl"]) == pytest.approx(float(row["total_loss"]), abs=1e-7)
        exon, gene, boundary = (float(row[name]) for name in ("exon_f1", "gene_f1", "boundary_f1"))
        assert float(row["reward_mean"]) == pytest.approx(0.6 * exon + 0.4 * gene + 0.2 * boundary, abs=1e-6)
        shares = ("empty_completions", "repeated_completions", "truncated_completions")
        shares += ("zero_variance_groups", "clip_share")
        assert all(0 <= float(row[name]) <= 1 for name in shares)
        assert float(row["entropy"]) > 0 and 1 <= float(row["completion_tokens"]) <= 24
        assert float(row["clip_share"]) == 0, "one update on each completion: its ratios are 1"
    assert float(log[0]["kl"]) == 0.0 and min(numbers(log[1:], "kl")) > 0
    assert sum(numbers(log, "truncated_completions")) > 0
    with open(whole / "grpo_log.csv", newline="") as stream:
        assert min(float(row["tokens_per_s"]) for row in csv.DictReader(stream)) > 0


def test_the_first_row_is_what_the_first_rollout_gives(inputs: ToyInputs, whole: Path, monkeypatch):
    """Rewards, their spread and the audit, computed here from the completions of the first step."""
    kept: list[Rollout] = []
    monkeypatch.setattr(
        grpo_run, "roll_out", lambda *words, **named: kept.append(ROLL_OUT(*words, **named)) or kept[-1]
    )
    run_toy(inputs, inputs.folder.parent / "spied", {"max_steps": 1, "eval_steps": 9})
    (rollout,) = kept
    totals = np.array(
        [
            [RewardWeights(0.6, 0.4, 0.0, 0.2, 30).of(window.genes, one.genes).reward for one in group]
            for window, group in zip(rollout.windows, rollout.completions, strict=True)
        ]
    )
    completions = [one for group in rollout.completions for one in group]
    wanted = {
        "reward_mean": totals.mean(),
        "reward_std": totals.std(axis=1, ddof=1).mean(),
        "zero_variance_groups": np.mean([len(set(group)) == 1 for group in totals.tolist()]),
        "empty_completions": np.mean([not one.genes for one in completions]),
        "repeated_completions": np.mean(
            [one.ids in [t.ids for t in group[:i]] for group in rollout.completions for i, one in enumerate(group)]
        ),
        "truncated_completions": np.mean([one.truncated for one in completions]),
        "completion_tokens": np.mean([len(one.ids) for one in completions]),
    }
    first = rows(whole / "grpo_log.csv")[0]
    assert {name: float(first[name]) for name in wanted} == pytest.approx(wanted, abs=1e-6)
    with torch.no_grad():
        model, _ = load_model(inputs.arguments["model_dir"])
        entropy = score_choices(model.eval(), grpo_run.pack(rollout), OPTIONS["temperature"]).entropy
    assert float(first["entropy"]) == pytest.approx(float(entropy.mean()), abs=1e-4)


def test_the_audit_counts_repeats_and_equal_groups():
    model = toy_model(seed=6)
    windows = planted_windows(2, 50)
    rollout = toy_rollout(model, windows, 4)
    for group in rollout.completions:
        group[1] = group[0]
    rollout.completions[1][:] = [rollout.completions[1][0]] * 4
    weights = RewardWeights(0.6, 0.4, 0.0, 1.0, 30)
    rewards = [
        [weights.of(window.genes, one.genes) for one in group]
        for window, group in zip(windows, rollout.completions, strict=True)
    ]
    found = audit(rollout, rewards)
    distinct = len({tuple(one.ids) for one in rollout.completions[0]})
    assert distinct == 3
    assert (found["repeated_completions"], found["repeated_completions_weight"]) == (1 + 3, 8)
    assert (found["zero_variance_groups"], found["zero_variance_groups_weight"]) == (1, 2)
    assert found["completion_tokens"] == sum(len(one.ids) for group in rollout.completions for one in group)
    assert found["reward"] == pytest.approx(sum(reward.reward for group in rewards for reward in group))
    assert set(AUDIT) <= set(found)


def test_the_crf_stays_and_the_rest_learns(inputs: ToyInputs, whole: Path):
    before, after = tensors(inputs.arguments["model_dir"]), tensors(whole / "final")
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    kept = {name for name in before if name.startswith("crf.")}
    assert len(kept) > 8 and not moved & kept
    never = {name for name in before if "shared_expert" in name}  # multiplies nothing
    assert set(before) - kept - never <= moved


@pytest.mark.parametrize("best_step", [0, 1])
def test_best_is_never_worse_than_the_weights_it_started_from(
    best_step: int, inputs: ToyInputs, tmp_path: Path, monkeypatch
):
    """A decoder that is perfect at one evaluation and silent at the others: that one's weights are exported."""
    start = tensors(inputs.arguments["model_dir"])
    with ShardReader(inputs.arguments["validation"]) as shards:
        windows = read_eval_windows(inputs.arguments["eval_windows"], shards)
    truth = {window.bases: window.genes for window in windows}
    steps: list[Any] = []

    def decoder(model, _grammar, bases, _clade):
        weights = model.state_dict()["head.base_query.weight"].clone()
        if not any(torch.equal(weights, seen) for seen in steps):
            steps.append(weights)
        right = len(steps) == best_step + 1
        return [SimpleNamespace(genes=truth[text] if right else []) for text in bases]

    monkeypatch.setattr(training_windows, "write_genes", decoder)
    run_toy(inputs, tmp_path, {"max_steps": 3, "eval_steps": 1})
    rewards = numbers(rows(tmp_path / "eval_log.csv"), "reward")
    assert rewards == pytest.approx([1.2 if step == best_step else 0.0 for step in range(4)])
    assert (finished(tmp_path)["best_step"], finished(tmp_path)["best_value"]) == (best_step, max(rewards))
    exported, final = tensors(tmp_path), tensors(tmp_path / "final")
    assert all(torch.equal(tensor, tensors(tmp_path / "best")[name]) for name, tensor in exported.items())
    assert all(torch.equal(start[name], exported[name]) for name in start) == (best_step == 0)
    assert torch.equal(exported["head.base_query.weight"], steps[best_step])
    assert any(not torch.equal(exported[name], final[name]) for name in start)


def test_reward_rises_on_windows_seen_again_and_again(tmp_path: Path):
    inputs = write_inputs(tmp_path / "inputs", num_prompts=2)
    options = {"lr": 1e-2, "group_size": 12, "max_steps": 20, "epochs": 20, "beta": 0.0, "nucleotide_weight": 0.3}
    run_toy(inputs, tmp_path / "run", options | {"eval_steps": 99, "save_steps": 20})
    rewards = numbers(rows(tmp_path / "run/grpo_log.csv"), "reward_mean")
    assert np.mean(rewards[-5:]) > np.mean(rewards[:3]) + 0.2


# ---------------------------------------------------------------- prompts of a run


def test_prompts_are_whole_windows_on_either_strand(inputs: ToyInputs):
    shards = ShardReader(inputs.arguments["prompts"])
    data = PromptData(shards, GRAMMARS)
    indices = np.array([4, 0, 2, 1])
    turned = set()
    for seed in range(6):
        windows = data.prompts(indices, 0, np.random.default_rng(seed))
        assert windows == data.prompts(indices, 5, np.random.default_rng(seed))
        for index, window in zip(indices, windows, strict=True):
            whole = crop(shards.read(int(index)), 0, len(shards.read(int(index)).bases))
            if window.bases == whole.bases:
                assert window == whole
            else:
                assert window.bases == reverse_complement(whole.bases)
                assert window.genes == reverse_complement_genes(whole.genes, len(whole.bases))
            turned.add((int(index), window.bases == whole.bases))
    assert len(turned) == 8, "each window on both strands"


def test_a_batch_may_mix_clades(inputs: ToyInputs, tmp_path: Path, monkeypatch):
    seen: list[list[Window]] = []

    def spy(model, grammars, windows, *arguments, **keywords):
        seen.append(list(windows))
        return ROLL_OUT(model, grammars, windows, *arguments, **keywords)

    monkeypatch.setattr(grpo_run, "roll_out", spy)
    run_toy(inputs, tmp_path, {"batch_size": 8, "windows_per_step": 8, "max_steps": 1, "eval_steps": 9})
    (windows,) = seen
    assert len(windows) == 8 and {(w.clade, w.genetic_code) for w in windows} == set(CODES.items())


def test_the_schedule_of_the_rate_decides_the_weights(inputs: ToyInputs, whole: Path, tmp_path: Path):
    run_toy(inputs, tmp_path, {"scheduler": "constant", "warmup_ratio": 0.0})
    constant, scheduled = tensors(tmp_path / "final"), tensors(whole / "final")
    assert any(not torch.equal(constant[name], tensor) for name, tensor in scheduled.items())


# ---------------------------------------------------------------- what one update is


def test_updates_on_the_same_completions_add_up(inputs: ToyInputs, tmp_path: Path):
    """A second update has ratios that are not 1; it moves the weights further than one update does."""
    options = {"max_steps": 1, "eval_steps": 9, "lr": 2e-2, "weight_decay": 0.0, "clip_low": 0.01, "clip_high": 0.01}
    start, moved, clipped = tensors(inputs.arguments["model_dir"]), [], []
    for updates in (1, 3):
        run_toy(inputs, tmp_path / str(updates), options | {"updates_per_rollout": updates})
        final = tensors(tmp_path / str(updates) / "final")
        moved.append(sum(float((final[name] - start[name]).abs().sum()) for name in start))
        clipped += numbers(rows(tmp_path / str(updates) / "grpo_log.csv"), "clip_share")
    assert moved[1] > 1.5 * moved[0]
    assert clipped[0] == 0.0 < clipped[1]


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_gradient_checkpointing_changes_no_result(inputs: ToyInputs, whole: Path, tmp_path: Path):
    run_toy(inputs, tmp_path, {"gradient_checkpointing": True})
    one, two = rows(whole / "grpo_log.csv"), rows(tmp_path / "grpo_log.csv")
    assert len(one) == len(two) == 4
    for column in ("reward_mean", "completion_tokens", "kl", "policy_loss", "grad_norm"):
        assert numbers(one, column) == pytest.approx(numbers(two, column), rel=1e-3, abs=1e-5)


def test_dropout_of_the_model_is_left_out(tmp_path: Path):
    logs = []
    for share in (0.0, 0.5):
        inputs = write_inputs(tmp_path / f"inputs{share}", dropout=share)
        run_toy(inputs, tmp_path / f"run{share}", {"max_steps": 2, "eval_steps": 9, "beta": 0.05})
        logs.append(rows(tmp_path / f"run{share}/grpo_log.csv"))
    for column in ("reward_mean", "completion_tokens", "kl", "policy_loss", "grad_norm"):
        assert numbers(logs[0], column) == numbers(logs[1], column)


def test_experts_are_kept_in_balance(tmp_path: Path):
    inputs = write_inputs(tmp_path / "inputs", num_experts=3, router_loss_weight=0.01)
    run_toy(inputs, tmp_path / "run", {"max_steps": 2, "eval_steps": 9})
    for row in rows(tmp_path / "run/grpo_log.csv"):
        parts = float(row["policy_loss"]) + 0.05 * float(row["kl"]) + 0.01 * float(row["router_loss"])
        assert float(row["router_loss"]) > 0.5
        assert float(row["total_loss"]) == pytest.approx(parts, abs=1e-6)


def test_equal_rewards_leave_the_weights_as_they_are(inputs: ToyInputs, tmp_path: Path):
    """No term of the reward has a weight: every group's rewards are equal, and nothing but that could move weights."""
    nothing = {"exon_weight": 0.0, "gene_weight": 0.0, "boundary_weight": 0.0, "beta": 0.0, "weight_decay": 0.0}
    run_toy(inputs, tmp_path, nothing | {"lr": 1.0, "max_steps": 2, "max_steps_without_variance": 0})
    start, final = tensors(inputs.arguments["model_dir"]), tensors(tmp_path / "final")
    assert all(torch.equal(start[name], final[name]) for name in start)
    log = rows(tmp_path / "grpo_log.csv")
    assert numbers(log, "grad_norm") == [0.0, 0.0] and numbers(log, "zero_variance_groups") == [1.0, 1.0]


# ---------------------------------------------------------------- several processes


def test_two_processes_equal_one_with_twice_the_batches(inputs: ToyInputs, tmp_path: Path):
    options = {"windows_per_step": 4, "max_steps": 2, "eval_steps": 9, "updates_per_rollout": 2, "log_every": 2}
    words = json.dumps(options)
    command = [sys.executable, grpo_toy.__file__, inputs.folder, tmp_path / "two", words, "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[0, 0]", done.stderr
    run_toy(inputs, tmp_path / "one", options)
    (one,), (two,) = (rows(tmp_path / name / "grpo_log.csv") for name in ("one", "two"))
    assert one.keys() == two.keys()
    same = {key: float(value) for key, value in one.items() if value}
    assert {key: float(value) for key, value in two.items() if value} == pytest.approx(same, rel=1e-4, abs=1e-6)
    start = tensors(inputs.arguments["model_dir"])
    finals = [tensors(tmp_path / name / "final") for name in ("one", "two")]
    for name, tensor in finals[0].items():
        torch.testing.assert_close(finals[1][name], tensor, rtol=1e-3, atol=1e-5)
    assert max(float((finals[0][name] - start[name]).abs().max()) for name in start) > 1e-3
