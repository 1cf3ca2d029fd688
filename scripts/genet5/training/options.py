"""The options that every training run has; the options of each stage extend them in its own room."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from genet5.device import add_device_argument
from genet5.errors import InputError
from genet5.options import add_option_arguments, option, plain

LOCAL, STREAM = "local", "stream"


@dataclass(frozen=True)
class RunOptions:
    """A training run. A step is an optimizer step; a count of 0 switches off, or as its help says."""

    # Of kinds of run that do not offer them as options.
    label_smoothing: ClassVar[float] = 0.0
    amsgrad: ClassVar[bool] = False
    #: The option that says how many windows a batch has (at most). Without one, a step is one batch.
    batch_option: ClassVar[str] = ""

    # --- length of the run
    epochs: int = option(1, "number of passes over the training samples", minimum=1)
    max_steps: int = option(0, "stop after this many steps; 0: after all epochs", minimum=0)
    early_stopping: int = option(
        0, "stop after this many evaluations in a row without improvement; 0: never", minimum=0
    )
    monitor: str = option(
        "val_loss",
        "column of eval_log.csv that selects the best checkpoint; smaller is better if the name ends with loss",
        nonempty=True,
    )
    # --- optimizer and schedule
    windows_per_step: int = option(
        0, "number of windows whose gradients make one step, over all processes; 0: one batch", minimum=0
    )
    optimizer: str = option("adamw", "optimizer", choices=("adamw",))
    lr: float = option(3e-4, "highest learning rate", above=0)
    betas: tuple[float, float] = option((0.9, 0.95), "decay rates of AdamW's two moments", minimum=0, below=1)
    weight_decay: float = option(0.01, "weight decay of matrices, not of embeddings, norms and biases", minimum=0)
    scheduler: str = option(
        "cosine", "shape of the learning rate after the warm-up", choices=("cosine", "linear", "constant")
    )
    warmup_ratio: float = option(0.03, "share of the steps in which the rate rises to lr", minimum=0, maximum=1)
    min_lr_ratio: float = option(0.1, "last learning rate as a share of lr", minimum=0, maximum=1)
    max_grad_norm: float = option(1.0, "clip gradients to this norm; 0: do not clip", minimum=0)
    max_skipped_steps: int = option(
        0, "number of steps that may be skipped because the loss or a gradient is not finite", minimum=0
    )
    # --- evaluation, checkpoints
    eval_steps: int = option(0, "steps between evaluations; 0: one at the end of each epoch", minimum=0)
    save_steps: int = option(
        0, "steps between checkpoints; 0: one at the end of each epoch", minimum=0, affects_result=False
    )
    keep_checkpoints: int = option(2, "number of newest checkpoints to keep", minimum=1, affects_result=False)
    # --- logs
    log_every: int = option(10, "steps between rows of the training log", minimum=1, affects_result=False)
    log_memory: bool = option(False, "add memory columns to the training log", affects_result=False)
    memwatch: float = option(
        0.0, "seconds between rows of memory_*.csv; 0: write none", minimum=0, bare=30.0, affects_result=False
    )
    # --- speed and memory
    precision: str = option(
        "auto",
        "number format of the computation; auto: bf16 if the device computes in it, else fp32",
        choices=("auto", "fp32", "bf16"),
    )
    compile: bool = option(False, "compile the model: the start takes minutes longer, steps are faster")
    gradient_checkpointing: bool = option(
        False, "recompute activations in the backward pass: this needs less memory and more time"
    )
    empty_cache_steps: int = option(
        0, "steps between releases of cached GPU memory; 0: never", minimum=0, affects_result=False
    )
    num_workers: int = option(
        0, "number of processes that prepare batches; 0: the training process does it", minimum=0, affects_result=False
    )
    seed: int = option(42, "seed of every random choice", minimum=0)

    def fingerprint(self) -> dict[str, Any]:
        """The options that a resumed run must share with the run it continues."""
        fields = [f for f in dataclasses.fields(self) if f.metadata["affects_result"]]
        return {f.name: plain(getattr(self, f.name)) for f in fields}

    def batches_per_step(self, where: str = "") -> int:
        """Batches whose gradients make one step, of all processes together: the same on one machine and on two.

        ``where`` begins messages. Raises ``InputError`` for windows that make no whole batches.
        """
        if not self.windows_per_step or not self.batch_option:
            return 1
        rows = getattr(self, self.batch_option)
        if self.windows_per_step % rows:
            raise InputError(
                f"{where}windows_per_step: found {self.windows_per_step}, expected a multiple of {self.batch_option} "
                f"({rows})"
            )
        return self.windows_per_step // rows

    def batches_per_process(self, processes: int, where: str = "") -> int:
        """Batches of a step that each process takes. Raises ``InputError`` if they cannot be shared evenly."""
        batches = self.batches_per_step(where)
        if batches % processes == 0:
            return batches // processes
        found = f"{where}a step of {batches} batch{'es' * (batches > 1)} cannot be shared by {processes} processes"
        if not self.batch_option:
            raise InputError(f"{found}; use 1")
        rows = getattr(self, self.batch_option)
        windows, fitting = self.windows_per_step, [n for n in range(1, processes) if batches % n == 0]
        # Without windows_per_step, smaller batches would make smaller steps.
        sizes = range(rows - 1, 0, -1) if windows else ()
        fewer = next((n for n in sizes if windows % n == 0 and windows // n % processes == 0), 0)
        same = f"{self.batch_option} to {fewer} (the same step), " if fewer else ""
        raise InputError(
            f"{found}: set {same}windows_per_step to a multiple of {rows * processes}, or use "
            f"{' or '.join(map(str, fitting))}"
        )


@dataclass(frozen=True)
class ReadingOptions(RunOptions):
    """A training run on baked shards, which are on this machine or come through the network."""

    batch_option: ClassVar[str] = "max_batch_size"

    reading: str = option(
        LOCAL,
        "local: shards beside their manifests, read at random; stream: shards read from first to last, from shards_url",
        choices=(LOCAL, STREAM),
    )
    # The manifests say what the bytes are, so the place may change between a stop and the resume.
    shards_url: str = option(
        "",
        "where streamed shards are: an address that /{species}/train_000.tar is added to, or one with the placeholders "
        "{run}, {species} and {shard}; http(s)://, s3://, pipe:COMMAND or a path; empty: beside their manifests",
        affects_result=False,
    )
    shuffle_windows: int = option(
        4096, "number of streamed windows that each process keeps and shuffles; more mix better", minimum=1
    )

    def fingerprint(self) -> dict[str, Any]:
        """As of every run; local reading leaves no trace, so that runs of before there were streams go on."""
        streams = ("reading", "shuffle_windows") if self.reading == LOCAL else ()
        return {name: value for name, value in super().fingerprint().items() if name not in streams}

    def check_reading(self, where: str = "--shards-url") -> None:
        """Raise ``InputError`` for an address that nothing would be read from; ``where`` names the option."""
        if self.shards_url and self.reading != STREAM:
            raise InputError(
                f"{where}: found {self.shards_url!r}, but reading is {self.reading}; set reading: {STREAM}"
            )

    def for_card(self) -> dict[str, Any]:
        """The options as a model's card shows them: without the address, which may hold a password."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "shards_url"}


def add_run_arguments(parser: argparse.ArgumentParser, cls: type, title: str = "training") -> None:
    """What every training command takes: what it is judged on, where it writes, and its options."""
    parser.add_argument("--validation", type=Path, required=True, help="validation.tar of all species")
    parser.add_argument("--clade-folder", default="", help="folder of your own clade files")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the trained model, logs, checkpoints")
    add_device_argument(parser)
    parser.add_argument("--restart", action="store_true", help="forget an earlier run in --output-dir")
    add_option_arguments(parser, cls, title)
