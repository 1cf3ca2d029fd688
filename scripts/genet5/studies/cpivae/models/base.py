"""What every model is to Lightning: losses, optimizer, logged metrics; and to its users: predictions and samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from genet5.studies.cpivae import metrics
from genet5.studies.cpivae.callbacks import require_logged
from genet5.studies.cpivae.paired_data import PLATFORMS, PairedData, other
from genet5.studies.cpivae.settings import checkpoint_monitor

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}
_LOGGED = (
    "corr",
    "corr_mean",
    "corr_median",
    "sample_corr_mean",
    "r2",
    "mean_feature_r2",
    "frac_r2_above_0.5",
)
_EVALUATION_SEED = 20_011

Batch = Mapping[str, Tensor]


class PlatformModel(lightning.LightningModule, ABC):
    """A model of two platforms. Values are float32 [rows, features], scaled; ``observed`` says what was measured.

    In evaluation mode everything is deterministic: posterior means are decoded, and what has to be drawn comes from a
    generator that starts anew with each call.
    """

    def __init__(self, settings: Mapping[str, Any], width_a: int, width_b: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.settings = settings
        self.model_settings = settings["model"]
        self.loss_weights = settings["loss_weights"]
        self.widths = {"a": width_a, "b": width_b}
        self._held_out: list[dict[str, np.ndarray]] = []
        self._epoch_losses: dict[str, Tensor] = {}
        self._epoch_rows = 0

    # --- what a model has to say

    @abstractmethod
    def terms(self, batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The unweighted terms of the loss. ``inputs``: per platform what is read (noisy while training)."""

    @abstractmethod
    def term_weights(self) -> dict[str, float]:
        """Weight of each of the terms."""

    @abstractmethod
    def predict(self, values: Tensor, source: str, target: str) -> Tensor:
        """Point prediction of platform ``target`` from values of ``source``, deterministic in evaluation mode."""

    @abstractmethod
    def sample(self, values: Tensor, source: str, target: str, generator: torch.Generator) -> Tensor | None:
        """One draw from what is believed of ``target``, same shape as ``predict``; None for a model without belief."""

    @abstractmethod
    def embed(self, values: Tensor, platform: str) -> Tensor:
        """Where samples stand in the latent space, [rows, latent_dim]."""

    def start_from(self, data: PairedData) -> None:
        """Take first values of parameters from the training split. Most models have nothing to take."""

    # --- losses

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Terms by name, and ``total``: the sum of each with its weight."""
        inputs = {p: self._augmented(batch[p]) for p in PLATFORMS}
        terms = self.terms(batch, inputs)
        weights = self.term_weights()
        return {**terms, "total": sum(weights[name] * term for name, term in terms.items())}

    def _augmented(self, values: Tensor) -> Tensor:
        options = self.settings["training"]["data_augmentation"]
        if not self.training or not options["enabled"]:
            return values
        return values + options["gaussian_noise_std"] * torch.randn_like(values)

    def noise(self, like: Tensor, *shape: int) -> Tensor:
        """Standard normal numbers of ``shape``; in evaluation mode the same ones in each call."""
        if self.training:
            return torch.randn(*shape, device=like.device, dtype=like.dtype)
        generator = torch.Generator().manual_seed(_EVALUATION_SEED)
        return torch.randn(*shape, generator=generator).to(like)

    @property
    def beta(self) -> float:
        """Factor of the weight of the KL term at this step."""
        training = self.settings["training"]
        low, high, schedule = training["min_beta"], training["max_beta"], training["kl_schedule"]
        if schedule == "auto":
            by_type = {"joint_vae_plus": "cyclical", "JointVAEVampPrior": "linear"}
            schedule = by_type.get(self.model_settings["model_type"], "constant")
        if not self.training or schedule == "constant":
            return high
        if schedule == "linear":
            share = (self.current_epoch + 1) / training["anneal_epochs"]
        else:
            place = self.global_step % training["kl_cycle_length"] / training["kl_cycle_length"]
            share = place / training["kl_anneal_ratio"]
        return low + (high - low) * min(share, 1.0)

    # --- Lightning

    def configure_optimizers(self) -> Any:
        training = self.settings["training"]
        kind = OPTIMIZERS[training["optimizer"]]
        options = {"lr": training["learning_rate"], "weight_decay": training["weight_decay"]}
        # A fused step is faster, but Lightning does not clip before one in mixed precision, and radam has none.
        if kind is not torch.optim.RAdam and self.settings["hardware"]["precision"] == 32:
            options["fused"] = True
        optimizer = kind(self.parameters(), **options)
        if training["scheduler"] == "none":
            return optimizer
        if training["scheduler"] == "cosine_annealing":
            schedule: Any = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=training["max_epochs"])
        else:
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer,
                mode=checkpoint_monitor(self.settings)[1],
                patience=training["scheduler_patience"],
                factor=training["scheduler_factor"],
            )
        # Lightning would step a plateau after the epoch's checkpoint is written, which a resumed run then lacks; so
        # it never steps (frequency), and on_train_epoch_end does.
        never = {"scheduler": schedule, "interval": "epoch", "frequency": 2**31, "monitor": "val_total_loss"}
        return {"optimizer": optimizer, "lr_scheduler": never}

    def on_train_epoch_start(self) -> None:
        # Noise is a function of seed, epoch and process, so a resumed run draws what an uninterrupted one would.
        seed = np.random.SeedSequence([self.settings["data"]["random_seed"], self.current_epoch, self.global_rank])
        torch.manual_seed(int(seed.generate_state(1)[0]))

    def on_train_epoch_end(self) -> None:
        schedule = self.lr_schedulers()
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            monitor, logged = checkpoint_monitor(self.settings)[0], self.trainer.callback_metrics
            require_logged(monitor, logged, "callbacks.model_checkpoint.monitor or logging.monitor")
            schedule.step(logged[monitor])
        elif schedule is not None:
            schedule.step()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        losses = self.losses(batch)
        # Logged once an epoch: Lightning's bookkeeping of every value at every step takes as long as a small model.
        rows = len(batch["a"])
        self._epoch_rows = rows + (self._epoch_rows if index else 0)
        for name, value in losses.items():
            self._epoch_losses[name] = rows * value.detach() + (self._epoch_losses[name] if index else 0.0)
        return losses["total"]

    def on_train_batch_end(self, _outputs: Any, _batch: Batch, index: int) -> None:
        if index == self.trainer.num_training_batches - 1:
            means = {name: value / self._epoch_rows for name, value in self._epoch_losses.items()}
            self._log_losses("train", means, 1)

    def validation_step(self, batch: Batch, _index: int) -> None:
        self._log_losses("val", self.losses(batch), len(batch["a"]))
        self._keep_predictions(batch)

    def test_step(self, batch: Batch, _index: int) -> None:
        self._log_losses("test", self.losses(batch), len(batch["a"]))
        self._keep_predictions(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        self._log_scores("test")

    def _log_losses(self, stage: str, losses: Mapping[str, Tensor], rows: int) -> None:
        named = {f"{stage}_{name}_loss": value.detach() for name, value in losses.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=rows, sync_dist=stage == "train")

    def _keep_predictions(self, batch: Batch) -> None:
        kept = {}
        for target in PLATFORMS:
            kept[target] = batch[target].float().cpu().numpy()
            kept[f"observed_{target}"] = batch[f"observed_{target}"].cpu().numpy()
            for kind, source in (("recon", target), ("cross", other(target))):
                kept[f"{kind}_{target}"] = self.predict(batch[source], source, target).float().cpu().numpy()
        self._held_out.append(kept)

    def _log_scores(self, stage: str) -> None:
        parts, self._held_out = self._held_out, []
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        crossed = []
        for target in PLATFORMS:
            for kind in ("recon", "cross"):
                found = metrics.scores(joined[f"{kind}_{target}"], joined[target], joined[f"observed_{target}"])
                wanted = (*_LOGGED, "median_feature_r2", "frac_r2_above_0.7") if stage == "test" else _LOGGED
                self.log_dict({f"{stage}_{kind}_{target}_{name}": found[name] for name in wanted})
                if kind == "cross":
                    crossed.append(found["corr_mean"])
        # Of both directions: what to monitor when both matter.
        self.log(f"{stage}_cross_corr_mean", float(np.mean(crossed)))
