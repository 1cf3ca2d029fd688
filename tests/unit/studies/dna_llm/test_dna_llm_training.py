"""Training of the study's models: what is exported is the best epoch, a killed run goes on as if it never stopped."""

from __future__ import annotations

import csv
import dataclasses
import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from dna_llm_toy import toy_windows

from genet5.errors import InputError
from genet5.studies.dna_llm import finetuning, kept_features, pretraining
from genet5.studies.dna_llm.alphabets import VOCAB4
from genet5.studies.dna_llm.binding_windows import BindingWindows, load_windows, save_windows
from genet5.studies.dna_llm.corpus import CorpusOptions, write_corpus
from genet5.studies.dna_llm.finetuning import FinetuneOptions, build_predictor, predict, run_finetuning
from genet5.studies.dna_llm.gpt import GptConfig, load_gpt
from genet5.studies.dna_llm.kept_features import keep_features, stay_the_same
from genet5.studies.dna_llm.metrics import average_precision, pearson_r
from genet5.studies.dna_llm.predictors import CnnBaseline, load_predictor
from genet5.studies.dna_llm.pretraining import PretrainOptions, run_pretraining
from genet5.studies.dna_llm.variants import VARIANTS
from genet5.training.processes import start_fabric

SMALL = GptConfig("vocab4", layers=1, width=16, heads=2, context=60, dropout=0.1)
FINETUNE = FinetuneOptions(epochs=4, batch_size=8, precision="fp32", log_every=1)
PRETRAIN = PretrainOptions(
    max_steps=8,
    batch_size=4,
    eval_steps=2,
    validation_windows=6,
    markov_order=2,
    mixture_order=4,
    precision="fp32",
    log_every=1,
)


class Killed(BaseException):
    """Ends a run without a word, as SIGKILL does: nothing catches it, nothing is saved."""


