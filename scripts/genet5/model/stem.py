"""The base-resolution stem: what each base looks like in its neighbourhood, the same weights on both strands.

Each strand is read 5' to 3' on its own (the reverse strand as the reverse complement), so the network is symmetric
under reverse complement by construction. A base enters as the embedding of the six bases that start at it. Two things
add context: means of hexamer scores over neighbouring codons of the same reading frame (the classical signal of
coding DNA, and a path without a plateau to learn it on), and dilated convolutions, most dilations multiples of three
so that a base is compared with bases of its own codon position. Channels come before bases: on CPUs that layout is
the fastest for dense dilated convolutions (docs/decisions.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEXAMERS = 4**6 + 1  # the last id stands for a hexamer with an unknown base or beyond the end
KERNEL = 5
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


class Stem(nn.Module):
    """Bases to features, one strand at a time. Initial weights are PyTorch's: hexamer tables of unit scale."""

    def __init__(self, channels: int, score_channels: int, dilations: tuple[int, ...], dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(HEXAMERS, channels)
        self.scores = nn.Embedding(HEXAMERS, score_channels)
        self.join = nn.Conv1d(channels + 2 * len(CODON_REACHES) * score_channels, channels, 1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, channels, KERNEL, dilation=dilation, padding=dilation * (KERNEL // 2))
            for dilation in dilations
        )
        self.norm = nn.RMSNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, codes: Tensor) -> Tensor:
        """codes [B, 2, W] in strand coordinates (4 unknown, more padding) -> features [B, 2, W, C].

        Padding is zeroed before every convolution, so that a window's features do not depend on its neighbours'
        lengths.
        """
        batch, strands, width = codes.shape
        codes = codes.flatten(0, 1)
        ids = hexamer_ids(codes)
        real = (codes <= 4).unsqueeze(1)
        means = frame_means(self.scores(ids).transpose(1, 2).float() * real)
        embedded = self.embedding(ids).transpose(1, 2)
        joined = self.dropout(torch.cat([embedded, means.to(embedded.dtype)], dim=1))
        values = self.join(joined) * real  # [2B, C, W]
        for convolution in self.convolutions:
            values = (values + self.dropout(F.silu(convolution(values)))) * real
        weight = self.norm.weight.to(values.dtype)  # one type, also under autocast: the fused kernel asks for it
        normed = F.rms_norm(values.transpose(1, 2), weight.shape, weight, self.norm.eps)
        return normed.view(batch, strands, width, -1)
