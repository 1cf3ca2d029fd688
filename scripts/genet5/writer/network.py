"""The language model: transformers backbone, embeddings and choices, around a trained gene finder.

The prompt (DNA tokens with mile-posts) attends in both directions. A structure sequence is causal and sees all DNA.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel, Qwen2MoeModel
from transformers.cache_utils import Cache, DynamicCache

from genet5.crf.model import Crf, CrfScores, score_codes
from genet5.writer.attention import layer_masks, real_tokens, sequence_mask, whole_mask
from genet5.writer.batch import Batch, Prompts
from genet5.writer.choices import ChoiceHead
from genet5.writer.config import GeneT5Config, backbone_config
from genet5.writer.crf_scores import score_sums
from genet5.writer.embedding import Embedder, wave_rates
from genet5.writer.losses import choice_loss, router_loss
from genet5.writer.passes import Branches, Choices, Pass, PromptPass, WindowScores


class GeneT5Model(PreTrainedModel):
    """Writes the genes of a window as a structure sequence.

    crf: the gene finder, which is trained beforehand and stays as it is. embedder: tokens to vectors. backbone: the
    transformer. head: weighs the legal next tokens. label_smoothing: share of the language loss spread over all legal
    choices; training sets it, validation sets 0.
    """

    config_class = GeneT5Config
    base_model_prefix = "genet5"
    label_smoothing: float = 0.0
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    def __init__(self, config: GeneT5Config) -> None:
        super().__init__(config)
        self.crf = Crf(config.crf_config).requires_grad_(False)
        backbone = backbone_config(config)
        backbone._attn_implementation = "sdpa"
        self.backbone = Qwen2MoeModel(backbone)
        self.embedder = Embedder(config)
        self.head = ChoiceHead(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if module in self._own_first_weights():
            return
        if module is self.embedder:  # buffers that are not stored come out of from_pretrained empty
            self.embedder.waves.copy_(wave_rates())
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.config.init_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.init_std)
        elif module is not self.head:
            super()._init_weights(module)

    def _own_first_weights(self) -> set[nn.Module]:
        """Parts made with their first weights: the CRF, and the weights of its scores."""
        return {self.head.boundary_scores, *self.crf.modules()}

    def train(self, mode: bool = True) -> GeneT5Model:
        """The CRF stays in evaluation mode."""
        super().train(mode)
        self.crf.eval()
        return self

    def get_input_embeddings(self) -> nn.Embedding:
        return self.backbone.embed_tokens

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.backbone.embed_tokens = value

    # ---------------------------------------------------------------- what the training loop asks

    def learning_rate_scales(self) -> dict[str, float]:
        return {}

    def recompute_activations(self) -> None:
        self.gradient_checkpointing_enable()

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses summed over target tokens.

        ``sum`` is what is minimised, ``weight`` the number of target tokens; ``language`` and, where there are experts,
        ``router`` are its parts, also to be divided by ``weight``.
        """
        scores = self.score(batch.prompts)
        states, post_keys, router = self.hidden_states(batch, scores)
        language = states.new_zeros((), dtype=torch.float32)
        for choices in self.choices(batch, scores, states, post_keys):
            language = language + choice_loss(
                choices.logits, choices.decision, choices.chosen, len(choices.chosen), self.label_smoothing
            )
        weight = batch.num_target_tokens
        losses = {"language": language}
        if router is not None:
            losses["router"] = router * weight * self.config.router_loss_weight
        return {"sum": sum(losses.values()), "weight": weight, **losses}

    # ---------------------------------------------------------------- CRF scores

    @torch.no_grad()
    def score(self, prompts: Prompts) -> WindowScores:
        """CRF scores of a batch, computed at once."""
        return self._window_scores(self.crf(prompts.codes), prompts)

    @torch.no_grad()
    def score_apart(self, prompts: Prompts, precision: str = "fp32") -> WindowScores:
        """CRF scores that do not depend on what else is in the batch (``crf.model.score_codes``)."""
        return self._window_scores(score_codes(self.crf, prompts.codes, precision), prompts)

    def _window_scores(self, scores: CrfScores, prompts: Prompts) -> WindowScores:
        penalty = self.crf.gene_penalty
        sums = score_sums(scores.potentials, scores.site_potentials, penalty, prompts.sites, prompts.lengths)
        return WindowScores(F.pad(scores.features, (0, 0, 1, 1)), sums)

    # ---------------------------------------------------------------- backbone

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
            attention_mask=layer_masks(mask, local, self.config.window_size),
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            output_router_logits=router_logits is not None and self.config.num_experts > 0,
            is_causal=False,
        )
        if router_logits is not None and self.config.num_experts:
            router_logits.extend(output.router_logits)
        return output.last_hidden_state

    def embed_structure(self, scores: WindowScores, lengths: Tensor, ids: Tensor, forward: Tensor) -> Tensor:
        """Vectors of structure tokens [B, T]; lengths: of the windows."""
        return self.embedder.structure(self.get_input_embeddings(), scores.features, lengths, ids, forward)

    def is_local(self, prompt_ids: Tensor) -> Tensor:
        """Which prompt tokens see, and are seen, near by only where a layer has a window: DNA; not mile-posts."""
        return prompt_ids < self.config.structure_ids[0]

    def read_prompts(self, prompts: Prompts, scores: WindowScores) -> PromptPass:
        """One pass over the prompts of a batch, which see themselves and nothing else."""
        ids = prompts.ids
        embedded = self.embedder.prompt(self.get_input_embeddings(), prompts, scores.features)
        real = real_tokens(prompts.prompt_lengths, ids.shape[1])
        mask = None if bool(real.all()) else real[:, None, None]  # without a mask attention is several times faster
        cache = DynamicCache()  # given the configuration it would drop mile-posts out of a layer's window
        positions = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
        router_logits: list[Tensor] = []
        states = self.run_backbone(embedded, mask, positions, cache, self.is_local(ids), router_logits)
        return PromptPass(states, cache, router_logits)

    def hidden_states(
        self,
        batch: Batch,
        scores: WindowScores,
        branches: Branches | None = None,
        prompt_pass: PromptPass | None = None,
    ) -> Pass:
        """The prompts, then what continues them.

        branches: where a row holds several structure sequences, else one a row. prompt_pass: what ``read_prompts`` made
        of these prompts under the same weights, if that is known; it is used up.
        """
        prompts, sequences = batch.prompts, batch.sequences
        num_prompt, width = prompts.ids.shape[1], sequences.ids.shape[1]
        branches = branches or Branches.single(sequences.lengths, width)
        device = prompts.ids.device
        in_prompt = real_tokens(prompts.prompt_lengths, num_prompt)
        # The last token of a sequence is only ever predicted, but one column more keeps the arithmetic plain.
        embedded = self.embed_structure(scores, prompts.lengths, sequences.ids, sequences.forward)
        mask = sequence_mask(in_prompt, branches)
        position = prompts.prompt_lengths[:, None] + branches.place
        if prompt_pass is None and self.training and self.backbone.layers[0].gradient_checkpointing:
            hidden, router_logits = self._one_pass(prompts, scores, embedded, mask, position)
        else:
            prompt_pass = prompt_pass or self.read_prompts(prompts, scores)
            more: list[Tensor] = []
            states = self.run_backbone(
                embedded.to(prompt_pass.states.dtype), mask, position, prompt_pass.cache, None, more
            )
            hidden = torch.cat([prompt_pass.states, states], dim=1)
            router_logits = [
                torch.cat([one.view(len(hidden), num_prompt, -1), two.view(len(hidden), width, -1)], dim=1)
                for one, two in zip(prompt_pass.router_logits, more, strict=True)
            ]
        real = torch.cat([in_prompt, branches.sequence >= 0], dim=1).flatten()
        experts = [logits.flatten(0, -2) for logits in router_logits]
        router = router_loss(experts, real, self.config.experts_per_token) if experts else None
        row = torch.arange(len(hidden), device=device)[:, None]
        before = torch.arange(num_prompt - 1, num_prompt + width - 1, device=device)
        column = torch.where(branches.place == 0, prompts.prompt_lengths[:, None] - 1, before)
        return Pass(hidden[row, column], self.head.post_keys(hidden[row, prompts.posts]), router)

    def _one_pass(
        self, prompts: Prompts, scores: WindowScores, embedded: Tensor, mask: Tensor, position: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Hidden states and router logits of prompts and sequences together: checkpointed layers cannot use a cache."""
        prompt = self.embedder.prompt(self.get_input_embeddings(), prompts, scores.features)
        num_prompt, width = prompt.shape[1], embedded.shape[1]
        at = torch.arange(num_prompt, device=prompt.device)
        whole = whole_mask(real_tokens(prompts.prompt_lengths, num_prompt), mask)
        positions = torch.cat([at.expand(len(prompt), -1), position], dim=1)
        local = F.pad(self.is_local(prompts.ids), (0, width))
        both = torch.cat([prompt, embedded.to(prompt.dtype)], dim=1)
        router_logits: list[Tensor] = []
        return self.run_backbone(both, whole, positions, None, local, router_logits), router_logits

    def choices(self, batch: Batch, scores: WindowScores, states: Tensor, post_keys: Tensor) -> list[Choices]:
        """The batch's choices among structure tokens and among places, as the network weighs them."""
        tokens = self.get_input_embeddings()
        return self.head(batch.decisions, scores, batch.prompts.lengths, states, post_keys, tokens)
