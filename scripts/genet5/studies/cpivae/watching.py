"""Gradients and weights in TensorBoard: how large they are, and how they are distributed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

HISTOGRAM_BINS = 64


class GradientsAndWeights(Callback):
    """Logs the last step of an epoch: weights before it, and gradients as they are before they are clipped.

    Scalars ``gradient_norm/total`` and ``gradient_norm/{parameter}``; histograms ``weights/{parameter}`` and
    ``gradients/{parameter}``. A parameter that the step does not use has no gradient. A histogram leaves out what is
    not finite; the norm shows it.
    """

    def __init__(self, norms_every_epochs: int, histograms_every_epochs: int) -> None:
        """How often, beginning with the first epoch; 0: never."""
        self.norms_every_epochs, self.histograms_every_epochs = norms_every_epochs, histograms_every_epochs

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        # The last batch of an epoch makes a step, however many batches are accumulated.
        if trainer.logger is None or not trainer.is_last_batch or not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch
        if _due(epoch, self.norms_every_epochs):
            trainer.logger.log_metrics(_norms(pl_module), trainer.global_step)
        if _due(epoch, self.histograms_every_epochs):
            for name, values in _distributions(pl_module):
                trainer.logger.experiment.add_histogram(name, values, trainer.global_step, bins=HISTOGRAM_BINS)


def _due(epoch: int, every: int) -> bool:
    return every > 0 and epoch % every == 0


def _norms(module: LightningModule) -> dict[str, float]:
    """Euclidean norm of the gradient of each parameter, and of all of them."""
    found = {name: p.grad.detach().double().norm() for name, p in module.named_parameters() if p.grad is not None}
    if not found:
        return {}
    # One transfer for all: each by itself would wait for the GPU.
    values = torch.stack(list(found.values())).cpu().numpy()
    norms = {f"gradient_norm/{name}": float(value) for name, value in zip(found, values, strict=True)}
    return {"gradient_norm/total": float(np.sqrt(np.sum(values**2))), **norms}


def _distributions(module: LightningModule) -> Iterator[tuple[str, np.ndarray]]:
    """Name and finite values of each histogram."""
    for name, parameter in module.named_parameters():
        for kind, tensor in (("weights", parameter), ("gradients", parameter.grad)):
            values = np.zeros(0) if tensor is None else tensor.detach().float().cpu().numpy()
            values = values[np.isfinite(values)]
            if values.size:
                yield f"{kind}/{name}", values
