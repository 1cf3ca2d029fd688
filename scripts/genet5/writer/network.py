"""The language model: transformers backbone, embeddings and choices, around a trained gene finder.

The prompt (DNA tokens with mile-posts) attends in both directions. A structure sequence is causal and sees all DNA.
Latent tokens, if there are any, stand before the prompt: in each layer they read all of it and are read by everything.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel, Qwen2MoeModel
from transformers.cache_utils import Cache, DynamicCache

from genet5.crf.model import Crf, CrfScores, score_codes
from genet5.training.compiling import prepare_compiling
from genet5.writer.attention import (
    ATTENTION,
    FULL,
    SLIDING,
    Mask,
    joined_masks,
    prompt_masks,
    real_tokens,
    sequence_masks,
)
from genet5.writer.batch import Batch, Prompts
from genet5.writer.choices import ChoiceHead
from genet5.writer.config import GeneT5Config, backbone_config
from genet5.writer.cpu_linear import OneDnnLinear
from genet5.writer.crf_scores import score_sums
from genet5.writer.dropout import add_dropout
from genet5.writer.embedding import Embedder, wave_rates
from genet5.writer.first_scales import scale_first_weights
from genet5.writer.growing_cache import GrowingCache
from genet5.writer.last_layer import read_ends
from genet5.writer.losses import choice_loss, router_loss
from genet5.writer.passes import Branches, Choices, Pass, PromptPass, WindowScores, joined_passes
from genet5.writer.threads import in_threads


class GeneT5Model(PreTrainedModel):
    """Writes the genes of a window as a structure sequence.

    crf: the gene finder, which is trained beforehand and stays as it is. embedder: tokens to vectors. latents: vectors
    of the latent tokens. backbone: the transformer. head: weighs the legal next tokens. output_embeddings: vectors that
    structure tokens are written with, None if they are those that they are read with. label_smoothing: share of the
    language loss spread over all legal choices; training sets it, validation sets 0.
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
        backbone._attn_implementation = ATTENTION
        self.backbone = Qwen2MoeModel(backbone)
        self.embedder = Embedder(config)
        self.head = ChoiceHead(config)
        width = config.hidden_size
        self.latents = nn.Embedding(config.num_latents, width) if config.num_latents else None
        self.output_embeddings = None if config.tie_embeddings else nn.Embedding(config.vocab_size, width)
        self.embedding_dropout = nn.Dropout(config.dropout)
        add_dropout(self.backbone, config.dropout)
        self.post_init()
        scale_first_weights(self)

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

    @property
    def written_tokens(self) -> nn.Embedding:
        """Vectors that structure tokens are written with."""
        return self.output_embeddings or self.get_input_embeddings()

    def leave_out_dropout(self) -> None:
        """For reinforcement learning: what is learnt is to be what was sampled."""
        for module in (self.embedding_dropout, *self.backbone.modules()):
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    # ---------------------------------------------------------------- what the training loop asks

    def learning_rate_scales(self) -> dict[str, float]:
        return {}

    def recompute_activations(self) -> None:
        self.gradient_checkpointing_enable()

    def compile_network(self) -> None:
        """The transformer. Choices are ragged, and the sums of the CRF are compiled already, by numba."""
        with torch.no_grad():  # the first pass installs what reports the choices of experts: not a thing to compile
            token = self.get_input_embeddings().weight[:1, None]
            nothing = {FULL: None, SLIDING: None}
            self.run_backbone(token, nothing, torch.zeros_like(token[..., 0], dtype=torch.int64), router_logits=[])
        self.backbone.compile(**prepare_compiling())

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
        """CRF scores of a batch, in the precision of the pass around it."""
        return self._window_scores(_of_each_window(self.crf, prompts.codes), prompts)

    @torch.no_grad()
    def score_apart(self, prompts: Prompts, precision: str = "fp32") -> WindowScores:
        """CRF scores that do not depend on what else is in the batch (``crf.model.score_codes``)."""
        found = _of_each_window(lambda codes: score_codes(self.crf, codes, precision), prompts.codes)
        return self._window_scores(found, prompts)

    def _window_scores(self, scores: CrfScores, prompts: Prompts) -> WindowScores:
        penalty = self.crf.gene_penalty
        sums = score_sums(scores.potentials, scores.site_potentials, penalty, prompts.sites, prompts.lengths)
        return WindowScores(F.pad(scores.features, (0, 0, 1, 1)), sums)

    # ---------------------------------------------------------------- backbone

    def run_backbone(
        self,
        embedded: Tensor,
        masks: dict[str, Mask],
        positions: Tensor,
        cache: Cache | GrowingCache | None = None,
        router_logits: list[Tensor] | None = None,
    ) -> Tensor:
        """[B, N, H] embeddings -> hidden states.

        masks: by kind of layer (``attention.py``). router_logits: gets [B * N, experts] of every layer, if there are
        experts.
        """
        # Compiled code is for passes that are learnt from: a sequence that is being written has a new length each time.
        backbone = self.backbone if torch.is_grad_enabled() else self.backbone.forward
        output = backbone(
            inputs_embeds=embedded,
            attention_mask=masks,
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
        vectors = self.embedder.structure(self.get_input_embeddings(), scores.features, lengths, ids, forward)
        return self.embedding_dropout(vectors)

    def real_prompt(self, prompts: Prompts) -> Tensor:
        """Which tokens that the backbone reads before a structure sequence are no padding; bool [B, latents + P]."""
        return F.pad(
            real_tokens(prompts.prompt_lengths, prompts.ids.shape[1]), (self.config.num_latents, 0), value=True
        )

    def _embed_prompts(self, prompts: Prompts, scores: WindowScores) -> tuple[Tensor, dict[str, Mask], Tensor]:
        """Vectors [B, latents + P, H], masks and positions [B, latents + P] of latent and prompt tokens."""
        config, (batch, width) = self.config, prompts.ids.shape
        vectors = self.embedder.prompt(self.get_input_embeddings(), prompts, scores.features)
        positions = torch.arange(width, device=vectors.device).expand(batch, -1)
        # Only DNA is bound to a window: mile-posts and latents see, and are seen by, all of the prompt.
        local = F.pad(prompts.ids < config.structure_ids[0], (config.num_latents, 0))
        if self.latents is not None:
            number = torch.arange(config.num_latents, device=vectors.device)
            latents = self.latents(number).to(vectors.dtype).expand(batch, -1, -1)
            vectors = torch.cat([latents, vectors], dim=1)
            # Rotary positions tell distances: latents stand all over the prompt, not before it.
            spread = (2 * number + 1) * prompts.prompt_lengths[:, None] // (2 * config.num_latents)
            positions = torch.cat([spread, positions], dim=1)
        masks = prompt_masks(self.real_prompt(prompts), local, config.dna_window_size, config.dna_block_size)
        return self.embedding_dropout(vectors), masks, positions

    def read_prompts(self, prompts: Prompts, scores: WindowScores) -> PromptPass:
        """One pass over the prompts of a batch, which see themselves and nothing else."""
        embedded, masks, positions = self._embed_prompts(prompts, scores)
        cache = DynamicCache()  # given the configuration it would drop mile-posts out of a layer's window
        index = torch.cat([prompts.posts, prompts.prompt_lengths[:, None] - 1], dim=1) + self.config.num_latents
        router_logits: list[Tensor] = []
        if self._reads_ends_alone():
            ends = read_ends(self.backbone, embedded, masks, positions, cache, index)
        else:
            states = self.run_backbone(embedded, masks, positions, cache, router_logits)
            ends = states[torch.arange(len(states), device=states.device)[:, None], index]
        return PromptPass(ends[:, :-1], ends[:, -1], cache, router_logits)

    def _reads_ends_alone(self) -> bool:
        """Whether the last layer may leave out what nobody asks for.

        Routers of experts are taught by all tokens, compiled code is of whole layers, and dropout is drawn for all.
        """
        learns = torch.is_grad_enabled()
        compiled = learns and self.backbone._compiled_call_impl is not None
        return not (self.config.num_experts or compiled or (self.training and self.config.dropout))

    @torch.no_grad()
    def read_prompts_apart(self, prompts: Prompts, scores: WindowScores) -> PromptPass:
        """``read_prompts`` for sequences that are written, on a CPU window by window and each on a thread of its own.

        So what is read does not depend on what else is in the batch, and no padding is. Router logits are left out.
        """
        if prompts.ids.device.type != "cpu":
            return self.read_prompts(prompts, scores)

        def read(row: int) -> PromptPass:
            alone = slice(row, row + 1)
            with OneDnnLinear():
                features = scores.features[alone, :, : int(prompts.lengths[row]) + 2]
                return self.read_prompts(prompts.alone(row), scores._replace(features=features))

        return joined_passes(in_threads(read, range(len(prompts.ids))))

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
        config, prompts, sequences = self.config, batch.prompts, batch.sequences
        num_prompt, width = prompts.ids.shape[1], sequences.ids.shape[1]
        branches = branches or Branches.single(sequences.lengths, width)
        real = self.real_prompt(prompts)
        # The last token of a sequence is only ever predicted, but one column more keeps the arithmetic plain.
        embedded = self.embed_structure(scores, prompts.lengths, sequences.ids, sequences.forward)
        masks = sequence_masks(real, branches, config.structure_window_size, config.structure_block_size)
        position = prompts.prompt_lengths[:, None] + branches.place
        if prompt_pass is None and self.training and self.backbone.layers[0].gradient_checkpointing:
            hidden, router_logits = self._one_pass(prompts, scores, embedded, masks, position)
            row = torch.arange(len(hidden), device=hidden.device)
            posts, last = hidden[row[:, None], prompts.posts], hidden[row, prompts.prompt_lengths - 1]
            states = hidden[:, num_prompt:]
        else:
            prompt_pass = prompt_pass or self.read_prompts(prompts, scores)
            more: list[Tensor] = []
            posts, last = prompt_pass.posts, prompt_pass.last
            states = self.run_backbone(embedded.to(posts.dtype), masks, position, prompt_pass.cache, more)
            router_logits = [
                torch.cat([one.view(*real.shape, -1), two.view(len(states), width, -1)], dim=1)
                for one, two in zip(prompt_pass.router_logits, more, strict=True)
            ]
        counted = torch.cat([real, branches.sequence >= 0], dim=1).flatten()
        experts = [logits.flatten(0, -2) for logits in router_logits]
        router = router_loss(experts, counted, config.experts_per_token) if experts else None
        # Before a sequence's first token is the prompt; states of tokens before others stand one further on.
        before = torch.cat([last[:, None], states], dim=1)
        row = torch.arange(len(states), device=states.device)[:, None]
        column = torch.where(branches.place == 0, 0, torch.arange(width, device=states.device))
        return Pass(before[row, column], self.head.post_keys(posts), router)

    def _one_pass(
        self, prompts: Prompts, scores: WindowScores, embedded: Tensor, masks: dict[str, Mask], position: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Hidden states and router logits of prompts and sequences together: checkpointed layers cannot use a cache."""
        prompt, of_prompt, prompt_position = self._embed_prompts(prompts, scores)
        both = torch.cat([prompt, embedded.to(prompt.dtype)], dim=1)
        joined = joined_masks(prompt.shape[1], of_prompt, masks)
        router_logits: list[Tensor] = []
        states = self.run_backbone(both, joined, torch.cat([prompt_position, position], dim=1), None, router_logits)
        return states[:, self.config.num_latents :], router_logits

    def choices(self, batch: Batch, scores: WindowScores, states: Tensor, post_keys: Tensor) -> list[Choices]:
        """The batch's choices among structure tokens and among places, as the network weighs them."""
        return self.head(batch.decisions, scores, batch.prompts.lengths, states, post_keys, self.written_tokens)


def _of_each_window(score: Callable[[Tensor], CrfScores], codes: Tensor) -> CrfScores:
    """``score`` of codes [B, 2, W], on a CPU window by window: what its layers hand on then stays in the caches."""
    if codes.device.type != "cpu":
        return score(codes)
    return CrfScores(*map(torch.cat, zip(*in_threads(score, codes.split(1)), strict=True)))
