"""Search for settings with Optuna: what validation samples say of them; test samples are not looked at."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from lightning import Callback, LightningModule, Trainer
from optuna.trial import TrialState

from genet5.errors import InputError
from genet5.studies.cpivae.paired_data import PairedData
from genet5.studies.cpivae.settings import Settings, merged, write_settings
from genet5.studies.cpivae.training import Interrupted, fit_model, say

OBJECTIVE = "val_cross_corr_mean"
_WIDTHS = (64, 128, 256, 512, 1024)
_WARM_UP_EPOCHS = 5
#: The logs of a trial are not kept.
_UNWATCHED = {"logging": {"gradient_norms_every_epochs": 0, "histograms_every_epochs": 0}}


@dataclass(frozen=True)
class Search:
    """Where a search stands and how long it is."""

    folder: Path
    name: str
    trials: int
    max_epochs: int


class Report(Callback):
    """Tells Optuna the objective after each epoch, and ends a training that falls behind the others."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial, self.best = trial, float("-inf")

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.best = max(self.best, float(trainer.callback_metrics[OBJECTIVE]))
        self.trial.report(self.best, trainer.current_epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def run_search(settings: Settings, data: PairedData, search: Search) -> optuna.Study:
    """Search, or continue a search, until ``trials`` trainings are done; write ``{name}_best_config.yaml``.

    The objective is the best epoch's mean cross-platform correlation by feature on validation samples (both ways).

    Raises:
        InputError: the study was begun with other settings, tables or epochs; interrupted.
    """
    search.folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    study = optuna.create_study(
        study_name=search.name,
        storage=f"sqlite:///{search.folder / search.name}.db",
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=_WARM_UP_EPOCHS),
        load_if_exists=True,
    )
    _same_search(study, _inputs(settings, data, search.max_epochs), search)
    # A sampler of the same seed would begin again with the first trials.
    seed = np.random.SeedSequence([settings["data"]["random_seed"], len(study.trials)]).generate_state(1)[0]
    study.sampler = optuna.samplers.TPESampler(seed=int(seed))

    def objective(trial: optuna.Trial) -> float:
        chosen = merged(trial_settings(trial, settings, search.max_epochs), _UNWATCHED)
        report = Report(trial)
        with tempfile.TemporaryDirectory(dir=search.folder) as folder:
            try:
                fit_model(chosen, data, Path(folder), search.name, more_callbacks=[report])
            except Interrupted:
                raise InputError("interrupted; continue with the same arguments") from None
        say(f"trial {trial.number}: {OBJECTIVE} {report.best:.4f}")
        return report.best

    done = len(done_trials(study))
    if done < search.trials:
        study.optimize(objective, n_trials=search.trials - done)
    # The search trains for less than a training does: what it found is for max_epochs of the settings.
    chosen = trial_settings(optuna.trial.FixedTrial(study.best_params), settings, settings["training"]["max_epochs"])
    write_settings(chosen, search.folder / f"{search.name}_best_config.yaml")
    return study


def done_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that say something: trained to the end, or ended because others were better."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def trial_settings(trial: optuna.trial.BaseTrial, settings: Settings, max_epochs: int) -> Settings:
    """Settings with the values that a trial draws: those of all models, then those of the model's own."""
    training = {
        "max_epochs": max_epochs,
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "adamw"]),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True),
        "gradient_clip_val": trial.suggest_float("gradient_clip_val", 0.5, 2.0),
        "data_augmentation": {
            "enabled": True,
            "gaussian_noise_std": trial.suggest_float("gaussian_noise_std", 1e-3, 1.0, log=True),
        },
    }
    kind = settings["model"]["model_type"]
    changes = [{"training": training}]
    if kind == "res_unet":
        changes.append(_unet(trial))
    elif kind == "generative_vae":
        changes += [_latent(trial), _generative(trial)]
    else:
        changes += [_latent(trial), _layers(trial), _own(trial, kind)]
    return merged(settings, *changes)


