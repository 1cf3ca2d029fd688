"""Evaluation during training: validation loss by the training loss's definition, and the caller's metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from genet5.errors import InputError
from genet5.training.batches import BatchSource, load_batches
from genet5.training.fabric import Fabric
from genet5.training.losses import mean_losses, stack_losses
from genet5.training.options import RunOptions
from genet5.training.processes import any_process
from genet5.training.signals import StopRequest


@contextmanager
def evaluation_mode(model: nn.Module, fabric: Fabric) -> Iterator[None]:
    """Eval mode, no gradients, no label smoothing; afterwards training mode with the label smoothing of before."""
    label_smoothing = model.label_smoothing
    model.eval()
    model.label_smoothing = 0.0
    try:
        with torch.no_grad(), fabric.autocast():
            yield
    finally:
        model.train()
        model.label_smoothing = label_smoothing


def validation_losses(
    fabric: Fabric, losses: Callable[[object], dict[str, Tensor]], source: BatchSource, options: RunOptions
) -> tuple[list[str], Tensor]:
    """Names and summed losses over this process's share of the validation batches."""
    batches = source.plan.batches(0, fabric.world_size, repeat=False)
    mine = range(fabric.global_rank, len(batches), fabric.world_size)
    total: Tensor | None = None
    for _, batch in load_batches(source, batches, mine, 0, options.seed, options.num_workers):
        names, sums = stack_losses(losses(fabric.to_device(batch)), fabric.device)
        total = sums if total is None else total + sums
    return names, total


class Evaluation:
    """Both kinds of evaluation, dropped half-way (None) when a signal asks the run to stop."""

    def __init__(
        self,
        fabric: Fabric,
        stop: StopRequest,
        options: RunOptions,
        validation: BatchSource | None,
        metrics: Callable[[nn.Module], dict[str, float]] | None,
    ):
        self.fabric, self.stop, self.options = fabric, stop, options
        self.validation, self.metrics = validation, metrics
        if validation is None and (metrics is not None and options.monitor == "val_loss"):
            raise InputError("monitor: found 'val_loss', but there are no validation samples; name one of the metrics")
        if options.early_stopping and not self:
            raise InputError(f"early_stopping: found {options.early_stopping}, but nothing is evaluated; use 0")
        if validation is not None and len(validation.plan.lengths) < fabric.world_size:
            raise InputError(f"validation: {len(validation.plan.lengths)} samples for {fabric.world_size} processes")

    def __bool__(self) -> bool:
        return self.validation is not None or self.metrics is not None

    def run(self, model: nn.Module, losses: Callable[[object], dict[str, Tensor]]) -> dict[str, float] | None:
        """``val_loss``, ``val_<part>`` and the metrics, the same on every process; None when interrupted."""
        found: dict[str, float] = {}
        options = self.options
        with evaluation_mode(model, self.fabric):
            if self.validation is not None:
                work = self.stop.droppable(lambda: validation_losses(self.fabric, losses, self.validation, options))
                if any_process(self.fabric, work is None):
                    return None
                names, sums = work
                sums = self.fabric.all_reduce(sums, reduce_op="sum").tolist()
                found = {f"val_{name}": value for name, value in mean_losses(names, sums).items()}
            if self.metrics is not None:
                work = self.stop.droppable(lambda: self.metrics(model))
                if any_process(self.fabric, work is None):
                    return None
                found |= {name: float(value) for name, value in work.items()}
        return self.fabric.broadcast(found)
