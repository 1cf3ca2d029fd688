"""Options of the writer: its shape."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WriterShape:
    """The shape of the language model and how its first weights are drawn."""

    hidden_size: int = 96
    num_layers: int = 3
    num_heads: int = 4
    num_kv_heads: int = 2
    feed_forward_size: int = 256
    num_experts: int = 0
    experts_per_token: int = 2
    router_loss_weight: float = 0.01
    pointer_size: int = 48
    block_size: int = 0
    window_size: int = 0
    init_std: float = 0.02
