"""The loop on a toy task: what it computes, what it logs, and that stopping and resuming changes nothing."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys

import numpy as np
import patience
import pytest
import torch
import toy_training
from toy_training import (
    OPTIONS,
    ToyModel,
    ToyOptions,
    assert_same_run,
    counted_tokens,
    rows,
    tensors,
    toy_source,
    train_toy,
)

from genet5.errors import InputError
from genet5.options import read_options
from genet5.training.batches import BatchSource, load_batches
from genet5.training.runs import export_finished, finished_run
from genet5.training.schedule import learning_rate

pytestmark = pytest.mark.usefixtures("one_thread")


def signal_after(batches: int, number: int = signal.SIGTERM):
    """A model that signals its own process in the forward pass of the given training batch."""
    model = ToyModel()
    plain, count = model.training_losses, [0]

    def losses(batch):
        count[0] += model.training
        if model.training and count[0] == batches:
            os.kill(os.getpid(), number)
        return plain(batch)

    model.training_losses = losses
    return model


# --- what it computes


def test_the_model_learns_and_every_artefact_is_there(tmp_path):
    result, model = train_toy(tmp_path, {"epochs": 6, "log_memory": True, "memwatch": 0.05})
    log = rows(tmp_path / "training_log.csv")
    assert float(log[0]["train_loss"]) > 6 > 1.5 > float(log[-1]["train_loss"])
    assert [int(row["step"]) for row in log] == list(range(1, result.steps + 1))
    per_epoch = int(log[0]["num_batches"])
    assert [(int(row["epoch"]), int(row["batch"])) for row in log[per_epoch - 1 : per_epoch + 1]] == [
        (1, per_epoch),
        (2, 1),
    ]
    evaluations = rows(tmp_path / "eval_log.csv")
    assert [row["epoch"] for row in evaluations] == ["1", "2", "3", "4", "5", "6"]
    assert {row["val_loss"] for row in evaluations} == {row["val_loss"] for row in log} - {""}
    with open(tmp_path / "training_log.csv") as stream:
        first = next(csv.DictReader(stream))
    assert float(first["ram_used_gb"]) > 0
    assert float(first["tokens_per_s"]) > 0
    assert (tmp_path / "memory_1.csv").exists()
    assert all(torch.equal(t, tensors(result.final)[n]) for n, t in model.state_dict().items() if n != "head.weight")


def test_a_model_that_comes_from_an_evaluation_is_trained_with_dropout(tmp_path):
    for name, model in (("fresh", ToyModel()), ("evaluated", ToyModel().eval())):
        train_toy(tmp_path / name, {}, model=model)
        assert model.training
    assert_same_run(tmp_path / "fresh", tmp_path / "evaluated")


def test_rates_and_losses_follow_their_definitions(tmp_path):
    """Two plain-torch steps give the numbers that the log has."""
    options = read_options(ToyOptions, OPTIONS | {"windows_per_step": 16, "weight_decay": 0.0}, "test")
    result, _ = train_toy(tmp_path, {"windows_per_step": 16, "weight_decay": 0.0}, model=ToyModel(dropout=0.0))
    model = ToyModel(dropout=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), betas=options.betas, weight_decay=0.0)
    source = toy_source(90, options)
    batches = source.plan.batches(0, 2)
    made = [b for _, b in load_batches(source, batches, range(4), 0, options.seed)]
    for step in (0, 1):
        parts = [model.training_losses(batch) for batch in made[2 * step : 2 * step + 2]]
        loss = sum(p["sum"] for p in parts) / sum(p["weight"] for p in parts)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), options.max_grad_norm)
        optimizer.param_groups[0]["lr"] = learning_rate(step, result.steps, options)
        optimizer.step()
        row = rows(tmp_path / "training_log.csv")[step]
        assert float(row["train_loss"]) == pytest.approx(loss.item(), rel=1e-5)
        assert float(row["grad_norm"]) == pytest.approx(norm.item(), rel=1e-4)
        assert float(row["lr"]) == learning_rate(step, result.steps, options)
        assert float(row["right"]) == pytest.approx(
            (sum(p["right"] for p in parts) / sum(p["weight"] for p in parts)).item()
        )
        assert float(row["rows"]) == sum(p["rows"] for p in parts) / 2


def test_rows_are_means_of_their_interval(tmp_path):
    train_toy(tmp_path / "each", {})
    train_toy(tmp_path / "third", {"log_every": 3}, validation=None)
    each, third = rows(tmp_path / "each/training_log.csv"), rows(tmp_path / "third/training_log.csv")
    assert [int(row["step"]) for row in third] == [*range(3, len(each), 3), len(each)]
    norms = [float(row["grad_norm"]) for row in each[:3]]
    assert float(third[0]["grad_norm"]) == pytest.approx(np.mean(norms), rel=1e-4)
    assert float(third[1]["rows"]) == pytest.approx(np.mean([float(row["rows"]) for row in each[3:6]]))
    losses = [float(row["train_loss"]) for row in each[3:6]]
    assert min(losses) < float(third[1]["train_loss"]) < max(losses)


def test_validation_is_the_training_loss_without_smoothing_and_dropout(tmp_path):
    """The same samples in one batch: validation at the end equals the training loss of the saved model in eval mode."""
    options = read_options(ToyOptions, OPTIONS | {"label_smoothing": 0.3}, "test")
    validation = toy_source(13, options, shuffle=False)
    result, _ = train_toy(tmp_path, {"label_smoothing": 0.3}, validation=validation)
    model = ToyModel()
    model.load_state_dict(tensors(result.final), strict=False)
    model.eval()
    batches = validation.plan.batches(0)
    losses = [model.training_losses(b) for _, b in load_batches(validation, batches, range(len(batches)), 0, 42)]
    expected = sum(p["sum"] for p in losses) / sum(p["weight"] for p in losses)
    assert result.metrics["val_loss"] == pytest.approx(expected.item(), rel=1e-6)
    model.label_smoothing = 0.3
    smoothed = sum(model.training_losses(b)["sum"] for _, b in load_batches(validation, batches, range(1), 0, 42))
    assert smoothed > losses[0]["sum"] * 1.05


def test_smoothing_is_on_while_training_and_off_in_evaluations(tmp_path):
    seen = []

    class Watched(ToyModel):
        def training_losses(self, batch):
            seen.append((self.training, self.label_smoothing, torch.is_grad_enabled()))
            return super().training_losses(batch)

    train_toy(tmp_path, {"label_smoothing": 0.1, "eval_steps": 4}, model=Watched())
    assert set(seen) == {(True, 0.1, True), (False, 0.0, False)}
    assert seen[-1] == (False, 0.0, False)


def test_best_is_the_model_of_the_best_evaluation_and_patience_ends_the_run(tmp_path):
    values = iter([1.0, 3.0, 2.0, 2.5, 9.0])
    kept = []

    def evaluate(model):
        kept.append({n: t.clone() for n, t in model.state_dict().items()})
        return {"f1": next(values)}

    options = {"epochs": 50, "eval_steps": 2, "monitor": "f1", "early_stopping": 2}
    result, _ = train_toy(tmp_path, options, evaluate=evaluate)
    assert (result.stopped, result.best_step, result.best_value, result.steps) == ("early stopping", 4, 3.0, 8)
    for name, tensor in tensors(result.best).items():
        assert torch.equal(tensor, kept[1][name])
    assert [row["f1"] for row in rows(tmp_path / "eval_log.csv")] == ["1.0", "3.0", "2.0", "2.5"]


def test_max_steps_caps_the_run_and_its_schedule(tmp_path):
    result, _ = train_toy(tmp_path, {"epochs": 10, "max_steps": 5, "min_lr_ratio": 0.5})
    assert result.steps == 5
    assert float(rows(tmp_path / "training_log.csv")[-1]["lr"]) == pytest.approx(0.5 * OPTIONS["lr"])


def test_half_precision_and_worker_processes(tmp_path):
    train_toy(tmp_path / "plain", {"epochs": 1})
    train_toy(tmp_path / "workers", {"epochs": 1, "num_workers": 2})
    assert_same_run(tmp_path / "plain", tmp_path / "workers")
    train_toy(tmp_path / "half", {"epochs": 1, "precision": "bf16"})
    plain, half = (float(rows(tmp_path / n / "training_log.csv")[-1]["train_loss"]) for n in ("plain", "half"))
    assert plain != half
    assert half == pytest.approx(plain, rel=0.1)
    assert tensors(tmp_path / "half/final")["norm.weight"].dtype == torch.float32


# --- what can go wrong


def poisoned(at_batch: int) -> ToyModel:
    model = ToyModel()
    plain, count = model.training_losses, [0]

    def losses(batch):
        count[0] += 1
        found = plain(batch)
        return found | {"sum": found["sum"] * float("nan")} if count[0] == at_batch else found

    model.training_losses = losses
    return model


def test_a_loss_that_is_not_finite_stops_the_run_with_its_step(tmp_path):
    with pytest.raises(InputError, match=r"step 4: loss nan, .*not finite; lower lr") as caught:
        train_toy(tmp_path, {"save_steps": 2}, model=poisoned(4), validation=None)
    assert "\n" not in str(caught.value)
    assert len(rows(tmp_path / "training_log.csv")) == 3


def test_steps_that_may_be_skipped_leave_the_weights_alone_and_are_said(tmp_path, capsys):
    result, model = train_toy(tmp_path, {"max_skipped_steps": 1}, model=poisoned(4), validation=None)
    assert "step 4: loss nan" in capsys.readouterr().out
    assert all(torch.isfinite(t).all() for t in model.state_dict().values())
    log = rows(tmp_path / "training_log.csv")
    assert [i + 1 for i, row in enumerate(log) if row["train_loss"] == "nan"] == [4]
    assert result.steps == len(log)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_in_a_batch_is_one_line(tmp_path, num_workers):
    def broken(indices, epoch, rng):
        raise InputError(f"shard 3: sample {indices[0]} is damaged")

    options = ToyOptions(num_workers=num_workers)
    source = BatchSource(toy_source(9, options).plan, broken)
    with pytest.raises(InputError, match=r"^shard 3: sample \d is damaged$"):
        toy_training.fit(ToyModel(), source, options, tmp_path, fingerprint={}, save_model=lambda path: None)


@pytest.mark.parametrize(
    ("options", "keywords", "message"),
    [
        ({"monitor": "gene_f1"}, {}, "monitor: found 'gene_f1', allowed: val_loss"),
        ({}, {"validation": None, "evaluate": lambda m: {"f1": 1}}, "no validation samples"),
        ({"early_stopping": 2}, {"validation": None}, "nothing is evaluated"),
        ({"gradient_checkpointing": True}, {}, "ToyModel does not offer it"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(tmp_path, options, keywords, message):
    with pytest.raises(InputError, match=message):
        train_toy(tmp_path, options, **keywords)


# --- stopping and resuming


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without interruption: accumulation, an evaluation grid and a log grid that fit nothing else."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    train_toy(folder, RESUMED)
    return folder


RESUMED = {"windows_per_step": 16, "eval_steps": 5, "log_every": 3, "save_steps": 4, "early_stopping": 9}


def test_stopped_by_sigterm_and_resumed_is_the_uninterrupted_run(tmp_path, whole):
    for batches in (3, 9, 2):  # inside the steps 2, 6 and 7
        with pytest.raises(SystemExit) as caught:
            train_toy(tmp_path, RESUMED, model=signal_after(batches))
        assert caught.value.code == 128 + signal.SIGTERM
    assert (tmp_path / "checkpoint_latest").resolve().name == "checkpoint_step_8"
    train_toy(tmp_path, RESUMED)
    assert_same_run(whole, tmp_path)


def test_ctrl_c_saves_too(tmp_path):
    with pytest.raises(SystemExit) as caught:
        train_toy(tmp_path, RESUMED, model=signal_after(3, signal.SIGINT))
    assert caught.value.code == 130
    assert (tmp_path / "checkpoint_step_2").is_dir()


def test_a_signal_inside_an_evaluation_is_not_kept_waiting(tmp_path, whole):
    class Signalled(ToyModel):
        def training_losses(self, batch):
            if not self.training:
                os.kill(os.getpid(), signal.SIGTERM)
                for _ in range(10**9):  # an evaluation without end
                    pass
            return super().training_losses(batch)

    with pytest.raises(SystemExit):
        train_toy(tmp_path, RESUMED, model=Signalled())
    assert (tmp_path / "checkpoint_latest").resolve().name == "checkpoint_step_5"
    assert not (tmp_path / "eval_log.csv").exists()
    train_toy(tmp_path, RESUMED)
    assert_same_run(whole, tmp_path)


def test_killed_and_resumed_is_the_uninterrupted_run(tmp_path, whole):
    """SIGKILL in step 10: the checkpoint of step 8 is the last, the row of step 9 is written again."""
    command = [sys.executable, toy_training.__file__, tmp_path, str(RESUMED).replace("'", '"'), "--kill-at", "19"]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert [row["step"] for row in rows(tmp_path / "training_log.csv")] == ["3", "5", "6", "9"]
    assert (tmp_path / "checkpoint_latest").resolve().name == "checkpoint_step_8"
    train_toy(tmp_path, RESUMED)
    assert_same_run(whole, tmp_path)


def test_elapsed_time_goes_on_over_a_resume(tmp_path):
    with pytest.raises(SystemExit):
        train_toy(tmp_path, RESUMED, model=signal_after(3), sleep_s=0.05)
    train_toy(tmp_path, RESUMED)
    with open(tmp_path / "training_log.csv") as stream:
        elapsed = [float(row["elapsed_s"]) for row in csv.DictReader(stream)]
    assert elapsed == sorted(elapsed)
    assert elapsed[0] > 0.15


def test_a_finished_run_returns_at_once_and_another_is_refused(tmp_path):
    result, _ = train_toy(tmp_path, {"epochs": 1})
    before = (tmp_path / "training_log.csv").read_bytes()

    def untouchable(indices, epoch, rng):
        raise AssertionError("a finished run reads no data")

    options = read_options(ToyOptions, OPTIONS | {"epochs": 1}, "test")
    source = BatchSource(toy_source(90, options).plan, untouchable)
    again = toy_training.fit(
        ToyModel(), source, options, tmp_path, fingerprint={"data": "toy"}, save_model=lambda path: None
    )
    assert again == result == finished_run(tmp_path, options, {"data": "toy"})
    assert (tmp_path / "training_log.csv").read_bytes() == before
    assert finished_run(tmp_path, options, {"data": "new"}) is None
    assert finished_run(tmp_path / "elsewhere", options, {"data": "toy"}) is None
    with pytest.raises(InputError, match=r'data is "toy" there, "new" here'):
        train_toy(tmp_path, {"epochs": 1}, fingerprint={"data": "new"})
    train_toy(tmp_path, {"epochs": 1}, fingerprint={"data": "new"}, restart=True)
    again, _ = train_toy(tmp_path, {"epochs": 1, "log_every": 7}, fingerprint={"data": "new"})
    assert again.elapsed_s == finished_run(tmp_path, options, {"data": "new"}).elapsed_s


def test_a_finished_run_is_exported_again_by_the_first_process_alone(tmp_path, monkeypatch, capsys):
    """And not when it is to be forgotten."""
    train_toy(tmp_path, {"epochs": 1})
    (tmp_path / "best").mkdir(exist_ok=True)
    (tmp_path / "best/model.safetensors").write_bytes(b"weights")
    options = read_options(ToyOptions, OPTIONS | {"epochs": 1}, "test")
    exported = tmp_path / "model.safetensors"
    for rank, restart, done in (("0", True, False), ("1", False, True)):
        monkeypatch.setenv("RANK", rank)
        exported.unlink(missing_ok=True)
        assert export_finished(tmp_path, options, {"data": "toy"}, restart) is done
        assert not exported.exists()
    monkeypatch.setenv("RANK", "0")
    capsys.readouterr()
    assert export_finished(tmp_path, options, {"data": "toy"}, restart=False)
    assert exported.read_bytes() == b"weights" and "already finished" in capsys.readouterr().out


def test_unfinished_is_not_finished(tmp_path):
    with pytest.raises(SystemExit):
        train_toy(tmp_path, RESUMED, model=signal_after(3))
    assert finished_run(tmp_path, read_options(ToyOptions, OPTIONS | RESUMED, "t"), {"data": "toy"}) is None


# --- tokens, plans


def test_logged_tokens_are_those_of_the_batches_of_all_processes_not_of_their_budget(tmp_path):
    options = {"max_steps": 4, "save_steps": 3, "log_every": 100, "max_skipped_steps": 1, "max_batch_size": 7}
    two_batches = options | {"windows_per_step": 14}
    words = [tmp_path / "two", json.dumps(two_batches), "--processes", "2", "2"]
    patience.run([sys.executable, toy_training.__file__, *words])
    train_toy(tmp_path / "one", two_batches, model=poisoned(3), validation=None)  # a skipped step counts
    source = toy_source(90, read_options(ToyOptions, OPTIONS | options, "test"))
    batches = source.plan.batches(0, 2)
    read = [counted_tokens(batch) for _, batch in load_batches(source, batches, range(6), 0, 42)]
    assert sum(read) != sum(map(source.plan.tokens, batches[:6]))
    for name in ("one", "two"):
        state = json.loads((tmp_path / name / "checkpoint_step_3/state.json").read_text())
        assert state["tokens"] == sum(read), name
    with open(tmp_path / "one/training_log.csv") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["tokens_per_s"]) > 0


def test_a_run_that_was_planned_otherwise_is_not_continued(tmp_path):
    """As with another version, or a budget that holds more: the batches that were left would be others."""
    with pytest.raises(SystemExit):
        train_toy(tmp_path, RESUMED, model=signal_after(3))
    options = read_options(ToyOptions, OPTIONS | RESUMED, "test")
    source = toy_source(90, options)
    wider = BatchSource(dataclasses.replace(source.plan, token_budget=2 * options.token_budget), source.make_batch)
    with pytest.raises(
        InputError, match=r"checkpoint_step_2: its epoch has \d+ batches, now \d+ are planned.*--restart"
    ):
        toy_training.fit(
            ToyModel(), wider, options, tmp_path, fingerprint={"data": "toy"}, save_model=lambda path: None,
            validation=toy_source(13, options, shuffle=False),
        )  # fmt: skip
    train_toy(tmp_path, RESUMED)
