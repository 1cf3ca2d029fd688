"""Dropout of the transformer, which transformers' class has for attention weights alone.

What attention and feed-forward layers add to the stream is dropped, as in Vaswani et al. 2017. Weights of attention are
not: that would take its fast kernels away.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import Qwen2MoeModel

_CHILD = "output_dropout"


def add_dropout(backbone: Qwen2MoeModel, share: float) -> None:
    """Let every attention and feed-forward layer drop ``share`` of its output in training; in place."""
    if not share:
        return
    for layer in backbone.layers:
        for module in (layer.self_attn, layer.mlp):
            module.add_module(_CHILD, nn.Dropout(share))
            module.register_forward_hook(_drop)


def _drop(module: nn.Module, _inputs: Any, output: Any) -> Any:
    """The module's dropout of its output, or of the first of several."""
    dropout = getattr(module, _CHILD)
    return (dropout(output[0]), *output[1:]) if isinstance(output, tuple) else dropout(output)
