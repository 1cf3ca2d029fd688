"""grpo_log.csv and the line on the console, of both policies."""

from __future__ import annotations

import csv
import math

import pytest

from genet5.grpo.crf_run import CrfGrpoLog
from genet5.grpo.run import GrpoLog
from genet5.training.fabric import Fabric
from genet5.training.state import TrainingState

SUMS = {
    "sum": 6.0,
    "weight": 4.0,
    "policy": 2.0,
    "kl": 0.5,
    "likelihood": 8.0,
    "clipped": 1.0,
    "entropy": 3.0,
    "reward": 5.0,
    "reward_weight": 10.0,
    "reward_std": 0.4,
    "reward_std_weight": 2.0,
    "exon_f1": 6.0,
    "exon_f1_weight": 10.0,
    "gene_f1": 2.5,
    "gene_f1_weight": 10.0,
    "nucleotide_f1": 9.0,
    "nucleotide_f1_weight": 10.0,
    "boundary_f1": 7.0,
    "boundary_f1_weight": 10.0,
    "zero_variance_groups": 1.0,
    "zero_variance_groups_weight": 2.0,
    "empty_completions": 3.0,
    "empty_completions_weight": 10.0,
    "repeated_completions": 4.0,
    "repeated_completions_weight": 10.0,
    "genes_per_completion": 15.0,
    "genes_per_completion_weight": 10.0,
    "truncated_completions": 2.0,
    "truncated_completions_weight": 10.0,
    "completion_tokens": 90.0,
    "completion_tokens_weight": 10.0,
    "tokens": 1200.0,
    "tokens_weight": 1.0,
    "rollout_s": 0.75,
    "rollout_s_weight": 1.0,
}
REWARDS = {
    "reward_mean": 0.5,
    "reward_std": 0.2,
    "exon_f1": 0.6,
    "gene_f1": 0.25,
    "nucleotide_f1": 0.9,
    "boundary_f1": 0.7,
    "zero_variance_groups": 0.5,
    "empty_completions": 0.3,
    "repeated_completions": 0.4,
}


def row_of(log, folder, step: int = 20) -> dict[str, str]:
    """What a log writes of two updates with the same sums, which took 3 s in all."""
    state = TrainingState(group=1, step=step, epoch=0, batch=step, num_batches=50, training_s=3.0)
    for norm in (1.0, 2.0):
        state.count_losses(list(SUMS), list(SUMS.values()), norm)
    log.add_training(state, 100, 2.5e-4, None, 40.0)
    assert (state.counted, state.training_s) == (0, 0.0)
    with open(folder / "grpo_log.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    return {name: value for name, value in row.items() if value and name != "timestamp"}


def as_numbers(row: dict[str, str]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items()}


def test_the_log_of_the_crf(tmp_path, capsys):
    row = as_numbers(row_of(CrfGrpoLog(tmp_path, Fabric(accelerator="cpu"), None, with_memory=False), tmp_path))
    place = {"elapsed_s": 40, "step": 20, "total_steps": 100, "epoch": 1}
    audit = {"genes_per_completion": 1.5}
    losses = {"policy_loss": 0.5, "kl": 0.125, "likelihood_loss": 2.0, "total_loss": 1.5}
    pace = {"lr": 2.5e-4, "grad_norm": 1.5, "step_s": 1.5, "tokens_per_s": 800.0, "eta_s": 160.0}
    assert row == pytest.approx(place | REWARDS | audit | losses | pace)
    assert capsys.readouterr().out == (
        "step  20/100 | reward 0.500 | exon 0.600 | gene 0.250 | equal groups 50% | kl 0.1250 | likelihood 2.000 | "
        "lr 2.50e-04 | grad 1.500 | 1.50 s | eta 2 min 40 s\n"
    )


def test_the_log_of_the_writer_counts_all_updates_of_a_step(tmp_path, capsys):
    log = GrpoLog(tmp_path, Fabric(accelerator="cpu"), None, with_memory=True)
    log.updates_per_step = 2
    row = as_numbers(row_of(log, tmp_path))
    assert row.pop("ram_used_gb") > 0
    assert (row.pop("gpu_alloc_gb"), row.pop("gpu_max_gb")) == (0, 0)
    place = {"elapsed_s": 40, "step": 20, "total_steps": 100, "epoch": 1}
    audit = {"truncated_completions": 0.2, "completion_tokens": 9}
    losses = {"policy_loss": 0.5, "kl": 0.125, "clip_share": 0.25, "entropy": 0.75, "total_loss": 1.5}
    pace = {"lr": 2.5e-4, "grad_norm": 1.5, "rollout_s": 0.75, "update_s": 2.25, "tokens_per_s": 400, "eta_s": 160}
    assert row == pytest.approx(place | REWARDS | audit | losses | pace)
    assert capsys.readouterr().out == (
        "step  20/100 | reward 0.500 | exon 0.600 | gene 0.250 | equal groups 50% | kl 0.1250 | entropy 0.750 | "
        "lr 2.50e-04 | grad 1.500 | 0.75 + 2.25 s | eta 2 min 40 s\n"
    )


def test_before_the_first_step_there_is_no_row(tmp_path, capsys):
    log = CrfGrpoLog(tmp_path, Fabric(accelerator="cpu"), None, with_memory=False)
    log.add_training(TrainingState(group=1), 100, 1e-3, None, 0.0)
    assert not (tmp_path / "grpo_log.csv").exists()
    assert capsys.readouterr().out == ""


def test_where_every_step_was_left_out_the_cells_say_so(tmp_path, capsys):
    log = CrfGrpoLog(tmp_path, Fabric(accelerator="cpu"), None, with_memory=False)
    log.add_training(TrainingState(group=1, step=7, batch=7, num_batches=50, training_s=2.0), 10, 1e-3, None, 14.0)
    with open(tmp_path / "grpo_log.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert math.isnan(float(row["reward_mean"]))
    assert (row["step_s"], row["eta_s"]) == ("2.0", "6.0")
    assert capsys.readouterr().out.startswith("step  7/10 | reward nan | exon nan")
