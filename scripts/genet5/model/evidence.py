"""What the base head says about each candidate boundary, as a weighted sum of fourteen numbers.

The base head gives per base and strand the log-odds of "coding, codon position c" and of "intron" against "neither",
and per site the log-odds of being a real start, stop, donor or acceptor. Prefix sums make the evidence of any stretch
read in any frame two look-ups, so that all candidates of all boundaries of a batch are weighed in one gather.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genet5.model.decisions import (
    AHEAD,
    ANCHOR,
    DIRECT,
    FIRST_CODON,
    FORWARD,
    FRAME,
    KIND,
    POSITION,
    PREVIOUS,
    RANK,
    STRAND,
    Kind,
)

NUM_FEATURES = 14
(
    CODING_SPAN,
    INTRON_SPAN,
    SITE,
    DIRECT_CODING,
    AHEAD_CODING,
    AHEAD_INTRON,
    HAZARD,
    ONE,
    LENGTH,
    LENGTH_SQUARED,
    BEHIND_CODING,
    STARTS_BEFORE,
    COMMON_START,
    DIRECT_MEAN,
) = range(NUM_FEATURES)

LOOK_BEHIND_BP = 90
MEAN_SCALE = 32.0  # about the inverse of evidence_scale
LOOK_INTO_INTRON_BP = 60

START_SITE, STOP_SITE, DONOR_SITE, ACCEPTOR_SITE = range(4)
NUM_SITES = 4
_SITE_OF_KIND = (START_SITE, DONOR_SITE, STOP_SITE, -1, ACCEPTOR_SITE, -1, -1)


class Bank(NamedTuple):
    """Prefix sums of one batch, in strand coordinates unless said.

    coding: [B, 2, 3, W + 1], log-odds summed over bases before the boundary, read with codons starting at positions
    = frame (mod 3). intron: [B, 2, W + 1]. sites: [B, 2, 4, W + 1] log-odds. hazard: [B, W + 2], forward coordinates:
    entry p is the expected number of gene starts at forward boundaries < p, both strands.
    """

    coding: Tensor
    intron: Tensor
    sites: Tensor
    hazard: Tensor


def prefix_sum(values: Tensor) -> Tensor:
    """Sums of the first 0, 1, ... entries along the last axis."""
    return F.pad(values.cumsum(-1), (1, 0))


def make_bank(class_logits: Tensor, site_logits: Tensor, start_sites: Tensor, lengths: Tensor, scale: float) -> Bank:
    """Prefix sums of a batch.

    class_logits: [B, 2, W, 5] (neither, codon position 0, 1, 2, intron). site_logits: [B, 2, 4, W + 1].
    start_sites: bool [B, 2, W + 1], start codons. lengths: [B] window lengths. scale: factor on sums over bases.
    """
    width = class_logits.shape[2]
    odds = (class_logits[..., 1:] - class_logits[..., :1]).float() * scale  # [B, 2, W, 4]
    position = torch.arange(width, device=odds.device)
    odds = odds * (position < lengths[:, None])[:, None, :, None]  # what lies beyond the window says nothing
    frames = [
        odds.gather(-1, ((position - frame) % 3).view(1, 1, -1, 1).expand(*odds.shape[:2], -1, 1)) for frame in range(3)
    ]
    coding = prefix_sum(torch.cat(frames, dim=-1).transpose(-1, -2))
    intron = prefix_sum(odds[..., 3])
    starting = F.softplus(site_logits[:, :, START_SITE].float()) * start_sites  # -log P(no gene starts here)
    boundary = torch.arange(width + 1, device=odds.device)
    mirrored = (lengths[:, None] - boundary).clamp(min=0)
    backward = starting[:, 1].gather(1, mirrored) * (boundary <= lengths[:, None])
    return Bank(coding, intron, site_logits.float(), prefix_sum(starting[:, 0] + backward))


class Evidence(nn.Module):
    """Learned weights of the fourteen numbers, one row per kind of candidate."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.zeros(len(Kind), NUM_FEATURES)
        for kind in (Kind.DONOR, Kind.STOP, Kind.EDGE):
            weights[kind, CODING_SPAN] = 1.0
        for kind in (Kind.START, Kind.DONOR, Kind.STOP, Kind.ACCEPTOR):
            weights[kind, SITE] = 1.0
        for kind in (Kind.START, Kind.CUT):
            weights[kind, DIRECT_CODING] = 0.01
            weights[kind, AHEAD_CODING] = 1.0
        weights[Kind.START, BEHIND_CODING] = -1.0
        weights[Kind.START, STARTS_BEFORE] = -1.0
        weights[Kind.START, COMMON_START] = 1.0
        weights[Kind.START, DIRECT_MEAN] = 0.5
        weights[Kind.ACCEPTOR, AHEAD_CODING] = 1.0
        weights[Kind.ACCEPTOR, INTRON_SPAN] = 0.3
        weights[Kind.DONOR, AHEAD_INTRON] = 1.0
        for kind in (Kind.START, Kind.CUT, Kind.NONE):
            weights[kind, HAZARD] = 1.0
        self.weights = nn.Parameter(weights)

    def features(self, bank: Bank, table: Tensor, sample: Tensor) -> Tensor:
        """table: int [N, 11] candidates, sample: int [N] rows of the batch -> [N, 14]."""
        table = table.long()
        strand, position, anchor, frame = (table[:, column] for column in (STRAND, POSITION, ANCHOR, FRAME))
        kind = table[:, KIND]
        coding_here = bank.coding[sample, strand, frame, position]
        is_end = (kind == Kind.DONOR) | (kind == Kind.STOP) | (kind == Kind.EDGE)
        coding_span = (coding_here - bank.coding[sample, strand, frame, anchor]) * is_end
        direct = bank.coding[sample, strand, frame, table[:, DIRECT]] - coding_here
        ahead = bank.coding[sample, strand, frame, table[:, AHEAD]] - coding_here
        intron_here = bank.intron[sample, strand, position]
        is_acceptor = kind == Kind.ACCEPTOR
        intron_span = (intron_here - bank.intron[sample, strand, anchor]) * is_acceptor
        behind = coding_here - bank.coding[sample, strand, frame, (position - LOOK_BEHIND_BP).clamp(min=0)]
        width = bank.intron.shape[-1] - 1
        ahead_intron = bank.intron[sample, strand, (position + LOOK_INTO_INTRON_BP).clamp(max=width)] - intron_here
        site_of_kind = torch.tensor(_SITE_OF_KIND, device=table.device)[kind]
        site = bank.sites[sample, strand, site_of_kind.clamp(min=0), position] * (site_of_kind >= 0)
        opens_gene = (kind == Kind.START) | (kind == Kind.CUT) | (kind == Kind.NONE)
        skipped = bank.hazard[sample, table[:, FORWARD]] - bank.hazard[sample, table[:, PREVIOUS] + 1]
        hazard = -skipped.clamp(min=0) * opens_gene
        is_start = kind == Kind.START
        # Of a segment or intron: its length so far. Of a start: what its frame would make without introns.
        span = torch.where(is_start, table[:, DIRECT] - position, (position - anchor) * (is_end | is_acceptor))
        length = torch.log1p(span.clamp(min=0).float()) / 4
        return torch.stack(
            [
                coding_span,
                intron_span,
                site,
                direct,
                ahead,
                ahead_intron * (kind == Kind.DONOR),
                hazard,
                torch.ones_like(site),
                length,
                length.square(),
                behind * (is_start | is_acceptor),
                torch.log1p(table[:, RANK].float()) * is_start,
                (table[:, FIRST_CODON] * is_start).float(),
                # Mean over the reading frame instead of its sum: says the same of a short gene as of a long one.
                direct / (table[:, DIRECT] - position + 1) * (MEAN_SCALE * is_start),
            ],
            dim=-1,
        )

    def forward(self, bank: Bank, table: Tensor, sample: Tensor) -> Tensor:
        """Evidence of each candidate, [N]."""
        features = self.features(bank, table, sample)
        return (self.weights[table[:, KIND].long()] * features).sum(-1)


def group_logsumexp(values: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """Log of summed exponentials of ``values`` [N] per group, [num_groups]; -inf for a group without members."""
    highest = torch.full((num_groups,), -torch.inf, device=values.device, dtype=values.dtype)
    highest = highest.scatter_reduce(0, group, values.detach(), "amax")
    shifted = torch.exp(values - highest[group])
    total = torch.zeros(num_groups, device=values.device, dtype=values.dtype).index_add(0, group, shifted)
    filled = total > 0
    return torch.where(filled, torch.log(torch.where(filled, total, 1.0)) + highest.clamp(min=-1e30), -torch.inf)
