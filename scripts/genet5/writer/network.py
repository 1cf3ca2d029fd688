"""GeneT5: reader of DNA, transformers backbone, language head with pointers.

The prompt (DNA tokens with mile-posts) attends in both directions, the structure text is causal and sees all DNA. A
structure token is chosen among the legal ones: ids by the language head, boundaries by pointing, first at a mile-post,
then at a base of its segment. What the reader holds of each way to go on is added to the logits (``evidence.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel, Qwen2MoeModel
from transformers.cache_utils import Cache, DynamicCache

from genet5.crf.network import Reader
from genet5.writer.batch import Batch
from genet5.writer.config import GeneT5Config, backbone_config
from genet5.writer.crf_scores import Bank, Evidence, group_logsumexp, make_bank
from genet5.writer.decisions import FORWARD
from genet5.writer.losses import choice_loss, router_loss
from genet5.writer.passes import Branches, Choices, Pass, Places, PromptPass, Reading

NUM_WAVES = 16


def full_precision(device: torch.device) -> AbstractContextManager:
    """No autocast: matches are small differences of large sums, which bf16 rounds away (docs/decisions.md)."""
    return torch.autocast(device.type, enabled=False)


def wave_rates() -> Tensor:
    """Radians per base of the waves that tell a token's place: periods of 10 bp to 100 kbp."""
    return 2 * torch.pi / torch.logspace(1, 5, NUM_WAVES)


