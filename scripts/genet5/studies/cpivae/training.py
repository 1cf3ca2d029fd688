"""Train one model and leave the folder that the documentation describes."""

from __future__ import annotations

import logging
import os
import shutil
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from genet5.errors import InputError
from genet5.studies.cpivae.batches import PairedDataModule
from genet5.studies.cpivae.callbacks import BestCheckpoints, History, LastCheckpoint, training_callbacks
from genet5.studies.cpivae.evaluation import evaluate, remembered, share_closer, write_result
from genet5.studies.cpivae.intervals import INTERVALS_FILE, write_intervals
from genet5.studies.cpivae.models.base import PlatformModel
from genet5.studies.cpivae.models.registry import build_model, load_model
from genet5.studies.cpivae.names import CHECKPOINTS, CONFIG_FILE, FINAL_MODEL, SPLIT_FILE
from genet5.studies.cpivae.out_of_fold import write_predictions
from genet5.studies.cpivae.paired_data import PLATFORMS, PairedData, Part
from genet5.studies.cpivae.prediction import embed, posterior_variance, predict
from genet5.studies.cpivae.preprocessing import SPLITS, save_preprocessors
from genet5.studies.cpivae.settings import Settings, default_settings, merged, write_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scoring:
    """How the trained model is scored: draws from the posterior, resamples of test samples, and their seed."""

    draws: int = 32
    resamples: int = 1000
    seed: int = 42


@dataclass(frozen=True)
class Fitted:
    """A finished training: its Trainer and loaders, the best checkpoint, and facts for the result."""

    trainer: lightning.Trainer
    module: PairedDataModule
    best: BestCheckpoints
    facts: dict[str, Any]


class Interrupted(InputError):
    """A training was stopped by hand; the message says how it goes on."""


def run_training(
    settings: Settings,
    data: PairedData,
    folder: Path,
    experiment_name: str,
    scoring: Scoring,
    resume_from: Path | None = None,
) -> dict[str, Any] | None:
    """Train, keep the best weights as ``final_model.ckpt``, score these on the test split. Returns the result (on the
    first process).

    Raises:
        InputError: settings that this machine or this data cannot do; a checkpoint of another model; interrupted.
    """
    fitted = fit_model(settings, data, folder, experiment_name, resume_from)
    trainer = fitted.trainer
    if trainer.is_global_zero:
        _copy(Path(fitted.best.best_model_path), folder / FINAL_MODEL)
    trainer.strategy.barrier()
    final = load_model(folder / FINAL_MODEL)
    trainer.test(final, fitted.module, verbose=False)
    if not trainer.is_global_zero:
        return None
    return score_model(final, data, folder, fitted.facts, scoring)


