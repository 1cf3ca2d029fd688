"""Where a run stands and how it ended: the small facts beside the tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from genet5.errors import InputError
from genet5.training.losses import mean_losses


@dataclass(frozen=True)
class FitResult:
    """How a run ended. ``best`` and ``final`` are the folders that ``save_model`` filled."""

    steps: int
    stopped: str  # "all steps" or "early stopping"
    best_step: int
    best_value: float | None  # of the monitored value; None without evaluations
    metrics: dict[str, float]  # of the last evaluation
    elapsed_s: float
    best: Path
    final: Path


@dataclass
class TrainingState:
    """Everything but tensors that a resume needs; a checkpoint's state.json."""

    group: int  # batches of one step over all processes; positions are multiples of it
    processes: int = 0  # that the run began with, and that read its stream
    step: int = 0  # optimizer steps done
    reported: int = 0  # last step whose evaluation and log row are done
    epoch: int = 0
    batch: int = 0  # next batch of the epoch
    num_batches: int = 0  # of the epoch
    elapsed_s: float = 0.0
    skipped: int = 0
    best_value: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    idle_steps: int = 0  # steps in a row that could teach nothing (reinforcement learning)
    # Since the last row of training_log.csv: summed losses, gradient norms, steps, tokens and seconds of training.
    names: list[str] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    norms: float = 0.0
    counted: int = 0
    tokens: int = 0
    training_s: float = 0.0

    @classmethod
    def stored(cls, values: Mapping[str, Any], where: str) -> TrainingState:
        """The state that a checkpoint holds; ``where`` names it in messages. ``InputError`` for one that is damaged."""
        known = {one.name: getattr(cls, one.name, None) for one in fields(cls)}
        for name, value in values.items():
            if name not in known or not _is_like(value, name, known[name]):
                raise InputError(
                    f"{where}: {name} {str(value)[:40]!r} is no state of a training; delete the checkpoint to use an "
                    "older one"
                )
        if "group" not in values:
            raise InputError(f"{where}: group is missing; delete the checkpoint to use an older one")
        return cls(**values)

    def count_losses(self, names: Sequence[str], sums: Sequence[float], norm: float) -> None:
        """Add a step's summed losses to the open row."""
        self.names = list(names)
        self.sums = [a + b for a, b in zip(self.sums or [0.0] * len(sums), sums, strict=True)]
        self.norms += norm
        self.counted += 1

    def close_row(self) -> dict[str, float]:
        """Means since the last row: ``train_loss``, parts, ``grad_norm``, ``tokens_per_s``; then start a new row."""
        means = mean_losses(self.names, self.sums) if self.counted else {"loss": math.nan}
        row = {"train_loss": means.pop("loss"), **means}
        row["grad_norm"] = self.norms / self.counted if self.counted else math.nan
        row["tokens_per_s"] = self.tokens / self.training_s if self.training_s else math.nan
        self.sums, self.norms, self.counted, self.tokens, self.training_s = [], 0.0, 0, 0, 0.0
        return row

    def judge(self, monitor: str, metrics: dict[str, float]) -> bool:
        """Whether the monitored value is the best so far; smaller is better if its name ends with 'loss'."""
        self.metrics, value = metrics, metrics[monitor]
        sign = -1 if monitor.endswith("loss") else 1
        better = not math.isnan(value) and (self.best_value is None or sign * value > sign * self.best_value)
        if better:
            self.best_value, self.best_step, self.evaluations_since_best = value, self.step, 0
        else:
            self.evaluations_since_best += 1
        return better

    def place(self) -> dict[str, int]:
        """Epoch (from 1), step, and batches done of the epoch, for the logs."""
        ended = self.batch == 0 and self.step > 0
        epoch, batch = (self.epoch, self.num_batches) if ended else (self.epoch + 1, self.batch)
        return {"epoch": epoch, "step": self.step, "batch": batch, "num_batches": self.num_batches}


def _is_like(value: Any, name: str, default: Any) -> bool:
    """Whether a stored value can be that of a field with this default."""
    if name == "metrics":
        return isinstance(value, dict) and all(one is None or _is_number(one) for one in value.values())
    if name == "names":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if name == "sums":
        return isinstance(value, list) and all(map(_is_number, value))
    if name == "best_value":
        return value is None or _is_number(value)
    if isinstance(default, float):
        return _is_number(value)
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**63)
