"""Attention in a band: tokens see near ones, and some tokens see and are seen everywhere. Linear in time and memory.

No matrix of all pairs is ever made. What a query sees falls into parts: the tokens that are seen everywhere, gathered
once; the near ones, tile by tile; and for a query that sees everything, all keys. The softmax over parts follows from
the parts' own by their log-sums (Milakov & Gimelshein 2018), and the gradient of each part from the log-sum over all
(Dao et al. 2022), so that the backward pass keeps no more than outputs and log-sums.

On a CPU the parts are PyTorch's own kernel of flash attention, inside one operator that ``torch.compile`` does not look
into. On a GPU they are FlexAttention with masks of blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, create_block_mask, flex_attention

LEAST_GPU_BLOCK = 128  # FlexAttention's kernels take no smaller one


@dataclass(frozen=True)
class Band:
    """Who sees whom, for queries that are the last of K tokens.

    A query sees the tokens that are seen everywhere, and those of its own sequence that are less than ``before``
    tokens before it or less than ``after`` behind it. If all tokens are queries, those that are seen everywhere also
    see everything. What comes out for padding means nothing.

    everywhere: bool [B, K], no padding; every row has one. sequence: int [B, K], -1 for padding, which nobody sees.
    block: queries that are computed at a time. index: int64 [B, G], tokens that are seen everywhere; own: bool [B, G],
    false where a row has fewer. blocks: the near part for FlexAttention, None on a CPU.
    """

    everywhere: Tensor
    sequence: Tensor
    num_queries: int
    before: int
    after: int
    block: int
    index: Tensor
    own: Tensor
    blocks: BlockMask | None

    @classmethod
    def make(cls, everywhere: Tensor, sequence: Tensor, num_queries: int, before: int, after: int, block: int) -> Band:
        """With what all layers share, computed once."""
        counts = everywhere.sum(1)
        index = torch.argsort((~everywhere).byte(), dim=1, stable=True)[:, : int(counts.max())]
        own = torch.arange(index.shape[1], device=index.device) < counts[:, None]
        index = torch.where(own, index, index[:, :1])
        on_cpu = everywhere.device.type == "cpu"
        blocks = None if on_cpu else near_blocks(everywhere, sequence, num_queries, before, after, block)
        return cls(everywhere, sequence, num_queries, before, after, block, index, own, blocks)

    @property
    def num_keys(self) -> int:
        return self.sequence.shape[1]

    @property
    def mutual(self) -> bool:
        """Whether what is seen everywhere sees everything."""
        return self.num_queries == self.num_keys

    def dense(self) -> Tensor:
        """The same as one matrix, bool [B, N, K], in which padding sees what is seen everywhere: to compare with."""
        keys, first = self.num_keys, self.num_keys - self.num_queries
        at = torch.arange(keys, device=self.sequence.device)
        seen = self.everywhere[:, None] | _near(
            at[first:, None] - at, self.sequence[:, first:, None], self.sequence[:, None], self.everywhere[:, None],
            self.before, self.after,
        )  # fmt: skip
        if self.mutual:
            seen = seen | (self.everywhere[:, :, None] & (self.sequence >= 0)[:, None])
        return seen

    def attend(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """query: [B, H, N, D]; key, value: [B, H or a divisor of it, K, D]. Returns [B, H, N, D]."""
        query, key = query.to(value.dtype), key.to(value.dtype)
        if self.blocks is not None:
            return self.attend_by_flex(query, key, value, scale, _compiled_flex())
        numbers = (self.before, self.after, self.block, scale)
        return _banded(query, key, value, self.index, self.own, self.everywhere, self.sequence, *numbers)[0]

    def attend_by_flex(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, flex: Callable[..., tuple]
    ) -> Tensor:
        """As ``attend``; flex: ``flex_attention``, compiled or not."""
        index, own = self.index, self.own

        def is_own(score: Tensor, row: Tensor, _head: Tensor, _query: Tensor, place: Tensor) -> Tensor:
            return torch.where(own[row, place], score, -torch.inf)

        how = {"scale": scale, "enable_gqa": True, "return_aux": AuxRequest(lse=True)}
        far, of_far = flex(query, _rows(key, index), _rows(value, index), score_mod=is_own, **how)
        near, of_near = flex(query, key, value, block_mask=self.blocks, **how)
        share = torch.sigmoid(of_far.lse - of_near.lse)[..., None].to(far.dtype)
        out = far * share + near * (1 - share)
        if not self.mutual:
            return out
        seen = (self.sequence >= 0)[:, None, None]
        all_seeing = F.scaled_dot_product_attention(
            _rows(query, index), key, value, attn_mask=seen, scale=scale, enable_gqa=True
        )
        return _replaced(out, all_seeing, self.everywhere)


def near_blocks(
    everywhere: Tensor, sequence: Tensor, num_queries: int, before: int, after: int, block: int
) -> BlockMask:
    """The near part for FlexAttention, which skips blocks in which nobody sees anybody; arguments as in ``Band``."""
    batch, keys = sequence.shape
    first = keys - num_queries

    def near(row: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        at = query + first
        return _near(at - key, sequence[row, at], sequence[row, key], everywhere[row, key], before, after)

    size = max(block, LEAST_GPU_BLOCK)
    return create_block_mask(near, batch, None, num_queries, keys, sequence.device, BLOCK_SIZE=size)


@cache
def _compiled_flex() -> Callable[..., tuple]:
    """FlexAttention computes blocks only when it is compiled."""
    return torch.compile(flex_attention)


def _near(apart: Tensor, of_query: Tensor, of_key: Tensor, key_everywhere: Tensor, before: int, after: int) -> Tensor:
    """Whether a key is near a query: of its sequence, and not among those that are seen everywhere.

    apart: index of the query minus that of the key. of_query, of_key: their sequences.
    """
    return (apart < before) & (apart > -after) & (of_query == of_key) & (of_key >= 0) & ~key_everywhere


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """values [B, H, N, ...] at index [B, G] -> [B, H, G, ...]."""
    shape = (len(index), values.shape[1], index.shape[1], *values.shape[3:])
    return values.gather(2, index.view(len(index), 1, -1, *[1] * (values.ndim - 3)).expand(shape))


def _replaced(values: Tensor, others: Tensor, where: Tensor) -> Tensor:
    """values [B, H, N, ...] with the i-th true place of ``where`` [B, N] taken from others [B, H, i, ...]."""
    number = (where.cumsum(1) - 1).clamp(min=0)
    chosen = where.view(len(where), 1, -1, *[1] * (values.ndim - 3))
    return torch.where(chosen, _rows(others, number).to(values.dtype), values)


# -------------------------------------------------------------------- CPU

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def tiles(num_queries: int, num_keys: int, before: int, after: int, block: int) -> list[tuple[slice, slice]]:
    """Blocks of queries, and the keys that can be near them; both count among all keys.

    Keys before the first query are all seen everywhere, or are padding.
    """
    first = num_keys - num_queries
    starts = range(first, num_keys, block)
    rows = [slice(start, min(start + block, num_keys)) for start in starts]
    return [(row, slice(max(row.start - before + 1, first), min(row.stop + after - 1, num_keys))) for row in rows]


def _bias(seen: Tensor, like: Tensor) -> Tensor | None:
    """What is added to scores, [B, 1, 1, K]; None if all keys are seen."""
    return None if bool(seen.all()) else torch.where(seen, 0.0, -torch.inf).to(like.dtype)[:, None, None]


class _NearBias:
    """What is added to the scores of a tile: minus infinity where a key is not near."""

    def __init__(self, everywhere: Tensor, sequence: Tensor, before: int, after: int, like: Tensor) -> None:
        self.before, self.after, self.like = before, after, like
        self.of_key = torch.where(everywhere | (sequence < 0), -torch.inf, 0.0).to(like.dtype)
        self.sequence = sequence if int(sequence.max()) > 0 else None  # several in a row
        self._bands: dict[tuple[int, int, int], Tensor] = {}

    def __call__(self, rows: slice, columns: slice) -> Tensor:
        """[B, 1, rows, columns]; rows and columns count among all keys."""
        shape = (rows.stop - rows.start, columns.stop - columns.start, rows.start - columns.start)
        if shape not in self._bands:  # nearly all tiles have the same
            apart = torch.arange(shape[0])[:, None] + shape[2] - torch.arange(shape[1])
            inside = (apart < self.before) & (apart > -self.after)
            self._bands[shape] = torch.where(inside, 0.0, -torch.inf).to(self.like.dtype)
        bias = self._bands[shape] + self.of_key[:, None, None, columns]
        if self.sequence is None:
            return bias
        other = self.sequence[:, None, rows, None] != self.sequence[:, None, None, columns]
        return bias.masked_fill_(other, -torch.inf)


@torch.library.custom_op("genet5::banded_attention", mutates_args=(), device_types="cpu")
def _banded(
    query: Tensor, key: Tensor, value: Tensor, index: Tensor, own: Tensor, everywhere: Tensor, sequence: Tensor,
    before: int, after: int, block: int, scale: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Output [B, H, N, D] and float32 log-sums [B, H, N]; arguments as in ``Band``."""
    queries, keys = query.shape[2], key.shape[2]
    first = keys - queries
    out, total = _flash(query, _rows(key, index), _rows(value, index), attn_mask=_bias(own, query), scale=scale)
    out, total = out.float(), total.contiguous()
    bias_of = _NearBias(everywhere, sequence, before, after, query)
    for rows, columns in tiles(queries, keys, before, after, block):
        at, bias = slice(rows.start - first, rows.stop - first), bias_of(rows, columns)
        near, of_near = _flash(query[:, :, at], key[:, :, columns], value[:, :, columns], attn_mask=bias, scale=scale)
        share = torch.sigmoid(of_near - total[:, :, at])[..., None]
        out[:, :, at] += (near - out[:, :, at]) * share
        total[:, :, at] = torch.logaddexp(total[:, :, at], of_near)
    if queries == keys:
        bias = _bias(sequence >= 0, query)
        far, of_far = _flash(_rows(query, index), key, value, attn_mask=bias, scale=scale)
        out, total = _replaced(out, far, everywhere), _replaced(total, of_far, everywhere)
    return out.to(query.dtype), total


