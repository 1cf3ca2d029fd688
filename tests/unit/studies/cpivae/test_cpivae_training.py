"""Study cpiVAE: what a training leaves, how it goes on after a stop, and what its commands do with it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from types import SimpleNamespace

import cpivae_baseline
import cpivae_compare
import cpivae_impute
import cpivae_train
import numpy as np
import pytest
import torch
import yaml
from cpivae_toy import (
    MODELS,
    TINY,
    PressCtrlC,
    ctrl_c_restored,
    tiny_settings,
    toy_data,
    write_toy,
)
from lightning import Callback

from genet5.errors import InputError
from genet5.studies.cpivae.batches import PartDataset
from genet5.studies.cpivae.callbacks import LastCheckpoint
from genet5.studies.cpivae.evaluation import read_result
from genet5.studies.cpivae.imputation import Experiment
from genet5.studies.cpivae.intervals import LEVELS
from genet5.studies.cpivae.models.registry import build_model, load_model
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.settings import default_settings, merged
from genet5.studies.cpivae.tables import read_table
from genet5.studies.cpivae.training import Scoring, fit_model, run_training

SCORING = Scoring(draws=4, resamples=20, seed=1)


class StopAfter(Callback):
    """Ends a training after some epochs, as a lost machine would: the checkpoint of the epoch is there."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer, module) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


