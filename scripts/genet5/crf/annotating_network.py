"""The network as it annotates: the same function as ``network.CrfNetwork``, for one window at a time on a CPU.

What training does not allow is used here. Weights are fixed, so tables of hexamers hold what the first layer makes of
them, and layers without a nonlinearity between them are one. Channels come after bases, the layout in which processors
multiply matrices. Nothing is masked but the last bases of a window. Sites are scored only where the bases allow one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genet5.crf.activations import add_silu
from genet5.crf.hexamer_loops import CODON_REACHES, frame_means, hexamer_ids
from genet5.crf.layers import Convolution
from genet5.crf.network import CrfNetwork
from genet5.crf.network_loops import normed_product, norms, rows_around
from genet5.crf.stem import CODON_BP, STRETCH_CODONS
from genet5.crf.stored_numbers import stored_array

_STRETCH_BP = CODON_BP * STRETCH_CODONS
READ_BP = 4096 * _STRETCH_BP  # bases that the network reads at a time, so that activations stay small


class WindowPotentials(NamedTuple):
    """Potentials of one window in strand coordinates, float32, as ``best_genes`` takes them.

    bases: [2, W, 4]. sites: [2, 4, W + 1], 0 where no site was asked for.
    """

    bases: np.ndarray
    sites: np.ndarray


class _Convolution(NamedTuple):
    """A dilated convolution with SiLU, added to its input. weight: [C, C, 1, K], in the order that oneDNN wants."""

    weight: Tensor
    bias: Tensor
    dilation: int

    def add_to(self, values: Tensor) -> Tensor:
        """values: [2, W, C]. Returns values plus what the layer makes of them."""
        padding = self.dilation * (self.weight.shape[-1] // 2)
        made = torch.ops.mkldnn._convolution_pointwise(
            values.transpose(1, 2).unsqueeze(2),
            self.weight,
            self.bias,
            [0, padding],
            [1, 1],
            [1, self.dilation],
            1,
            "none",
            [],
            "",
        )
        made, found = made.squeeze(2).transpose(1, 2), torch.empty_like(values)
        # One pass over memory is faster than oneDNN's own SiLU and a sum. In place it would not be vectorised.
        add_silu(*(stored_array(one).reshape(-1) for one in (made, values, found)))
        return found


class _Linear(NamedTuple):
    """weight: [D, C]."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, values: Tensor) -> Tensor:
        return F.linear(values, self.weight, self.bias)

    def silu(self, values: Tensor) -> Tensor:
        return F.silu(self(values), inplace=True)


