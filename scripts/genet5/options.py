"""Options: each is declared once, as a field of a dataclass with its type, limits, default and help.

Flags of a script, the check of a section of the configuration, its defaults and its documentation come from there.
Types: int, float, bool, str; any of them or None; tuples of a fixed length; tuples of any length (``tuple[int, ...]``);
and mappings whose entries ``some_of`` declares.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from genet5.errors import InputError

Options = TypeVar("Options")
REQUIRED = dataclasses.MISSING
_LARGEST = 2**63 - 1
_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
_LIMITS = {
    "minimum": ("at least", lambda value, bound: value >= bound),
    "above": ("more than", lambda value, bound: value > bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
    "below": ("less than", lambda value, bound: value < bound),
}


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] = (),
    pattern: str = "",
    described: str = "",
    nonempty: bool = False,
    unique: bool = False,
    some_of: type | None = None,
    of_clades: bool = False,
    bare: Any = None,
    affects_result: bool = True,
) -> Any:
    """A dataclass field with its help and limits; limits of a list hold for each of its entries.

    ``REQUIRED`` as default: there is none. ``described``: what ``pattern`` allows, in words. ``nonempty``: a text or
    list that must not be empty. ``some_of``: a mapping that sets some fields of this dataclass; with ``of_clades`` a
    mapping from names of clades to such mappings. ``of_clades`` alone: the name of a clade, or nothing. ``bare`` is the
    value of the flag given without one. ``affects_result=False`` keeps the option out of the run's fingerprint, so that
    it may change between a stop and the resume.
    """
    metadata = {
        "help": help, "minimum": minimum, "above": above, "maximum": maximum, "below": below, "choices": choices,
        "pattern": pattern, "described": described, "nonempty": nonempty, "unique": unique, "some_of": some_of,
        "of_clades": of_clades, "bare": bare, "affects_result": affects_result,
    }  # fmt: skip
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def with_default(cls: type, name: str, default: Any, help: str = "") -> Any:
    """The option ``name`` of ``cls`` again, with its limits, for a subclass that has another default (and help)."""
    metadata = next(f.metadata for f in dataclasses.fields(cls) if f.name == name)
    return field(default=default, metadata={**metadata, **({"help": help} if help else {})})


def default_of(field: dataclasses.Field) -> Any:
    """The default of an option, or ``REQUIRED``."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def plain(value: Any) -> Any:
    """Options, or the value of one, as YAML and JSON have them: sections of keys, lists, single values."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, (tuple, list)) else value


# -------------------------------------------------------------------- values


def read_options(cls: type[Options], values: Mapping[str, Any], where: str) -> Options:
    """Options of dataclass ``cls`` from a section of the configuration; ``where`` names it in messages.

    Raises:
        InputError: a key that is not an option or is missing, a value of the wrong type (numbers written as text too),
            or out of range.
    """
    checked = _read_some(cls, values, where, lambda key: f"{where}: {key}")
    for f in dataclasses.fields(cls):
        if f.name not in checked and default_of(f) is REQUIRED:
            raise InputError(f"{where}: {f.name} is missing")
    return cls(**checked)


def _read_some(cls: type, values: Mapping[str, Any], where: str, named: Callable[[str], str]) -> dict[str, Any]:
    """Checked values of some options of ``cls``; ``named`` says how messages name an option."""
    fields, hints = {f.name: f for f in dataclasses.fields(cls)}, get_type_hints(cls)
    checked = {}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            advice = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(fields)}"
            raise InputError(f"{where}: unknown option {key!r}; {advice}")
        checked[key] = _check(value, hints[key], fields[key].metadata, named(key))
    return checked


def _check(value: Any, hint: Any, limits: Mapping[str, Any], where: str) -> Any:
    """``value`` as the type ``hint`` within its limits, or an InputError that starts with ``where``."""
    if limits["some_of"]:
        return _check_mapping(value, limits, where)
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise InputError(f"{where}: the number is too large, allowed: at most {_LARGEST}")
    kind = _alternative(value, hint)
    if kind is None:
        expected = " or ".join(name_of(one) for one in alternatives(hint))
        found = f"text {value!r}" if isinstance(value, str) else f"{value!r}"
        advice = " (YAML reads 2e-4 as text: write 2.0e-4)" if hint is float and isinstance(value, str) else ""
        raise InputError(f"{where}: found {found}, expected {expected}{advice}")
    if kind is NoneType:
        return None
    if get_origin(kind) is tuple:
        return _check_list(value, kind, limits, where)
    value = kind(value)
    if limits["choices"] and value not in limits["choices"]:
        raise InputError(f"{where}: found {value!r}, allowed: {', '.join(map(str, limits['choices']))}")
    if limits["pattern"] and not re.search(limits["pattern"], value):
        raise InputError(f"{where}: found {value!r}, expected {limits['described'] or limits['pattern']}")
    if limits["nonempty"] and value == "":
        raise InputError(f"{where}: it is empty")
    if kind in (int, float):
        _check_range(value, limits, where)
    return value


def _check_list(value: Any, kind: Any, limits: Mapping[str, Any], where: str) -> tuple:
    kinds = get_args(kind)
    if kinds[-1] is not Ellipsis and len(value) != len(kinds):
        raise InputError(f"{where}: found {value!r}, expected {name_of(kind)}")
    if limits["nonempty"] and not value:
        raise InputError(f"{where}: it is empty")
    kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
    checked = tuple(_check(one, k, limits, where) for one, k in zip(value, kinds, strict=True))
    if limits["unique"] and len(set(checked)) < len(checked):
        raise InputError(f"{where}: an entry is there twice")
    return checked


def _check_mapping(value: Any, limits: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: found {value!r}, expected a section of keys")
    if limits["of_clades"]:
        inner = {**limits, "of_clades": False}
        return {clade: _check_mapping(entry, inner, f"{where}.{clade}") for clade, entry in value.items()}
    return _read_some(limits["some_of"], value, where, lambda key: f"{where}.{key}")


def _check_range(value: float, limits: Mapping[str, Any], where: str) -> None:
    bounds = {name: limits[name] for name in _LIMITS if limits[name] is not None}
    if not math.isfinite(value) or not all(_LIMITS[name][1](value, bound) for name, bound in bounds.items()):
        raise InputError(f"{where}: found {value}, allowed: {range_text(limits) or 'a finite number'}")


def range_text(limits: Mapping[str, Any]) -> str:
    """``at least 0 and less than 1``; empty where any number is allowed."""
    return " and ".join(f"{words} {limits[name]:g}" for name, (words, _) in _LIMITS.items() if limits[name] is not None)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that a value may have: ``int | None`` -> int, NoneType."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def name_of(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is not tuple:
        return _NAMES[kind]
    kinds = get_args(kind)
    return "a list" if kinds[-1] is Ellipsis else f"a list of {len(kinds)} numbers"


def _alternative(value: Any, hint: Any) -> Any:
    """The type of ``hint`` that ``value`` has; None if it has none of them."""
    for kind in alternatives(hint):
        if get_origin(kind) is tuple:
            fits = isinstance(value, (list, tuple))
        elif kind is float:
            fits = type(value) in (int, float)
        elif kind is int:
            fits = type(value) is int or (type(value) is float and value.is_integer())
        else:
            fits = type(value) is kind
        if fits:
            return kind
    return None


# -------------------------------------------------------------------- flags


def add_option_arguments(
    parser: argparse.ArgumentParser, cls: type, title: str = "options", only: Collection[str] = ()
) -> None:
    """One flag for each option of ``cls`` (or for ``only`` these): ``--token-budget``, also as ``--token_budget``.

    An option that is a mapping from clades has no flag.
    """
    group = parser.add_argument_group(title)
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        if (f.name in only or not only) and not (f.metadata["some_of"] and f.metadata["of_clades"]):
            names = list(dict.fromkeys([f"--{f.name.replace('_', '-')}", f"--{f.name}"]))
            group.add_argument(*names, **_flag(f, hints[f.name]))


def _flag(f: dataclasses.Field, hint: Any) -> dict[str, Any]:
    """Keywords of ``add_argument`` for an option."""
    default, kind = default_of(f), next(one for one in alternatives(hint) if one is not NoneType)
    help_text = f.metadata["help"].replace("null: ", "without the flag: ")
    text = f"{help_text}{_shown_default(default)}".replace("%", "%%")
    keywords: dict[str, Any] = {"dest": f.name, "help": text, "default": None if default is REQUIRED else default}
    if default is REQUIRED:
        keywords["required"] = True
    if f.metadata["some_of"]:
        return keywords | {"nargs": "*", "metavar": "KEY=VALUE"}
    if kind is bool:
        return keywords | {"action": argparse.BooleanOptionalAction}
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        keywords["nargs"] = len(kinds) if kinds[-1] is not Ellipsis else "+" if f.metadata["nonempty"] else "*"
        kind = kinds[0]
    # Choices are shown here, and checked with the other limits, so that the message is one line.
    metavar = f"{{{','.join(map(str, f.metadata['choices']))}}}" if f.metadata["choices"] else "X"
    bare = {"nargs": "?", "const": f.metadata["bare"]} if f.metadata["bare"] is not None else {}
    return keywords | {"type": kind, "metavar": metavar} | bare


def _shown_default(default: Any) -> str:
    if default is REQUIRED or default is None or default == "" or default == {}:
        return ""
    if isinstance(default, bool):
        return f" (default: {'on' if default else 'off'})"
    return f" (default: {' '.join(map(str, default)) if isinstance(default, tuple) else default})"


def options_from_arguments(cls: type[Options], arguments: argparse.Namespace, only: Collection[str] = ()) -> Options:
    """Options of ``cls`` (or ``only`` these) from parsed flags, with the same limits as the configuration."""
    given = vars(arguments)
    fields = [f for f in dataclasses.fields(cls) if f.name in given and (f.name in only or not only)]
    values = {f.name: given[f.name] for f in fields}
    for f in fields:
        if f.metadata["some_of"] and not isinstance(values[f.name], Mapping):
            values[f.name] = read_assignments(f.metadata["some_of"], values[f.name], f"--{f.name}")
    return cls(**_read_some(cls, values, "command line", lambda key: f"--{key.replace('_', '-')}"))


def read_assignments(cls: type, words: Iterable[str], flag: str) -> dict[str, Any]:
    """``KEY=VALUE`` words as options of ``cls``; lists are written ``1,3,6``. Raises ``InputError``."""
    hints, found = get_type_hints(cls), {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"{flag} {word}: expected KEY=VALUE")
        if key in found:
            raise InputError(f"{flag} {word}: {key} is set twice")
        found[key] = _from_text(text, hints[key]) if key in hints else text
    return found


def _from_text(text: str, hint: Any) -> Any:
    """What ``text`` stands for; text that cannot be of the type stays as it is, for the check to refuse."""
    kind = next(one for one in alternatives(hint) if one is not NoneType)
    if get_origin(kind) is tuple:
        return [_from_text(part, get_args(kind)[0]) for part in text.split(",")]
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text


def flags(section: Mapping[str, Any]) -> list[str]:
    """A section of the configuration as the flags of its script: ``add_option_arguments`` read backwards.

    Lists become several words, and mappings ``KEY=VALUE`` words; nothing is said of null, empty texts and empty
    mappings, which are defaults.
    """
    words: list[str] = []
    for key, value in section.items():
        name = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, Mapping):
            words += [f"--{name}", *(f"{field}={_word(value[field])}" for field in sorted(value))] if value else []
        elif isinstance(value, (list, tuple)):
            words += [f"--{name}", *map(_word, value)]
        elif value is not None and value != "":
            words += [f"--{name}", _word(value)]
    return words


def _word(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_word, value))
    # YAML and --config may give a whole number as 2.0, which a flag of a whole number would refuse.
    whole = isinstance(value, float) and value.is_integer()
    return str(value).lower() if isinstance(value, bool) else str(int(value) if whole else value)
