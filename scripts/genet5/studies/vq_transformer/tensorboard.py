"""The logs of a run for TensorBoard, beside the CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

from genet5.training.fabric import Fabric
from genet5.training.logs import TrainingLog
from genet5.training.loop import SupervisedRun
from genet5.training.run import RunSpec
from genet5.training.state import TrainingState

FOLDER = "tensorboard"


class BoardLog(TrainingLog):
    """What goes into the CSV logs also goes to ``tensorboard/``; a resumed run hides what it repeats."""

    def __init__(self, folder: Path, fabric: Fabric, flops_per_token: float | None, with_memory: bool):
        super().__init__(folder, fabric, flops_per_token, with_memory)
        self.board_folder = folder / FOLDER
        self.board: SummaryWriter | None = None

    def resume(self, step: int) -> None:
        super().resume(step)
        if self.fabric.is_global_zero:
            self.board = SummaryWriter(str(self.board_folder), purge_step=step + 1, flush_secs=10)

    def sync(self) -> None:
        super().sync()
        if self.board:
            self.board.flush()

    def add_evaluation(self, state: TrainingState, metrics: Mapping[str, float], seconds: float) -> None:
        super().add_evaluation(state, metrics, seconds)
        self._add({f"evaluation/{name}": value for name, value in metrics.items()}, state.step)

    def add_training(
        self, state: TrainingState, total_steps: int, lr: float, val_loss: float | None, elapsed_s: float
    ) -> None:
        sums, counted = dict(zip(state.names, state.sums, strict=True)), state.counted
        super().add_training(state, total_steps, lr, val_loss, elapsed_s)
        if counted:
            parts = {"loss" if name == "sum" else name: total / sums["weight"] for name, total in sums.items()}
            parts.pop("weight")
            self._add({f"training/{name}": value for name, value in parts.items()} | {"training/lr": lr}, state.step)

    def _add(self, scalars: Mapping[str, float], step: int) -> None:
        if self.board:
            for name, value in scalars.items():
                self.board.add_scalar(name, value, step)


class BoardRun(SupervisedRun):
    """A run of the training loop whose logs TensorBoard can show, if its option ``tensorboard`` is true."""

    def __init__(self, spec: RunSpec) -> None:
        self.log_class = BoardLog if spec.options.tensorboard else TrainingLog
        super().__init__(spec)