class AnnotatingNetwork:
    """Made from a trained network. dtype: of convolutions and matrix products, float32 or bfloat16."""

    @torch.no_grad()
    def __init__(self, network: CrfNetwork, dtype: torch.dtype) -> None:
        stem = network.stem
        self.dtype, self.reach = dtype, reach_bp(network)
        channels = stem.join.weight.shape[0]
        join = stem.join.weight[:, :, 0]
        of_means = join[:, channels:].unflatten(1, (-1, 2 * len(CODON_REACHES))).transpose(1, 2).flatten(1)
        self.first = self._stored(stem.embedding.weight @ join[:, :channels].T + stem.join.bias)
        self.of_means = _Linear(self._stored(of_means), None)
        self.scores = stem.scores.weight.numpy()
        self.bases, self.bases_again = self._level(stem.bases), self._level(stem.bases_again)
        self.codons, self.codons_again = self._level(stem.codons), self._level(stem.codons_again)
        self.stretches = self._level(stem.stretches)
        self.to_codons, self.to_stretches = self._down(stem.to_codons), self._down(stem.to_stretches)
        self.from_stretches, self.from_codons = self._up(stem.from_stretches), self._up(stem.from_codons)
        self.other_strand = self._linear(stem.other_strand.weight[:, :, 0], stem.other_strand.bias)
        self.site_first = self._stored(network.site_embedding.weight)
        self.site_layers = self._level(network.site_convolutions)
        # The weights of norms go into the layers behind them. The odds of classes and the head of the chain are linear
        # in the features, so they are one layer.
        self.eps, self.near_eps = (
            torch.finfo(torch.float32).eps if norm.eps is None else norm.eps for norm in (stem.norm, network.site_norm)
        )
        classes, chain, scale = network.class_head, network.chain_head, network.chain_scale.exp()
        odds = (classes.weight[1:] - classes.weight[:1]) * scale[:, None]
        self.head = ((odds + chain.weight) * stem.norm.weight).numpy()
        self.head_bias = ((classes.bias[1:] - classes.bias[:1]) * scale + chain.bias).numpy()
        hidden, last = network.site_head[0], network.site_head[2]
        columns = torch.cat([stem.norm.weight, network.site_norm.weight]).repeat(2)
        self.site_hidden = self._linear(hidden.weight * columns, hidden.bias)
        self.site_last = (last.weight * network.site_scale[:, None]).numpy()
        self.site_bias = (last.bias * network.site_scale + network.site_bias).numpy()

    def _stored(self, weight: Tensor) -> Tensor:
        return weight.to(self.dtype).contiguous()

    def _linear(self, weight: Tensor, bias: Tensor) -> _Linear:
        return _Linear(self._stored(weight), self._stored(bias))

    def _down(self, conv: nn.Conv1d) -> _Linear:
        """A convolution whose stride is its kernel: a product with neighbouring rows."""
        return self._linear(conv.weight.transpose(1, 2).flatten(1), conv.bias)

    def _up(self, conv: nn.ConvTranspose1d) -> _Linear:
        """Its counterpart: a row becomes several."""
        return self._linear(conv.weight.permute(2, 1, 0).flatten(0, 1), conv.bias.repeat(conv.kernel_size))

    def _level(self, convolutions: Iterable[Convolution]) -> list[_Convolution]:
        found = []
        for one in convolutions:
            weight, dilation = self._stored(one.conv.weight.unsqueeze(2)), one.conv.dilation[0]
            found.append(_Convolution(_ordered(weight, dilation), self._stored(one.conv.bias), dilation))
        return found

    def potentials(self, codes: np.ndarray, asked: np.ndarray) -> WindowPotentials:
        """Of one window. codes: uint8 [2, W] in strand coordinates, 4 for unknown, W > 0. asked: bool [2, W + 1], the
        boundaries whose sites are scored.
        """
        width = codes.shape[1]
        found = WindowPotentials(np.empty((2, width, 4), np.float32), np.zeros((2, 4, width + 1), np.float32))
        for piece in pieces(width, self.reach):
            read = [slice(piece.first, piece.last), slice(width - piece.last, width - piece.first)]
            kept = [slice(piece.start, piece.end), slice(width - piece.end, width - piece.start)]
            shift = [part.start - whole.start for part, whole in zip(kept, read, strict=True)]
            sites = [np.flatnonzero(asked[row, part.start : part.stop + 1]) for row, part in enumerate(kept)]
            shown = np.stack([codes[row, part] for row, part in enumerate(read)])
            bases, of_sites = self._read(shown, [at + more for at, more in zip(sites, shift, strict=True)])
            for row, part in enumerate(kept):
                found.bases[row, part] = bases[row, shift[row] : shift[row] + part.stop - part.start]
                found.sites[row][:, sites[row] + part.start] = of_sites[row].T
        return found

    @torch.inference_mode()
    def _read(self, codes: np.ndarray, sites: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Potentials of bases, float32 [2, W, 4], and of the sites at ``sites``, [N, 4] of each strand."""
        width = codes.shape[1]
        ids = torch.from_numpy(hexamer_ids(codes, readable_bp(width)))
        features, near = (stored_array(one) for one in (self._stem(width, ids), self._near(width, ids)))
        bases, of_sites = np.empty((2, width, 4), np.float32), []
        scale, near_scale = np.empty(width, np.float32), np.empty(width, np.float32)
        for row in range(2):
            shown, nearby = features[row, :width], near[row, :width]
            norms(shown, self.eps, scale)
            norms(nearby, self.near_eps, near_scale)
            normed_product(shown, scale, self.head, self.head_bias, bases[row])
            around = torch.empty(len(sites[row]), 2 * (shown.shape[1] + nearby.shape[1]), dtype=self.dtype)
            rows_around(shown, scale, nearby, near_scale, sites[row], stored_array(around))
            hidden = stored_array(self.site_hidden.silu(around))
            found = np.empty((len(hidden), len(self.site_last)), np.float32)
            normed_product(hidden, np.ones(len(hidden), np.float32), self.site_last, self.site_bias, found)
            of_sites.append(found)
        return bases, of_sites

    def _near(self, width: int, ids: Tensor) -> Tensor:
        """Features of the sites' own branch before their norm, [2, W, N]."""
        near = _real(F.embedding(ids, self.site_first), width)
        for layer in self.site_layers:
            near = _real(layer.add_to(near), width)
        return near

    def _stem(self, width: int, ids: Tensor) -> Tensor:
        """Features of bases before their norm, [2, W, C]."""
        padded = ids.shape[1]
        means = torch.empty(2, padded, self.of_means.weight.shape[1], dtype=self.dtype)
        frame_means(np.full(2, width), ids.numpy(), self.scores, stored_array(means))
        width3, width12 = -(-width // CODON_BP), -(-width // _STRETCH_BP)

        def level(values: Tensor, layers: list[_Convolution], width: int) -> Tensor:
            for layer in layers:
                values = _real(layer.add_to(values), width)
            return values

        bases = level(_real(F.embedding(ids, self.first).add_(self.of_means(means)), width), self.bases, width)
        codons = _real(self.to_codons(bases.view(2, padded // CODON_BP, -1)), width3)
        codons = level(codons, self.codons, width3)
        stretches = _real(self.to_stretches(codons.view(2, padded // _STRETCH_BP, -1)), width12)
        facing = torch.zeros_like(stretches)
        facing[:, :width12] = stretches[:, :width12].flip(0, 1)
        stretches = _real(stretches + self.other_strand.silu(torch.cat([stretches, facing], dim=-1)), width12)
        stretches = level(stretches, self.stretches, width12)
        codons = _real(codons.add_(self.from_stretches(stretches).view(codons.shape)), width3)
        codons = level(codons, self.codons_again, width3)
        bases = _real(bases.add_(self.from_codons(codons).view(bases.shape)), width)
        return level(bases, self.bases_again, width)


def _ordered(weight: Tensor, dilation: int) -> Tensor:
    """A weight [C, C, 1, K] in the order that oneDNN wants."""
    padding = dilation * (weight.shape[-1] // 2)
    shape = [2, weight.shape[1], 1, READ_BP // _STRETCH_BP]
    return torch.ops.mkldnn._reorder_convolution_weight(weight, [0, padding], [1, 1], [1, dilation], 1, shape)


def _real(values: Tensor, width: int) -> Tensor:
    """``values`` [2, N, C], zero from row ``width`` on."""
    values[:, width:] = 0
    return values


def readable_bp(width: int) -> int:
    """Bases that are read where a window has ``width``: whole stretches, and few different numbers.

    oneDNN compiles a convolution for each length that it meets, which takes longer than reading a short contig. So
    lengths are rounded up, by at most a sixteenth.
    """
    step = _STRETCH_BP
    while 32 * step <= width:
        step *= 2
    return -(-width // step) * step


class Piece(NamedTuple):
    """Bases ``start`` to ``end`` of a window, forward coordinates, for which ``first`` to ``last`` are read."""

    start: int
    end: int
    first: int
    last: int


def pieces(width: int, reach: int) -> list[Piece]:
    """A window in pieces that are read one by one, each with ``reach`` bases more on either side.

    Both strands meet the same grid of stretches as in the whole window: the forward one from its first base, the
    reverse one from its last. reach: whole stretches.
    """
    step = READ_BP - 2 * reach - _STRETCH_BP
    number = max(1, -(-(width - 2 * reach) // step))
    step = -(-(width - 2 * reach) // (number * _STRETCH_BP)) * _STRETCH_BP
    starts = [0, *(reach + step * piece for piece in range(1, number))]
    found = []
    for start, end in zip(starts, [*starts[1:], width], strict=True):
        last = end + reach + (width - end - reach) % _STRETCH_BP
        found.append(Piece(start, end, max(start - reach, 0), min(last, width)))
    return found


def reach_bp(network: CrfNetwork) -> int:
    """Bases on either side that a potential depends on, at most; whole stretches."""
    stem = network.stem

    def level(convolutions: Iterable[Convolution]) -> int:
        return sum(one.conv.dilation[0] * (one.conv.kernel_size[0] // 2) for one in convolutions)

    bases = 6 + CODON_BP * (max(CODON_REACHES) + 1) + level(stem.bases) + level(stem.bases_again)
    codons = CODON_BP * (1 + level(stem.codons) + level(stem.codons_again))
    stretches = _STRETCH_BP * (2 + level(stem.stretches))
    sites = 6 + level(network.site_convolutions)
    return -(-max(bases + codons + stretches, sites) // _STRETCH_BP) * _STRETCH_BP
