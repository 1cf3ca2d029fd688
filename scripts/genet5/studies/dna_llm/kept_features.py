"""Features of a frozen core, computed once for all epochs instead of once in each.

Most of an epoch of a head is spent in the core. Features are only the same in every epoch where windows are: neither
moved nor read from the other strand.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genet5.errors import InputError
from genet5.studies.dna_llm.predictors import GptPredictor, ScorePredictor
from genet5.training.fabric import Fabric


def stay_the_same(model: ScorePredictor, max_shift: int, reverse_complement: bool) -> bool:
    """Whether each epoch sees the same features of a window."""
    return isinstance(model, GptPredictor) and model.frozen and not max_shift and not reverse_complement


@torch.no_grad()
def keep_features(model: GptPredictor, bases: np.ndarray, batch_size: int, fabric: Fabric, folder: Path) -> Tensor:
    """What the core of ``model`` (on the device) says of windows ``bases`` [windows, bp]: [windows, bp, width].

    bf16 where training computes in it, else fp32. The tensor is a file in ``folder`` without a name: it may be larger
    than the memory, and the operating system frees it when the process ends, however that happens.

    Raises:
        InputError: no room for it on the disk.
    """
    model.core.eval()
    rows, bp = bases.shape
    device = fabric.device
    with fabric.autocast():
        mixed = torch.is_autocast_enabled(device.type)
        dtype = torch.get_autocast_dtype(device.type) if mixed else torch.float32
        shape = (rows, bp, model.features_width)
        size = int(np.prod(shape)) * dtype.itemsize
        with tempfile.TemporaryFile(dir=folder) as file:  # the mapping outlives the handle
            try:
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk later on would kill the process without a word
            except OSError as error:
                raise InputError(
                    f"{folder}: features of {rows} windows need {size / 1e9:.1f} GB on this disk ({error.strerror}); "
                    "with max_shift above 0 they are not kept"
                ) from None
            mapped = np.memmap(file, dtype=np.uint8, mode="r+", shape=size)
        kept = torch.from_numpy(mapped).view(dtype).view(shape)
        for first in range(0, rows, batch_size):
            chosen = slice(first, first + batch_size)
            kept[chosen] = model.features(torch.from_numpy(bases[chosen].astype(np.int64)).to(device)).cpu()
    return kept
