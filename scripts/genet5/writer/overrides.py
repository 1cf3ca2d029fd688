"""Which fields of the model's configuration are set by hand, and whether all of them fit together."""

from __future__ import annotations

from genet5.errors import InputError
from genet5.writer.config import GeneT5Config

#: what the tokenizer and training decide
FIELDS_NOT_SET_BY_HAND = {
    "vocab_size", "structure_ids", "loc_base", "num_loc", "off_base", "segment_bp", "tokenizer_sha256",
    "reader_trained", "num_readers",
}  # fmt: skip
_POSITIVE = (
    "hidden_size", "num_layers", "num_heads", "num_kv_heads", "feed_forward_size", "experts_per_token", "stem_channels",
    "codon_channels", "stretch_channels", "score_channels", "site_channels", "pointer_size",
)  # fmt: skip


def check_shape(config: GeneT5Config) -> None:
    """Raise ``InputError`` for sizes no network can have."""
    for name in _POSITIVE:
        if getattr(config, name) < 1:
            raise InputError(f"config key model.{name}: {getattr(config, name)}, must be at least 1")
    if config.num_experts < 0:
        raise InputError(f"config key model.num_experts: {config.num_experts}, must be 0 (dense) or more")
    for name in ("stem_dilations", "codon_dilations", "stretch_dilations"):
        if not getattr(config, name) or min(getattr(config, name)) < 1:
            raise InputError(f"config key model.{name}: {list(getattr(config, name))}, each must be at least 1")
    if config.hidden_size % config.num_heads or (config.hidden_size // config.num_heads) % 2:
        raise InputError(
            f"config key model.hidden_size: {config.hidden_size}, must be an even multiple of {config.num_heads} heads"
        )
    if config.num_heads % config.num_kv_heads:
        raise InputError(
            f"config key model.num_kv_heads: {config.num_kv_heads} does not divide num_heads ({config.num_heads})"
        )
    if config.num_experts and config.experts_per_token > config.num_experts:
        raise InputError(
            f"config key model.experts_per_token: {config.experts_per_token}, at most num_experts, {config.num_experts}"
        )
