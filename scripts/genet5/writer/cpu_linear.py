"""Faster float32 products of matrices on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LEAST_ROWS = 64  # with fewer, calling oneDNN takes longer than the product


class OneDnnLinear(TorchFunctionMode):
    """Within it, ``linear`` of float32 on a CPU without gradients is computed by oneDNN.

    PyTorch asks MKL, which keeps its AVX-512 code for Intel's processors: on others oneDNN is twice as fast. Where MKL
    has it, both are alike. Sums of up to some hundred products come out with the same bits.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _types: Sequence[type],
        arguments: tuple[Any, ...] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        if function is F.linear and not named and takes_onednn(*arguments):
            values, weight, *bias = arguments
            return torch.ops.mkldnn._linear_pointwise(values, weight, bias[0] if bias else None, "none", [], "")
        return function(*arguments, **(named or {}))


def takes_onednn(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether a product is one that oneDNN may compute, and is large enough."""
    return (
        torch.backends.mkldnn.is_available()
        and all(
            part is None or (part.device.type == "cpu" and part.dtype is torch.float32)
            for part in (values, weight, bias)
        )
        and not (torch.is_grad_enabled() and (values.requires_grad or weight.requires_grad))
        and not torch.is_autocast_enabled("cpu")
        and weight.numel() > 0  # experts may share nothing
        and values.numel() >= LEAST_ROWS * values.shape[-1]
    )
