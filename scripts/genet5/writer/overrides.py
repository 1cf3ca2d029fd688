"""Single fields of the model's configuration set by name, and whether all of them fit together."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Iterable
from typing import Any

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
_SWITCHES = {"true": True, "false": False}


def overridable_fields() -> dict[str, Any]:
    """Fields of ``GeneT5Config`` that a user may set -> their defaults."""
    parameters = inspect.signature(GeneT5Config.__init__).parameters.values()
    named = {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}
    return {name: default for name, default in named.items() if name not in FIELDS_NOT_SET_BY_HAND}


def parse_overrides(words: Iterable[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words as fields of the type their default has; lists of whole numbers are written ``1,3,6``.

    Raises ``InputError`` for an unknown key, one that stands twice, or a value of another type.
    """
    fields = overridable_fields()
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"--override {word}: expected KEY=VALUE, for example hidden_size=128")
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(fields))}"
            raise InputError(f"--override {word}: no field {key!r} that can be set; {hint}")
        if key in found:
            raise InputError(f"--override {word}: {key} is set twice")
        found[key] = _value(word, text, fields[key])
    return found


def _value(word: str, text: str, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            return _SWITCHES[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, tuple):
            return tuple(int(part) for part in text.split(","))
        value = float(text)
        if math.isfinite(value):
            return value
    except (KeyError, ValueError):
        pass
    kinds = {bool: "true or false", int: "a whole number", tuple: "whole numbers like 1,3,6"}
    raise InputError(f"--override {word}: {text!r}, expected {kinds.get(type(default), 'a finite number')}")


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