class GeneT5Model(PreTrainedModel):
    """See the module."""

    config_class = GeneT5Config
    base_model_prefix = "genet5"
    #: share of the language loss spread over all legal choices; training sets it, validation sets 0
    label_smoothing: float = 0.0
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    def __init__(self, config: GeneT5Config) -> None:
        super().__init__(config)
        hidden, channels, pointer = config.hidden_size, config.stem_channels, config.pointer_size
        self.reader = Reader(config)
        self.more_readers = nn.ModuleList(Reader(config) for _ in range(config.num_readers - 1))  # join_crfs.py
        self.evidence = Evidence()
        backbone = backbone_config(config)
        backbone._attn_implementation = "sdpa"
        self.backbone = Qwen2MoeModel(backbone)
        self.base_to_token = nn.Linear(2 * channels, hidden)
        self.place_to_token = nn.Linear(2 * NUM_WAVES, hidden)
        self.post_query = nn.Linear(hidden, pointer)
        self.post_key = nn.Linear(hidden, pointer)
        self.base_query = nn.Linear(hidden, pointer)
        self.base_key = nn.Linear(4 * channels, pointer)
        self.option_evidence = nn.Parameter(torch.ones(()))
        self.register_buffer("waves", wave_rates(), persistent=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if module in self._own_first_weights():
            return
        if module is self:  # buffers that are not stored come out of from_pretrained empty
            self.waves.copy_(wave_rates())
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.config.init_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.init_std)
        else:
            super()._init_weights(module)

    def _own_first_weights(self) -> set[nn.Module]:
        """Parts made with their first weights: the reader's (small ones would hold it on a plateau), the evidence's."""
        return {self.evidence, *self.reader.modules(), *self.more_readers.modules()}

    def train(self, mode: bool = True) -> GeneT5Model:
        """The reader stays in evaluation mode: it is trained by itself (``crf/training.py``)."""
        super().train(mode)
        for reader in self.readers:
            reader.eval()
        return self

    @property
    def readers(self) -> list[Reader]:
        return [self.reader, *self.more_readers]

    @property
    def gene_penalty(self) -> Tensor:
        """Of the readers' fields together; scalar."""
        return torch.stack([reader.gene_penalty for reader in self.readers]).mean()

    def freeze_readers(self) -> None:
        """Leave the readers as they are while the rest is trained."""
        for reader in self.readers:
            reader.requires_grad_(False)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.backbone.embed_tokens

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.backbone.embed_tokens = value

    # ---------------------------------------------------------------- DNA

    @torch.no_grad()
    def read(self, codes: Tensor, lengths: Tensor, sites: Tensor) -> Reading:
        """What the DNA shows. codes: [B, 2, W], lengths: [B], sites: int8 [B, 2, 4, W + 1]. Without gradients.

        Several readers count as one whose potentials are the mean of theirs: the chains of genes are then weighed by
        the geometric mean of their odds. The features are those of the first.
        """
        reads = [reader(codes) for reader in self.readers]
        _, *logits_and_potentials = zip(*reads, strict=True)
        class_logits, _, potentials, site_potentials = (sum(found) / len(reads) for found in logits_and_potentials)
        bank = make_bank(potentials, site_potentials, self.gene_penalty, sites, lengths)
        return Reading(F.pad(reads[0].features, (0, 0, 1, 1)), class_logits, potentials, site_potentials, bank)

    def _at_boundary(self, features: Tensor, lengths: Tensor, sample: Tensor, forward: Tensor) -> Tensor:
        """Features around forward boundaries: base before and after on +, the same two on -; [N, 4C]."""
        last = lengths[sample]
        mirrored = (last - forward).clamp(min=0)
        plus = (features[sample, 0, forward], features[sample, 0, forward + 1])  # entry i + 1 is base i
        minus = (features[sample, 1, mirrored], features[sample, 1, mirrored + 1])
        return torch.cat([*plus, *minus], dim=-1)

    def _waves_at(self, position: Tensor) -> Tensor:
        """Sinusoids of forward positions: how tokens know where on the window they stand."""
        angle = position.unsqueeze(-1).float() * self.waves
        return torch.cat([angle.sin(), angle.cos()], dim=-1)

    def embed_prompt(self, lengths: Tensor, features: Tensor, ids: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Token embeddings plus the mean stem features of each token's bases plus its place; [B, P, H]."""
        sums = features.float().cumsum(2)  # entry p: sum of the first p bases
        # Empty spans (mile-posts, <sep>) look at the base that follows, at the window's end at its last one.
        stop = torch.maximum(end, torch.minimum(start + 1, lengths[:, None]))
        begin = torch.minimum(start, stop - 1)
        row = torch.arange(len(ids), device=ids.device)[:, None]
        bases = (stop - begin).unsqueeze(-1)
        plus = (sums[row, 0, stop] - sums[row, 0, begin]) / bases
        low, high = (lengths[:, None] - stop).clamp(min=0), (lengths[:, None] - begin).clamp(min=0)
        minus = (sums[row, 1, high] - sums[row, 1, low]) / bases
        dtype = features.dtype
        return (
            self.get_input_embeddings()(ids)
            + self.base_to_token(torch.cat([plus, minus], dim=-1).to(dtype))
            + self.place_to_token(self._waves_at(start).to(dtype))
        )

    def embed_structure(self, features: Tensor, lengths: Tensor, ids: Tensor, forward: Tensor) -> Tensor:
        """Embeddings of structure tokens [B, T]; mile-posts and offsets show the bases around their place."""
        config = self.config
        is_loc = (ids >= config.loc_base) & (ids < config.loc_base + config.num_loc)
        is_off = (ids >= config.off_base) & (ids < config.off_base + config.segment_bp)
        is_place = is_loc | is_off
        # All mile-posts share one embedding and so do all offsets: what they mean is where they stand.
        shared = torch.where(is_loc, config.loc_base, torch.where(is_off, config.off_base, ids))
        embedded = self.get_input_embeddings()(shared)
        place = torch.where(is_loc, forward // config.segment_bp * config.segment_bp, forward)
        place = torch.where(is_place, torch.minimum(place, lengths[:, None]), 0)
        sample = torch.arange(len(ids), device=ids.device)[:, None].expand_as(ids)
        around = self._at_boundary(features, lengths, sample.flatten(), place.flatten()).view(*ids.shape, -1)
        channels = config.stem_channels
        seen = torch.cat([around[..., channels : 2 * channels], around[..., 2 * channels : 3 * channels]], dim=-1)
        shown = self.base_to_token(seen) + self.place_to_token(self._waves_at(place).to(seen.dtype))
        return embedded + shown * is_place.unsqueeze(-1)

    # ---------------------------------------------------------------- backbone

    def _shared_prompt_ids(self, ids: Tensor) -> Tensor:
        config = self.config
        is_loc = (ids >= config.loc_base) & (ids < config.loc_base + config.num_loc)
        return torch.where(is_loc, config.loc_base, ids)

    def is_local(self, prompt_ids: Tensor) -> Tensor:
        """Which prompt tokens see, and are seen, near by only where a layer has a window: DNA; not mile-posts."""
        return prompt_ids < self.config.structure_ids[0]

    def run_backbone(
        self,
        embedded: Tensor,
        mask: Tensor | None,
        positions: Tensor,
        cache: Cache | None = None,
        local: Tensor | None = None,
        router_logits: list[Tensor] | None = None,
    ) -> Tensor:
        """[B, N, H] embeddings -> hidden states.

        mask: bool [B, 1, N, K], True where a token may look, None for everywhere. local: bool [B, N], tokens bound to
        the window of layers that have one; none while structure tokens are read. router_logits: gets [B * N, experts]
        of every layer, if there are experts.
        """
        output = self.backbone(
            inputs_embeds=embedded,
            attention_mask=self._layer_masks(mask, local),
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            output_router_logits=router_logits is not None and self.config.num_experts > 0,
            is_causal=False,
        )
        if router_logits is not None and self.config.num_experts:
            router_logits.extend(output.router_logits)
        return output.last_hidden_state

    def _layer_masks(self, mask: Tensor | None, local: Tensor | None) -> dict[str, Tensor | None]:
        window = self.config.window_size
        if not window or local is None:
            return {"full_attention": mask, "sliding_attention": mask}
        at = torch.arange(local.shape[1], device=local.device)
        near = (at[:, None] - at[None, :]).abs() < window
        near = (near | ~local[:, :, None] | ~local[:, None, :])[:, None]
        return {"full_attention": mask, "sliding_attention": near if mask is None else mask & near}

    # ---------------------------------------------------------------- choices

    def structure_logits(
        self, hidden: Tensor, decision: Tensor, ids: Tensor, bank: Bank, table: Tensor, owner: Tensor, sample: Tensor
    ) -> Tensor:
        """Logits of legal structure tokens.

        hidden: [S, H] states before each decision. decision/ids: [O] options. table: [N, 10] candidates supporting
        options ``owner`` [N]. sample: [S] batch row of each decision. Returns [O].
        """
        logits = (hidden[decision].float() * self.get_input_embeddings().weight[ids].float()).sum(-1)
        if len(table):
            weighed = self.evidence(bank, table, sample[decision[owner]], opening=True)
            support = group_logsumexp(weighed, owner, len(ids))
            logits = logits + self.option_evidence * torch.where(support.isinf(), 0.0, support)
        return logits

    def candidate_scores(
        self, hidden: Tensor, reading: Reading, lengths: Tensor, post_keys: Tensor, places: Places
    ) -> Tensor:
        """Score of each candidate of boundary decisions, [N].

        hidden: [Q, H] states before each decision. post_keys: [B, L, D]. While a mile-post is chosen, a candidate's
        score is its segment's match plus its evidence; while an offset is chosen, its own match plus its evidence.
        """
        forward = places.table[:, FORWARD].long()
        sample = places.sample[places.owner]
        offset = places.is_offset[places.owner]
        scores = self.evidence(reading.bank, places.table, sample)
        segment = forward[~offset] // self.config.segment_bp
        match = torch.empty_like(scores)
        with full_precision(hidden.device):
            hidden = hidden.float()
            near = self._at_boundary(reading.features, lengths, sample[offset], forward[offset]).float()
            match[offset] = (self.base_query(hidden)[places.owner[offset]] * self.base_key(near)).sum(-1)
            keys = post_keys[sample[~offset], segment]
            match[~offset] = (self.post_query(hidden)[places.owner[~offset]] * keys).sum(-1)
        return scores + match / self.config.pointer_size**0.5

    def place_units(self, scores: Tensor, places: Places) -> tuple[Tensor, Tensor, Tensor]:
        """What can be chosen: segments while a mile-post is chosen, positions while an offset is.

        Returns logits [M], the decision of each [M], and its segment or forward position [M].
        """
        forward = places.table[:, FORWARD].long()
        unit = torch.where(places.is_offset[places.owner], forward, forward // self.config.segment_bp)
        span = int(unit.max()) + 1 if len(unit) else 1
        unique, inverse = torch.unique(places.owner * span + unit, return_inverse=True)
        return group_logsumexp(scores, inverse, len(unique)), unique // span, unique % span

    # ---------------------------------------------------------------- training

    def hidden_states(
        self, batch: Batch, reading: Reading, branches: Branches | None = None, prompts: PromptPass | None = None
    ) -> Pass:
        """The prompts, then what continues them.

        branches: where a row holds several texts, else one a row. prompts: what ``read_prompts`` made of these prompts
        under the same weights, if that is known; it is used up.
        """
        num_prompt, num_target = batch.ids.shape[1], batch.target_ids.shape[1]
        text, place = branches or Branches.single(batch.target_lengths, num_target)
        device = batch.ids.device
        in_prompt, in_text = torch.arange(num_prompt, device=device) < batch.prompt_lengths[:, None], text >= 0
        # The last token of a text is only ever predicted, but one column more keeps the arithmetic plain.
        target = self.embed_structure(reading.features, batch.lengths, batch.target_ids, batch.target_forward)
        mine = (text[:, :, None] == text[:, None, :]) & (place[:, None, :] <= place[:, :, None]) & in_text[:, None]
        mine |= torch.eye(num_target, dtype=torch.bool, device=device)  # padding sees itself: no empty softmax
        mask = torch.cat([in_prompt[:, None].expand(-1, num_target, -1), mine], dim=2)[:, None]
        position = batch.prompt_lengths[:, None] + place
        if prompts is None and self.training and self.backbone.layers[0].gradient_checkpointing:
            hidden, router_logits = self._one_pass(batch, reading, target, mask, position)
        else:
            prompts = prompts or self.read_prompts(vars(batch), reading)
            more: list[Tensor] = []
            states = self.run_backbone(target.to(prompts.states.dtype), mask, position, prompts.cache, None, more)
            hidden = torch.cat([prompts.states, states], dim=1)
            router_logits = [
                torch.cat([one.view(len(text), num_prompt, -1), two.view(len(text), num_target, -1)], dim=1)
                for one, two in zip(prompts.router_logits, more, strict=True)
            ]
        real = torch.cat([in_prompt, in_text], dim=1).flatten()
        experts = [logits.flatten(0, -2) for logits in router_logits]
        router = router_loss(experts, real, self.config.experts_per_token) if experts else None
        row = torch.arange(len(hidden), device=device)[:, None]
        before = torch.arange(num_prompt - 1, num_prompt + num_target - 1, device=device)
        column = torch.where(place == 0, batch.prompt_lengths[:, None] - 1, before)
        return Pass(hidden[row, column], self.post_keys(hidden[row, batch.posts]), router)

    def read_prompts(self, batch: Mapping[str, Tensor], reading: Reading) -> PromptPass:
        """One pass over the prompts of a batch (fields of ``Batch`` by name), which see themselves and nothing else."""
        ids, lengths = batch["ids"], batch["prompt_lengths"]
        prompt = self._embed_batch(batch, reading)
        at = torch.arange(ids.shape[1], device=ids.device)
        real = at < lengths[:, None]
        mask = None if bool(real.all()) else real[:, None, None]  # without a mask attention is several times faster
        cache = DynamicCache()  # given the configuration it would drop mile-posts out of a layer's window
        router_logits: list[Tensor] = []
        states = self.run_backbone(prompt, mask, at.expand(len(ids), -1), cache, self.is_local(ids), router_logits)
        return PromptPass(states, cache, router_logits)

    def _embed_batch(self, batch: Mapping[str, Tensor], reading: Reading) -> Tensor:
        ids = self._shared_prompt_ids(batch["ids"])
        return self.embed_prompt(batch["lengths"], reading.features, ids, batch["start"], batch["end"])

    def _one_pass(
        self, batch: Batch, reading: Reading, target: Tensor, mask: Tensor, position: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Hidden states and router logits of prompts and targets together: checkpointed layers cannot use a cache."""
        prompt = self._embed_batch(vars(batch), reading)
        num_prompt, num_target = prompt.shape[1], target.shape[1]
        at = torch.arange(num_prompt, device=prompt.device)
        in_prompt = (at < batch.prompt_lengths[:, None])[:, None, None].expand(-1, -1, num_prompt, -1)
        whole = torch.cat([F.pad(in_prompt, (0, num_target)), mask], dim=2)
        whole = whole | torch.eye(whole.shape[-1], dtype=torch.bool, device=whole.device)
        positions = torch.cat([at.expand(len(prompt), -1), position], dim=1)
        local = F.pad(self.is_local(batch.ids), (0, num_target))
        embedded = torch.cat([prompt, target.to(prompt.dtype)], dim=1)
        router_logits: list[Tensor] = []
        return self.run_backbone(embedded, whole, positions, None, local, router_logits), router_logits

    def post_keys(self, states: Tensor) -> Tensor:
        """What queries are matched with, of the states at mile-posts; float32 [..., D]."""
        with full_precision(states.device):
            return self.post_key(states.float())

    def choices(self, batch: Batch, reading: Reading, states: Tensor, post_keys: Tensor) -> list[Choices]:
        """The batch's choices among structure tokens and among places, as the network weighs them."""
        found = []
        if len(batch.structure_sample):
            sample, step = batch.structure_sample, batch.structure_step
            logits = self.structure_logits(
                states[sample, step],
                batch.option_decision,
                batch.option_id,
                reading.bank,
                batch.option_table,
                batch.option_owner,
                sample,
            )
            first = torch.searchsorted(batch.option_decision, torch.arange(len(sample), device=logits.device))
            found.append(Choices(logits, batch.option_decision, first + batch.structure_target, sample, step))
        if len(batch.place_sample):
            sample, step = batch.place_sample, batch.place_step
            places = Places(sample, batch.place_is_offset, batch.place_loc, batch.place_table, batch.place_owner)
            scores = self.candidate_scores(states[sample, step], reading, batch.lengths, post_keys, places)
            logits, decision, unit = self.place_units(scores, places)
            wanted = torch.where(
                batch.place_is_offset, batch.place_target, batch.place_target // self.config.segment_bp
            )
            right = torch.nonzero(unit == wanted[decision]).squeeze(1)
            chosen = torch.empty_like(wanted).index_copy_(0, decision[right], right)
            found.append(Choices(logits, decision, chosen, sample, step))
        return found

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses summed over target tokens.

        ``sum`` is what is minimised, ``weight`` the number of target tokens; ``language`` and, where there are experts,
        ``router`` are its parts, also to be divided by ``weight``.
        """
        reading = self.read(batch.codes, batch.lengths, batch.sites)
        states, post_keys, router = self.hidden_states(batch, reading)
        language = states.new_zeros((), dtype=torch.float32)
        for choices in self.choices(batch, reading, states, post_keys):
            language = language + choice_loss(
                choices.logits, choices.decision, choices.chosen, len(choices.chosen), self.label_smoothing
            )
        weight = batch.num_target_tokens
        losses = {"language": language}
        if router is not None:
            losses["router"] = router * weight * self.config.router_loss_weight
        return {"sum": sum(losses.values()), "weight": weight, **losses}
