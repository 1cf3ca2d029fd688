"""What the CRF says of each candidate boundary, as a weighted sum of ten numbers.

The CRF gives potentials of bases and sites, and sums over all chains of genes (``crf/messages.py``) say what every
boundary leaves possible behind it. Prefix sums make the score of any stretch in any frame two look-ups, so that all
candidates of all boundaries of a batch are weighed in one gather.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genet5.crf.labels import CODING, INTRON
from genet5.crf.messages import chain_messages
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, START_SITE, STOP_SITE
from genet5.writer.decisions import (
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

NUM_FEATURES = 10
(
    CODING_SPAN,
    INTRON_SPAN,
    SITE,
    AFTER,
    HAZARD,
    ONE,
    LENGTH,
    LENGTH_SQUARED,
    STARTS_BEFORE,
    COMMON_START,
) = range(NUM_FEATURES)

LEAST_LOG_PROBABILITY = -20.0  # of genes that the window's edge cuts

_SITE_OF_KIND = (START_SITE, DONOR_SITE, STOP_SITE, -1, ACCEPTOR_SITE, -1, -1)


class ScoreSums(NamedTuple):
    """Sums and messages of one batch, in strand coordinates unless said.

    coding: [B, 2, 3, W + 1], potentials summed over bases before the boundary, read with codons starting at positions
    = frame (mod 3). intron: [B, 2, W + 1]. sites: [B, 2, 4, W + 1], potentials; of starts their log-chance. after,
    cut: see ``chains.Messages``, [B, 2, W + 1, 7] and [B, 2, 3]. hazard: [B, W + 2], forward coordinates: minus the log
    of the chance that no gene starts at forward boundaries < p, on both strands.
    """

    coding: Tensor
    intron: Tensor
    sites: Tensor
    after: Tensor
    cut: Tensor
    hazard: Tensor


def prefix_sum(values: Tensor) -> Tensor:
    """Sums of the first 0, 1, ... entries along the last axis."""
    return F.pad(values.cumsum(-1), (1, 0))


def score_sums(
    potentials: Tensor, site_potentials: Tensor, penalty: Tensor, sites: Tensor, lengths: Tensor
) -> ScoreSums:
    """Sums and messages of a batch.

    potentials: [B, 2, W, 4], coding at codon position 0, 1, 2 and intron. site_potentials: [B, 2, 4, W + 1]. penalty:
    scalar. sites: int8 [B, 2, 4, W + 1], more than -2 where the bases allow a site. lengths: [B], of the windows.
    """
    batch, _, width, _ = potentials.shape
    strand = torch.arange(2, device=potentials.device).repeat(batch)
    messages = chain_messages(
        potentials.flatten(0, 1),
        site_potentials.flatten(0, 1),
        penalty,
        (sites > -2).flatten(0, 1),
        lengths.repeat_interleave(2),
        strand == 0,
    )
    position = torch.arange(width, device=potentials.device)
    odds = potentials * (position < lengths[:, None])[:, None, :, None]  # what lies beyond the window says nothing
    frames = [
        odds.gather(-1, ((position - frame) % 3).view(1, 1, -1, 1).expand(*odds.shape[:2], -1, 1)) for frame in range(3)
    ]
    coding = prefix_sum(torch.cat(frames, dim=-1).transpose(-1, -2))
    intron = prefix_sum(odds[..., 3])
    start, skipped = messages.start.view(batch, 2, -1), messages.skipped.view(batch, 2, -1)
    boundary = torch.arange(width + 1, device=odds.device)
    mirrored = (lengths[:, None] - boundary).clamp(min=0)
    backward = skipped[:, 1].gather(1, mirrored) * (boundary <= lengths[:, None])
    chances = torch.cat([start[:, :, None], site_potentials[:, :, 1:].float()], dim=2)
    after = messages.after.view(batch, 2, width + 1, -1)
    return ScoreSums(
        coding, intron, chances, after, messages.cut.view(batch, 2, 3), prefix_sum(skipped[:, 0] + backward)
    )


class BoundaryScores(nn.Module):
    """Learned weights of the numbers, one row per kind of candidate.

    The first weights write as the CRF itself would, but for starts, whose chances on the two strands are taken as
    independent: a span, its site and what may follow add up to the conditional log-probability of the next boundary.
    """

    def __init__(self) -> None:
        super().__init__()
        weights = torch.zeros(len(Kind), NUM_FEATURES)
        for kind in (Kind.DONOR, Kind.STOP, Kind.EDGE):
            weights[kind, CODING_SPAN] = 1.0
        weights[Kind.ACCEPTOR, INTRON_SPAN] = 1.0
        for kind in (Kind.START, Kind.DONOR, Kind.STOP, Kind.ACCEPTOR, Kind.CUT):
            weights[kind, SITE] = 1.0
        for kind in (Kind.DONOR, Kind.STOP, Kind.ACCEPTOR, Kind.CUT):
            weights[kind, AFTER] = 1.0
        for kind in (Kind.START, Kind.CUT, Kind.NONE):
            weights[kind, HAZARD] = 1.0
        self.weights = nn.Parameter(weights)

    def features(self, sums: ScoreSums, table: Tensor, sample: Tensor, opening: bool = False) -> Tensor:
        """table: int [N, 10] candidates, sample: int [N] rows of the batch -> [N, 10].

        opening: a structure token is chosen, so that cut genes stand against starts, not against ways to go on.
        """
        table = table.long()
        strand, position, anchor, frame = (table[:, column] for column in (STRAND, POSITION, ANCHOR, FRAME))
        kind = table[:, KIND]
        is_end = (kind == Kind.DONOR) | (kind == Kind.STOP) | (kind == Kind.EDGE)
        is_acceptor, is_cut = kind == Kind.ACCEPTOR, kind == Kind.CUT
        coding_here, coding_there = (sums.coding[sample, strand, frame, place] for place in (position, anchor))
        coding_span = (coding_here - coding_there) * is_end
        intron_span = (sums.intron[sample, strand, position] - sums.intron[sample, strand, anchor]) * is_acceptor
        site_of_kind = torch.tensor(_SITE_OF_KIND, device=table.device)[kind]
        site = sums.sites[sample, strand, site_of_kind.clamp(min=0), position] * (site_of_kind >= 0)
        next_codon_position = (position - frame) % 3  # of the base at the boundary, if it is coding
        state = torch.where(kind == Kind.DONOR, INTRON, CODING) + next_codon_position
        state = torch.where(kind == Kind.STOP, 0, state)
        after = sums.after[sample, strand, position, state] * ((kind == Kind.DONOR) | (kind == Kind.STOP) | is_acceptor)
        cut = sums.cut[sample, strand, next_codon_position].clamp(min=LEAST_LOG_PROBABILITY)
        if opening:
            cut = torch.where(table[:, RANK] > 0, LEAST_LOG_PROBABILITY, cut)
            site = torch.where(is_cut, cut, site)
        else:
            after = torch.where(is_cut, sums.after[sample, strand, 0, CODING + next_codon_position], after)
        opens_gene = (kind == Kind.START) | is_cut | (kind == Kind.NONE)
        skipped = sums.hazard[sample, table[:, FORWARD]] - sums.hazard[sample, table[:, PREVIOUS] + 1]
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
                after,
                hazard,
                torch.ones_like(site),
                length,
                length.square(),
                torch.log1p(table[:, RANK].float()) * is_start,
                (table[:, FIRST_CODON] * is_start).float(),
            ],
            dim=-1,
        )

    def forward(self, sums: ScoreSums, table: Tensor, sample: Tensor, opening: bool = False) -> Tensor:
        """Score of each candidate, [N]; arguments as in ``features``."""
        features = self.features(sums, table, sample, opening)
        return (self.weights[table[:, KIND].long()] * features).sum(-1)
