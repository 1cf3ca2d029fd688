"""What a run says while it goes: training_log.csv, eval_log.csv, and a line on the console."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genet5.training.csv_log import CsvLog, now
from genet5.training.fabric import Fabric
from genet5.training.memory import memory_gb
from genet5.training.processes import say
from genet5.training.state import TrainingState

# Dense bf16 peak of one device in FLOP/s, by a part of its name. NVIDIA's data sheets give most of them with sparsity,
# which doubles them: H100 and H200 (SXM) 1,979, L40S 733, L4 242 TFLOPS. A100: 312 dense. RTX 4090: 165.2 dense, with
# sums in fp32 (paper on the Ada architecture). GB10: 1 PFLOPS of sparse fp4 (DGX Spark), an eighth of it in dense bf16.
PEAK_FLOPS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "GB10": 125e12,
    "RTX 4090": 165e12,
}


class TrainingLog:
    """Both logs of a run. Only the first process writes; every process has to call.

    Args:
        flops_per_token: forward and backward, for the column ``mfu`` (empty if None or the device is unknown).
        with_memory: fill the memory columns.
    """

    def __init__(self, folder: Path, fabric: Fabric, flops_per_token: float | None, with_memory: bool):
        self.fabric, self.flops_per_token, self.with_memory = fabric, flops_per_token, with_memory
        self.training, self.evaluation = CsvLog(folder / "training_log.csv"), CsvLog(folder / "eval_log.csv")

    def resume(self, step: int) -> None:
        """Drop the rows after ``step``."""
        if self.fabric.is_global_zero:
            self.training.truncate(step)
            self.evaluation.truncate(step)

    def sync(self) -> None:
        """Force the rows to the disk itself."""
        self.training.sync()
        self.evaluation.sync()

    def add_evaluation(self, state: TrainingState, metrics: Mapping[str, float], seconds: float) -> None:
        """A row of eval_log.csv."""
        if self.fabric.is_global_zero:
            place = {"timestamp": now(), "epoch": state.place()["epoch"], "step": state.step}
            self.evaluation.append(place | dict(metrics) | {"eval_s": round(seconds, 2)})

    def add_training(
        self, state: TrainingState, total_steps: int, lr: float, val_loss: float | None, elapsed_s: float
    ) -> None:
        """A row of training_log.csv and a line on the console: means since the last row, which this closes."""
        means = state.close_row()
        grad_norm, tokens_per_s = means.pop("grad_norm"), means.pop("tokens_per_s")
        device = self.fabric.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        memory = memory_gb(device) if self.with_memory else {}
        row = {
            "timestamp": now(),
            "elapsed_s": round(elapsed_s, 2),
            **state.place(),
            **means,
            "val_loss": val_loss,
            "lr": lr,
            "grad_norm": grad_norm,
            "tokens_per_s": round(tokens_per_s, 1),
            "mfu": flops_share(tokens_per_s, self.flops_per_token, name, self.fabric.world_size),
            "eta_s": round(elapsed_s / state.step * (total_steps - state.step), 1),
            **{column: memory.get(column) for column in ("gpu_alloc_gb", "gpu_max_gb", "ram_used_gb")},
        }
        if self.fabric.is_global_zero:
            self.training.append(row)
        say(self.fabric, progress_line(row, total_steps))


def peak_flops(device_name: str) -> float | None:
    """Dense bf16 peak of a device in FLOP/s, None where it is unknown. A number does not go on: an L40 is no L4."""
    return next((flops for name, flops in PEAK_FLOPS.items() if re.search(rf"{name}(?![0-9])", device_name)), None)


def flops_share(tokens_per_s: float, flops_per_token: float | None, device_name: str, devices: int) -> float | None:
    """Model FLOPs utilisation (0 to 1), or None when the model's cost or the device's peak is unknown."""
    peak = peak_flops(device_name)
    return tokens_per_s * flops_per_token / (peak * devices) if peak and flops_per_token else None


def progress_line(row: Mapping[str, Any], total_steps: int) -> str:
    """One line of the console from a row of training_log.csv."""
    parts = [f"step {row['step']:>{len(str(total_steps))}}/{total_steps}", f"epoch {row['epoch']}"]
    parts += [f"loss {_short(row['train_loss'])}"]
    parts += [f"val {row['val_loss']:.4f}"] if row.get("val_loss") is not None else []
    parts += [f"lr {row['lr']:.2e}", f"grad {_short(row['grad_norm'])}"]
    parts += [f"{row['tokens_per_s'] / 1000:.1f}k tok/s"]
    parts += [f"mfu {row['mfu']:.0%}"] if row.get("mfu") is not None else []
    parts += [f"RAM {row['ram_used_gb']:.1f} GB"] if row.get("ram_used_gb") is not None else []
    parts += [f"GPU {row['gpu_max_gb']:.1f} GB"] if row.get("gpu_max_gb") else []
    return " | ".join([*parts, f"eta {duration(row['eta_s'])}"])


def duration(seconds: float) -> str:
    """Seconds as '42 s', '3 min 20 s' or '5 h 12 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _short(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"
