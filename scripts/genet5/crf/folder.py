"""A gene finder on disk: a folder with ``config.json`` and ``model.safetensors``, which is moved into place last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from genet5.crf.config import CrfConfig
from genet5.crf.model import Crf, make_crf
from genet5.errors import InputError
from genet5.files import atomic_write, one_line, read_json, write_json
from genet5.options import read_options

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
MODEL_TYPE = "genet5_crf"
_MOST_NETWORKS, _LARGEST_SIZE = 1000, 10_000  # beyond what was ever trained; a damaged number takes all memory


def save_crf(crf: Crf, folder: str | Path, dtype: torch.dtype | None = None) -> None:
    """Write a folder that ``load_crf`` reads; one that is there is replaced. dtype: of the weights (default: theirs).

    Wherever the process dies, the folder is complete or has no weights. Raises ``InputError`` if it cannot be written.
    """
    folder = Path(folder)
    tensors = {name: tensor.to(dtype or tensor.dtype).contiguous() for name, tensor in crf.state_dict().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS_FILE).unlink(missing_ok=True)
        write_json(folder / CONFIG_FILE, {"model_type": MODEL_TYPE, **crf.config.to_dict()})
        with atomic_write(folder / WEIGHTS_FILE, "wb") as stream:
            stream.write(save(tensors, metadata={"format": "pt"}))
    except OSError as error:
        raise InputError(f"{folder}: cannot write the model here: {error.strerror}") from error


def load_crf(folder: str | Path) -> Crf:
    """The gene finder that ``save_crf`` wrote, in evaluation mode on the CPU, with float32 weights.

    Every weight must come from the file: a tensor that is missing, left over or of another shape is an ``InputError``,
    as are a missing file and another kind of model.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file, a CRF's folder has {CONFIG_FILE} and {WEIGHTS_FILE}")
    crf = make_crf(read_config(folder), seed=0)
    load_weights(crf, folder / WEIGHTS_FILE)
    return crf.eval()


def read_config(folder: Path) -> CrfConfig:
    """The configuration in a CRF's folder; ``InputError`` for one of another kind of model."""
    path = folder / CONFIG_FILE
    stored = read_json(path)
    if stored.pop("model_type", None) != MODEL_TYPE:
        raise InputError(f"{path}: model_type {model_type(folder)!r}, must be {MODEL_TYPE!r}")
    config = read_options(CrfConfig, stored, str(path))
    if config.num_networks > _MOST_NETWORKS or max(value for value in _sizes(config)) > _LARGEST_SIZE:
        raise InputError(f"{path}: a network of this size is not possible; is the file damaged?")
    return config


def _sizes(config: CrfConfig) -> list[int]:
    """Channels and dilations of a network."""
    values = config.to_dict().values()
    return [one for value in values for one in (value if isinstance(value, list) else [value]) if type(one) is int]


def model_type(folder: str | Path) -> Any:
    """What kind of model a folder holds, as its config.json says."""
    return read_json(Path(folder) / CONFIG_FILE).get("model_type")


def load_weights(model: nn.Module, path: Path) -> None:
    """Read all of a model's weights from a safetensors file; ``InputError`` unless names and shapes agree."""
    try:
        stored = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: not a safetensors file ({one_line(error)})") from error
    wanted = model.state_dict()
    missing, unexpected = sorted(wanted.keys() - stored.keys()), sorted(stored.keys() - wanted.keys())
    if missing or unexpected:
        found = f"no tensor {missing[0]}" if missing else f"unknown tensor {unexpected[0]}"
        raise InputError(
            f"{path}: {found} ({len(missing)} missing, {len(unexpected)} unknown); its config.json is of another model"
        )
    for name, tensor in stored.items():
        if tensor.shape != wanted[name].shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, config.json asks for {tuple(wanted[name].shape)}"
            )
    model.load_state_dict(stored)
