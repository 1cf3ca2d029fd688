"""The base-resolution stem: what each base looks like in its neighbourhood, the same weights on both strands.

Each strand is read 5' to 3' (the reverse strand as the reverse complement), so the network is symmetric under reverse
complement by construction. A base enters as the embedding of the six bases that start at it and as means of hexamer
scores over neighbouring codons of the same reading frame (the classical signal of coding DNA, and a path without a
plateau to learn it on). Dilated convolutions add context at three resolutions: bases, codons, and stretches of four
codons, where a strand also sees the other one. What the coarse levels find is added back to the finer ones. Channels
come before bases: on CPUs that layout is the fastest for dense dilated convolutions (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from genet5.crf.config import CrfConfig
from genet5.crf.hexamer_table import HexamerTable
from genet5.crf.labels import PADDING

HEXAMERS = 4**6 + 1  # the last id stands for a hexamer with an unknown base or beyond the end
KERNEL = 5
CODON_BP, STRETCH_CODONS = 3, 4  # bases of a codon, codons of a stretch
CODON_REACHES = (10, 40)  # codons a frame mean covers, before and after each base


def hexamer_ids(codes: Tensor) -> Tensor:
    """Ids of the hexamers starting at each base.

    codes: integers [..., W], 0..3 for A, C, G, T, 4 for unknown, more for padding. Returns int64 [..., W].
    """
    codes = codes.long()
    padded = F.pad(codes, (0, 5), value=4)
    width = codes.shape[-1]
    ids = torch.zeros_like(codes)
    unknown = torch.zeros_like(codes, dtype=torch.bool)
    for shift in range(6):
        base = padded[..., shift : shift + width]
        ids = ids * 4 + base.clamp(max=3)
        unknown |= base > 3
    return ids.masked_fill(unknown, HEXAMERS - 1)


def frame_means(scores: Tensor) -> Tensor:
    """Sums of ``scores`` over the next and over the last codons of the same frame, scaled to unit variance.

    Before and after stand apart, so that a place where coding begins or ends shows as a difference.
    scores: float32 [N, K, W]. Returns [N, K * 4, W]. Prefix sums per frame make every reach cost the same.
    """
    batch, kinds, width = scores.shape
    codons = F.pad(scores, (0, -width % 3)).view(batch, kinds, -1, 3)
    sums = F.pad(codons.cumsum(2), (0, 0, 1, 0))
    number = codons.shape[2]
    at = torch.arange(number, device=scores.device)
    means = []
    for reach in CODON_REACHES:
        here, scale = sums[:, :, at], reach**-0.5
        means.append((sums[:, :, (at + reach).clamp(max=number)] - here) * scale)
        means.append((here - sums[:, :, (at - reach).clamp(min=0)]) * scale)
    return torch.stack(means, dim=2).reshape(batch, -1, number * 3)[:, :, :width]


class Convolution(nn.Module):
    """A dilated convolution added to its input; dropout on what it adds.

    recompute: in training, compute activations again on the way back instead of keeping them.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel // 2))
        self.dropout = nn.Dropout(dropout)
        self.recompute = False

    def forward(self, values: Tensor, real: Tensor) -> Tensor:
        """values: [N, C, W]. real: [N, 1, W], false beyond the end, which stays zero whatever the batch."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self._convolve, values, real, use_reentrant=False)
        return self._convolve(values, real)

    def _convolve(self, values: Tensor, real: Tensor) -> Tensor:
        return (values + self.dropout(F.silu(self.conv(values)))) * real


class Stem(nn.Module):
    """Bases to features. Initial weights are PyTorch's: hexamer tables of unit scale."""

    def __init__(self, config: CrfConfig) -> None:
        super().__init__()
        base, codon, stretch, dropout = (
            config.stem_channels,
            config.codon_channels,
            config.stretch_channels,
            config.stem_dropout,
        )
        self.embedding = HexamerTable(HEXAMERS, base)
        self.scores = HexamerTable(HEXAMERS, config.score_channels)
        self.join = nn.Conv1d(base + 2 * len(CODON_REACHES) * config.score_channels, base, 1)

        def level(channels: int, dilations: Iterable[int]) -> nn.ModuleList:
            return nn.ModuleList(Convolution(channels, KERNEL, dilation, dropout) for dilation in dilations)

        self.bases = level(base, config.stem_dilations)
        self.to_codons = nn.Conv1d(base, codon, CODON_BP, stride=CODON_BP)
        self.codons = level(codon, config.codon_dilations)
        self.to_stretches = nn.Conv1d(codon, stretch, STRETCH_CODONS, stride=STRETCH_CODONS)
        self.other_strand = nn.Conv1d(2 * stretch, stretch, 1)
        self.stretches = level(stretch, config.stretch_dilations)
        self.from_stretches = nn.ConvTranspose1d(stretch, codon, STRETCH_CODONS, stride=STRETCH_CODONS)
        self.codons_again = level(codon, (1,))
        self.from_codons = nn.ConvTranspose1d(codon, base, CODON_BP, stride=CODON_BP)
        self.bases_again = level(base, (1,))
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.RMSNorm(base)
        for upward in (self.from_stretches, self.from_codons):  # the coarse levels join in as they learn
            nn.init.zeros_(upward.weight)
            nn.init.zeros_(upward.bias)

    def forward(self, codes: Tensor) -> Tensor:
        """codes [B, 2, W] in strand coordinates (4 unknown, more padding) -> features [B, 2, W, C]."""
        batch, strands, width = codes.shape
        codes = F.pad(codes, (0, -width % (CODON_BP * STRETCH_CODONS)), value=PADDING).flatten(0, 1)
        ids = hexamer_ids(codes)
        real = (codes <= 4).unsqueeze(1)
        means = frame_means(self.scores(ids).transpose(1, 2).float() * real)
        embedded = self.embedding(ids).transpose(1, 2)
        joined = self.dropout(torch.cat([embedded, means.to(embedded.dtype)], dim=1))
        bases = self.join(joined) * real  # [2B, C, W]
        for convolution in self.bases:
            bases = convolution(bases, real)
        real_codons = real[:, :, ::CODON_BP]
        codons = self.to_codons(bases) * real_codons
        for convolution in self.codons:
            codons = convolution(codons, real_codons)
        real_stretches = real_codons[:, :, ::STRETCH_CODONS]
        stretches = self.to_stretches(codons) * real_stretches
        both = torch.cat([stretches, _mirrored(stretches, real_stretches, batch)], dim=1)
        stretches = (stretches + F.silu(self.other_strand(both))) * real_stretches
        for convolution in self.stretches:
            stretches = convolution(stretches, real_stretches)
        codons = (codons + self.from_stretches(stretches)) * real_codons
        for convolution in self.codons_again:
            codons = convolution(codons, real_codons)
        bases = (bases + self.from_codons(codons)) * real
        for convolution in self.bases_again:
            bases = convolution(bases, real)
        weight = self.norm.weight.to(bases.dtype)  # one type, also under autocast: the fused kernel asks for it
        normed = F.rms_norm(bases.transpose(1, 2), weight.shape, weight, self.norm.eps)
        return normed[:, :width].view(batch, strands, width, -1)


def _mirrored(stretches: Tensor, real: Tensor, batch: int) -> Tensor:
    """What the other strand shows at the same place: stretch i faces stretch n - 1 - i of n, within a stretch's length.

    stretches: [2B, C, N]. real: [2B, 1, N]. Returns [2B, C, N].
    """
    others = stretches.view(batch, 2, *stretches.shape[1:]).flip(1).flatten(0, 1)
    last = real.sum(-1, keepdim=True) - 1  # the same of both strands
    facing = (last - torch.arange(stretches.shape[-1], device=real.device)).clamp(min=0)  # [2B, 1, N]
    return others.gather(-1, facing.expand_as(others))
