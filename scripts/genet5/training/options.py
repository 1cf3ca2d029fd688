"""The options of a training run, listed once: flags and the check of the configuration come from the list."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from genet5.errors import InputError

Options = TypeVar("Options")
_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    bare: Any = None,
    affects_result: bool = True,
) -> Any:
    """A dataclass field with its help and limits.

    ``bare`` is the value of the flag given without one. ``affects_result=False`` keeps the option out of the
    run's fingerprint, so that it may change between a stop and the resume.
    """
    limits = {"minimum": minimum, "above": above, "maximum": maximum, "below": below}
    metadata = {"help": help, "choices": choices, "bare": bare, "affects_result": affects_result, **limits}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class RunOptions:
    """What every training run has. A step is an optimizer step; a count of 0 switches off, or as its help says."""

    # Of kinds of run that do not offer them as options.
    label_smoothing: ClassVar[float] = 0.0
    amsgrad: ClassVar[bool] = False
    device: ClassVar[str] = "auto"

    # --- length of the run
    epochs: int = option(1, "passes over the training samples", minimum=1)
    max_steps: int = option(0, "stop after this many steps (0: as many as the epochs have)", minimum=0)
    early_stopping: int = option(0, "stop after this many evaluations without improvement (0: never)", minimum=0)
    monitor: str = option(
        "val_loss", "value that picks best/ and stops early; smaller is better if it ends with 'loss'"
    )
    # --- optimizer and schedule
    grad_accum: int = option(1, "batches per process whose gradients make one step", minimum=1)
    optimizer: str = option("adamw", "optimizer", choices=("adamw",))
    lr: float = option(3e-4, "highest learning rate", above=0)
    betas: tuple[float, float] = option((0.9, 0.95), "decay of AdamW's two moments", minimum=0, below=1)
    weight_decay: float = option(0.01, "weight decay of matrices (not of embeddings, norms, biases)", minimum=0)
    scheduler: str = option(
        "cosine", "shape of the learning rate after warm-up", choices=("cosine", "linear", "constant")
    )
    warmup_ratio: float = option(0.03, "share of the steps in which the rate rises to lr", minimum=0, maximum=1)
    min_lr_ratio: float = option(0.1, "last learning rate as a share of lr", minimum=0, maximum=1)
    max_grad_norm: float = option(1.0, "clip gradients to this norm (0: no clipping)", minimum=0)
    max_skipped_steps: int = option(0, "steps that may be left out because loss or gradient are not finite", minimum=0)
    # --- evaluation, checkpoints
    eval_steps: int = option(0, "steps between evaluations (0: at the end of each epoch)", minimum=0)
    save_steps: int = option(0, "steps between checkpoints (0: end of each epoch)", minimum=0, affects_result=False)
    keep_checkpoints: int = option(2, "newest checkpoints kept", minimum=1, affects_result=False)
    # --- logs
    log_every: int = option(10, "steps between rows of the training log", minimum=1, affects_result=False)
    log_memory: bool = option(False, "memory columns in the training log", affects_result=False)
    memwatch: float = option(
        0.0, "seconds between rows of memory_N.csv (0: off)", minimum=0, bare=30.0, affects_result=False
    )
    # --- speed and memory
    precision: str = option(
        "auto", "auto: bf16 on a device that computes in it, else fp32", choices=("auto", "fp32", "bf16")
    )
    compile: bool = option(False, "torch.compile the loss (dynamic=None)")
    gradient_checkpointing: bool = option(False, "recompute activations in the backward pass: less memory, slower")
    empty_cache_steps: int = option(0, "steps between returns of cached GPU memory", minimum=0, affects_result=False)
    num_workers: int = option(0, "processes that prepare batches (0: this one)", minimum=0, affects_result=False)
    seed: int = option(42, "seed of order, crops, dropout, sampling", minimum=0)

    def fingerprint(self) -> dict[str, Any]:
        """The options that a resumed run must share with the run it continues."""
        fields = [f for f in dataclasses.fields(self) if f.metadata["affects_result"]]
        return {f.name: list(v) if isinstance(v := getattr(self, f.name), tuple) else v for f in fields}


@dataclass(frozen=True)
class TrainingOptions(RunOptions):
    """Supervised training."""

    token_budget: int = option(16_384, "tokens of a batch, padding included: rows x longest", minimum=1)
    max_batch_size: int = option(32, "samples of a batch at most", minimum=1)
    species_balance: float = option(
        1.0, "share of a species in an epoch grows as its samples ** this: 1 as they are, 0 equal", minimum=0, maximum=1
    )
    label_smoothing: float = option(0.0, "label smoothing of the training loss; validation uses 0", minimum=0, below=1)


def read_options(cls: type[Options], values: Mapping[str, Any], where: str) -> Options:
    """Options of dataclass ``cls`` from a section of the configuration; ``where`` names it in messages.

    Raises:
        InputError: a key that is not an option, a value of the wrong type (numbers written as text too), out of range.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = get_type_hints(cls)
    checked = {}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            advice = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(fields)}"
            raise InputError(f"{where}: unknown option {key!r}; {advice}")
        checked[key] = _check(value, hints[key], fields[key].metadata, f"{where}: {key}")
    return cls(**checked)


