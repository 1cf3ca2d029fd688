"""The JSON schema of a section of the configuration, from the declarations of its options."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from genet5.configuration import AUTO
from genet5.options import alternatives

_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string", NoneType: "null"}
_LIMITS = {"minimum": "minimum", "above": "exclusiveMinimum", "maximum": "maximum", "below": "exclusiveMaximum"}


def section_schema(cls: type, clades: Collection[str] = (), complete: bool = True) -> dict[str, Any]:
    """The schema of a section with the options of dataclass ``cls``, all of them if it must be ``complete``."""
    hints = get_type_hints(cls)
    properties = {f.name: option_schema(hints[f.name], f.metadata, clades) for f in dataclasses.fields(cls)}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties) if complete else [],
        "properties": properties,
    }


def option_schema(hint: Any, limits: Mapping[str, Any], clades: Collection[str] = ()) -> dict[str, Any]:
    """The schema of one option; ``limits`` is the metadata of its field."""
    if limits["some_of"]:
        some = section_schema(limits["some_of"], complete=False)
        if not limits["of_clades"]:
            return some
        return {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(clades, some)}
    kinds = alternatives(hint)
    choices = ("", AUTO, *clades) if limits["of_clades"] else limits["choices"]
    if choices and not any(get_origin(kind) is tuple for kind in kinds):
        return {"enum": [*choices, *([None] if NoneType in kinds else [])]}
    found: dict[str, Any] = {}
    for kind in kinds:
        found |= _list_schema(kind, limits) if get_origin(kind) is tuple else _scalar_schema(kind, limits)
    names = ["array" if get_origin(kind) is tuple else _TYPES[kind] for kind in kinds]
    return {"type": names[0] if len(names) == 1 else names, **found}


def _list_schema(kind: Any, limits: Mapping[str, Any]) -> dict[str, Any]:
    kinds = get_args(kind)
    length = {} if kinds[-1] is Ellipsis else {"minItems": len(kinds), "maxItems": len(kinds)}
    if limits["nonempty"]:
        length |= {"minItems": 1}
    if limits["unique"]:
        length |= {"uniqueItems": True}
    choices = {"enum": list(limits["choices"])} if limits["choices"] else None
    return {"items": choices or {"type": _TYPES[kinds[0]], **_scalar_schema(kinds[0], limits, entry=True)}, **length}


def _scalar_schema(kind: Any, limits: Mapping[str, Any], entry: bool = False) -> dict[str, Any]:
    if kind in (int, float):
        return {name: limits[ours] for ours, name in _LIMITS.items() if limits[ours] is not None}
    found = {}
    if kind is str and limits["pattern"]:
        found |= {"pattern": limits["pattern"], "description": limits["described"] or limits["pattern"]}
    if kind is str and limits["nonempty"] and not entry:
        found |= {"minLength": 1}
    return found
