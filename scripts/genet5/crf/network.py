"""The network of the gene finder: per-base classes, sites, and the potentials of chains of genes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genet5.crf.config import CrfConfig
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.crf.hexamer_table import HexamerTable
from genet5.crf.labels import NUM_CLASSES
from genet5.crf.layers import Convolution, Known, RMSNorm, rows_at
from genet5.crf.stem import Stem, hexamer_ids
from genet5.genome.sites import NUM_SITES

SITE_KERNEL = 9
SITE_GRADIENT_TO_STEM = 0.05  # more holds the stem on a plateau at first (docs/decisions.md)
FIRST_CODING_SCALE, FIRST_INTRON_SCALE = 0.015, 0.005  # neighbouring bases say nearly the same
FIRST_GENE_PENALTY = 3.0


class Output(NamedTuple):
    """What the network says of a batch of windows, in strand coordinates.

    features: [B, 2, W, C]. class_logits: [B, 2, W, 5], neither, codon position 0, 1, 2, intron. site_logits: [B, 2, 4,
    W + 1], start, stop, donor, acceptor. potentials: float32 [B, 2, W, 4], of coding and intron against neither.
    site_potentials: float32 [B, 2, 4, W + 1].
    """

    features: Tensor
    class_logits: Tensor
    site_logits: Tensor
    potentials: Tensor
    site_potentials: Tensor


class CrfNetwork(nn.Module):
    """Stem, base head, site head with a branch of its own, and the weights that turn their logits into potentials."""

    def __init__(self, config: CrfConfig) -> None:
        super().__init__()
        channels, near = config.stem_channels, config.site_channels
        self.stem = Stem(config)
        self.class_head = nn.Linear(channels, NUM_CLASSES)
        self.site_embedding = HexamerTable(HEXAMERS, near)
        self.site_convolutions = nn.ModuleList(
            Convolution(near, SITE_KERNEL, dilation, config.stem_dropout) for dilation in config.site_dilations
        )
        self.site_norm = RMSNorm(near)
        self.site_head = nn.Sequential(
            nn.Linear(2 * (channels + near), 2 * channels), nn.SiLU(), nn.Linear(2 * channels, NUM_SITES)
        )
        self.chain_head = nn.Linear(channels, NUM_CLASSES - 1)
        scales = torch.tensor([FIRST_CODING_SCALE] * 3 + [FIRST_INTRON_SCALE])
        self.chain_scale = nn.Parameter(scales.log())
        self.site_scale = nn.Parameter(torch.ones(NUM_SITES))
        self.site_bias = nn.Parameter(torch.zeros(NUM_SITES))
        self.gene_penalty = nn.Parameter(torch.tensor(FIRST_GENE_PENALTY))
        self.reset_heads()

    @torch.no_grad()
    def reset_heads(self) -> None:
        self.site_head[-1].bias.fill_(-2.0)  # real sites are rare: begin near their share, not at one half
        nn.init.zeros_(self.chain_head.weight)
        nn.init.zeros_(self.chain_head.bias)

    def forward(self, codes: Tensor, places: Tensor | None = None) -> Output:
        """codes: [B, 2, W] in strand coordinates, 0..3, 4 unknown, more padding.

        places: bool [B, 2, W + 1], boundaries whose sites are wanted; elsewhere their logits may be 0. None: all.
        """
        features = self.stem(codes)
        heads = self.class_head, self.chain_head
        weight, bias = (torch.cat([getattr(head, name) for head in heads]) for name in ("weight", "bias"))
        class_logits, chain = F.linear(features, weight, bias).split([NUM_CLASSES, NUM_CLASSES - 1], dim=-1)
        site_logits = self._site_logits(features, self._near(codes), places)
        odds = (class_logits[..., 1:] - class_logits[..., :1]).float()
        potentials = odds * self.chain_scale.exp() + chain.float()
        site_potentials = site_logits.float() * self.site_scale[:, None] + self.site_bias[:, None]
        return Output(features, class_logits, site_logits, potentials, site_potentials)

    def _site_logits(self, features: Tensor, near: Tensor, places: Tensor | None) -> Tensor:
        """[B, 2, 4, W + 1], from features [B, 2, W, C] and near [B, 2, W, N]."""
        if places is None or features.device.type != "cpu" or torch.compiler.is_compiling():
            seen = features * SITE_GRADIENT_TO_STEM + features.detach() * (1 - SITE_GRADIENT_TO_STEM)
            both = torch.cat([seen, near], dim=-1)
            around = torch.cat([F.pad(both, (0, 0, 1, 0)), F.pad(both, (0, 0, 0, 1))], dim=-1)
            return self.site_head(around).transpose(-1, -2)
        found = self.site_head(rows_at(features, near, places, SITE_GRADIENT_TO_STEM))
        logits = found.new_zeros(places.numel(), NUM_SITES).index_copy(0, places.flatten().nonzero()[:, 0], found)
        return logits.view(*places.shape, NUM_SITES).transpose(-1, -2)

    def _near(self, codes: Tensor) -> Tensor:
        """Features of the sites' own branch, [B, 2, W, N]."""
        batch, strands, _ = codes.shape
        codes = codes.flatten(0, 1)
        known = Known.of(codes)
        values = known.only(self.site_embedding(hexamer_ids(codes)))
        for convolution in self.site_convolutions:
            values = convolution(values, known)
        return self.site_norm(values).unflatten(0, (batch, strands))
