"""The base-resolution stem: what each base looks like in its neighbourhood, the same weights on both strands.

Each strand is read 5' to 3' on its own (the reverse strand as the reverse complement), so the network is symmetric under
reverse complement by construction. A base enters as the embedding of the six bases that start at it; dilated
convolutions, most dilations multiples of three so that a base is compared with bases of its own codon position, add
context. Channels come before bases: on CPUs that layout is the fastest for dense dilated convolutions (docs/decisions.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEXAMERS = 4**6 + 1  # the last id stands for a hexamer with an unknown base or beyond the end
KERNEL = 5


def hexamer_ids(codes: Tensor) -> Tensor:
    """Ids of the hexamers starting at each base.

    codes: integers [..., W], 0..3 for A, C, G, T, 4 for unknown or padding. Returns int64 [..., W].
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


class Stem(nn.Module):
    """Bases to features, one strand at a time."""

    def __init__(self, channels: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(HEXAMERS, channels)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, channels, KERNEL, dilation=dilation, padding=dilation * (KERNEL // 2))
            for dilation in dilations
        )
        self.norm = nn.RMSNorm(channels)

    def forward(self, codes: Tensor) -> Tensor:
        """codes [B, 2, W] (strand coordinates, 4 = unknown or padding) -> features [B, 2, W, C].

        Padding is zeroed before every convolution, so that a window's features do not depend on its neighbours' lengths.
        """
        batch, strands, width = codes.shape
        codes = codes.flatten(0, 1)
        known = (codes <= 4).unsqueeze(1)  # padding is coded above 4
        values = self.embedding(hexamer_ids(codes)).transpose(1, 2) * known  # [2B, C, W]
        for convolution in self.convolutions:
            values = (values + F.silu(convolution(values))) * known
        return self.norm(values.transpose(1, 2)).view(batch, strands, width, -1)
