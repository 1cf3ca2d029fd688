"""The supervised training loop: batches within a token budget, exact resume at every optimizer step.

The model is a ``Trainable`` (``trainable.py``). The loss of a batch is

    training_losses(batch) -> {"sum": ..., "weight": ..., "name": ..., "name_weight": ...}

``sum`` is the loss summed over the target tokens of the batch. It is what is differentiated: auxiliary terms belong
into it, scaled by ``weight``. ``weight`` is the number of target tokens. Further entries are sums to be logged as
``name / weight``, or as ``name / name_weight`` where that is given; names are the same in every batch. Values are
tensors on the device, or floats. Gradients of a step are divided by the weight of all its batches on all processes:
a token counts the same in a short and in a long batch. The loop sets ``model.label_smoothing``: the option while
training, 0 otherwise, so that validation is the training loss without smoothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from genet5.training.batches import BatchSource, Source
from genet5.training.checkpoints import RunFolder
from genet5.training.evaluation import Evaluation
from genet5.training.fabric import Fabric
from genet5.training.memory import MemoryWatch
from genet5.training.options import RunOptions
from genet5.training.processes import say, start_fabric
from genet5.training.run import Run, RunSpec
from genet5.training.runs import claim_run
from genet5.training.signals import StopRequest
from genet5.training.state import FitResult
from genet5.training.trainable import Trainable


def fit(
    model: Trainable,
    train: Source,
    options: RunOptions,
    output_dir: str | Path,
    *,
    fingerprint: Mapping[str, Any],
    save_model: Callable[[Path], None],
    validation: BatchSource | None = None,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    flops_per_token: float | None = None,
    restart: bool = False,
    fabric: Fabric | None = None,
    make_run: Callable[..., Run] | None = None,
) -> FitResult:
    """Train ``model``, or go on where a stopped run in ``output_dir`` was; the model holds the last weights afterwards.

    Args:
        train, validation: see `Source` and `BatchSource`; validation wants a plan with ``shuffle=False``.
        fingerprint: what the run depends on beside ``options`` (checksums of data and base model); JSON values.
        save_model: writes the model into an existing empty folder; called for ``best/`` and ``final/``.
        evaluate: metrics of the model in eval mode without gradients; called on every process, without collectives.
        flops_per_token: forward and backward, for the column ``mfu``.
        restart: forget the run that is in ``output_dir``.
        fabric: from `start_fabric`, if the caller needs device or rank before.
        make_run: the kind of run, `SupervisedRun` by default.

    Raises:
        InputError: the folder is locked or belongs to another run, the loss is not finite, a batch cannot be made.
        SystemExit: status 143 after SIGTERM, 130 after Ctrl-C, when the checkpoint is written.
    """
    fabric = fabric or start_fabric(options)
    folder = RunFolder(output_dir)
    try:
        if finished := claim_run(fabric, folder, options, fingerprint, restart):
            say(fabric, f"{output_dir}: already finished after {finished.steps} steps")
            return finished
        label = f"_rank{fabric.global_rank}" if fabric.global_rank else ""
        with StopRequest() as stop, MemoryWatch(folder.path, options.memwatch, fabric.device, label):
            evaluation = Evaluation(fabric, stop, options, validation, evaluate)
            make = make_run or SupervisedRun
            spec = RunSpec(fabric, folder, model, train, options, evaluation, stop, save_model, flops_per_token)
            return make(spec).until_end()
    finally:
        folder.release()


class SupervisedRun(Run):
    """A step is forward and backward over this process's share of ``windows_per_step``."""

    def _loss_function(self) -> Callable[[Any], dict[str, Tensor]]:
        self.model.label_smoothing = self.options.label_smoothing
        return self.model.training_losses

    def _step(self, stream: Iterator[tuple[int, Any]]) -> None:
        started = time.perf_counter()
        self._set_learning_rate()
        self._update(self._group_losses(stream))
        self._advance(time.perf_counter() - started)

    def _group_losses(self, stream: Iterator[tuple[int, Any]]) -> Iterator[dict[str, Tensor]]:
        for _ in range(self.accumulated):
            position, loaded = next(stream)
            self._seed(position)
            for batch in self.epoch.parts(loaded):
                self.taken_tokens += self.epoch.tokens(batch, position)
                with self.fabric.autocast():
                    losses = self.losses(self.fabric.to_device(batch))
                yield losses
