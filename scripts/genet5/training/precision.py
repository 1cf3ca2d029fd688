"""Which floating-point type convolutions and matrix products are computed in."""

from __future__ import annotations

import torch

PRECISIONS = ("auto", "fp32", "bf16")


def chosen_precision(wanted: str, device_type: str) -> str:
    """``fp32`` or ``bf16``; ``auto`` is bf16 on a device that computes in it (GPUs since 2020, CPUs with AVX512-BF16 or
    AMX), where it halves the time or better.
    """
    if wanted != "auto":
        return wanted
    if device_type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if native_bf16() else "fp32"


def native_bf16() -> bool:
    """Whether this machine's CPU computes in bf16."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def network_precision(wanted: str, device: torch.device) -> torch.autocast:
    """The context in which a network computes."""
    return torch.autocast(device.type, torch.bfloat16, enabled=chosen_precision(wanted, device.type) == "bf16")
