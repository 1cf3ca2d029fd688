"""The table of hexamers: one learned row for each id, and sums of rows along reading frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genet5.crf.hexamer_loops import CODON_REACHES, frame_means, frame_means_gradient, table_gradient
from genet5.crf.stored_numbers import stored_array


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
    """Rows by id, [...] -> [..., C], in the number format of autocast.

    In a compiled network the look-up stays PyTorch's own kernel. Code that inductor makes for its gradient adds to
    wrong places, beyond the table too, where channels come before bases (PyTorch 2.13, CPU, two threads or more).
    Elsewhere it adds in an order that changes from run to run.
    """

    def forward(self, ids: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return _table_rows(self.weight, ids)
        if ids.device.type != "cpu":
            return super().forward(ids)
        return _Rows.apply(self.weight, ids)

    def means(self, ids: Tensor, codes: Tensor, plainly: Callable[[Tensor], Tensor]) -> Tensor:
        """Sums of rows along reading frames, as ``stem.frame_means`` (``plainly``) makes them of all rows.

        ids, codes: [N, W]; a code over 4 is padding at the end and counts 0. Returns [N, W, 4 * K], in the number
        format of autocast.
        """
        if ids.device.type != "cpu" or torch.compiler.is_compiling():
            return plainly(super().forward(ids).float() * (codes <= 4).unsqueeze(-1))
        return _FrameMeans.apply(self.weight, ids, (codes <= 4).sum(1))


def _format(table: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else table.dtype


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.table = table.shape, table.dtype
        return nn.functional.embedding(ids, table.to(_format(table)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (ids,) = ctx.saved_tensors
        shape, dtype = ctx.table
        found = np.zeros(shape)
        table_gradient(stored_array(gradient.contiguous().flatten(0, -2)), ids.reshape(-1).numpy(), found)
        return torch.from_numpy(found).to(dtype), None


class _FrameMeans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, widths: Tensor) -> Tensor:
        means = torch.empty(*ids.shape, 2 * len(CODON_REACHES) * table.shape[1], dtype=_format(table))
        scores = table.detach().float().contiguous().numpy()
        frame_means(widths.numpy(), ids.numpy(), scores, stored_array(means))
        ctx.save_for_backward(ids, widths)
        ctx.table = table.shape, table.dtype
        return means

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        ids, widths = ctx.saved_tensors
        shape, dtype = ctx.table
        found = np.zeros(shape)
        frame_means_gradient(stored_array(gradient.contiguous()), widths.numpy(), ids.numpy(), found)
        return torch.from_numpy(found).to(dtype), None, None
