"""What watches a training: checkpoints, early stopping, and the history of all logged values."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.studies.cpivae.names import CHECKPOINTS, HISTORY_FILE
from genet5.studies.cpivae.settings import checkpoint_monitor, stopping_monitor
from genet5.studies.cpivae.watching import GradientsAndWeights


class History(Callback):
    """Each epoch's logged values as rows of ``history.csv``; they are part of checkpoints, so a resumed run has all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        row: dict[str, float] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        row.update({name: float(value) for name, value in sorted(trainer.callback_metrics.items()) if name != "lr"})
        self.rows.append(row)
        if trainer.is_global_zero:
            self.write()

    def write(self) -> None:
        """Write the file."""
        with atomic_write(self.path) as stream:
            writer = csv.DictWriter(stream, list(dict.fromkeys(key for row in self.rows for key in row)))
            writer.writeheader()
            writer.writerows(self.rows)

    def best_epoch(self, monitor: str, mode: str) -> int:
        """Number of the epoch with the best value (mode min or max), the first of several."""
        best = (min if mode == "min" else max)(self.rows, key=lambda row: row[monitor])
        return int(best["epoch"])

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])


class Stopping(EarlyStopping):
    """Early stopping whose wrong ``monitor`` is a mistake in the settings."""

    def _validate_condition_metric(self, logs: dict[str, Any]) -> bool:
        require_logged(self.monitor, logs, "callbacks.early_stopping.monitor or logging.monitor")
        return super()._validate_condition_metric(logs)


class Checkpoints(ModelCheckpoint):
    """Checkpoints of a run whose folder may have been moved: Lightning would forget which ones are the best."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {key: here(state_dict[key]) for key in paths}
        moved["best_k_models"] = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "dirpath": self.dirpath})


class BestCheckpoints(Checkpoints):
    """The best checkpoints; a wrong ``monitor`` is a mistake in the settings."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logged = trainer.callback_metrics
        require_logged(str(self.monitor), logged, "callbacks.model_checkpoint.monitor or logging.monitor")
        super().on_train_epoch_end(trainer, pl_module)


class LastCheckpoint(Checkpoints):
    """The state to resume from: of the last epoch, and before it of an epoch every half minute. Writing it after each
    epoch of a small table takes as long as the epoch."""

    def __init__(self, folder: Path, least_seconds: float = 30.0) -> None:
        super().__init__(dirpath=folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
        self.least_seconds, self._written = least_seconds, time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        due = time.monotonic() - self._written >= self.least_seconds
        at_end = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        # All processes write together, so the first one's clock decides.
        if trainer.strategy.broadcast(due or at_end):
            super().on_train_epoch_end(trainer, pl_module)
            self._written = time.monotonic()


def require_logged(name: str, logged: Mapping[str, Any], key: str) -> None:
    """Raise ``InputError`` unless a value of that name is logged."""
    if name not in logged:
        known = ", ".join(sorted(value for value in logged if value.startswith("val_")))
        raise InputError(f"{key}: '{name}' is not logged (there are: {known})")


def training_callbacks(settings: Mapping[str, Any], folder: Path, name: str) -> list[Callback]:
    """Callbacks of a run in ``folder``; checkpoints are named after the experiment."""
    monitor, mode, best = checkpoint_monitor(settings)
    checkpoints = folder / CHECKPOINTS
    callbacks: list[Callback] = [
        History(folder / HISTORY_FILE),
        BestCheckpoints(
            dirpath=checkpoints,
            filename=f"{name}-{{epoch:02d}}-{{val_total_loss:.3f}}",
            monitor=monitor,
            mode=mode,
            save_top_k=best,
            save_on_train_epoch_end=True,
        ),
        LastCheckpoint(checkpoints),
    ]
    monitor, mode, patience, least = stopping_monitor(settings)
    if patience:
        callbacks.append(
            Stopping(monitor, mode=mode, patience=patience, min_delta=least, check_on_train_epoch_end=True)
        )
    if settings["callbacks"]["lr_monitor"]:
        callbacks.append(LearningRateMonitor())
    logged = settings["logging"]
    norms, histograms = logged["gradient_norms_every_epochs"], logged["histograms_every_epochs"]
    if norms or histograms:
        callbacks.append(GradientsAndWeights(norms, histograms))
    return callbacks