@pytest.fixture(autouse=True)
def ctrl_c_works():
    with ctrl_c_restored():
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of cpivae_train.py: its folder, and the tables."""
    folder = tmp_path_factory.mktemp("cpivae")
    tables = write_toy(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(TINY))
    arguments = ["--config", folder / "config.yaml", "--platform-a", tables[0], "--platform-b", tables[1]]
    arguments += ["--output-dir", folder / "out", "--experiment-name", "toy", "--version", "v1", "--bootstrap", "20"]
    cpivae_train.main([str(word) for word in arguments])
    return folder / "out" / "toy" / "v1", tables


def test_the_folder_is_the_documented_one(trained, repository):
    """The tree in docs/guide.md, file by file."""
    folder, _ = trained
    guide = (repository / "docs/guide.md").read_text()
    tree = re.search(r"```\n\{output_dir\}/\{experiment_name\}/\{version\}/\n(.+?)```", guide, re.DOTALL)[1]
    documented = {line.split()[0] for line in tree.splitlines()}
    written = {path.name for path in folder.iterdir()} | {
        f"checkpoints/{path.name}" for path in (folder / "checkpoints").iterdir()
    }
    numbers = {r"X\.XXX": r"\d+\.\d{3}", "XX": r"\d\d", r"\{experiment_name\}": "toy"}
    patterns = [re.escape(name) for name in documented]
    for sign, meaning in numbers.items():
        patterns = [pattern.replace(sign, meaning) for pattern in patterns]
    for name in written - {"checkpoints", "tensorboard_logs"}:
        assert any(re.fullmatch(pattern, name) for pattern in patterns), name
    for pattern in patterns:
        if "imputer" not in pattern and "predictions" not in pattern:
            assert any(re.fullmatch(pattern.rstrip("/"), name) for name in written), pattern
    assert list((folder / "tensorboard_logs").glob("events.out.tfevents.*"))
    assert not list(folder.rglob("*.pkl"))


def test_the_final_model_is_the_best_epoch_and_repeats_its_score(trained):
    folder, _ = trained
    result, _ = read_result(folder)
    with (folder / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == result["epochs"] == 4
    best = min(rows, key=lambda row: float(row["val_total_loss"]))
    assert int(best["epoch"]) == result["best_epoch"]
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    data = toy_data(settings)
    model = load_model(folder / "final_model.ckpt")
    part = data.parts["val"]
    with torch.no_grad():
        found = model.losses(PartDataset(part)[list(range(len(part.samples)))])["total"]
    assert float(found) == pytest.approx(float(best["val_total_loss"]), rel=1e-4)
    assert result["best_monitored"] == pytest.approx(float(best["val_total_loss"]), rel=1e-6)
    assert result["val"]["a_to_b"]["corr_mean"] == pytest.approx(float(best["val_cross_b_corr_mean"]), rel=1e-4)


def test_losses_of_training_and_validation_are_defined_alike(trained):
    folder, _ = trained
    data = toy_data()
    model = load_model(folder / "final_model.ckpt")
    batch = PartDataset(data.parts["val"])[[0, 1, 2, 3]]
    logged = {}
    model._log_losses = lambda stage, losses, rows: logged.update({stage: losses["total"]})
    with torch.no_grad():
        trained = model.training_step(batch, 0)
        model.validation_step(batch, 0)
    assert torch.equal(trained, logged["val"])


@pytest.mark.parametrize(("least_seconds", "written"), [(0.0, [1, 2, 3]), (1e9, [3])])
def test_the_state_to_resume_from_is_written_now_and_then_and_at_the_end(tmp_path, monkeypatch, least_seconds, written):
    epochs = []

    def save(self, trainer, path):
        epochs.append(trainer.current_epoch + 1)

    monkeypatch.setattr(LastCheckpoint, "_save_checkpoint", save)
    monkeypatch.setattr(LastCheckpoint.__init__, "__defaults__", (least_seconds,))
    fit_model(tiny_settings(training={"max_epochs": 3}), toy_data(), tmp_path, "m")
    assert epochs == written


def test_the_logged_training_loss_is_the_mean_over_the_epoch(tmp_path):
    data = toy_data()
    model = build_model(default_settings(), **{f"width_{p}": width for p, width in data.widths.items()})
    dataset, logged = PartDataset(data.parts["train"]), {}
    model._log_losses = lambda stage, losses, rows: logged.update(losses)
    model.losses = lambda batch: {"total": batch["a"].mean()}
    model._trainer = SimpleNamespace(num_training_batches=2)
    for _ in range(2):  # the second epoch begins anew
        for index, rows in enumerate(([0, 1, 2], [3])):
            model.training_step(dataset[rows], index)
            model.on_train_batch_end(None, dataset[rows], index)
    assert float(logged["total"]) == pytest.approx(data.parts["train"].values["a"][:4].mean(), rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_from_the_shipped_settings_and_comes_back(tmp_path, name):
    few = {"max_epochs": 2, "batch_size": 24}
    changes = {"model": MODELS[name], "training": few, "hardware": {"accelerator": "cpu"}}
    settings = merged(default_settings(), changes)
    data = toy_data(settings)
    result = run_training(settings, data, tmp_path, "m", Scoring(draws=2, resamples=5, seed=1))
    assert result["epochs"] == 2 and np.isfinite(result["best_monitored"])
    for way in ("a_to_b", "b_to_a"):
        assert np.isfinite(result["test"][way]["corr_mean"])
        assert set(result["test"][way]["coverage"]) == {str(level) for level in LEVELS}
    experiment = Experiment.load(tmp_path)
    imputed = experiment.impute(data.tables["a"], "a", "b")
    assert imputed.values.shape == (60, 18) and np.isfinite(imputed.values).all()
    assert imputed.features == data.preprocessors["b"].features
    middle, low, high = experiment.impute_with_interval(data.tables["a"], "a", "b", 0.9, 3, 1)
    np.testing.assert_array_equal(middle.values, imputed.values)
    assert (low.values < middle.values).all() and (middle.values < high.values).all()


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [("joint_vae", "reduce_on_plateau"), ("JointVQ", "cosine_annealing"), ("joint_vae_plus", "reduce_on_plateau")],
)
def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(tmp_path, name, scheduler):
    options = {"scheduler": scheduler, "kl_cycle_length": 5, "learning_rate": 0.05}
    settings = tiny_settings(name, training={**options, "max_epochs": 5})
    data = toy_data(settings)
    whole = fit_model(settings, data, tmp_path / "whole", "m")
    # The first part believes it has five epochs, too: a cosine depends on that.
    stopped = tmp_path / "stopped"
    fit_model(settings, data, stopped, "m", more_callbacks=[StopAfter(2)])
    again = fit_model(settings, data, stopped, "m", resume_from=stopped / "checkpoints/last.ckpt")
    histories = [list(csv.DictReader((tmp_path / run / "history.csv").open())) for run in ("whole", "stopped")]
    assert len(histories[0]) == 5 and histories[0] == histories[1]
    assert scheduler == "cosine_annealing" or len({row["lr"] for row in histories[0]}) > 1
    ends = [torch.load(tmp_path / run / "checkpoints/last.ckpt", weights_only=True) for run in ("whole", "stopped")]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key
    assert whole.facts["best_monitored"] == again.facts["best_monitored"]


def test_a_checkpoint_of_other_settings_is_refused(trained, tmp_path):
    folder, _ = trained
    data = toy_data()
    for changes, message in (
        ({"model": {"latent_dim": 6}}, r"last.ckpt: trained with model.latent_dim 4, the settings say 6"),
        ({"data": {"random_seed": 1}}, r"last.ckpt: trained with data.random_seed 42, the settings say 1"),
    ):
        settings = tiny_settings(**changes)
        with pytest.raises(InputError, match=message):
            fit_model(settings, data, tmp_path, "m", resume_from=folder / "checkpoints/last.ckpt")
    (tmp_path / "broken.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"broken.ckpt: not a checkpoint of this study"):
        load_model(tmp_path / "broken.ckpt")


def resumable(tmp_path, epochs: int):
    """A run of cpivae_train.py whose machine was lost after some epochs; its arguments and its folder."""
    tables = write_toy(tmp_path)
    # The largest loss, for the first epochs to be the best ones: the later ones must not pass for better.
    config = merged(TINY, {"logging": {"save_top_k": 1, "mode": "max"}})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    words = ["--config", tmp_path / "config.yaml", "--platform-a", tables[0], "--platform-b", tables[1]]
    folder = tmp_path / "out/toy/v1"
    settings = merged(default_settings(), config)
    stop = [StopAfter(epochs)]
    fit_model(settings, PairedData.read(*tables, settings["data"]), folder, "toy", more_callbacks=stop)
    return [*map(str, words), "--bootstrap", "20"], folder


@pytest.mark.parametrize("moved", [False, True])
def test_a_resumed_run_stays_in_its_folder_and_knows_its_best_epoch(tmp_path, moved, monkeypatch):
    words, folder = resumable(tmp_path, 2)
    if moved:
        folder = (tmp_path / "out").rename(tmp_path / "elsewhere") / "toy/v1"
    monkeypatch.chdir(tmp_path)  # no folder outputs/ beside it
    cpivae_train.main([*words, "--resume-from-checkpoint", str(folder / "checkpoints/last.ckpt")])
    assert not (tmp_path / "outputs").exists() and [path.name for path in folder.parent.iterdir()] == ["v1"]
    with (folder / "history.csv").open() as stream:
        losses = [float(row["val_total_loss"]) for row in csv.DictReader(stream)]
    result, _ = read_result(folder)
    best = int(np.argmax(losses))
    assert len(losses) == 4 and best < 2
    assert result["best_epoch"] == best and result["best_monitored"] == pytest.approx(losses[best])
    final = torch.load(folder / "final_model.ckpt", weights_only=True)
    assert final["epoch"] == best
    (kept,) = (folder / "checkpoints").glob("toy-epoch=*.ckpt")
    assert kept.name.startswith(f"toy-epoch={best:02d}")


def test_a_run_resumed_elsewhere_or_at_its_end_is_refused_in_one_line(tmp_path):
    words, folder = resumable(tmp_path, 4)
    last = folder / "checkpoints/last.ckpt"
    for more, message in (
        (["--version", "v2"], r"--version: found v2, but .*last.ckpt goes on in v1"),
        (["--experiment-name", "x"], r"--experiment-name: found x, but .*last.ckpt goes on in toy"),
        (["--output-dir", "x"], r"--output-dir: found .*x, but .*last.ckpt goes on in .*out"),
        (["--version", "v1"], r"last.ckpt: has been trained for training.max_epochs \(4\) already"),
        ([], r"last.ckpt: has been trained for training.max_epochs \(4\) already"),
    ):
        with pytest.raises(InputError, match=message):
            cpivae_train.main([*words, *more, "--resume-from-checkpoint", str(last)])
    copied = tmp_path / "last.ckpt"
    shutil.copyfile(last, copied)
    with pytest.raises(InputError, match=r"last.ckpt: not in a run's folder checkpoints"):
        cpivae_train.main([*words, "--resume-from-checkpoint", str(copied)])
    with pytest.raises(InputError, match=r"--version: 'a/b' is no name of a folder"):
        cpivae_train.main([*words, "--version", "a/b"])
    settings = merged(default_settings(), yaml.safe_load((tmp_path / "config.yaml").read_text()))
    with pytest.raises(InputError, match=r"last.ckpt: goes on in its own folder .*v1, not in .*other"):
        fit_model(settings, toy_data(), tmp_path / "other", "toy", resume_from=last)


def test_a_resumed_run_whose_best_checkpoint_was_deleted_says_so(tmp_path):
    words, folder = resumable(tmp_path, 2)
    (best,) = (folder / "checkpoints").glob("toy-epoch=*.ckpt")
    best.unlink()
    with pytest.raises(InputError, match=rf"{re.escape(best.name)}: the best checkpoint is gone, start again"):
        cpivae_train.main([*words, "--resume-from-checkpoint", str(folder / "checkpoints/last.ckpt")])


def test_an_interrupted_training_says_how_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(LastCheckpoint.__init__, "__defaults__", (0.0,))
    settings, data = tiny_settings(), toy_data()
    with pytest.raises(InputError, match=r"^interrupted; start again$"):
        fit_model(settings, data, tmp_path, "m", more_callbacks=[PressCtrlC(0)])
    last = tmp_path / "checkpoints/last.ckpt"
    for resume_from, epoch in ((None, 2), (last, 2), (last, 3)):
        with pytest.raises(InputError, match=r"interrupted; continue with the same arguments and --res") as error:
            fit_model(settings, data, tmp_path, "m", resume_from, more_callbacks=[PressCtrlC(epoch)])
        assert str(error.value).endswith(f"--resume-from-checkpoint {last}")
    assert fit_model(settings, data, tmp_path, "m", resume_from=last).facts["epochs"] == 4


def test_gradients_can_be_accumulated_and_training_stops_early(tmp_path):
    settings = tiny_settings(training={"accumulate_grad_batches": 3, "max_epochs": 2})
    fitted = fit_model(settings, toy_data(), tmp_path / "accumulated", "m")
    # 48 training samples in batches of 16: one step an epoch instead of three.
    assert fitted.trainer.global_step == 2
    hopeless = {"monitor": "val_total_loss", "mode": "max", "patience": 2}
    settings = tiny_settings(training={"max_epochs": 50, "learning_rate": 1e-3}, callbacks={"early_stopping": hopeless})
    assert fit_model(settings, toy_data(), tmp_path / "stopped", "m").facts["epochs"] == 3


def test_mistakes_in_settings_that_only_training_sees(tmp_path):
    settings = tiny_settings(callbacks={"model_checkpoint": {"monitor": "val_r"}})
    with pytest.raises(InputError, match=r"'val_r' is not logged \(there are: val_align_loss"):
        fit_model(settings, toy_data(), tmp_path, "m")
    with pytest.raises(InputError, match=r"hardware.precision: 16 needs a GPU"):
        fit_model(tiny_settings(hardware={"precision": 16}), toy_data(), tmp_path, "m")


def test_half_precision_trains(tmp_path):
    fitted = fit_model(tiny_settings(hardware={"precision": "bf16"}), toy_data(), tmp_path, "m")
    assert fitted.trainer.precision == "bf16-mixed" and np.isfinite(fitted.facts["best_monitored"])


def test_a_trial_run_writes_nothing(tmp_path, capsys):
    a, b = write_toy(tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(TINY))
    files = sorted(tmp_path.iterdir())
    words = ["--config", tmp_path / "c.yaml", "--platform-a", a, "--platform-b", b, "--output-dir", tmp_path / "out"]
    cpivae_train.main([*map(str, words), "--fast-dev-run"])
    assert "nothing was written" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == files


def test_imputing_twice_gives_the_same_bytes_and_intervals_their_ends(trained, tmp_path):
    folder, tables = trained
    words = ["--experiment-dir", folder, "--input-data", tables[0], "--source-platform", "a", "--target-platform", "b"]
    written = []
    for name in ("first", "second"):
        files = {flag: tmp_path / f"{name}{flag}.csv" for flag in ("--output", "--output-lower", "--output-upper")}
        more = [word for pair in files.items() for word in pair]
        latent = tmp_path / f"{name}_latent.csv"
        cpivae_impute.main([*map(str, [*words, *more, "--interval", 0.9, "--output-latent", latent])])
        written.append([path.read_bytes() for path in (*files.values(), latent)])
    assert written[0] == written[1]
    middle, low, high = (read_table(path).values for path in files.values())
    assert (low < middle).all() and (middle < high).all()
    assert read_table(latent).values.shape == (60, 4)
    some = tmp_path / "some.csv"
    lines = tables[0].read_text().splitlines(keepends=True)
    some.write_text("".join([lines[0], lines[9]]))
    cpivae_impute.main([*map(str, ["--experiment-dir", folder, "--input-data", some, *words[4:], "--output", some])])
    np.testing.assert_allclose(read_table(some).values[0], middle[8], rtol=1e-4)
    for more, message in (
        (["--interval", "0.7", "--output-lower", "l", "--output-upper", "u"], "--interval: found 0.7, allowed: 0.5"),
        (["--interval", "0.9"], "give all three or none"),
    ):
        with pytest.raises(InputError, match=message):
            cpivae_impute.main([*map(str, [*words, "--output", tmp_path / "x.csv"]), *more])


def test_the_comparison_draws_all_it_promises(trained, tmp_path, capsys):
    folder, (a, b) = trained
    study = tmp_path / "study"
    shutil.copytree(folder, study / "outputs/toy/joint_vae/seed_42")
    for name in ("mean", "ridge"):
        words = ["--baseline", name, "--config", folder / "config.yaml", "--platform-a", a, "--platform-b", b]
        words += ["--output-dir", study / "baselines/toy" / name / "seed_42", "--bootstrap", 20]
        cpivae_baseline.main([*map(str, words)])
    words = ["--run", "toy", "--study", study, "--pairs", "toy", "--models", "joint_vae", "--baselines", "toy=mean"]
    words += ["toy=ridge", "--seeds", 42, "--label-patterns", "toy=^S(...)", "--output-dir", tmp_path / "report"]
    capsys.readouterr()
    cpivae_compare.main([*map(str, words)])
    assert "toy: 48 train, 6 val, 6 test; 14 and 18 features" in capsys.readouterr().out
    files = {path.name for path in (tmp_path / "report").iterdir()}
    pictures = {f"toy_{name}.png" for name in ("performance", "curves", "latent", "features")}
    assert files == {"index.html", "comparison.tsv", "comparison.json"} | pictures
    entry = json.loads((tmp_path / "report/comparison.json").read_text())["toy"]
    assert set(entry["rows"]) == {"mean", "ridge", "joint_vae"} and entry["best_baseline"] == "ridge"
    page = (tmp_path / "report/index.html").read_text()
    assert "fitted or chosen without the test samples" in page and "development scores" in page
    assert page.count("data:image/png") == 4 and "http" not in page.replace("http-equiv", "")
