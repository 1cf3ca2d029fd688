"""The shape of the writer: what a size becomes in transformers' words, and which numbers go together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genet5.crf.config import CrfConfig
from genet5.errors import InputError
from genet5.writer.config import GeneT5Config, Vocabulary, backbone_config, sized_config
from genet5.writer.options import WriterOptions, WriterShape, writer_shape

FULL, NEAR = "full_attention", "sliding_attention"


def backbone(**values: Any) -> dict[str, Any]:
    """What the configuration of the backbone says, without what transformers has by default."""
    found = backbone_config(sized_config("demo", CrfConfig(), **values)).to_dict()
    names = [
        "attention_dropout", "hidden_act", "hidden_size", "initializer_range", "intermediate_size", "layer_types",
        "max_position_embeddings", "mlp_only_layers", "moe_intermediate_size", "norm_topk_prob", "num_attention_heads",
        "num_experts", "num_experts_per_tok", "num_hidden_layers", "num_key_value_heads", "pad_token_id",
        "shared_expert_intermediate_size", "sliding_window", "tie_word_embeddings", "use_sliding_window", "vocab_size",
    ]  # fmt: skip
    return {name: found[name] for name in names}


DENSE = {
    "attention_dropout": 0.0, "hidden_act": "gelu", "hidden_size": 96, "initializer_range": 0.02,
    "intermediate_size": 256, "layer_types": [FULL] * 3, "max_position_embeddings": 131072,
    "mlp_only_layers": [0, 1, 2], "moe_intermediate_size": 256, "norm_topk_prob": True, "num_attention_heads": 4,
    "num_experts": 1, "num_experts_per_tok": 1, "num_hidden_layers": 3, "num_key_value_heads": 2, "pad_token_id": None,
    "shared_expert_intermediate_size": 0, "sliding_window": 0, "tie_word_embeddings": True,
    "use_sliding_window": False, "vocab_size": 4128,
}  # fmt: skip
WINDOW = {"use_sliding_window": True, "sliding_window": 1}


@pytest.mark.parametrize(
    ("shape", "differs"),
    [
        ({}, {}),
        ({"vocab_size": 77, "init_std": 0.5}, {"vocab_size": 77, "initializer_range": 0.5}),
        ({"num_experts": 1, "experts_per_token": 1}, {"mlp_only_layers": []}),
        ({"num_experts": 5}, {"mlp_only_layers": [], "num_experts": 5, "num_experts_per_tok": 2}),
        (
            {"num_layers": 5, "dna_block_size": 16, "dna_window_size": 16},
            {"num_hidden_layers": 5, "mlp_only_layers": [0, 1, 2, 3, 4], "layer_types": [NEAR] * 3 + [FULL, NEAR]}
            | WINDOW,
        ),
        ({"structure_block_size": 32, "structure_window_size": 64}, {"layer_types": [NEAR] * 3} | WINDOW),
    ],
)
def test_the_backbone_has_the_shape_asked_for(shape: dict[str, Any], differs: dict[str, Any]) -> None:
    assert backbone(**shape) == DENSE | differs


def test_a_vocabulary_is_that_of_dna_alone_at_first() -> None:
    assert Vocabulary() == Vocabulary(4128, (), 0, 0, 0, 0, "")
    config = GeneT5Config()
    assert [config.vocab_size, config.structure_ids, config.num_loc, config.tokenizer_sha256] == [4128, (), 0, ""]
    assert config.crf_config == CrfConfig()


def test_a_configuration_keeps_lists_as_tuples_and_knows_former_names() -> None:
    config = GeneT5Config(structure_ids=[3, 4], block_size=16, window_size=32, crf={"stem_channels": 8})
    assert (config.structure_ids, config.dna_block_size, config.dna_window_size) == ((3, 4), 16, 32)
    assert config.crf_config == CrfConfig(stem_channels=8)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"hidden_size": 100}, "hidden_size: 100, must be an even multiple of 8 heads"),
        ({"hidden_size": 264}, "hidden_size: 264, must be an even multiple of 8 heads"),
        ({"num_kv_heads": 3}, "num_kv_heads: 3 does not divide num_heads (8)"),
        (
            {"num_experts": 1},
            "experts_per_token: 2, must be at most num_experts (1)",
        ),
        (
            {"structure_block_size": 8, "structure_window_size": 8},
            "structure_block_size: 8 is not a power of two of at least 16 (16, 32, 64, ...)",
        ),
        ({"dna_window_size": 32}, "dna_block_size: 0 is not a power of two of at least 16 (16, 32, 64, ...)"),
        ({"dna_block_size": 32}, "dna_window_size: 0 is not a positive multiple of dna_block_size 32"),
        (
            {"dna_block_size": 32, "dna_window_size": 48},
            "dna_window_size: 48 is not a positive multiple of dna_block_size 32",
        ),
    ],
)
def test_numbers_that_do_not_go_together_are_named(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        writer_shape("small", overrides)
    assert str(error.value) == f"config key writer.overrides.{message}"


def test_numbers_that_just_go_together_are_taken() -> None:
    overrides = {"num_experts": 2, "dna_block_size": 16, "dna_window_size": 16, "dropout": 0.0}
    small = {"hidden_size": 256, "num_layers": 6, "num_heads": 8, "num_kv_heads": 2, "feed_forward_size": 768}
    assert writer_shape("small", overrides) == WriterShape(**small, pointer_size=96, **overrides)
    with pytest.raises(InputError) as error:
        writer_shape("huge")
    assert str(error.value) == "config key writer.size: 'huge' is unknown, allowed: demo, small, base, recipe"


def test_the_large_sizes_differ_in_their_number_of_experts() -> None:
    base = WriterShape(768, 12, 12, 3, 3072, num_experts=4, pointer_size=192)
    assert [writer_shape(size) for size in ("base", "recipe")] == [base, replace(base, num_experts=32)]
    assert WriterOptions() == WriterOptions("base", "scratch", 42, {})
