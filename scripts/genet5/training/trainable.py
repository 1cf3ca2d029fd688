"""What the training loop asks of a model."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from genet5.errors import InputError
from genet5.training.compiling import prepare_compiling

DAMAGED_NETWORK = (
    OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, SafetensorError
)  # fmt: skip
"""What making a network of a damaged config.json, and reading damaged weights into it, raises."""


@runtime_checkable
class Trainable(Protocol):
    """A module with a loss.

    label_smoothing: share of the target spread over alternatives; the loop sets the option while training, else 0.
    """

    label_smoothing: float

    def training_losses(self, batch: Any) -> dict[str, Tensor]:
        """``{"sum": ..., "weight": ..., "name": ..., "name_weight": ...}``, see ``loop.py``."""

    def learning_rate_scales(self) -> dict[str, float]:
        """Parameter-name prefix -> factor of its learning rate; the others have 1."""

    def recompute_activations(self) -> None:
        """Trade time for memory in the backward pass. Raises ``InputError`` where the model cannot."""

    def compile_network(self) -> None:
        """Compile what training spends its time in, in place; names of parameters stay (``compiling.py``)."""


class TrainableModule(nn.Module):
    """A module that answers for all that ``Trainable`` asks but the loss."""

    label_smoothing: float = 0.0

    def training_losses(self, batch: Any) -> dict[str, Tensor]:
        raise NotImplementedError

    def learning_rate_scales(self) -> dict[str, float]:
        return {}

    def recompute_activations(self) -> None:
        raise InputError(f"gradient_checkpointing: found true, but {type(self).__name__} does not offer it")

    def compile_network(self) -> None:
        """The network with its loss."""
        self.training_losses = torch.compile(self.training_losses, **prepare_compiling())
