"""A power cut during sft: the same command again gives the same losses and the same weights."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sys
from pathlib import Path

import patience
import pytest
import toy_bacterium
import yaml
from patience import killed_at_rename
from toy_bacterium import ToyRun, write_run

TIMES = {
    "timestamp",
    "elapsed_s",
    "tokens_per_s",
    "eta_s",
    "eval_s",
    "mfu",
    "gpu_alloc_gb",
    "gpu_max_gb",
    "ram_used_gb",
}
OPTIONS = {
    "epochs": 4,
    "lr": 3.0e-3,
    "token_budget": 4000,
    "max_batch_size": 4,
    "label_smoothing": 0.1,
    "windows_per_step": 4,
    "early_stopping": 0,
    "precision": "fp32",
    "log_every": 1,
    "save_steps": 3,
}
STEPS = 28  # 27 windows, 4 to a batch: 7 steps an epoch
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}  # the sums of one thread and of two differ in the last digits


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy") / "run")


def command(run: ToyRun, output: Path, repository: Path, **changed) -> list[str]:
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in (OPTIONS | changed).items()]
    return [
        *(sys.executable, repository / "scripts/train_sft.py"),
        *("--model", run.model),
        *("--manifests", run.manifest),
        *("--validation", run.baked / "validation.tar"),
        *("--eval-windows", run.baked / "eval.json"),
        *("--output-dir", output),
        *flags,
    ]


def run_and_kill(arguments: list, output: Path, folder: Path | None = None) -> None:
    """Run a command that dies, with all it started, once the first checkpoint of the second epoch is there."""
    dead = patience.run(arguments, cwd=folder, env=killed_at_rename("checkpoint_step_9", ENVIRONMENT))
    assert dead.returncode == -signal.SIGKILL, dead.stdout
    assert (output / "checkpoint_step_9").is_dir() and not (output / "finished.json").exists()
    assert not (output / "model.safetensors").exists()


def losses(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of both logs without what the clock says."""
    logs = {}
    for name in ("training_log.csv", "eval_log.csv"):
        with (folder / name).open(newline="") as stream:
            rows = [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(stream)]
        logs[name] = rows
    return logs


@pytest.fixture(scope="module")
def uninterrupted(run: ToyRun, repository: Path, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "sft"
    done = patience.run(command(run, output, repository), env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout
    return output


def check_equal(folder: Path, whole: Path) -> None:
    logs = losses(whole)
    assert losses(folder) == logs
    assert [int(row["step"]) for row in logs["training_log.csv"]] == list(range(1, STEPS + 1))
    assert "train_loss" in logs["training_log.csv"][0] and len(logs["eval_log.csv"]) == OPTIONS["epochs"]
    for name in ("model.safetensors", "final/model.safetensors", "best/model.safetensors", "config.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_killed_training_ends_with_the_losses_and_weights_of_an_uninterrupted_one(
    run: ToyRun, uninterrupted: Path, repository: Path, tmp_path: Path
) -> None:
    output = tmp_path / "sft"
    run_and_kill(command(run, output, repository), output)
    logged = len(losses(output)["training_log.csv"])
    assert 9 <= logged < STEPS

    resumed = patience.run(command(run, output, repository), env=ENVIRONMENT)
    assert resumed.returncode == 0, resumed.stdout
    assert f"of {STEPS} steps" in resumed.stdout and "resumed at step" in resumed.stdout
    check_equal(output, uninterrupted)


@pytest.mark.slow
def test_a_finished_training_ends_at_once_and_another_one_is_refused(
    run: ToyRun, uninterrupted: Path, repository: Path
) -> None:
    before = {path: path.read_bytes() for path in uninterrupted.rglob("*") if path.is_file()}
    changed = command(run, uninterrupted, repository, log_every=5)  # which does not change the result
    again = patience.run(changed, env=ENVIRONMENT)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1] == f"{uninterrupted}: already finished after {STEPS} steps"
    other = patience.run(command(run, uninterrupted, repository, lr=2.0e-3), env=ENVIRONMENT)
    assert other.returncode == 1 and "Traceback" not in other.stdout
    assert other.stdout.splitlines()[-1] == (
        f"error: {uninterrupted} belongs to a run with other settings (options.lr is 0.003 there, 0.002 here): choose "
        "another run name, delete that folder, or pass --restart"
    )
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_a_workflow_killed_during_sft_goes_on_after_unlock(run: ToyRun, uninterrupted: Path, make_workspace) -> None:
    workspace = make_workspace()
    shutil.copytree(run.folder / "data", workspace.folder / "data")
    sheet = workspace.sheet(
        f"{toy_bacterium.SPECIES} bacteria 11 train {toy_bacterium.VALIDATION} {toy_bacterium.TEST} genome.fa prodigal"
    )
    keys = {"run": "toy", "device": "auto", "species_sheet": sheet, "sft": OPTIONS}
    overlay = workspace.overlay(yaml.safe_dump(keys))
    target = "data/model/toy/sft/model.safetensors"
    arguments = [target, "--configfile", overlay, "--cores", "1"]  # a rule's threads become OMP_NUM_THREADS
    output = workspace.folder / "data/model/toy/sft"
    run_and_kill(workspace.command(*arguments), output, workspace.folder)

    assert "LockException" in workspace.run(*arguments).stdout
    assert workspace.run("--unlock", "--configfile", overlay).returncode == 0
    resumed = patience.run(workspace.command(*arguments), cwd=workspace.folder, env=ENVIRONMENT)
    assert resumed.returncode == 0, resumed.stdout
    assert "resumed at step" in resumed.stdout
    check_equal(output, uninterrupted)
    again = workspace.run(*arguments)
    assert again.returncode == 0 and "Nothing to be done" in again.stdout