def add_run_arguments(parser: argparse.ArgumentParser, cls: type, title: str = "training") -> None:
    """What every training command takes: where it starts, what it is judged on, where it writes, and its options."""
    parser.add_argument("--validation", type=Path, required=True, help="validation.tar of all species")
    parser.add_argument("--clade-folder", default="", help="folder with clades of your own")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the trained model, logs, checkpoints")
    parser.add_argument("--restart", action="store_true", help="forget an earlier run in --output-dir")
    add_option_arguments(parser, cls, title)


def add_option_arguments(parser: argparse.ArgumentParser, cls: type, title: str = "training") -> None:
    """One flag for each option of ``cls``: ``--token-budget``, also spelled ``--token_budget``."""
    group = parser.add_argument_group(title)
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        kind = hints[f.name]
        flags = list(dict.fromkeys([f"--{f.name.replace('_', '-')}", f"--{f.name}"]))
        keywords: dict[str, Any] = {"dest": f.name, "default": f.default, "help": f"{f.metadata['help']} (%(default)s)"}
        if kind is bool:
            keywords["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is tuple:
            keywords |= {"type": get_args(kind)[0], "nargs": len(get_args(kind)), "metavar": "X"}
        else:
            keywords |= {"type": kind, "metavar": "X" if not f.metadata["choices"] else None}
            keywords |= {"choices": f.metadata["choices"]} if f.metadata["choices"] else {}
            keywords |= {"nargs": "?", "const": f.metadata["bare"]} if f.metadata["bare"] is not None else {}
        group.add_argument(*flags, **keywords)


def options_from_arguments(cls: type[Options], arguments: argparse.Namespace) -> Options:
    """Options of ``cls`` from parsed flags, with the same limits as the configuration."""
    values = {f.name: getattr(arguments, f.name) for f in dataclasses.fields(cls)}
    return read_options(cls, values, "command line")


def _check(value: Any, kind: Any, limits: Mapping[str, Any], where: str) -> Any:
    """``value`` as ``kind`` within its limits, or an InputError that starts with ``where``."""
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if not isinstance(value, (list, tuple)) or len(value) != len(kinds):
            raise InputError(f"{where}: found {value!r}, expected a list of {len(kinds)} numbers")
        return tuple(_check(v, k, limits, where) for v, k in zip(value, kinds, strict=True))
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        found = f"text {value!r}" if isinstance(value, str) else f"{value!r}"
        advice = " (YAML reads 2e-4 as text: write 2.0e-4)" if kind is float and isinstance(value, str) else ""
        raise InputError(f"{where}: found {found}, expected {_NAMES[kind]}{advice}")
    if limits["choices"] and value not in limits["choices"]:
        raise InputError(f"{where}: found {value!r}, allowed: {', '.join(limits['choices'])}")
    if kind in (int, float):
        _check_range(value, limits, where)
    return value


def _check_range(value: float, limits: Mapping[str, Any], where: str) -> None:
    tests = {
        "minimum": ("at least", lambda bound: value >= bound),
        "above": ("more than", lambda bound: value > bound),
        "maximum": ("at most", lambda bound: value <= bound),
        "below": ("less than", lambda bound: value < bound),
    }
    bounds = {name: test for name, test in tests.items() if limits[name] is not None}
    if not math.isfinite(value) or not all(holds(limits[name]) for name, (_, holds) in bounds.items()):
        allowed = " and ".join(f"{words} {limits[name]:g}" for name, (words, _) in bounds.items()) or "a finite number"
        raise InputError(f"{where}: found {value}, allowed: {allowed}")
