"""What all training runs share: batches in order, one update, evaluations, logs, checkpoints, exact resume."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genet5.errors import InputError
from genet5.training.batches import Source, batch_seed, seed_everything
from genet5.training.checkpoints import RunFolder, load_checkpoint
from genet5.training.evaluation import Evaluation
from genet5.training.fabric import Fabric
from genet5.training.logs import TrainingLog
from genet5.training.losses import stack_losses
from genet5.training.optimizer import build_optimizer, normalise_and_clip, reduce_gradients
from genet5.training.options import RunOptions
from genet5.training.processes import any_process, say, share_tensors
from genet5.training.schedule import learning_rate
from genet5.training.signals import StopRequest
from genet5.training.state import FitResult, TrainingState
from genet5.training.trainable import Trainable


@dataclass(frozen=True)
class RunSpec:
    """What a run is made of.

    save_model: writes the model into an existing empty folder. flops_per_token: forward and backward, None if unknown.
    """

    fabric: Fabric
    folder: RunFolder
    model: Trainable
    train: Source
    options: RunOptions
    evaluation: Evaluation
    stop: StopRequest
    save_model: Callable[[Path], None]
    flops_per_token: float | None = None


class Run:
    """The life of one run: it resumes, reports, saves and ends; a subclass says what a step is."""

    log_class = TrainingLog
    evaluates_first = False  # before any step: the weights it starts from may stay the best

    def __init__(self, spec: RunSpec) -> None:
        fabric, model, train, options = spec.fabric, spec.model, spec.train, spec.options
        self.fabric, self.folder, self.train, self.options = fabric, spec.folder, train, options
        self.evaluation, self.stop, self.save_model = spec.evaluation, spec.stop, spec.save_model
        self.log = self.log_class(spec.folder.path, fabric, spec.flops_per_token, options.log_memory)
        self.model = fabric.to_device(model)
        if options.gradient_checkpointing:
            model.recompute_activations()
        if options.compile:
            model.compile_network()
        self.losses = self._loss_function()
        self.optimizer = build_optimizer(model, options)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.taken_tokens = 0  # of this process's batches since the last update
        self.accumulated = options.batches_per_process(fabric.world_size)  # batches of this process in a step
        self.state = TrainingState(group=fabric.world_size * self.accumulated, processes=fabric.world_size)
        if self.evaluates_first and spec.evaluation:
            self.state.reported = -1
        self._resume()
        self.saved_step = self.state.step
        self.started = time.monotonic() - self.state.elapsed_s

    # --- what a subclass gives

    def _loss_function(self) -> Callable[[Any], dict[str, Tensor]]:
        """Losses of a batch."""
        raise NotImplementedError

    def _step(self, stream: Iterator[tuple[int, Any]]) -> None:
        raise NotImplementedError

    def until_end(self) -> FitResult:
        """Report, save, step, until the end; a signal is heeded after each step and inside evaluations."""
        state, stream = self.state, self._stream()
        self.model.train()
        while True:
            stopping = any_process(self.fabric, bool(self.stop.signal))
            if stopping or not self._report():
                self._leave()
            ended = self._ended()
            if state.step > self.saved_step and (ended or self._due(self.options.save_steps)):
                self._save()
            if ended:
                return self._finish(ended)
            self._step(stream)

    # --- one step

    def _set_learning_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(self.state.step) * group["lr_scale"]

    def _update(self, losses: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
        """Backward over the losses of a group of batches, one update; waits for the device once.

        Returns the losses summed over batches and processes. Tokens are summed with them.
        """
        sums = 0
        for parts in losses:
            self.fabric.backward(parts["sum"])
            names, stacked = stack_losses(parts, self.fabric.device)
            sums = stacked + sums
        sums = torch.cat([sums, sums.new_tensor([self.taken_tokens])])
        sums = self.fabric.all_reduce(sums, reduce_op="sum")
        gradients = reduce_gradients(self.parameters, self.fabric.world_size)
        norm = normalise_and_clip(gradients, sums[1], self.options.max_grad_norm)
        *values, tokens, norm = torch.cat([sums, norm.reshape(1).to(sums)]).tolist()
        self.state.tokens += round(tokens)
        self.taken_tokens = 0
        if math.isfinite(values[0]) and math.isfinite(norm):
            self.optimizer.step()
            self.state.count_losses(names, values, norm)
        else:
            self._skip(values[0] / max(values[1], 1.0), norm)
        self.optimizer.zero_grad()
        return dict(zip(names, values, strict=True))

    def _seed(self, position: int) -> None:
        seed_everything(batch_seed(self.options.seed, self.state.epoch, position))

    def _advance(self, seconds: float) -> None:
        """Move the position on by one group of batches."""
        state, every = self.state, self.options.empty_cache_steps
        if every and (state.step + 1) % every == 0:
            torch.cuda.empty_cache()
        state.training_s += seconds
        state.step += 1
        state.batch += state.group
        if state.batch == len(self.epoch):
            state.epoch, state.batch = state.epoch + 1, 0

    def _skip(self, loss: float, norm: float) -> None:
        """A step that is not finite ends the run unless `max_skipped_steps` allows it."""
        state, options = self.state, self.options
        state.skipped += 1
        found = f"step {state.step + 1}: loss {loss:.4g}, gradient norm {norm:.4g}: not finite"
        if state.skipped > options.max_skipped_steps:
            raise InputError(f"{found}; lower lr ({options.lr:g}) or max_grad_norm, or allow max_skipped_steps")
        say(self.fabric, f"{found}; left out ({state.skipped} of {options.max_skipped_steps})")

    def _stream(self) -> Iterator[tuple[int, Any]]:
        """This process's batches from the current position on, epoch after epoch: each world_size-th of a group."""
        while True:
            self._plan_epoch()
            mine = range(self.state.batch + self.fabric.global_rank, len(self.epoch), self.fabric.world_size)
            yield from self.epoch.load(mine, self.options.seed, self.options.num_workers)

    def _plan_epoch(self) -> None:
        self.epoch = self.train.epoch(self.state.epoch, self.state.group)
        self.state.num_batches = len(self.epoch)

    def _count_steps(self) -> int:
        group, options = self.state.group, self.options
        steps = sum(self.train.num_batches(epoch, group) for epoch in range(options.epochs)) // group
        return min(steps, options.max_steps or steps)

    def _learning_rate(self, step: int) -> float:
        return learning_rate(step, self.total_steps, self.options)

    # --- evaluation and logs

    def _report(self) -> bool:
        """Evaluate and log what is due after a step. False: a signal came, and the resumed run has to do it."""
        state, options, metrics = self.state, self.options, {}
        if state.reported == state.step:
            return True
        if self.evaluation and self._due(options.eval_steps):
            started = time.monotonic()
            metrics = self.evaluation.run(self.model, self.losses)
            if metrics is None:
                return False
            if options.monitor not in metrics:
                raise InputError(f"monitor: found {options.monitor!r}, allowed: {', '.join(metrics)}")
            if state.judge(options.monitor, metrics):
                self._write_model("best")
            self.log.add_evaluation(state, metrics, time.monotonic() - started)
        state.reported = state.step
        if metrics or state.step % options.log_every == 0 or state.step == self.total_steps:
            rate, elapsed_s = self._learning_rate(state.step - 1), time.monotonic() - self.started
            self.log.add_training(state, self.total_steps, rate, metrics.get("val_loss"), elapsed_s)
        return True

    def _due(self, every: int) -> bool:
        """Whether something done every so many steps (0: each epoch) is due now; at the last step it always is."""
        regular = self.state.step % every == 0 if every else self.state.batch == 0
        return regular or self.state.step == self.total_steps

    def _ended(self) -> str:
        """Why the run ends here, or ''."""
        patience = self.options.early_stopping
        if patience and self.state.evaluations_since_best >= patience:
            return "early stopping"
        return "all steps" if self.state.step >= self.total_steps else ""

    # --- disk

    def _resume(self) -> None:
        """Go to the newest checkpoint; rows that were logged after it are dropped."""
        name = self.fabric.broadcast(path.name if (path := self.folder.newest_checkpoint()) else None)
        if name:
            stored = load_checkpoint(self.folder.path / name, self.model, self.optimizer)
            self.state = TrainingState.stored(stored, str(self.folder.path / name / "state.json"))
            self.train = self.train.read_by(self.state.processes)
            planned = self.train.num_batches(self.state.epoch, self.state.group)
            if self.state.batch and planned != self.state.num_batches:
                raise InputError(
                    f"{self.folder.path / name}: its epoch has {self.state.num_batches} batches, now {planned} are "
                    "planned, as by another version of GeneT5; train anew with --restart"
                )
        self.total_steps = self._count_steps()
        share_tensors(self.fabric, self.model)
        self.log.resume(self.state.reported)
        origin = f"resumed at step {self.state.step} of" if name else "training for"
        say(
            self.fabric,
            f"{origin} {self.total_steps} steps of {self.state.group} batches: {self.train.num_samples} samples, "
            f"{sum(p.numel() for p in self.parameters):,} parameters, {self.fabric.device}, "
            f"{self.fabric.world_size} processes",
        )

    def _save(self) -> None:
        self.state.elapsed_s = time.monotonic() - self.started
        if self.fabric.is_global_zero:
            self.log.sync()
            state, keep = dataclasses.asdict(self.state), self.options.keep_checkpoints
            self.folder.save_checkpoint(self.state.step, self.model, self.optimizer, state, keep)
        self.saved_step = self.state.step
        self.fabric.barrier()

    def _write_model(self, name: str) -> None:
        if self.fabric.is_global_zero:
            self.folder.save_folder(name, self.save_model)
        self.fabric.barrier()

    def _finish(self, stopped: str) -> FitResult:
        """Write final/ (and best/, if nothing was ever evaluated), then the result."""
        state, path = self.state, self.folder.path
        self._write_model("final")
        if state.best_value is None:
            self._write_model("best")
        facts = {
            "steps": state.step,
            "stopped": stopped,
            "best_step": state.best_step if state.best_value is not None else state.step,
            "best_value": state.best_value,
            "metrics": state.metrics,
            "elapsed_s": round(time.monotonic() - self.started, 2),
        }
        if self.fabric.is_global_zero:
            self.folder.finish(facts)
        self.fabric.barrier()
        return FitResult(**facts, best=path / "best", final=path / "final")

    def _leave(self) -> None:
        """Save and exit with the status of the signal: 128 + its number."""
        if self.state.step > self.saved_step:
            self._save()
        say(self.fabric, f"stopped by a signal after step {self.state.step}; the same command goes on")
        raise SystemExit(128 + (self.stop.signal or signal.SIGTERM))
