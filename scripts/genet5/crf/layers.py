"""Layers of the CRF's network, channels after bases: [N, W, C].

On CPUs what follows a convolution is one compiled pass over memory (``activations.py``), forward and backward.
Elsewhere, and in a compiled network, PyTorch's functions say the same; only which elements dropout takes differs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from genet5.crf.activations import add_dropped_silu, add_silu, drop, silu_gradient
from genet5.crf.network_loops import norm_gradient, norms, rows_around, rows_around_gradient, scaled_rows
from genet5.crf.stored_numbers import stored_array


class Known(NamedTuple):
    """Which rows of [N, W, C] are known: the others, padding at the end, stay zero. mask: [N, W, 1]; None: all are."""

    mask: Tensor | None

    @classmethod
    def of(cls, codes: Tensor) -> Known:
        """codes: [N, W], 4 at most but for padding."""
        mask = (codes <= 4).unsqueeze(-1)
        return cls(None if _on_cpu(codes) and bool(mask.all()) else mask)

    def every(self, step: int) -> Known:
        """Of rows that stand for ``step`` of these each."""
        return Known(None if self.mask is None else self.mask[:, ::step])

    def only(self, values: Tensor) -> Tensor:
        return values if self.mask is None else values * self.mask


def _on_cpu(values: Tensor) -> bool:
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def convolved(values: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """A convolution that keeps the length. values: [N, W, C], weight: [D, C, K]. Returns [N, W, D]."""
    padding = dilation * (weight.shape[-1] // 2)
    image = values.transpose(1, 2).unsqueeze(2)
    made = F.conv2d(image, weight.unsqueeze(2), bias, padding=(0, padding), dilation=(1, dilation))
    return made.squeeze(2).transpose(1, 2)


class Convolution(nn.Module):
    """A dilated convolution with SiLU added to its input; dropout on what it adds.

    recompute: in training, compute activations again on the way back instead of keeping them.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel // 2))
        self.dropout = Dropout(dropout)
        self.recompute = False

    def forward(self, values: Tensor, known: Known) -> Tensor:
        """values: [N, W, C]."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self._convolve, values, known, use_reentrant=False)
        return self._convolve(values, known)

    def _convolve(self, values: Tensor, known: Known) -> Tensor:
        weight, bias, dilation = self.conv.weight, self.conv.bias, self.conv.dilation[0]
        if not _on_cpu(values):
            return known.only(values + self.dropout(F.silu(convolved(values, weight, bias, dilation))))
        share = self.dropout.share if self.training else 0.0
        return known.only(_AddedConvolution.apply(values, weight, bias, dilation, share))


class Dropout(nn.Module):
    """Dropout whose elements a hash chooses. PyTorch draws each by itself, which takes longer than a convolution."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or not self.share:
            return values
        if not _on_cpu(values):
            return F.dropout(values, self.share)
        return _Dropped.apply(values, self.share)


class RMSNorm(nn.RMSNorm):
    """PyTorch's, over the last of the dimensions of [N, W, C], in one pass."""

    def forward(self, values: Tensor) -> Tensor:
        weight = self.weight.to(values.dtype)  # one type, also under autocast: the fused kernel asks for it
        if not _on_cpu(values):
            return F.rms_norm(values, weight.shape, weight, self.eps)
        eps = torch.finfo(torch.float32).eps if self.eps is None else self.eps
        return _Normed.apply(values, self.weight, eps)


class _Choice(NamedTuple):
    """Which elements are dropped (``activations.py``)."""

    least: np.uint32
    scale: np.float32
    key: np.uint32

    @classmethod
    def draw(cls, share: float) -> _Choice:
        """From PyTorch's generator."""
        key = int(torch.randint(2**31, ())) if share else 0
        return cls(np.uint32(round(share * 2**32)), np.float32(1 / (1 - share)), np.uint32(key))


def _flat(tensor: Tensor) -> np.ndarray:
    return stored_array(tensor.detach().contiguous()).reshape(-1)


