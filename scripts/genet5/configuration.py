"""Checking configuration: every mistake becomes one line that names the key, what was found and what is allowed.

Types and limits are JSON schemas: generated from the options of each section (``settings/``), or written down
(``workflow/schemas``). This module turns the first violation into an ``InputError`` that a user can act on.
"""

from __future__ import annotations

import copy
import difflib
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from genet5.errors import InputError
from genet5.files import DEEPEST, check_depth, one_line, shipped

SCHEMAS = shipped("workflow/schemas")

#: What the user names instead of a clade or a genetic code, so that the DNA decides; no clade has this name.
AUTO = "auto"

#: How to speak of a place in a document: path of keys -> words, as in "config key sft.lr".
Subject = Callable[[Sequence[str | int]], str]

#: A configuration of a hundred species has a tenth of this; PyYAML reads 50 kB in a second.
LONGEST_YAML_BYTES = 200_000
#: Whole numbers beyond this are no int64.
_LARGEST = 2**63 - 1

_MOST_SHOWN = 200

_TYPE_NAMES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a section of keys",
    "null": "null",
}
_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


def load_schema(name: str) -> dict:
    """The schema ``workflow/schemas/{name}.schema.yaml``."""
    return yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))


def merged(base: Mapping[str, Any], *changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with each of ``changes`` laid over it: sections are merged, lists and values replaced."""
    result = copy.deepcopy(dict(base))
    for change in changes:
        for key, value in change.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def config_subject(path: Sequence[str | int]) -> str:
    """Words for a place in the configuration."""
    return f"config key {dotted(path)}" if path else "the configuration"


def dotted(path: Iterable[str | int]) -> str:
    """``("sft", "lr")`` -> ``sft.lr``; positions in lists in brackets."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'species'?`` for the nearest known word, else the list of all of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    if not near:
        folded = {entry.casefold(): entry for entry in known}
        near = [folded[word.casefold()]] if word.casefold() in folded else []
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"


def check_against_schema(document: Any, schema: Mapping, subject: Subject = config_subject) -> None:
    """Raise ``InputError`` for the first violation; unknown keys come first, since a typo explains a missing key."""
    errors = sorted(
        Draft202012Validator(schema).iter_errors(document),
        key=lambda error: (error.validator != "additionalProperties", [str(part) for part in error.absolute_path]),
    )
    if errors:
        raise InputError(explain(errors[0], subject))
    for path, value in _leaves(document):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{subject(path)}: {value} is not a finite number")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise InputError(f"{subject(path)}: the number is too large, allowed: at most {_LARGEST}")


def explain(error: ValidationError, subject: Subject = config_subject) -> str:
    """One line for one schema violation."""
    path = list(error.absolute_path)
    place, found, limit = subject(path), error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema.get("properties", {}))
            unknown = sorted((key for key in found if key not in known), key=str)[0]
            return f"{subject([*path, unknown])} is unknown{suggestion(str(unknown), known)}"
        case "required":
            missing = next(key for key in limit if key not in found)
            return f"{subject([*path, missing])} is missing"
        case "type":
            wanted = [limit] if isinstance(limit, str) else list(limit)
            expected = " or ".join(_TYPE_NAMES[name] for name in wanted)
            return f"{place}: {_describe(found)}, expected {expected}{_fix(found, wanted)}"
        case "enum":
            legal = [_show(value) for value in limit]
            near = difflib.get_close_matches(str(found), [str(value) for value in limit], n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            return f"{place}: {_show(found)} is not allowed (allowed: {', '.join(legal)}){hint}"
        case "pattern":
            return f"{place}: {found!r} is not allowed, expected {error.schema.get('description', limit)}"
        case "minLength" | "minItems" if not found:
            return f"{place} is empty"
        case "minItems" | "maxItems":
            return f"{place}: the list has {len(found)} entries, expected {limit}"
        case "uniqueItems":
            return f"{place}: an entry is there twice"
        case name if name in _LIMITS:
            return f"{place}: {_brief(found)} is out of range, expected {_LIMITS[name]} {limit}"
    return f"{place}: {' '.join(error.message.split())}"


def read_yaml(path: str | Path, named_by: str) -> Any:
    """Content of a YAML file; ``named_by`` says in messages where its name came from.

    Raises ``InputError`` for a file that cannot be read or is no YAML, is over ``LONGEST_YAML_BYTES`` or nested deeply,
    and for one whose aliases (``*name``) make a value of many more.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{named_by}: cannot read '{path}' ({error.strerror or error})") from error
    return yaml_value(content, f"{named_by}: '{path}'")


def yaml_value(text: str | bytes, where: str) -> Any:
    """The value that a YAML text holds; ``where`` names it in messages. This is the one place that reads YAML."""
    if len(text) > LONGEST_YAML_BYTES:
        raise InputError(f"{where} has {len(text)} bytes, allowed: {LONGEST_YAML_BYTES}")
    if _open_brackets(text) > DEEPEST:  # PyYAML takes seconds to find out
        raise InputError(f"{where} is not valid YAML (nested too deep)")
    try:
        value = yaml.safe_load(text)
    except RecursionError as error:
        raise InputError(f"{where} is not valid YAML (nested too deep)") from error
    # PyYAML makes dates and numbers of text, and raises what these raise: ValueError, KeyError, AttributeError, ...
    except Exception as error:
        raise InputError(f"{where} is not valid YAML ({one_line(error)})") from error
    check_depth(value, where, most_values=LONGEST_YAML_BYTES)
    return value


def _open_brackets(text: str | bytes) -> int:
    """The most brackets that are open at a time, wherever they stand: some may be in quotes or comments."""
    steps = (
        1 if one in "[{" else -1
        for one in re.findall(r"[][{}]", text if isinstance(text, str) else text.decode("latin-1"))
    )
    return max(itertools.accumulate(steps), default=0)


def new_genome_name(genome: str, where: str = "config key genome") -> str:
    """Name of the annotation of a genome file: its base name without ``.gz`` and ``.fa``, ``.fna``, ``.fasta``."""
    name = re.sub(r"\.(fa|fna|fasta|fas)$", "", re.sub(r"\.gz$", "", Path(genome).name), flags=re.IGNORECASE)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"{where}: '{genome}' needs a plain file name (letters, digits, . _ -); rename the file")
    return name


def _leaves(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """All scalars of a nested document with their paths."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(document, list):
        for position, value in enumerate(document):
            yield from _leaves(value, (*path, position))
    else:
        yield path, document


def _show(value: Any) -> str:
    if value is None:
        return "null"
    return repr(value) if isinstance(value, str) and (not value or not value.isprintable()) else str(value)


def _describe(value: Any) -> str:
    """A wrong value in words: ``'2e-4' is text``."""
    if value is None:
        return "nothing is there"
    if isinstance(value, Mapping):
        return "a section of keys is there"
    if isinstance(value, list):
        return "a list is there"
    kind = "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"
    return f"{_brief(value)} is {kind}"


def _brief(value: Any) -> str:
    """A value for a message. Python refuses to write whole numbers of thousands of digits."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _fix(value: Any, wanted: Sequence[str]) -> str:
    """How to write the value that was meant, where that can be guessed."""
    if isinstance(value, str) and "boolean" in wanted and value.lower() in {"true", "false"}:
        return f" (write {value.lower()} in a file, {value.capitalize()} on the command line)"
    if isinstance(value, str) and ("number" in wanted or "integer" in wanted):
        try:
            number = float(value)
        except ValueError:
            return ""
        if "number" not in wanted and not number.is_integer():
            return ""
        mantissa, exponent, power = value.lower().partition("e")
        written = f"{mantissa}.0e{power}" if exponent and "." not in mantissa else value
        return f" (write {written if 'number' in wanted else int(number)})"
    if isinstance(value, float) and "integer" in wanted and value.is_integer():
        return f" (write {int(value)})"
    if "string" in wanted and isinstance(value, (int, float)):
        return f' (write "{value}" with quotes; on the command line \'"{value}"\')'
    return ""
