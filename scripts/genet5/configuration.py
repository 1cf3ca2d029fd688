"""Checking configuration: every mistake becomes one line that names the key, what was found and what is allowed.

The types and limits live in JSON schemas (``workflow/schemas``); this module turns the first violation into an
``InputError`` that a reader can act on, and adds the checks that span several keys.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from genet5.errors import InputError
from genet5.files import here_or_shipped, shipped

SCHEMAS = shipped("workflow/schemas")
# Sections with defaults in config/studies/defaults.yaml and schemas in workflow/schemas/studies.
STUDIES = ("dna_llm", "vq_transformer", "cpivae")
# In the folder config; a later one wins.
DEFAULT_FILES = ("config.yaml", "studies/defaults.yaml")
# Keys that name a file which the repository may have.
NAMED_FILES = ("species_sheet", "grammar", "tokenizer.structure_tokens")

#: How to speak of a place in a document: path of keys -> words, as in "config key sft.lr".
Subject = Callable[[Sequence[str | int]], str]

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


def config_schema() -> dict:
    """The schema of the whole configuration: ``config.schema.yaml``, and a file for the section of each study."""
    schema = load_schema("config")
    schema["required"] += STUDIES
    schema["properties"] |= {study: load_schema(f"studies/{study}") for study in STUDIES}
    return schema


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


def explain(error: ValidationError, subject: Subject = config_subject) -> str:
    """One line for one schema violation."""
    path = list(error.absolute_path)
    place, found, limit = subject(path), error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema.get("properties", {}))
            unknown = sorted(key for key in found if key not in known)[0]
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
        case "minLength":
            return f"{place} is empty"
        case "uniqueItems":
            return f"{place}: an entry stands there twice"
        case name if name in _LIMITS:
            return f"{place}: {found} is out of range, expected {_LIMITS[name]} {limit}"
    return f"{place}: {error.message}"


def check_config(config: Mapping) -> None:
    """Check the merged configuration: schema, then what several keys must agree on. Raises ``InputError``."""
    check_against_schema(dict(config), config_schema())
    tokenizer, bake, annotate = config["tokenizer"], config["bake"], config["annotate"]
    longest = tokenizer["max_window_bp"]
    for clade, window in bake["windows"].items():
        key = f"config key bake.windows.{clade}"
        if window["stride_bp"] > window["window_bp"]:
            raise InputError(
                f"{key}.stride_bp: {window['stride_bp']} leaves gaps between windows, expected at most window_bp "
                f"({window['window_bp']})"
            )
    needed = {"bpe": "a tokenizer.json", "vq": "a table of codes"}.get(tokenizer["kind"])
    if needed and not tokenizer["base"]:
        raise InputError(f"config key tokenizer.base is empty: the {tokenizer['kind']} tokenizer needs {needed}")
    if not needed and tokenizer["base"]:
        raise InputError(
            f"config key tokenizer.base: only kinds bpe and vq have a base, but kind is {tokenizer['kind']}"
        )
    if annotate["stage"] and annotate["stage"] not in config["stages"]:
        trained = ", ".join(config["stages"])
        raise InputError(f"config key annotate.stage: {annotate['stage']} is not in stages ({trained})")
    window_bp = annotate["window_bp"]
    if window_bp is not None and window_bp > longest:
        raise InputError(
            f"config key annotate.window_bp: {window_bp} is longer than tokenizer.max_window_bp ({longest})"
        )
    read_grammar(config["grammar"])


def check_window(config: Mapping, clade: str) -> None:
    """Check that windows of ``clade``, as baked and as annotated, can be written and tiled. Raises ``InputError``."""
    window_bp, longest = config["bake"]["windows"][clade]["window_bp"], config["tokenizer"]["max_window_bp"]
    if window_bp > longest:
        raise InputError(
            f"config key bake.windows.{clade}.window_bp: {window_bp} is longer than tokenizer.max_window_bp ({longest})"
        )
    tile_bp, overlap_bp = annotation_window(config, clade), config["annotate"]["overlap_bp"]
    if overlap_bp >= tile_bp:
        raise InputError(
            f"config key annotate.overlap_bp: {overlap_bp} is not shorter than the window of {clade} ({tile_bp})"
        )


def annotation_window(config: Mapping, clade: str) -> int:
    """Length of a tile in bases: ``annotate.window_bp``, or the clade's training window."""
    return config["annotate"]["window_bp"] or config["bake"]["windows"][clade]["window_bp"]


