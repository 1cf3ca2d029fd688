"""What a model's ``training_losses`` returns, as one vector that can be added up without waiting for the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def stack_losses(losses: Mapping[str, Tensor | float], device: torch.device) -> tuple[list[str], Tensor]:
    """Names (``sum`` and ``weight`` first) and values, float64 of shape [names], cut from the graph.

    Raises:
        ValueError: ``sum`` or ``weight`` is missing.
    """
    if not {"sum", "weight"} <= set(losses):
        raise ValueError(f"training_losses must return 'sum' and 'weight', got {sorted(losses)}")
    names = ["sum", "weight", *(name for name in losses if name not in ("sum", "weight"))]
    precision = torch.float32 if device.type == "mps" else torch.float64
    values = [torch.as_tensor(losses[name], device=device).detach().to(precision).reshape(()) for name in names]
    return names, torch.stack(values)


def mean_losses(names: Sequence[str], sums: Sequence[float]) -> dict[str, float]:
    """Means from summed losses: ``loss``, and each named part.

    A part is divided by ``weight``, or by its own ``<part>_weight`` if the model gives one.
    """
    total = dict(zip(names, sums, strict=True))
    parts = [n for n in names if n not in ("sum", "weight") and not (n.endswith("_weight") and n[:-7] in total)]
    means = {"loss": _ratio(total["sum"], total["weight"])}
    return means | {part: _ratio(total[part], total.get(f"{part}_weight", total["weight"])) for part in parts}


def _ratio(total: float, weight: float) -> float:
    return total / weight if weight else float("nan")