def fit_model(
    settings: Settings,
    data: PairedData,
    folder: Path,
    experiment_name: str,
    resume_from: Path | None = None,
    more_callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Train without a look at test samples; checkpoints and what imputation needs of the data stand in ``folder``.

    Raises:
        InputError: as ``run_training``; ``resume_from`` is of another folder, or has nothing left to train.
    """
    model = start_model(settings, data, resume_from)
    if resume_from is not None:
        _goes_on(resume_from, folder, settings["training"]["max_epochs"])
    callbacks = [*training_callbacks(settings, folder, experiment_name), *more_callbacks]
    trainer = make_trainer(settings, folder, callbacks)
    if trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        write_settings(settings, folder / CONFIG_FILE)
        save_preprocessors(folder, data.preprocessors)
        data.write_split(folder / SPLIT_FILE)
    module = PairedDataModule(data, settings["training"]["batch_size"], settings["data"])
    begin = time.monotonic()
    try:
        trainer.fit(model, module, ckpt_path=resume_from, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        if not trainer.interrupted:
            raise
        # Not whether the file is there: it may be of another training in the folder.
        last = next(callback for callback in callbacks if isinstance(callback, LastCheckpoint)).best_model_path
        last = last or resume_from
        hint = f"continue with the same arguments and --resume-from-checkpoint {last}" if last else "start again"
        raise Interrupted(f"interrupted; {hint}") from None
    seconds = time.monotonic() - begin
    best = next(callback for callback in callbacks if isinstance(callback, BestCheckpoints))
    history = next(callback for callback in callbacks if isinstance(callback, History))
    if trainer.is_global_zero and not Path(best.best_model_path).is_file():
        raise InputError(f"{best.best_model_path}: the best checkpoint is gone, start again")
    facts = {
        "model_type": settings["model"]["model_type"],
        "parameters": parameter_count(model),
        "epochs": len(history.rows),
        "best_epoch": history.best_epoch(str(best.monitor), best.mode),
        "monitor": best.monitor,
        "best_monitored": float(best.best_model_score),
        "training_s": round(seconds, 3),
        "device": str(trainer.strategy.root_device.type),
        "random_seed": settings["data"]["random_seed"],
        "cross_validation": settings["data"]["cross_validation"],
    }
    return Fitted(trainer, module, best, facts)


def run_folder(checkpoint: Path) -> Path:
    """Folder of the run that a checkpoint is of. Raises ``InputError`` when it lies somewhere else."""
    # Not resolve(): a link keeps its name.
    folder = Path(os.path.abspath(checkpoint)).parent
    if folder.name != CHECKPOINTS:
        raise InputError(f"{checkpoint}: not in a run's folder {CHECKPOINTS}, where its best checkpoints stand")
    return folder.parent


def try_once(settings: Settings, data: PairedData, folder: Path) -> None:
    """One batch of training, validation and test each; nothing is written."""
    model = start_model(settings, data, None)
    trainer = make_trainer(settings, folder, [], fast_dev_run=True)
    module = PairedDataModule(data, settings["training"]["batch_size"], settings["data"])
    trainer.fit(model, module)
    trainer.test(model, module, verbose=False)
    say("fast_dev_run: one batch each of training, validation and test; nothing was written")


def start_model(settings: Settings, data: PairedData, resume_from: Path | None) -> PlatformModel:
    """The model before its first step; with ``resume_from`` one that the checkpoint fits."""
    lightning.seed_everything(settings["data"]["random_seed"], workers=True, verbose=False)
    model = build_model(settings, **{f"width_{p}": width for p, width in data.widths.items()})
    if resume_from is None:
        model.start_from(data)
    else:
        _same_model(load_model(resume_from), model, resume_from)
    say(f"{settings['model']['model_type']}: {parameter_count(model):,} parameters; {describe(data)}")
    return model


def parameter_count(model: PlatformModel) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def score_model(
    model: PlatformModel, data: PairedData, folder: Path, facts: Mapping[str, Any], scoring: Scoring
) -> dict[str, Any]:
    """Score trained weights and write ``result.json``, ``evaluation.npz`` and ``intervals.json``; on a fold of a
    cross-validation also ``predictions.npz``."""

    def from_model(part: Part, source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
        values = part.values[source]
        variance = posterior_variance(model, values, source, target, scoring.draws, scoring.seed)
        return predict(model, values, source, target), variance

    predictor = remembered(from_model)
    scored, arrays, intervals = evaluate(predictor, data, scoring.resamples, scoring.seed)
    latent = {p: np.concatenate([embed(model, data.parts[split].values[p], p) for split in SPLITS]) for p in PLATFORMS}
    names = [name for split in SPLITS for name in data.parts[split].samples]
    split_of = [split for split in SPLITS for _ in data.parts[split].samples]
    arrays.update(latent_a=latent["a"], latent_b=latent["b"], samples=np.array(names), splits=np.array(split_of))
    in_test = arrays["splits"] == "test"
    result = {**facts, **scored, "latent_foscttm": share_closer(latent["a"][in_test], latent["b"][in_test])}
    write_intervals(intervals, folder / INTERVALS_FILE)
    if facts["cross_validation"]["folds"]:
        write_predictions(predictor, data, folder)
    write_result(folder, result, arrays)
    return result


def make_trainer(
    settings: Mapping[str, Any], folder: Path, callbacks: list[Callback], fast_dev_run: bool = False
) -> lightning.Trainer:
    """The Trainer of the settings. Raises ``InputError`` for hardware that is not there."""
    training, hardware = settings["training"], settings["hardware"]
    gpu = torch.cuda.is_available() and hardware["accelerator"] != "cpu"
    if hardware["accelerator"] == "gpu" and not gpu:
        raise InputError("hardware.accelerator: gpu, but torch finds none here (allowed: auto, cpu)")
    if hardware["precision"] == 16 and not gpu:
        raise InputError("hardware.precision: 16 needs a GPU (allowed on a CPU: 32, bf16)")
    # One process: more of them on a CPU would only share its cores.
    devices = 1 if not gpu and hardware["devices"] == "auto" else hardware["devices"]
    # Parts of a model that a step does not use (the decoder of a discriminator, say) have no gradient to share.
    several = gpu and (len(devices) if isinstance(devices, list) else devices == "auto" or devices > 1)
    _quieten()
    return lightning.Trainer(
        max_epochs=training["max_epochs"],
        accelerator="gpu" if gpu else "cpu",
        devices=devices,
        strategy="ddp_find_unused_parameters_true" if several and torch.cuda.device_count() > 1 else "auto",
        precision={32: "32-true", 16: "16-mixed", "bf16": "bf16-mixed"}[hardware["precision"]],
        gradient_clip_val=training["gradient_clip_val"] or None,
        accumulate_grad_batches=training["accumulate_grad_batches"],
        log_every_n_steps=settings["logging"]["log_every_n_steps"],
        deterministic="warn",
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False if fast_dev_run else TensorBoardLogger(folder, name="", version="", sub_dir="tensorboard_logs"),
        default_root_dir=folder,
        enable_checkpointing=not fast_dev_run,
        enable_progress_bar=False,
        enable_model_summary=False,
        fast_dev_run=fast_dev_run,
    )


def describe(data: PairedData) -> str:
    """Samples and features in words."""
    samples = ", ".join(f"{len(data.parts[split].samples)} {split}" for split in SPLITS)
    return f"samples: {samples}; features: {data.widths['a']} of a, {data.widths['b']} of b"


def say(text: str) -> None:
    """A line for the terminal or the log."""
    print(text, flush=True)


def _same_model(stored: PlatformModel, model: PlatformModel, path: Path) -> None:
    if stored.widths != model.widths:
        raise InputError(f"{path}: made for {stored.widths} features, the tables have {model.widths}")
    # Keys that an earlier version did not have were trained with their defaults.
    trained = merged(default_settings(), stored.settings)
    for section in ("model", "loss_weights", "data"):
        for key, value in model.settings[section].items():
            if trained[section].get(key) != value:
                found = trained[section].get(key)
                raise InputError(f"{path}: trained with {section}.{key} {found}, the settings say {value}")


def _goes_on(resume_from: Path, folder: Path, max_epochs: int) -> None:
    """Check that a run can go on in its folder: the best checkpoints so far stand there."""
    own = run_folder(resume_from)
    if own.resolve() != folder.resolve():
        raise InputError(f"{resume_from}: goes on in its own folder {own}, not in {folder}")
    # Numbers and tensors alone: nothing in the file is executed.
    epochs = torch.load(resume_from, map_location="cpu", weights_only=True)["epoch"] + 1
    if epochs >= max_epochs:
        raise InputError(f"{resume_from}: has been trained for training.max_epochs ({max_epochs}) already")


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, temporary)
    temporary.replace(target)


def _quieten() -> None:
    """Advice of Lightning that does not fit: tables are in memory, and an epoch of few batches is no mistake."""
    for text in (
        "does not have many workers",
        "LeafSpec",
        "smaller than the logging interval",
        "exists and is not empty",
    ):
        warnings.filterwarnings("ignore", message=f".*{text}.*")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
