"""The base-resolution stem: what each base looks like in its neighbourhood, the same weights on both strands.

Each strand is read 5' to 3' (the reverse strand as the reverse complement), so the network is symmetric under reverse
complement by construction. A base enters as the embedding of the six bases that start at it and as means of hexamer
scores over neighbouring codons of the same reading frame (the classical signal of coding DNA, and a path without a
plateau to learn it on). Dilated convolutions add context at three resolutions: bases, codons, and stretches of four
codons, where a strand also sees the other one. What the coarse levels find is added back to the finer ones. Channels
come after bases: processors multiply matrices in that layout (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genet5.crf.config import CrfConfig
from genet5.crf.hexamer_loops import CODON_REACHES, HEXAMERS
from genet5.crf.hexamer_table import HexamerTable
from genet5.crf.labels import PADDING
from genet5.crf.layers import Convolution, Dropout, Known, RMSNorm

KERNEL = 5
CODON_BP, STRETCH_CODONS = 3, 4  # bases of a codon, codons of a stretch


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
    scores: float32 [N, W, K]. Returns [N, W, 4 * K]: of each reach the next and the last codons, all kinds. Prefix sums
    per frame make every reach cost the same. On CPUs, ``HexamerMeans`` makes them in one pass.
    """
    batch, width, kinds = scores.shape
    codons = F.pad(scores, (0, 0, 0, -width % 3)).view(batch, -1, 3, kinds)
    sums = F.pad(codons.cumsum(1), (0, 0, 0, 0, 1, 0))
    number = codons.shape[1]
    at = torch.arange(number, device=scores.device)
    means = []
    for reach in CODON_REACHES:
        here, scale = sums[:, at], reach**-0.5
        means.append((sums[:, (at + reach).clamp(max=number)] - here) * scale)
        means.append((here - sums[:, (at - reach).clamp(min=0)]) * scale)
    return torch.cat(means, dim=-1).reshape(batch, number * 3, -1)[:, :width]


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
        self.dropout = Dropout(dropout)
        self.norm = RMSNorm(base)
        for upward in (self.from_stretches, self.from_codons):  # the coarse levels join in as they learn
            nn.init.zeros_(upward.weight)
            nn.init.zeros_(upward.bias)

    def forward(self, codes: Tensor) -> Tensor:
        """codes [B, 2, W] in strand coordinates (4 unknown, more padding) -> features [B, 2, W, C]."""
        batch, strands, width = codes.shape
        codes = F.pad(codes, (0, -width % (CODON_BP * STRETCH_CODONS)), value=PADDING).flatten(0, 1)
        ids = hexamer_ids(codes)
        known = Known.of(codes)
        of_codons = known.every(CODON_BP)
        of_stretches = of_codons.every(STRETCH_CODONS)
        # The weights of means are stored kinds first.
        channels = self.embedding.weight.shape[1]
        first = self.join.weight[:, :, 0]
        of_means = first[:, channels:].unflatten(1, (self.scores.weight.shape[1], -1)).transpose(1, 2).flatten(1)
        means = self.scores.means(ids, codes, frame_means)
        joined = self.dropout(torch.cat([self.embedding(ids), means], dim=-1))
        bases = known.only(F.linear(joined, torch.cat([first[:, :channels], of_means], dim=1), self.join.bias))
        for convolution in self.bases:
            bases = convolution(bases, known)
        codons = of_codons.only(_down(bases, self.to_codons))
        for convolution in self.codons:
            codons = convolution(codons, of_codons)
        stretches = of_stretches.only(_down(codons, self.to_stretches))
        both = torch.cat([stretches, _mirrored(stretches, of_stretches, batch)], dim=-1)
        added = F.silu(F.linear(both, self.other_strand.weight[:, :, 0], self.other_strand.bias))
        stretches = of_stretches.only(stretches + added)
        for convolution in self.stretches:
            stretches = convolution(stretches, of_stretches)
        codons = of_codons.only(codons + _up(stretches, self.from_stretches))
        for convolution in self.codons_again:
            codons = convolution(codons, of_codons)
        bases = known.only(bases + _up(codons, self.from_codons))
        for convolution in self.bases_again:
            bases = convolution(bases, known)
        return self.norm(bases)[:, :width].unflatten(0, (batch, strands))


def _down(values: Tensor, conv: nn.Conv1d) -> Tensor:
    """A convolution whose stride is its kernel: a product with neighbouring rows. [N, W, C] -> [N, W / K, D]."""
    (step,) = conv.stride
    weight = conv.weight.transpose(1, 2).flatten(1)
    return F.linear(values.reshape(len(values), -1, step * values.shape[-1]), weight, conv.bias)


def _up(values: Tensor, conv: nn.ConvTranspose1d) -> Tensor:
    """Its counterpart: a row becomes several. [N, W, C] -> [N, W * K, D]."""
    (step,) = conv.stride
    weight = conv.weight.permute(2, 1, 0).flatten(0, 1)
    return F.linear(values, weight, conv.bias.repeat(step)).reshape(len(values), -1, conv.out_channels)


def _mirrored(stretches: Tensor, known: Known, batch: int) -> Tensor:
    """What the other strand shows at the same place: stretch i faces stretch n - 1 - i of n, within a stretch's length.

    stretches: [2B, N, C].
    """
    others = stretches.unflatten(0, (batch, 2)).flip(1).flatten(0, 1)
    if known.mask is None:
        return others.flip(1)
    last = known.mask.sum(1, keepdim=True) - 1  # the same of both strands
    facing = (last - torch.arange(stretches.shape[1], device=stretches.device)[:, None]).clamp(min=0)  # [2B, N, 1]
    return others.gather(1, facing.expand_as(others))