def kill_in_step(monkeypatch: pytest.MonkeyPatch, kind: type, step: int) -> None:
    """Let the forward pass of the given training batch end the run."""
    plain, count = kind.training_losses, [0]

    def losses(model, batch):
        count[0] += model.training
        if model.training and count[0] == step:
            raise Killed
        return plain(model, batch)

    monkeypatch.setattr(kind, "training_losses", losses)


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a log without its times."""
    with open(path, newline="", encoding="utf-8") as stream:
        kept = [dict(row) for row in csv.DictReader(stream)]
    for row in kept:
        for column in ("timestamp", "elapsed_s", "tokens_per_s", "eta_s", "eval_s"):
            row.pop(column, None)
    return kept


def assert_same_run(one: Path, two: Path) -> None:
    for log in ("training_log.csv", "eval_log.csv"):
        assert rows(one / log) == rows(two / log)
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def windows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("windows") / "windows.npz"
    save_windows(toy_windows(90), {}, path, path.with_suffix(".json"))
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    text = "".join(np.random.default_rng(0).choice(list("ACGT"), size=6000))
    (folder / "genome.fna").write_text(f">chr\n{text}\n")
    write_corpus({"toy": folder / "genome.fna"}, VOCAB4, CorpusOptions(1000, 0.2, 61, 1), folder / "vocab4")
    return folder / "vocab4"


# -------------------------------------------------------------------- fine-tuning


def test_the_exported_weights_are_those_of_the_best_epoch(tmp_path):
    """Validation scores near 0, so that learning makes it worse from the first epoch on; logged values come back."""
    toy = toy_windows(90)
    toy.scores[toy.splits == "validation"] *= 0.01
    windows_file = tmp_path / "windows.npz"
    save_windows(toy, {}, windows_file, tmp_path / "split.json")
    run_finetuning(VARIANTS["baseline"], windows_file, None, SMALL, FINETUNE, tmp_path)
    log = {int(row["step"]): row for row in rows(tmp_path / "eval_log.csv")}
    facts = json.loads((tmp_path / "result.json").read_text())
    best = facts["best_step"]
    assert best == min(log, key=lambda step: float(log[step]["val_loss"]))
    assert best != max(log), "the last epoch is the best: this test cannot tell them apart"
    validation = load_windows(windows_file).part("validation")
    predicted = predict(load_predictor(tmp_path), validation.bases, 8)
    assert float(np.mean((predicted - validation.scores) ** 2)) == pytest.approx(float(log[best]["val_loss"]), rel=1e-4)
    assert pearson_r(predicted, validation.scores) == pytest.approx(float(log[best]["val_r"]), abs=1e-5)
    in_site = validation.scores > 0
    assert average_precision(predicted, in_site) == pytest.approx(float(log[best]["val_auprc"]), abs=1e-4)
    with np.load(tmp_path / "predictions.npz") as written:
        np.testing.assert_allclose(written["validation"], predicted, atol=1e-5)


@pytest.mark.parametrize(("name", "max_shift"), [("unfrozen", 10), ("vocab4", 0)])
def test_a_killed_run_goes_on_as_if_it_had_never_stopped(tmp_path, windows_file, monkeypatch, name, max_shift):
    options = FinetuneOptions(**{**FINETUNE.__dict__, "save_steps": 3, "max_shift": max_shift})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    run_finetuning(VARIANTS["unfrozen"], windows_file, core_of(tmp_path), SMALL, options, whole)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_in_step(patch, finetuning.GptPredictor, 9)
        run_finetuning(VARIANTS["unfrozen"], windows_file, core_of(tmp_path), SMALL, options, killed)
    assert not (killed / "result.json").exists()
    run_finetuning(VARIANTS["unfrozen"], windows_file, core_of(tmp_path), SMALL, options, killed)
    assert_same_run(whole, killed)


def test_training_loss_of_an_epoch_is_the_mean_of_its_steps(tmp_path, windows_file):
    """However many of them a row of the log stands for: 4 an epoch, a row each 3 steps and at each epoch's end.

    Rows are means over bases, epochs over steps: the last, smaller batch makes a difference of less than one percent.
    """
    found = []
    for log_every in (1, 3):
        options = FinetuneOptions(**{**FINETUNE.__dict__, "log_every": log_every})
        run_finetuning(VARIANTS["baseline"], windows_file, None, SMALL, options, tmp_path / str(log_every))
        found.append(finetuning.history(tmp_path / str(log_every)))
    assert found[0]["train_loss"] == pytest.approx(found[1]["train_loss"], rel=0.01)
    steps = [float(row["train_loss"]) for row in rows(tmp_path / "1/training_log.csv")]
    assert found[0]["step"] == [4, 8, 12, 16] and len(steps) == 16
    assert found[0]["train_loss"] == pytest.approx(np.reshape(steps, (4, 4)).mean(1).tolist())


def test_the_cnn_does_not_depend_on_the_sizes_of_the_gpt(tmp_path, windows_file, capsys):
    for sizes in (SMALL, GptConfig()):
        run_finetuning(VARIANTS["baseline"], windows_file, None, sizes, FINETUNE, tmp_path)
    assert "already finished" in capsys.readouterr().out


def core_of(folder: Path) -> Path:
    """A core that was never trained, as a folder of a pretrained one."""
    path = folder / "core"
    if not path.exists():
        path.mkdir()
        torch.manual_seed(1)
        pretraining.save_gpt(pretraining.Gpt(SMALL), path)
    return path


@pytest.mark.parametrize(
    ("name", "precision"),
    [("vocab4", "fp32"), ("bidirectional", "fp32"), ("concatenated", "fp32"), ("with_cnn", "fp32"), ("vocab4", "bf16")],
)
def test_features_kept_for_all_epochs_change_nothing(tmp_path, windows_file, monkeypatch, name, precision):
    """Where windows are neither moved nor turned a frozen core reads each once, whatever the number of epochs."""
    options = FinetuneOptions(**{**FINETUNE.__dict__, "max_shift": 0, "precision": precision})
    read = []
    plain = pretraining.Gpt.features

    def counted(core, ids):
        read.append(len(ids))
        return plain(core, ids)

    monkeypatch.setattr(pretraining.Gpt, "features", counted)
    run_finetuning(VARIANTS[name], windows_file, core_of(tmp_path), SMALL, options, tmp_path / "kept")
    directions = 1 if name == "vocab4" else 2
    # 30 windows of each split: to centre on, for training and validation once, for predictions of the saved weights.
    assert sum(read) == directions * (30 + 30 + 30 + 30 + 30)
    read.clear()
    run_finetuning(VARIANTS[name], windows_file, core_of(tmp_path), SMALL, options, tmp_path / "kept")
    assert sum(read) == directions * (30 + 30 + 30)  # a finished run centres and predicts
    monkeypatch.setattr(finetuning, "stay_the_same", lambda *_: False)
    run_finetuning(VARIANTS[name], windows_file, core_of(tmp_path), SMALL, options, tmp_path / "computed")
    if precision == "fp32":
        assert_same_run(tmp_path / "kept", tmp_path / "computed")
    else:  # kept features are rounded
        kept, computed = (
            [float(row["val_loss"]) for row in rows(tmp_path / run / "eval_log.csv")] for run in ("kept", "computed")
        )
        assert kept == pytest.approx(computed, rel=0.01) and kept != computed


def test_features_are_computed_anew_where_they_change(tmp_path):
    """Of moved or turned windows, and of a core that learns; the CNN has none."""
    model = {
        name: build_predictor(VARIANTS[name], core_of(tmp_path), SMALL, FINETUNE)
        for name in VARIANTS
        if name not in ("full", "bpe32")
    }
    assert stay_the_same(model["vocab4"], 0, False)
    assert not stay_the_same(model["vocab4"], 1, False)
    assert not stay_the_same(model["vocab4"], 0, True)
    assert not stay_the_same(model["unfrozen"], 0, False)
    assert not stay_the_same(model["baseline"], 0, False)
    assert not stay_the_same(model["one_sided_cnn"], 0, False)


def test_kept_features_are_bf16_where_training_is(tmp_path, windows_file):
    """They are what the core says, to the last digit kept."""
    model = build_predictor(VARIANTS["bidirectional"], core_of(tmp_path), SMALL, FINETUNE)
    bases = load_windows(windows_file).part("train").bases
    fabric = start_fabric(FinetuneOptions(precision="bf16"))
    kept = keep_features(model, bases, 7, fabric, tmp_path)
    assert kept.dtype == torch.bfloat16 and kept.shape == (30, 60, SMALL.width)
    with fabric.autocast(), torch.no_grad():
        torch.testing.assert_close(kept, model.eval().features(torch.from_numpy(bases).long()).bfloat16())


def test_features_without_room_on_the_disk_are_one_clear_line(tmp_path, windows_file, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept_features.os, "posix_fallocate", full)
    options = FinetuneOptions(**{**FINETUNE.__dict__, "max_shift": 0})
    with pytest.raises(InputError, match=r"features of 30 windows need 0\.0 GB on this disk \(No space left"):
        run_finetuning(VARIANTS["random"], windows_file, None, SMALL, options, tmp_path)


def test_test_windows_change_nothing_that_is_trained(tmp_path, windows_file):
    """Weights and logs are the same, whatever the test windows say: nobody tunes on them."""
    windows = load_windows(windows_file)
    other = BindingWindows(**{name: array.copy() for name, array in windows.__dict__.items()})
    chosen = other.splits == "test"
    other.bases[chosen], other.scores[chosen] = 3 - other.bases[chosen], 1.0
    save_windows(other, {}, tmp_path / "windows.npz", tmp_path / "split.json")
    options = FinetuneOptions(**{**FINETUNE.__dict__, "epochs": 2})
    for path, folder in ((windows_file, tmp_path / "one"), (tmp_path / "windows.npz", tmp_path / "two")):
        run_finetuning(VARIANTS["random"], path, None, SMALL, options, folder)
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("name", ["baseline", "unfrozen", "bidirectional"])
def test_predictions_in_evaluation_are_the_same_twice(tmp_path, windows_file, name):
    """Dropout is off, in the core, its attention and the head, and the mode of training comes back afterwards."""
    options = FinetuneOptions(dropout=0.5, core_dropout=0.5)
    model = build_predictor(VARIANTS[name], core_of(tmp_path), SMALL, options)
    bases = load_windows(windows_file).part("validation").bases
    model.train()
    one, two = (predict(model, bases, size) for size in (8, 8))
    np.testing.assert_array_equal(one, two)
    assert model.training and model.head.training
    model.eval()
    np.testing.assert_array_equal(predict(model, bases, 8), one)


def test_a_core_of_another_alphabet_or_none_is_refused(tmp_path, windows_file):
    core = core_of(tmp_path)
    with pytest.raises(InputError, match=r"core: alphabet vocab4, full needs full"):
        run_finetuning(VARIANTS["full"], windows_file, core, SMALL, FINETUNE, tmp_path / "out")
    with pytest.raises(InputError, match=r"context: the core reads 30 letters, windows have 60 bases"):
        run_finetuning(VARIANTS["random"], windows_file, None, GptConfig(context=30), FINETUNE, tmp_path / "out")
    with pytest.raises(InputError, match=r"vocab4: needs --core"):
        run_finetuning(VARIANTS["vocab4"], windows_file, None, SMALL, FINETUNE, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("baseline", "baseline (CNN): 186,497 parameters, 186,497 of them trained, head 180,737"),
        ("random", "7,739,777 parameters, 541,697 of them trained, head 541,697"),
    ],
)
def test_sizes_are_printed_before_training(tmp_path, windows_file, capsys, monkeypatch, name, printed):
    monkeypatch.setattr(finetuning, "fit", stopped)
    with pytest.raises(Killed):
        run_finetuning(VARIANTS[name], windows_file, None, GptConfig(), FINETUNE, tmp_path)
    assert printed in capsys.readouterr().out


def stopped(*_arguments, **_keywords):
    raise Killed


# -------------------------------------------------------------------- pretraining


@pytest.mark.parametrize(("alphabet", "number"), [("full", "7,211,904"), ("vocab4", "7,198,080")])
def test_the_size_of_the_gpt_is_printed_before_training(tmp_path, corpus, capsys, monkeypatch, alphabet, number):
    monkeypatch.setattr(pretraining, "fit", stopped)
    with pytest.raises(Killed):
        run_pretraining(corpus, GptConfig(alphabet), PRETRAIN, tmp_path, tmp_path / "losses.json", False)
    assert f"{number} parameters" in capsys.readouterr().out


def test_pretraining_leaves_its_best_weights_and_losses(tmp_path, corpus):
    options = PretrainOptions(**{**PRETRAIN.__dict__, "lr": 0.03, "warmup_ratio": 1.0})  # rises far too high
    result = run_pretraining(corpus, SMALL, options, tmp_path, tmp_path / "losses.json", False)
    assert result.best_step < 8, "the last step is the best: this test cannot tell them apart"
    losses = json.loads((tmp_path / "losses.json").read_text())
    assert losses["iterations"] == [2, 4, 6, 8]
    curves = ("train_losses", "val_losses", "val_bits_per_base", "elapsed_time")
    assert all(len(losses[name]) == 4 for name in curves)
    assert losses["best_iteration"] == result.best_step == losses["iterations"][np.argmin(losses["val_losses"])]
    # Both alphabets' unit: over four letters it is the loss itself, in bits.
    np.testing.assert_allclose(losses["val_bits_per_base"], np.array(losses["val_losses"]) / np.log(2), rtol=1e-4)
    assert 1.9 < losses["markov_bits_per_base"] < 2.2  # random bases
    held_out = pretraining.CorpusWindows(pretraining.Corpus(corpus, "val"), SMALL.context + 1, PRETRAIN).validation()
    model = load_gpt(tmp_path).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        sums = [model.training_losses(held_out.make_batch(batch, 0, rng)) for batch in held_out.plan.batches(0)]
    nats = float(sum(part["sum"] for part in sums) / sum(part["weight"] for part in sums))
    assert nats == pytest.approx(losses["best_val_loss"], rel=1e-5)


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_pretraining_takes_as_many_steps_whatever_makes_a_step(corpus, batches):
    options = dataclasses.replace(PRETRAIN, windows_per_step=batches * PRETRAIN.batch_size)
    windows = pretraining.CorpusWindows(pretraining.Corpus(corpus, "train"), 61, options)
    assert len(windows.training().plan.batches(0, batches)) // batches == options.max_steps


def test_another_markov_chain_needs_no_other_training(tmp_path, corpus, capsys):
    for order in (2, 3):
        options = PretrainOptions(**{**PRETRAIN.__dict__, "markov_order": order})
        run_pretraining(corpus, SMALL, options, tmp_path, tmp_path / "losses.json", False)
        assert json.loads((tmp_path / "losses.json").read_text())["markov_order"] == order
    assert "already finished" in capsys.readouterr().out


def test_validation_stretches_that_are_too_short_are_one_clear_line(corpus):
    with pytest.raises(InputError, match=r"val\.bin: no stretch has 2001 letters"):
        pretraining.Corpus(corpus, "val").tiled_starts(2001, 10)


def test_killed_pretraining_goes_on_as_if_it_had_never_stopped(tmp_path, corpus, monkeypatch):
    options = PretrainOptions(**{**PRETRAIN.__dict__, "save_steps": 3})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_pretraining(corpus, SMALL, options, whole, tmp_path / "whole.json", False)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_in_step(patch, pretraining.Gpt, 5)
        run_pretraining(corpus, SMALL, options, killed, tmp_path / "killed.json", False)
    assert not (tmp_path / "killed.json").exists()
    run_pretraining(corpus, SMALL, options, killed, tmp_path / "killed.json", False)
    assert_same_run(whole, killed)


def test_the_convolution_is_the_layers_own():
    """Laid out as a picture it is the convolution that its weights say."""
    torch.manual_seed(0)
    model = CnnBaseline().eval()
    bases = torch.randint(0, 4, (2, 30))
    one_hot = torch.nn.functional.one_hot(bases, 4).float().transpose(1, 2)
    hidden = torch.nn.functional.gelu(model.bases.convolution(one_hot)).transpose(1, 2)
    hidden = torch.nn.functional.gelu(model.head.convolution(model.head.norm(hidden).transpose(1, 2))).transpose(1, 2)
    torch.testing.assert_close(model(bases), model.head.out(hidden)[..., 0])
