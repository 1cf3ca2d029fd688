"""Training of the study VQ-Transformer: it learns a code, resumes exactly, and its options are checked."""

from __future__ import annotations

import csv
import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from vq_toy import SMALL, toy_corpus, toy_network

from genet5.errors import InputError
from genet5.options import read_options
from genet5.studies.vq_transformer.codec import VqTokenizer
from genet5.studies.vq_transformer.corpus import Dataset
from genet5.studies.vq_transformer.network import load_network
from genet5.studies.vq_transformer.points import check_points, point_named
from genet5.studies.vq_transformer.training import (
    TrainConfig,
    Windows,
    estimate_loss,
    initialise_codebook,
    run_training,
)
from genet5.training.loop import SupervisedRun

CONFIG = TrainConfig(
    epochs=24, batch_size=8, learning_rate=3e-3, warmup_epochs=4, eval_interval=8, eval_iters=3, save_interval=5,
    log_every=1, precision="fp32", device="cpu",
)  # fmt: skip


@pytest.fixture
def corpus_file(tmp_path):
    toy_corpus().save(tmp_path / "corpus.npz")
    return tmp_path / "corpus.npz"


def test_defaults_are_those_of_the_source():
    options = TrainConfig()
    assert (options.learning_rate, options.weight_decay, options.amsgrad) == (1e-4, 1e-4, True)
    assert (options.warmup_epochs, options.epochs, options.eval_interval, options.eval_iters) == (50, 2000, 100, 30)
    assert (options.batch_size, SMALL.__class__().block_size, options.device) == (6, 256, "auto")
    run = options.run_options()
    assert math.isclose(run.lr * run.min_lr_ratio, 1e-6) and run.max_steps == 2000 and run.max_grad_norm == 1.0
    assert run.warmup_ratio * run.max_steps == 50


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"warmup_epochs": 2001}, "warmup_epochs: found 2001, allowed: at most epochs"),
        ({"final_learning_rate": 1.0}, "final_learning_rate: found 1, allowed: at most learning_rate"),
    ],
)
def test_options_that_contradict_each_other(changes, problem):
    with pytest.raises(InputError, match=problem):
        dataclasses.replace(TrainConfig(), **changes).run_options()


def test_unknown_and_wrong_options():
    with pytest.raises(InputError, match="unknown option 'lerning_rate'; did you mean learning_rate"):
        read_options(TrainConfig, {"lerning_rate": 0.1}, "train")
    with pytest.raises(InputError, match="batch_size: found 0, allowed: at least 1"):
        read_options(TrainConfig, {"batch_size": 0}, "train")


@pytest.mark.parametrize("name", ["4", "4x", "0x4", "4x256x0", "axb"])
def test_points_that_are_none(name):
    with pytest.raises(InputError, match="point: found"):
        point_named(name)


def test_points():
    assert point_named("8x256x2") == (8, 256, 2) and point_named("8x256x2").bits_per_base == 2.0
    assert point_named("4x256").name == "4x256" and point_named("4x256").has_table
    assert not point_named("16x256").has_table and not point_named("2x256").has_table
    with pytest.raises(InputError, match=r"main: '4x16' is not in vq_transformer.points \(4x256\)"):
        check_points(["4x256"], "4x16")
    with pytest.raises(InputError, match=r"vq_transformer.points: found '4x256x1', expected '4x256'"):
        check_points(["4x256x1"], "4x256x1")
    check_points(["4x2", "8x65536"], "4x2")
    for name in ("4x1", "8x65537"):
        with pytest.raises(InputError, match=rf"vq_transformer.points: '{name}' has \d+ codes, allowed: 2 to 65536"):
            check_points([name], name)


def test_the_first_codebook_lies_among_the_vectors():
    network, windows = toy_network(), Windows(Dataset(toy_corpus(), SMALL.kmers), SMALL.block_size, CONFIG)
    used = initialise_codebook(network, windows, CONFIG)
    assert used >= 20 * 16
    codes = network.codes(torch.from_numpy(windows.dataset.batch_at(np.arange(0, 160, 16), 16)[0]))
    assert codes.unique().numel() == 16