@_banded.register_fake
def _(query: Tensor, *_others: object) -> tuple[Tensor, Tensor]:
    return torch.empty_like(query, memory_format=torch.contiguous_format), query.new_empty(
        query.shape[:3], dtype=torch.float32
    )


def _part_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, total: Tensor, bias: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Float32 gradients of query, key and value by one part; out, total: over all parts."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:  # the kernel takes shared heads too, but is up to ten times slower with them
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    found = _flash_backward(gradient, query, key, value, out, total, 0.0, False, attn_mask=bias, scale=scale)
    of_query, of_key, of_value = (part.float() for part in found)
    if groups > 1:
        of_key, of_value = (part.unflatten(1, (-1, groups)).sum(2) for part in (of_key, of_value))
    return of_query, of_key, of_value


@torch.library.custom_op("genet5::banded_attention_backward", mutates_args=(), device_types="cpu")
def _banded_backward(
    gradient: Tensor, out: Tensor, total: Tensor, query: Tensor, key: Tensor, value: Tensor, index: Tensor, own: Tensor,
    everywhere: Tensor, sequence: Tensor, before: int, after: int, block: int, scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of query, key and value."""
    queries, keys = query.shape[2], key.shape[2]
    first = keys - queries
    gradient = gradient.contiguous()
    banded = gradient
    if queries == keys:
        banded = gradient.masked_fill(everywhere[:, None, :, None], 0.0)
    of_query = torch.zeros_like(query, dtype=torch.float32)
    of_key, of_value = (torch.zeros_like(part, dtype=torch.float32) for part in (key, value))
    columns = index[:, None, :, None]

    bias = _bias(own, query)
    parts = _part_backward(banded, query, _rows(key, index), _rows(value, index), out, total, bias, scale)
    of_query += parts[0]
    of_key.scatter_add_(2, columns.expand_as(parts[1]), parts[1])
    of_value.scatter_add_(2, columns.expand_as(parts[2]), parts[2])
    bias_of = _NearBias(everywhere, sequence, before, after, query)
    for rows, near in tiles(queries, keys, before, after, block):
        at, bias = slice(rows.start - first, rows.stop - first), bias_of(rows, near)
        here = (part[:, :, at] for part in (banded, query))
        parts = _part_backward(*here, key[:, :, near], value[:, :, near], out[:, :, at], total[:, :, at], bias, scale)
        of_query[:, :, at] += parts[0]
        of_key[:, :, near] += parts[1]
        of_value[:, :, near] += parts[2]
    if queries == keys:
        wanted = _rows(gradient, index).masked_fill(~own[:, None, :, None], 0.0)
        bias = _bias(sequence >= 0, query)
        parts = _part_backward(
            wanted, _rows(query, index), key, value, _rows(out, index), _rows(total, index), bias, scale
        )
        of_query.scatter_add_(2, columns.expand_as(parts[0]), parts[0])
        of_key += parts[1]
        of_value += parts[2]
    return of_query.to(query.dtype), of_key.to(key.dtype), of_value.to(value.dtype)


@_banded_backward.register_fake
def _(
    _gradient: Tensor, _out: Tensor, _total: Tensor, query: Tensor, key: Tensor, value: Tensor, *_others: object
) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(part, memory_format=torch.contiguous_format) for part in (query, key, value))


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    *tensors, before, after, block, scale = inputs
    ctx.save_for_backward(*output, *tensors)
    ctx.numbers = (before, after, block, scale)
    ctx.mark_non_differentiable(output[1])


def _gradients(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor, _of_total: Tensor) -> tuple:
    found = _banded_backward(gradient, *ctx.saved_tensors, *ctx.numbers)
    return (*found, *[None] * 8)


_banded.register_autograd(_gradients, setup_context=_keep)