def read_grammar(path: str | Path) -> dict[str, dict[str, Any]]:
    """The checked grammar table: clade -> starts, splice pairs, lengths in bases. Raises ``InputError``."""
    table = read_yaml(path, "config key grammar")

    def subject(place: Sequence[str | int]) -> str:
        return f"{path}, key {dotted(place)}" if place else str(path)

    check_against_schema(table, load_schema("grammar"), subject)
    for clade, rules in table.items():
        if rules["splice_pairs"] and rules["min_intron_bp"] > rules["max_intron_bp"]:
            raise InputError(
                f"{subject([clade, 'min_intron_bp'])}: {rules['min_intron_bp']} is more than max_intron_bp "
                f"({rules['max_intron_bp']})"
            )
    return table


def read_yaml(path: str | Path, named_by: str) -> Any:
    """Content of a YAML file; ``named_by`` says in messages where its name came from."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{named_by}: cannot read '{path}' ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{named_by}: '{path}' is not valid YAML ({reason})") from error


def new_genome_name(genome: str) -> str:
    """Name of the annotation of a genome file: its base name without ``.gz`` and ``.fa``, ``.fna``, ``.fasta``."""
    name = re.sub(r"\.(fa|fna|fasta|fas)$", "", re.sub(r"\.gz$", "", Path(genome).name), flags=re.IGNORECASE)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(
            f"config key genome: '{genome}' needs a plain file name (letters, digits, . _ -); rename the file"
        )
    return name


def completed(config: Mapping) -> dict[str, Any]:
    """The configuration with the defaults of every key that it leaves out.

    Files that it names are looked for in the working folder, then in the repository.
    """
    defaults = [read_yaml(shipped("config") / name, "the defaults") for name in DEFAULT_FILES]
    complete = dict(functools.reduce(_merged, [*defaults, config], {}))
    for keys in NAMED_FILES:
        *sections, key = keys.split(".")
        section = functools.reduce(lambda found, name: found[name], sections, complete)
        if isinstance(section, dict) and isinstance(section.get(key), str):
            section[key] = here_or_shipped(section[key])
    return complete


def _merged(default: Any, value: Any) -> Any:
    """``value``; of a section, also the keys of ``default`` that it leaves out."""
    if not (isinstance(value, Mapping) and isinstance(default, Mapping)):
        return value
    return {**default, **{key: _merged(default.get(key), inner) for key, inner in value.items()}}


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
    return repr(value) if isinstance(value, str) and (not value or not value.isprintable()) else str(value)


def _describe(value: Any) -> str:
    """A wrong value in words: ``'2e-4' is text``."""
    if value is None:
        return "nothing stands there"
    if isinstance(value, Mapping):
        return "a section of keys stands there"
    if isinstance(value, list):
        return "a list stands there"
    kind = "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"
    return f"{value!r} is {kind}"


def _fix(value: Any, wanted: Sequence[str]) -> str:
    """How to write the value that was meant, where that can be guessed."""
    if isinstance(value, str) and "boolean" in wanted and value.lower() in {"true", "false"}:
        return f" (write {value.lower()} in a file, {value.capitalize()} on the command line)"
    if isinstance(value, str) and ("number" in wanted or "integer" in wanted):
        try:
            number = float(value)
        except ValueError:
            return ""
        if "number" not in wanted and number != int(number):
            return ""
        mantissa, exponent, power = value.lower().partition("e")
        written = f"{mantissa}.0e{power}" if exponent and "." not in mantissa else value
        return f" (write {written if 'number' in wanted else int(number)})"
    if isinstance(value, float) and "integer" in wanted and value == int(value):
        return f" (write {int(value)})"
    if "string" in wanted and isinstance(value, (int, float)):
        return f' (write "{value}" with quotes; on the command line \'"{value}"\')'
    return ""
