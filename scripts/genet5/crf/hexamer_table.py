"""The table of hexamers: one learned row for each id."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


@torch.library.custom_op("genet5::table_rows", mutates_args=())
def _table_rows(table: Tensor, ids: Tensor) -> Tensor:
    """[R, C] and integers [...] -> [..., C]."""
    return nn.functional.embedding(ids, table)


@_table_rows.register_fake
def _(table: Tensor, ids: Tensor) -> Tensor:
    return table.new_empty((*ids.shape, table.shape[1]))


@torch.library.custom_op("genet5::table_gradient", mutates_args=())
def _table_gradient(gradient: Tensor, ids: Tensor, rows: int) -> Tensor:
    """[..., C] and integers [...] -> [R, C]."""
    return torch.ops.aten.embedding_dense_backward(gradient, ids, rows, -1, False)


@_table_gradient.register_fake
def _(gradient: Tensor, ids: Tensor, rows: int) -> Tensor:
    return gradient.new_empty((rows, gradient.shape[-1]))


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    table, ids = inputs
    ctx.save_for_backward(ids)
    ctx.rows = len(table)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    (ids,) = ctx.saved_tensors
    return _table_gradient(gradient, ids, ctx.rows), None


_table_rows.register_autograd(_backward, setup_context=_keep)


class HexamerTable(nn.Embedding):
    """Rows by id, [...] -> [..., C].

    In a compiled network the look-up stays PyTorch's own kernel. Code that inductor makes for its gradient adds to
    wrong places, beyond the table too, where channels come before bases (PyTorch 2.13, CPU, two threads or more).
    Elsewhere it adds in an order that changes from run to run.
    """

    def forward(self, ids: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return _table_rows(self.weight, ids)
        return super().forward(ids)
