"""Whose folder is this: claimed once for all processes, and recognised when its run is finished."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genet5.errors import InputError
from genet5.training.checkpoints import RunFolder
from genet5.training.fabric import Fabric
from genet5.training.options import RunOptions
from genet5.training.state import FitResult


def finished_run(output_dir: str | Path, options: RunOptions, fingerprint: Mapping[str, Any]) -> FitResult | None:
    """The result of a finished run with these settings, without a lock: to end before data and model are loaded."""
    folder = RunFolder(output_dir)
    same = not folder.differences(_identity(options, fingerprint))
    return _result(folder) if same else None


def export_finished(output_dir: Path, options: RunOptions, fingerprint: Mapping[str, Any], restart: bool) -> bool:
    """Whether a run with these settings is finished; its best weights are then exported again, by one process of all.

    Not so with ``restart``, which forgets it.
    """
    result = None if restart else finished_run(output_dir, options, fingerprint)
    if result and os.environ.get("RANK", "0") == "0":  # torchrun's: Fabric has not been started yet
        print(f"{output_dir}: already finished after {result.steps} steps", flush=True)
        export(result.best, output_dir)
    return result is not None


def export_best(fabric: Fabric, result: FitResult, output_dir: Path, write_card: Callable[[Path], None]) -> None:
    """Export from the first process, with a card; all wait for it."""
    if fabric.is_global_zero:
        write_card(result.best)
        export(result.best, output_dir)
    fabric.barrier()


def claim_run(
    fabric: Fabric, folder: RunFolder, options: RunOptions, fingerprint: Mapping[str, Any], restart: bool
) -> FitResult | None:
    """Claim the folder in the first process for all of them; the result if the run is finished already.

    Raises:
        InputError: in every process, see `RunFolder.claim`.
    """
    message = None
    if fabric.is_global_zero:
        try:
            folder.claim(_identity(options, fingerprint), restart)
        except InputError as error:
            message = str(error)
    if message := fabric.broadcast(message):
        raise InputError(message)
    return fabric.broadcast(_result(folder))


def _identity(options: RunOptions, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    return {"options": options.fingerprint(), **fingerprint}


def _result(folder: RunFolder) -> FitResult | None:
    facts = folder.finished()
    try:
        return FitResult(**facts, best=folder.path / "best", final=folder.path / "final") if facts else None
    except TypeError as error:
        path = folder.path / "finished.json"
        raise InputError(f"{path}: no result of a training ({error}); train anew with --restart") from error


def export(best: Path, output_dir: Path) -> None:
    """Copy the best model into ``output_dir`` itself; the weights appear last and whole."""
    names = sorted(path.name for path in best.iterdir() if path.is_file())
    for name in sorted(names, key=lambda name: name == "model.safetensors"):
        partial = output_dir / f".{name}.tmp"
        shutil.copyfile(best / name, partial)
        partial.replace(output_dir / name)