def _latent(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    weights = {
        "kl_divergence": trial.suggest_float("kl_divergence", 1e-5, 1e-1, log=True),
        "latent_alignment": trial.suggest_float("latent_alignment", 1e-2, 5.0, log=True),
        "cross_reconstruction": trial.suggest_float("cross_reconstruction", 0.5, 3.0),
        "reconstruction": trial.suggest_float("reconstruction", 0.1, 2.0),
        "alignment_type": trial.suggest_categorical("alignment_type", ["mse", "kl_divergence", "mmd"]),
    }
    latent_dim = trial.suggest_categorical("latent_dim", [16, 32, 64, 128, 256])
    return {"loss_weights": weights, "model": {"latent_dim": latent_dim}}


def _layers(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    def widths(name: str) -> list[int]:
        number = trial.suggest_int(f"{name}_count", 0, 3)
        return [trial.suggest_categorical(f"{name}_{place}", _WIDTHS) for place in range(number)]

    return {"model": {"encoder_layers": widths("encoder"), "decoder_layers": widths("decoder"), **_regular(trial)}}


def _regular(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    return {
        "activation": trial.suggest_categorical("activation", ["leaky_relu", "relu", "gelu", "swish"]),
        "dropout_rate": trial.suggest_float("dropout_rate", 0.0, 0.6),
        "batch_norm": trial.suggest_categorical("batch_norm", [True, False]),
        "use_residual_blocks": trial.suggest_categorical("use_residual_blocks", [True, False]),
    }


def _own(trial: optuna.trial.BaseTrial, kind: str) -> dict[str, Any]:
    """Keys that one type alone reads."""
    model: Mapping[str, Any] = {}
    if kind == "joint_vae_plus":
        model = {"num_flows": trial.suggest_int("num_flows", 1, 16)}
    elif kind == "JointVAEVampPrior":
        model = {"num_pseudoinputs": trial.suggest_categorical("num_pseudoinputs", [50, 100, 200, 500])}
    elif kind == "JointIWAE":
        model = {"k_samples": trial.suggest_int("k_samples", 2, 20)}
    elif kind == "JointVQ":
        model = {
            "num_embeddings": trial.suggest_categorical("num_embeddings", [64, 128, 256, 512]),
            "num_codebooks": trial.suggest_categorical("num_codebooks", [1, 4, 8, 16]),
            "vq_beta": trial.suggest_float("vq_beta", 0.05, 1.0),
        }
    return {"model": dict(model)}


def _unet(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    number = trial.suggest_int("unet_count", 1, 3)
    model = {
        "unet_layers": [trial.suggest_categorical(f"unet_{place}", _WIDTHS) for place in range(number)],
        "bottleneck_dim": trial.suggest_categorical("bottleneck_dim", [16, 32, 64, 128]),
        **{key: value for key, value in _regular(trial).items() if key != "use_residual_blocks"},
    }
    return {"model": model, "loss_weights": {"cycle_consistency": trial.suggest_float("cycle_consistency", 0.0, 1.0)}}


def _generative(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    number = trial.suggest_int("encoder_count", 0, 3)
    encoder = {
        "hidden_dims": [trial.suggest_categorical(f"encoder_{place}", _WIDTHS) for place in range(number)],
        "dropout_rate": trial.suggest_float("dropout_rate", 0.0, 0.6),
        "batch_norm": trial.suggest_categorical("batch_norm", [True, False]),
    }
    decoder = {
        "hidden_dim": trial.suggest_categorical("hidden_dim", [64, 128, 256, 512]),
        "n_layers": trial.suggest_int("n_layers", 1, 3),
    }
    return {"model": {"encoder": encoder, "decoder": decoder}}


def _inputs(settings: Settings, data: PairedData, max_epochs: int) -> dict[str, str]:
    """Digest of each thing that trials must share to be compared."""
    tables = hashlib.sha256()
    for table in data.tables.values():
        tables.update(json.dumps([table.samples, table.features]).encode())
        tables.update(np.ascontiguousarray(table.values).tobytes())
    return {
        "settings": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        "tables": tables.hexdigest(),
        "--max_epochs": str(max_epochs),
    }


def _same_search(study: optuna.Study, inputs: Mapping[str, str], search: Search) -> None:
    stored = study.user_attrs.get("inputs", {})
    other = [name for name, digest in inputs.items() if stored.get(name) != digest]
    if other and study.trials:
        place, changed = search.folder / f"{search.name}.db", ", ".join(other).replace("_", "-")
        raise InputError(f"{place}: a search with other {changed} (choose another --study-name)")
    study.set_user_attr("inputs", dict(inputs))
