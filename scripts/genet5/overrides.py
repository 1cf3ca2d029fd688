"""Single fields of a configuration, set by name on the command line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from genet5.errors import InputError

_SWITCHES = {"true": True, "false": False}


def parse_overrides(words: Iterable[str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """``KEY=VALUE`` words as fields of the type their default has; lists of whole numbers are written ``1,3,6``.

    fields: those that may be set -> their defaults. Raises ``InputError`` for an unknown key, one that is set twice, or
    a value of another type.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"--override {word}: expected KEY=VALUE, for example {next(iter(fields))}=128")
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