def _convolution_gradients(
    of_made: Tensor, values: Tensor, weight: Tensor, dilation: int, of_values_too: bool
) -> tuple[Tensor | None, Tensor]:
    """Gradients of the input [N, W, C], None where it is not asked for, and of the weight [D, C, K] of a convolution.

    of_made: gradient of its result, [N, W, D]; values: its input. In fp32 oneDNN is slow on the way back on processors
    without AVX512: .27 s for two rows of 24,000 bases and 64 channels, .07 s by one product of matrices for each tap.
    """
    taps, length = weight.shape[-1], values.shape[1]
    if values.dtype != torch.float32:
        padding = dilation * (taps // 2)
        images = (one.transpose(1, 2).unsqueeze(2) for one in (of_made, values))
        of_values, of_weight, _ = torch.ops.aten.convolution_backward(
            *images,
            weight.unsqueeze(2),
            None,
            [1, 1],
            [0, padding],
            [1, dilation],
            False,
            [0, 0],
            1,
            [of_values_too, True, False],
        )
        return None if of_values is None else of_values.squeeze(2).transpose(1, 2), of_weight.squeeze(2)
    of_taps = weight.new_zeros((taps, *weight.shape[:2]))
    for tap in range(taps):
        shift = (tap - taps // 2) * dilation
        first, last = max(0, -shift), min(length, length - shift)
        if first < last:
            for result, given in zip(of_made, values, strict=True):
                of_taps[tap].addmm_(result[first:last].T, given[first + shift : last + shift])
    of_values = convolved(of_made, weight.transpose(0, 1).flip(2), None, dilation) if of_values_too else None
    return of_values, of_taps.permute(1, 2, 0)


class _AddedConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, dilation: int, share: float) -> Tensor:
        values = values.contiguous()
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else values.dtype
        values, small = values.to(dtype), weight.to(dtype)
        made = convolved(values, small, bias.to(dtype), dilation).contiguous()
        found = torch.empty_like(values)
        ctx.choice, ctx.dilation = _Choice.draw(share), dilation
        if share:
            add_dropped_silu(_flat(made), _flat(values), _flat(found), *ctx.choice)
        else:
            add_silu(_flat(made), _flat(values), _flat(found))
        ctx.save_for_backward(values, made, small)
        ctx.weight_dtype = weight.dtype
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, made, weight = ctx.saved_tensors
        gradient = gradient.to(made.dtype).contiguous()
        of_made, of_bias = torch.empty_like(made), np.zeros(made.shape[2])
        silu_gradient(*(stored_array(one.flatten(0, 1)) for one in (gradient, made, of_made)), of_bias, *ctx.choice)
        of_values, of_weight = _convolution_gradients(of_made, values, weight, ctx.dilation, ctx.needs_input_grad[0])
        if of_values is not None:
            of_values = of_values.add_(gradient)
        of_bias = torch.from_numpy(of_bias).to(ctx.weight_dtype)
        return of_values, of_weight.to(ctx.weight_dtype), of_bias, None, None


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, share: float) -> Tensor:
        ctx.choice = _Choice.draw(share)
        return _dropped(values, ctx.choice)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _dropped(gradient, ctx.choice), None


def _dropped(values: Tensor, choice: _Choice) -> Tensor:
    values = values.contiguous()
    found = torch.empty_like(values)
    drop(_flat(values), _flat(found), *choice)
    return found


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, eps: float) -> Tensor:
        rows = values.detach().contiguous().view(-1, values.shape[-1])
        scale = np.empty(len(rows), np.float32)
        found = torch.empty_like(rows)
        norms(stored_array(rows), eps, scale)
        scaled_rows(stored_array(rows), scale, weight.detach().float().numpy(), stored_array(found))
        ctx.save_for_backward(rows, weight)
        ctx.scale = scale
        return found.view(values.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        rows, weight = ctx.saved_tensors
        gradients = gradient.to(rows.dtype).contiguous().view(rows.shape)
        of_rows, of_weight = torch.empty_like(rows), np.zeros(rows.shape[1])
        norm_gradient(
            stored_array(gradients),
            stored_array(rows),
            ctx.scale,
            weight.detach().float().numpy(),
            stored_array(of_rows),
            of_weight,
        )
        return of_rows.view(gradient.shape), torch.from_numpy(of_weight).to(weight), None


def rows_at(features: Tensor, near: Tensor, places: Tensor, share: float) -> Tensor:
    """What stands before and behind each of ``places``, bool [B, 2, W + 1], in their order; for CPUs.

    features: [B, 2, W, C], which get ``share`` of their gradient. near: [B, 2, W, D]. Returns [M, 2 * (C + D)].
    """
    return _RowsAt.apply(features.flatten(0, 1), near.flatten(0, 1), places.flatten(0, 1), share)


class _RowsAt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, near: Tensor, places: Tensor, share: float) -> Tensor:
        width = features.shape[1]
        ones = np.ones(width, np.float32)
        at = [np.flatnonzero(row) for row in places.numpy()]
        around = features.new_empty(sum(map(len, at)), 2 * (features.shape[2] + near.shape[2]))
        arrays = [stored_array(one.detach().contiguous()) for one in (features, near)]
        first = 0
        for row, sites in enumerate(at):
            part = stored_array(around[first : first + len(sites)])
            rows_around(arrays[0][row], ones, arrays[1][row], ones, sites, part)
            first += len(sites)
        ctx.at, ctx.share, ctx.shapes = at, np.float32(share), (features.shape, near.shape)
        return around

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        found = [torch.zeros(shape, dtype=gradient.dtype) for shape in ctx.shapes]
        rows, arrays = stored_array(gradient.contiguous()), [stored_array(one) for one in found]
        first = 0
        for row, sites in enumerate(ctx.at):
            part = rows[first : first + len(sites)]
            rows_around_gradient(part, sites, ctx.share, arrays[0][row], arrays[1][row])
            first += len(sites)
        return *found, None, None
