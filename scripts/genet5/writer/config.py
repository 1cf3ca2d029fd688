"""Configuration of the network and its named sizes."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig, Qwen2MoeConfig

from genet5.errors import InputError

#: Named sizes; every field can be overridden in the workflow's config under ``model``.
SIZES: dict[str, dict[str, Any]] = {
    "demo": {
        "hidden_size": 96, "num_layers": 3, "num_heads": 4, "num_kv_heads": 2, "feed_forward_size": 256,
        "pointer_size": 48,
    },
    "small": {
        "hidden_size": 256, "num_layers": 6, "num_heads": 8, "num_kv_heads": 2, "feed_forward_size": 768,
        "stem_channels": 96, "codon_channels": 144, "stretch_channels": 192, "pointer_size": 96,
    },
    "base": {
        "hidden_size": 768, "num_layers": 12, "num_heads": 12, "num_kv_heads": 3, "feed_forward_size": 3072,
        "num_experts": 4, "stem_channels": 192, "codon_channels": 288, "stretch_channels": 384, "pointer_size": 192,
    },
    "recipe": {
        "hidden_size": 768, "num_layers": 12, "num_heads": 12, "num_kv_heads": 3, "feed_forward_size": 3072,
        "num_experts": 32, "stem_channels": 192, "codon_channels": 288, "stretch_channels": 384, "pointer_size": 192,
    },
}  # fmt: skip


class GeneT5Config(PretrainedConfig):
    """Everything that fixes the network's shape and its losses.

    vocab_size: rows of the token embedding. structure_ids: ids the language head may write (mile-posts and offsets are
    pointed at instead). loc_base/num_loc/off_base/segment_bp: where mile-post and offset ids lie; 0 mile-posts means
    the vocabulary has not been expanded yet. tokenizer_sha256: of the names of all ids.
    stem_channels, codon_channels, stretch_channels: width of the stem's three resolutions, and *_dilations their
    convolutions. site_channels: width of the site head's own branch. reader_trained: false while the reader has first
    weights, whose hexamers training may then count. num_readers: that read together (``scripts/join_crfs.py``).
    num_experts: 0 is a dense network. router_loss_weight: of its loss, relative to the language loss.
    """

    model_type = "genet5"

    def __init__(
        self,
        vocab_size: int = 4128,
        hidden_size: int = 96,
        num_layers: int = 3,
        num_heads: int = 4,
        num_kv_heads: int = 2,
        feed_forward_size: int = 256,
        num_experts: int = 0,
        experts_per_token: int = 2,
        router_loss_weight: float = 0.01,
        stem_channels: int = 64,
        codon_channels: int = 96,
        stretch_channels: int = 128,
        score_channels: int = 16,
        site_channels: int = 48,
        stem_dilations: tuple[int, ...] = (1, 1),
        codon_dilations: tuple[int, ...] = (1, 2, 4, 8),
        stretch_dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32),
        stem_dropout: float = 0.1,
        pointer_size: int = 48,
        block_size: int = 0,
        window_size: int = 0,
        structure_ids: tuple[int, ...] = (),
        loc_base: int = 0,
        num_loc: int = 0,
        off_base: int = 0,
        segment_bp: int = 0,
        tokenizer_sha256: str = "",
        reader_trained: bool = False,
        num_readers: int = 1,
        init_std: float = 0.02,
        **kwargs: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.feed_forward_size = feed_forward_size
        self.num_experts = num_experts
        self.experts_per_token = experts_per_token
        self.router_loss_weight = router_loss_weight
        self.stem_channels = stem_channels
        self.codon_channels = codon_channels
        self.stretch_channels = stretch_channels
        self.score_channels = score_channels
        self.site_channels = site_channels
        self.stem_dilations = tuple(stem_dilations)
        self.codon_dilations = tuple(codon_dilations)
        self.stretch_dilations = tuple(stretch_dilations)
        self.stem_dropout = stem_dropout
        self.pointer_size = pointer_size
        self.block_size = block_size
        self.window_size = window_size
        self.structure_ids = tuple(structure_ids)
        self.loc_base = loc_base
        self.num_loc = num_loc
        self.off_base = off_base
        self.segment_bp = segment_bp
        self.tokenizer_sha256 = tokenizer_sha256
        self.reader_trained = reader_trained
        self.num_readers = num_readers
        self.init_std = init_std
        check_attention_window(block_size, window_size)
        super().__init__(**kwargs)
        self.vocab_size = vocab_size


def check_attention_window(block_size: int, window_size: int) -> None:
    """Sliding-window attention needs ``block_size`` a power of two >= 16 that divides ``window_size``; 0, 0 is off."""
    if block_size == 0 and window_size == 0:
        return
    if block_size < 16 or block_size & (block_size - 1):
        raise InputError(
            f"config key model.block_size: {block_size} is not a power of two of at least 16 (16, 32, 64, ...)"
        )
    if window_size <= 0 or window_size % block_size:
        raise InputError(
            f"config key model.window_size: {window_size} is not a positive multiple of block_size {block_size}"
        )


def sized_config(size: str, **overrides: Any) -> GeneT5Config:
    """The configuration of a named size with single fields replaced."""
    if size not in SIZES:
        raise InputError(f"config key model.size: {size!r} is unknown, allowed: {', '.join(SIZES)}")
    return GeneT5Config(**{**SIZES[size], **overrides})


def backbone_config(config: GeneT5Config) -> Qwen2MoeConfig:
    """The transformers configuration of the backbone: pre-norm, grouped queries, q/k/v biases, gated GELU."""
    layers = config.num_layers
    sliding = config.window_size > 0
    return Qwen2MoeConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        intermediate_size=config.feed_forward_size,
        moe_intermediate_size=config.feed_forward_size,
        shared_expert_intermediate_size=0,
        num_experts=max(config.num_experts, 1),
        num_experts_per_tok=min(config.experts_per_token, max(config.num_experts, 1)),
        norm_topk_prob=True,
        mlp_only_layers=list(range(layers)) if config.num_experts == 0 else [],
        hidden_act="gelu",
        attention_dropout=0.0,
        max_position_embeddings=1 << 17,
        layer_types=["sliding_attention" if sliding and (i + 1) % 4 else "full_attention" for i in range(layers)],
        sliding_window=config.window_size or None,
        use_sliding_window=sliding,
        initializer_range=config.init_std,
        pad_token_id=None,
        tie_word_embeddings=True,
    )
