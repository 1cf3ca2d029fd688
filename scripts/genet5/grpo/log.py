"""The log of reinforcement learning: grpo_log.csv in place of training_log.csv."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from genet5.grpo.rewards import Reward
from genet5.training.csv_log import CsvLog, now
from genet5.training.fabric import Fabric
from genet5.training.logs import TrainingLog, duration
from genet5.training.memory import memory_gb
from genet5.training.processes import say
from genet5.training.state import TrainingState

Columns = Mapping[str, float | None]


class RewardLog(TrainingLog):
    """What every policy is measured by. A subclass adds what its own policy is measured by.

    audit: names of what is counted of the completions. on_console: a column of ``losses``. updates_per_step: of the
    weights.
    """

    audit: tuple[str, ...] = ()
    on_console: str
    updates_per_step = 1

    def __init__(self, folder: Path, fabric: Fabric, flops_per_token: float | None, with_memory: bool):
        super().__init__(folder, fabric, flops_per_token, with_memory)
        self.training = CsvLog(folder / "grpo_log.csv")

    def losses(self, means: Mapping[str, float]) -> Columns:
        """Columns between kl and total_loss."""
        raise NotImplementedError

    def times(self, means: Mapping[str, float], step_s: float) -> Columns:
        """Columns of seconds. All of them stand on the console."""
        raise NotImplementedError

    def add_training(
        self, state: TrainingState, total_steps: int, lr: float, val_loss: float | None, elapsed_s: float
    ) -> None:
        if state.step == 0:
            return
        seconds, updates = state.training_s, state.counted
        means = defaultdict(lambda: math.nan, state.close_row())  # if all steps were left out there is nothing to say
        step_s = seconds * self.updates_per_step / max(updates, 1)
        times = self.times(means, step_s)
        memory = memory_gb(self.fabric.device) if self.with_memory else {}
        row = {
            "timestamp": now(),
            "elapsed_s": round(elapsed_s, 2),
            "step": state.step,
            "total_steps": total_steps,
            "epoch": state.place()["epoch"],
            "reward_mean": means["reward"],
            "reward_std": means["reward_std"],
            **{name: means[name] for name in Reward._fields if name != "reward"},
            **{name: means[name] for name in self.audit},
            "policy_loss": means["policy"],
            "kl": means["kl"],
            **self.losses(means),
            "total_loss": means["train_loss"],
            "lr": lr,
            "grad_norm": means["grad_norm"],
            **times,
            "tokens_per_s": round(means["tokens"] / step_s, 1),
            "eta_s": round(elapsed_s / state.step * (total_steps - state.step), 1),
            **{column: memory.get(column) for column in ("gpu_alloc_gb", "gpu_max_gb", "ram_used_gb")},
        }
        if self.fabric.is_global_zero:
            self.training.append(row)
        line = (
            f"step {row['step']:>{len(str(row['total_steps']))}}/{row['total_steps']}",
            f"reward {row['reward_mean']:.3f}",
            f"exon {row['exon_f1']:.3f}",
            f"gene {row['gene_f1']:.3f}",
            f"equal groups {row['zero_variance_groups']:.0%}",
            f"kl {row['kl']:.4f}",
            f"{self.on_console.removesuffix('_loss')} {row[self.on_console]:.3f}",
            f"lr {row['lr']:.2e}",
            f"grad {row['grad_norm']:.3f}",
            " + ".join(f"{value:.2f}" for value in times.values()) + " s",
            f"eta {duration(row['eta_s'])}",
        )
        say(self.fabric, " | ".join(line))
