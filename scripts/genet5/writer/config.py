"""Configuration of the language model and its named sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from transformers import PretrainedConfig, Qwen2MoeConfig

from genet5.crf.config import CrfConfig
from genet5.errors import InputError
from genet5.writer.options import WriterShape

#: Named sizes; every field can be overridden (config key ``writer.overrides``).
SIZES: dict[str, dict[str, int]] = {
    "demo": {},
    "small": {
        "hidden_size": 256, "num_layers": 6, "num_heads": 8, "num_kv_heads": 2, "feed_forward_size": 768,
        "pointer_size": 96,
    },
    "base": {
        "hidden_size": 768, "num_layers": 12, "num_heads": 12, "num_kv_heads": 3, "feed_forward_size": 3072,
        "num_experts": 4, "pointer_size": 192,
    },
    "recipe": {
        "hidden_size": 768, "num_layers": 12, "num_heads": 12, "num_kv_heads": 3, "feed_forward_size": 3072,
        "num_experts": 32, "pointer_size": 192,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """What the model has to know of its tokenizer.

    vocab_size: rows of the token embedding. structure_ids: ids the language head may write (mile-posts and offsets are
    pointed at instead). loc_base, num_loc, off_base, segment_bp: where mile-post and offset ids lie; 0 mile-posts means
    that the vocabulary has not been expanded yet. tokenizer_sha256: of the names of all ids.
    """

    vocab_size: int = 4128
    structure_ids: tuple[int, ...] = ()
    loc_base: int = 0
    num_loc: int = 0
    off_base: int = 0
    segment_bp: int = 0
    tokenizer_sha256: str = ""


class GeneT5Config(PretrainedConfig):
    """Everything that fixes the network: the fields of ``WriterShape`` and ``Vocabulary``, and its CRF's.

    crf: the fields of ``CrfConfig``. num_experts: 0 is a dense network. router_loss_weight: of its loss, relative to
    the language loss.
    """

    model_type = "genet5"

    def __init__(self, crf: Mapping[str, Any] | None = None, **values: Any) -> None:
        own = {}
        for field in (*fields(WriterShape), *fields(Vocabulary)):
            value = values.pop(field.name, field.default)
            own[field.name] = tuple(value) if isinstance(value, list) else value
        for name, value in own.items():
            setattr(self, name, value)
        self.crf = CrfConfig.from_dict(dict(crf or {})).to_dict()
        check_attention_window(self.block_size, self.window_size)
        super().__init__(**values)
        self.vocab_size = own["vocab_size"]

    @property
    def crf_config(self) -> CrfConfig:
        return CrfConfig.from_dict(self.crf)


def check_attention_window(block_size: int, window_size: int) -> None:
    """Sliding-window attention needs ``block_size`` a power of two >= 16 that divides ``window_size``; 0, 0 is off."""
    if block_size == 0 and window_size == 0:
        return
    if block_size < 16 or block_size & (block_size - 1):
        raise InputError(
            f"config key writer.block_size: {block_size} is not a power of two of at least 16 (16, 32, 64, ...)"
        )
    if window_size <= 0 or window_size % block_size:
        raise InputError(
            f"config key writer.window_size: {window_size} is not a positive multiple of block_size {block_size}"
        )


def sized_config(size: str, crf: CrfConfig, **overrides: Any) -> GeneT5Config:
    """The configuration of a named size with single fields replaced, around a CRF."""
    if size not in SIZES:
        raise InputError(f"config key writer.size: {size!r} is unknown, allowed: {', '.join(SIZES)}")
    return GeneT5Config(crf.to_dict(), **{**SIZES[size], **overrides})


_POSITIVE = (
    "hidden_size", "num_layers", "num_heads", "num_kv_heads", "feed_forward_size", "experts_per_token", "pointer_size",
)  # fmt: skip


def check_shape(config: GeneT5Config) -> None:
    """Raise ``InputError`` for sizes no network can have."""
    for name in _POSITIVE:
        if getattr(config, name) < 1:
            raise InputError(f"config key writer.{name}: {getattr(config, name)}, must be at least 1")
    if config.num_experts < 0:
        raise InputError(f"config key writer.num_experts: {config.num_experts}, must be 0 (dense) or more")
    if config.hidden_size % config.num_heads or (config.hidden_size // config.num_heads) % 2:
        raise InputError(
            f"config key writer.hidden_size: {config.hidden_size}, must be an even multiple of {config.num_heads} heads"
        )
    if config.num_heads % config.num_kv_heads:
        raise InputError(
            f"config key writer.num_kv_heads: {config.num_kv_heads} does not divide num_heads ({config.num_heads})"
        )
    if config.num_experts and config.experts_per_token > config.num_experts:
        raise InputError(
            f"config key writer.experts_per_token: {config.experts_per_token}, must be at most num_experts "
            f"({config.num_experts})"
        )


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