def test_it_learns_a_code_of_pairs(corpus_file, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=160, eval_interval=80, save_interval=160, log_every=80)
    run_training(corpus_file, SMALL, config, tmp_path / "run", tmp_path / "history.json")
    tokenizer = VqTokenizer.load(tmp_path / "run")
    bases = np.concatenate(toy_corpus().pieces("val"))
    back = tokenizer.decode_bases(tokenizer.encode_bases(bases))
    assert (back == bases).mean() > 0.99
    history = json.loads((tmp_path / "history.json").read_text())
    assert [row[0] for row in history["loss_history"]] == [80, 160]
    assert history["loss_history"][-1][2] < history["loss_history"][0][2] < math.log(4)
    assert history["evaluations"]["val_usage"][-1] == 1.0


def test_the_logged_losses_are_those_of_the_definition(corpus_file, tmp_path):
    run_training(corpus_file, SMALL, CONFIG, tmp_path / "run", tmp_path / "history.json")
    history = json.loads((tmp_path / "history.json").read_text())
    network = load_network(tmp_path / "run")  # the best weights
    windows = Windows(Dataset(toy_corpus(), SMALL.kmers), SMALL.block_size, CONFIG)
    options, cpu = CONFIG.run_options(), torch.device("cpu")
    row = history["evaluations"]["step"].index(history["best_step"])
    for split, column in (("train", 1), ("val", 2)):
        with torch.no_grad():
            found = estimate_loss(network, windows.fixed(split), options, cpu)["loss"]
        assert math.isclose(found, history["loss_history"][row][column], rel_tol=1e-5)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(corpus_file, tmp_path, monkeypatch):
    # Codes are restarted on the way, so that a lost random state or buffer would show.
    sizes = dataclasses.replace(SMALL, restart_below=0.9)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_training(corpus_file, sizes, CONFIG, whole, tmp_path / "whole.json")
    step = SupervisedRun._step
    with monkeypatch.context() as patch:

        def stops(self, stream):
            if self.state.step == 13:
                raise KeyboardInterrupt
            step(self, stream)

        patch.setattr(SupervisedRun, "_step", stops)
        with pytest.raises(KeyboardInterrupt):
            run_training(corpus_file, sizes, CONFIG, cut, tmp_path / "cut.json")
    assert not (cut / "finished.json").exists() and (cut / "checkpoint_step_10").exists()
    run_training(corpus_file, sizes, CONFIG, cut, tmp_path / "cut.json")
    assert losses(whole) == losses(cut)
    first, second = (load_network(folder / "final").state_dict() for folder in (whole, cut))
    assert first["quantiser.restarts"] > 0
    assert all(torch.equal(first[name], second[name]) for name in first)
    whole_history, cut_history = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "cut"))
    assert whole_history["loss_history"] == cut_history["loss_history"]


def losses(folder) -> list[tuple[str, ...]]:
    with open(folder / "training_log.csv", newline="") as stream:
        return [(row["step"], row["train_loss"], row["lr"], row["grad_norm"]) for row in csv.DictReader(stream)]


def test_a_restarted_run_is_a_new_one(corpus_file, tmp_path):
    config, found = dataclasses.replace(CONFIG, epochs=8), []
    for restart in (False, True):
        run_training(corpus_file, SMALL, config, tmp_path / "run", tmp_path / "h.json", restart)
        found.append(losses(tmp_path / "run"))
    assert found[0] == found[1]


def test_another_codec_does_not_take_the_folder(corpus_file, tmp_path):
    run_training(corpus_file, SMALL, CONFIG, tmp_path / "run", tmp_path / "h.json")
    other = dataclasses.replace(SMALL, beta=0.5)
    with pytest.raises(InputError, match=r"belongs to a run with other settings \(network.beta is 0.25 there"):
        run_training(corpus_file, other, CONFIG, tmp_path / "run", tmp_path / "h.json")


def test_tensorboard_has_the_losses(corpus_file, tmp_path):
    run_training(corpus_file, SMALL, CONFIG, tmp_path / "run", tmp_path / "h.json")
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    data = events.read_bytes()
    for name in (b"training/loss", b"training/lr", b"evaluation/val_loss", b"evaluation/val_usage"):
        assert name in data
    quiet = dataclasses.replace(CONFIG, tensorboard=False)
    run_training(corpus_file, SMALL, quiet, tmp_path / "quiet", tmp_path / "q.json")
    assert not (tmp_path / "quiet" / "tensorboard").exists()
