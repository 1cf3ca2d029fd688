"""The folder of a run: its lock, its fingerprint, and checkpoints that are complete or absent."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import filelock
import safetensors.torch
import torch
from torch import nn

from genet5.errors import InputError
from genet5.files import one_line, read_json, write_json

STEP_PREFIX = "checkpoint_step_"
LATEST = "checkpoint_latest"


class RunFolder:
    """What a training run keeps in ``path``.

    fingerprint.json         settings and inputs of the run; another run is refused
    checkpoint_step_N/       model.safetensors, optimizer.safetensors, state.json: everything a resume needs
    checkpoint_latest        link to the newest of them
    best/, final/            models as the caller saves them
    finished.json            the result, written last
    run.lock                 held by the process that works here
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._lock = filelock.FileLock(self.path / "run.lock")

    def claim(self, fingerprint: Mapping[str, Any], restart: bool = False) -> None:
        """Take the lock, compare fingerprints, clear what a kill left behind. ``restart`` empties the folder first.

        Raises:
            InputError: another process works here, or the folder belongs to a run with other settings.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(
                f"{self.path}: another process is training here; wait for it or choose another run name"
            ) from None
        try:
            if restart:
                self._empty()
            self._check_fingerprint(fingerprint)
            self._tidy()
        except BaseException:
            self._lock.release()
            raise

    def differences(self, fingerprint: Mapping[str, Any]) -> list[str]:
        """Where the run in this folder differs: 'options.lr is 0.1 there, 0.2 here'; a folder without a run differs."""
        path = self.path / "fingerprint.json"
        if not path.exists():
            return ["nothing was trained there"]
        then = _flat(read_json(path))
        given = _flat(json.loads(json.dumps(fingerprint)))
        keys = sorted(k for k in then.keys() | given.keys() if then.get(k) != given.get(k))
        return [f"{k} is {_brief(then.get(k))} there, {_brief(given.get(k))} here" for k in keys]

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def finished(self) -> dict[str, Any] | None:
        """The result of a run that has ended here, else None."""
        path = self.path / "finished.json"
        return read_json(path) if path.exists() else None

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result: from now on the run counts as finished."""
        write_json(self.path / "finished.json", result)

    def newest_checkpoint(self) -> Path | None:
        """The complete checkpoint of the highest step, or None."""
        steps = self._steps()
        return self.path / f"{STEP_PREFIX}{steps[-1]}" if steps else None

    def save_checkpoint(
        self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any], keep: int
    ) -> Path:
        """Write checkpoint_step_N, point checkpoint_latest at it, remove all but the newest ``keep``."""
        target = self.path / f"{STEP_PREFIX}{step}"

        def write(folder: Path) -> None:
            try:
                safetensors.torch.save_model(model, str(folder / "model.safetensors"))
                safetensors.torch.save_file(_optimizer_tensors(model, optimizer), folder / "optimizer.safetensors")
            except safetensors.SafetensorError as error:
                raise InputError(f"{target}: the checkpoint cannot be written ({one_line(error)})") from error
            write_json(folder / "state.json", state)

        self.save_folder(target.name, write)
        link = self.path / f".{LATEST}.tmp"
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        os.replace(link, self.path / LATEST)
        for old in self._steps()[:-keep]:
            shutil.rmtree(self.path / f"{STEP_PREFIX}{old}")
        return target

    def save_folder(self, name: str, write: Callable[[Path], None]) -> Path:
        """Let ``write`` fill a temporary folder, force it to the disk, then rename it to ``name``."""
        target, temporary, old = self.path / name, self.path / f".{name}.tmp", self.path / f".{name}.old"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            write(temporary)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        for path in [*temporary.rglob("*"), temporary]:
            _share(path)
            _sync(path)
        if target.exists():  # a folder cannot replace a folder in one rename: `_tidy` undoes a kill in between
            os.replace(target, old)
        os.replace(temporary, target)
        shutil.rmtree(old, ignore_errors=True)
        _sync(self.path)
        return target

    def _steps(self) -> list[int]:
        names = (p.name.removeprefix(STEP_PREFIX) for p in self.path.glob(f"{STEP_PREFIX}*"))
        return sorted(int(name) for name in names if name.isdigit())

    def _check_fingerprint(self, fingerprint: Mapping[str, Any]) -> None:
        if not (self.path / "fingerprint.json").exists():
            write_json(self.path / "fingerprint.json", fingerprint)
        elif differing := self.differences(fingerprint):
            more = f", and {len(differing) - 3} more" if len(differing) > 3 else ""
            raise InputError(
                f"{self.path} belongs to a run with other settings ({', '.join(differing[:3])}{more}): "
                f"choose another run name, delete that folder, or pass --restart"
            )

    def _tidy(self) -> None:
        """Undo what a kill interrupted: half-written folders go, a folder moved aside comes back."""
        for old in self.path.glob(".*.old"):
            target = self.path / old.name.removeprefix(".").removesuffix(".old")
            if target.exists():
                shutil.rmtree(old)
            else:
                os.replace(old, target)
        for temporary in self.path.glob(".*.tmp"):
            shutil.rmtree(temporary) if temporary.is_dir() and not temporary.is_symlink() else temporary.unlink()

    def _empty(self) -> None:
        """Remove what a run writes, and nothing else that lies in the folder."""
        (self.path / "finished.json").unlink(missing_ok=True)
        (self.path / LATEST).unlink(missing_ok=True)
        for folder in [*self.path.glob(f"{STEP_PREFIX}*"), self.path / "best", self.path / "final"]:
            shutil.rmtree(folder, ignore_errors=True)
        for file in [*self.path.glob("memory_*.csv"), *self.path.glob("*_log.csv"), self.path / "fingerprint.json"]:
            file.unlink(missing_ok=True)


def load_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a checkpoint's tensors into ``model`` and ``optimizer``; returns the state saved beside them.

    Raises:
        InputError: a file is missing or damaged, or the model has other tensors.
    """
    try:
        safetensors.torch.load_model(model, folder / "model.safetensors")
        tensors = safetensors.torch.load_file(folder / "optimizer.safetensors")
        state = read_json(folder / "state.json")
        _load_optimizer_tensors(model, optimizer, tensors)
    except (OSError, RuntimeError, ValueError, KeyError, safetensors.SafetensorError, InputError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{folder}: cannot resume from this checkpoint ({reason}); delete it to use an older one"
        ) from None
    return state


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state as flat tensors: 'layer.weight:exp_avg'. Rates and groups come from the options."""
    names = {id(p): name for name, p in model.named_parameters()}
    states = ((names[id(p)], state) for p, state in optimizer.state.items())
    return {f"{name}:{key}": value.contiguous() for name, state in states for key, value in state.items()}


def _load_optimizer_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    parameters = dict(model.named_parameters())
    places = {id(p): i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, _, key = name.rpartition(":")
        state.setdefault(places[id(parameters[parameter])], {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested dicts by dotted name."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for key, value in tree.items() for k, v in _flat(value, f"{prefix}.{key}" if prefix else key).items()}


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else f"{text[:12]}..."


def _share(path: Path) -> None:
    """Give a file the permissions any new file gets here; safetensors writes for the owner alone."""
    if path.is_file():
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)


def _sync(path: Path) -> None:
    """Force a file or folder to the disk."""
    with contextlib.suppress(PermissionError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
