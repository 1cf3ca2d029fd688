"""Numbers of compiled loops over arrays of float32 or bfloat16. NumPy has no bfloat16: it shows its bits as uint16."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from torch import Tensor


def stored_array(tensor: Tensor) -> np.ndarray:
    """The same memory as float32, or as the uint16 bits of bfloat16."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def value_of(stored: Any) -> np.float32:
    """A stored number as float32; for compiled code alone."""
    raise NotImplementedError("value_of works in compiled code")


def stored_as(value: np.float32, like: Any) -> Any:
    """``value`` as a number of the kind of ``like``, rounded to nearest even; for compiled code alone."""
    raise NotImplementedError("stored_as works in compiled code")


@overload(value_of, inline="always")
def _value_of(stored):
    if isinstance(stored, types.Float):
        return lambda stored: stored
    return lambda stored: np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)


@overload(stored_as, inline="always")
def _stored_as(value, like):
    if isinstance(like, types.Float):
        return lambda value, like: np.float32(value)

    def rounded(value, like):
        bits = np.float32(value).view(np.uint32)
        return np.uint16(
            np.uint32(bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        )

    return rounded
