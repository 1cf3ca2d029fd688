"""What is chosen at each structure token, and how the network weighs it.

Ids are weighed by the language head, boundaries by pointing: first at a mile-post of this window, then at a base of its
segment. CRF scores of each way to go on are added with learned weights (``crf_scores.py``).
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from genet5.writer.batch import Decisions, PlaceDecisions, StructureDecisions
from genet5.writer.config import GeneT5Config
from genet5.writer.crf_scores import BoundaryScores, ScoreSums
from genet5.writer.decisions import FORWARD
from genet5.writer.embedding import features_at
from genet5.writer.losses import group_logsumexp
from genet5.writer.passes import Choices, WindowScores


def full_precision(device: torch.device) -> AbstractContextManager:
    """No autocast: matches are small differences of large sums, which bf16 rounds away (docs/decisions.md)."""
    return torch.autocast(device.type, enabled=False)


class ChoiceHead(nn.Module):
    """Pointers to mile-posts and bases, and the weights of CRF scores."""

    def __init__(self, config: GeneT5Config) -> None:
        super().__init__()
        hidden, pointer = config.hidden_size, config.pointer_size
        self.config = config
        self.boundary_scores = BoundaryScores()
        self.option_weight = nn.Parameter(torch.ones(()))
        self.post_query = nn.Linear(hidden, pointer)
        self.post_key = nn.Linear(hidden, pointer)
        self.base_query = nn.Linear(hidden, pointer)
        self.base_key = nn.Linear(4 * config.crf_config.stem_channels, pointer)

    def post_keys(self, states: Tensor) -> Tensor:
        """What queries are matched with, of the states at mile-posts; float32 [..., D]."""
        with full_precision(states.device):
            return self.post_key(states.float())

    def structure_logits(
        self, hidden: Tensor, decisions: StructureDecisions, sums: ScoreSums, tokens: nn.Embedding
    ) -> Tensor:
        """Logits of legal structure tokens, [O]; hidden: [S, H], states before each decision."""
        ids, owner = decisions.option_id, decisions.owner
        logits = (hidden[decisions.option_decision].float() * tokens.weight[ids].float()).sum(-1)
        if len(decisions.table):
            row = decisions.sample[decisions.option_decision[owner]]
            weighed = self.boundary_scores(sums, decisions.table, row, opening=True)
            score = group_logsumexp(weighed, owner, len(ids))
            logits = logits + self.option_weight * torch.where(score.isinf(), 0.0, score)
        return logits

    def candidate_scores(
        self, hidden: Tensor, scores: WindowScores, lengths: Tensor, post_keys: Tensor, places: PlaceDecisions
    ) -> Tensor:
        """Score of each candidate of boundary decisions, [N].

        hidden: [Q, H], states before each decision. post_keys: [B, L, D]. While a mile-post is chosen, a candidate's
        score is its segment's match plus its CRF score; while an offset is chosen, its own match plus its CRF score.
        """
        forward = places.table[:, FORWARD].long()
        sample = places.sample[places.owner]
        offset = places.is_offset[places.owner]
        found = self.boundary_scores(scores.sums, places.table, sample)
        segment = forward[~offset] // self.config.segment_bp
        match = torch.empty_like(found)
        with full_precision(hidden.device):
            hidden = hidden.float()
            near = features_at(scores.features, lengths, sample[offset], forward[offset]).float()
            match[offset] = (self.base_query(hidden)[places.owner[offset]] * self.base_key(near)).sum(-1)
            keys = post_keys[sample[~offset], segment]
            match[~offset] = (self.post_query(hidden)[places.owner[~offset]] * keys).sum(-1)
        return found + match / self.config.pointer_size**0.5

    def place_units(self, scores: Tensor, places: PlaceDecisions) -> tuple[Tensor, Tensor, Tensor]:
        """What can be chosen: segments while a mile-post is chosen, positions while an offset is.

        Returns logits [M], the decision of each [M], and its segment or forward position [M].
        """
        forward = places.table[:, FORWARD].long()
        unit = torch.where(places.is_offset[places.owner], forward, forward // self.config.segment_bp)
        span = int(unit.max()) + 1 if len(unit) else 1
        unique, inverse = torch.unique(places.owner * span + unit, return_inverse=True)
        return group_logsumexp(scores, inverse, len(unique)), unique // span, unique % span

    def forward(
        self,
        decisions: Decisions,
        scores: WindowScores,
        lengths: Tensor,
        states: Tensor,
        post_keys: Tensor,
        tokens: nn.Embedding,
    ) -> list[Choices]:
        """A batch's choices among structure tokens and among places; states: [B, T, H] before each token."""
        found = []
        if len(decisions.structure):
            found.append(self._structure_choices(decisions.structure, scores, states, tokens))
        if len(decisions.places):
            found.append(self._place_choices(decisions.places, scores, lengths, states, post_keys))
        return found

    def _structure_choices(
        self, decisions: StructureDecisions, scores: WindowScores, states: Tensor, tokens: nn.Embedding
    ) -> Choices:
        sample, step = decisions.sample, decisions.step
        logits = self.structure_logits(states[sample, step], decisions, scores.sums, tokens)
        first = torch.searchsorted(decisions.option_decision, torch.arange(len(sample), device=logits.device))
        return Choices(logits, decisions.option_decision, first + decisions.target, sample, step)

    def _place_choices(
        self, places: PlaceDecisions, scores: WindowScores, lengths: Tensor, states: Tensor, post_keys: Tensor
    ) -> Choices:
        sample, step = places.sample, places.step
        found = self.candidate_scores(states[sample, step], scores, lengths, post_keys, places)
        logits, decision, unit = self.place_units(found, places)
        wanted = torch.where(places.is_offset, places.target, places.target // self.config.segment_bp)
        right = torch.nonzero(unit == wanted[decision]).squeeze(1)
        chosen = torch.empty_like(wanted).index_copy_(0, decision[right], right)
        return Choices(logits, decision, chosen, sample, step)
