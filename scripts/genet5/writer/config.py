"""Configuration of the language model and its named sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from transformers import PretrainedConfig, Qwen2MoeConfig

from genet5.crf.config import CrfConfig
from genet5.options import plain
from genet5.writer.attention import FULL, SLIDING
from genet5.writer.options import WriterShape, check_shape, writer_shape


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
        for former in ("block_size", "window_size"):  # names of models made before both parts had their own
            if former in values:
                values[f"dna_{former}"] = values.pop(former)
        for field in (*fields(WriterShape), *fields(Vocabulary)):
            value = values.pop(field.name, field.default)
            own[field.name] = tuple(value) if isinstance(value, list) else value
        for name, value in own.items():
            setattr(self, name, value)
        self.crf = CrfConfig.from_dict(dict(crf or {})).to_dict()
        check_shape(WriterShape(**{field.name: own[field.name] for field in fields(WriterShape)}))
        super().__init__(**values)
        self.vocab_size = own["vocab_size"]

    @property
    def crf_config(self) -> CrfConfig:
        return CrfConfig.from_dict(self.crf)


def sized_config(size: str, crf: CrfConfig, **values: Any) -> GeneT5Config:
    """The configuration of a named size around a CRF; ``values``: fields of ``WriterShape`` that differ, and others.

    Raises ``InputError`` for a size that does not exist, and for fields that do not fit together.
    """
    names = {field.name for field in fields(WriterShape)}
    shape = writer_shape(size, {name: value for name, value in values.items() if name in names})
    others = {name: value for name, value in values.items() if name not in names}
    return GeneT5Config(crf.to_dict(), **plain(shape), **others)


def backbone_config(config: GeneT5Config) -> Qwen2MoeConfig:
    """The transformers configuration of the backbone: pre-norm, grouped queries, q/k/v biases, gated GELU."""
    layers = config.num_layers
    sliding = config.dna_window_size > 0 or config.structure_window_size > 0
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
        layer_types=[SLIDING if sliding and (i + 1) % 4 else FULL for i in range(layers)],
        sliding_window=1 if sliding else None,  # ours are in the masks: DNA and structure tokens have their own
        use_sliding_window=sliding,
        initializer_range=config.init_std,
        pad_token_id=None,
        tie_word_embeddings=True,
    )
