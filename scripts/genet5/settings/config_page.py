"""``docs/config.md``, written from the declarations of all options.

``python -m genet5.settings.config_page docs/config.md`` (with ``scripts`` on the path) writes it; a test compares it
with the page.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from genet5.bake.options import WindowSizes
from genet5.crf import config as crf
from genet5.files import atomic_write
from genet5.options import REQUIRED, alternatives, default_of, name_of, plain, range_text
from genet5.settings.sections import SECTIONS, STUDIES, GeneralOptions, Section
from genet5.training.options import RunOptions
from genet5.writer import options as writer

_LISTED = 8  # a longer list of choices is described by its ends


def config_page() -> str:
    """The text of ``docs/config.md``."""
    parts = [_INTRODUCTION, "## Keys in no section\n", option_table(GeneralOptions)]
    for name, section in SECTIONS.items():
        parts += [f"## {name}\n", _about(section), option_table(section.options)]
        parts += _SUBSECTIONS.get(name, lambda: [])()
    parts += ["## " + ", ".join(STUDIES) + "\n", _STUDIES]
    return "\n".join(parts)


def write_config_page(path: Path) -> None:
    """Write the page to ``path``."""
    with atomic_write(path) as stream:
        stream.write(config_page())


def option_table(cls: type) -> str:
    """A row for each option; those that all trainings have come last."""
    hints = get_type_hints(cls)
    shared = {f.name for f in dataclasses.fields(RunOptions)} if issubclass(cls, RunOptions) else set()
    rows = [
        (f.name, shown(default_of(f)), allowed(hints[f.name], f.metadata), f.metadata["help"])
        for f in sorted(dataclasses.fields(cls), key=lambda f: f.name in shared)
    ]
    return _table(("key", "default", "allowed", "meaning"), [(f"`{key}`", *rest) for key, *rest in rows])


def shown(value: Any) -> str:
    """A value as it is written in YAML."""
    return "needed" if value is REQUIRED else f"`{_yaml(plain(value))}`"


def allowed(hint: Any, limits: Mapping[str, Any]) -> str:
    """What an option may be, in words."""
    if limits["some_of"]:
        return "a section for each clade, below" if limits["of_clades"] else "a section of the fields below"
    if limits["of_clades"]:
        return "empty, auto, or the name of a clade"
    if limits["choices"]:
        return _choices(hint, limits["choices"])
    kinds = [_kind(kind, limits) for kind in alternatives(hint)]
    return (", or " if any("," in kind for kind in kinds) else " or ").join(kinds)


def _kind(kind: Any, limits: Mapping[str, Any]) -> str:
    if kind is bool:
        return "true, false"
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        entries = {int: "whole numbers", float: "numbers", str: "texts"}[kinds[0]]
        length = "" if kinds[-1] is Ellipsis else f"{len(kinds)} "
        limit = ", each " + range_text(limits) if kinds[0] is not str and range_text(limits) else ""
        return f"a list of {length}{limits['described'] or entries}{limit}"
    if kind in (int, float):
        return ", ".join(filter(None, (name_of(kind), range_text(limits))))
    if kind is str and limits["described"]:
        return limits["described"]
    return f"{name_of(kind)}, not empty" if kind is str and limits["nonempty"] else name_of(kind)


def _choices(hint: Any, choices: tuple[Any, ...]) -> str:
    words = [f"`{_yaml(choice)}`" for choice in choices]
    if len(words) > _LISTED:
        words = [*words[:3], "...", words[-1]]
    kinds = alternatives(hint)
    words += ["`null`"] if NoneType in kinds else []
    return ("a list of " if any(get_origin(kind) is tuple for kind in kinds) else "") + ", ".join(words)


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if value == "":
        return '""'
    if isinstance(value, float):
        mantissa, _, exponent = f"{value:e}".partition("e")
        return f"{float(mantissa)}e{int(exponent)}" if value and not 1e-3 <= abs(value) < 1e6 else str(value)
    return str(value)


def _about(section: Section) -> str:
    commands = " and ".join(f"`scripts/{script}`" for script in section.scripts)
    without = " and ".join(", ".join(f"`{key}`" for key in section.without_flag).rsplit(", ", 1))
    but = f", but {without} {'are' if len(section.without_flag) > 1 else 'is'} not" if without else ""
    return f"{section.options.__doc__.splitlines()[0]} These keys are flags of {commands}{but}.\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    head = list(head)
    return "\n".join([f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *lines, ""])


def _size_table(sizes: Mapping[str, Mapping[str, Any]], shape: type) -> str:
    fields = [f for f in dataclasses.fields(shape) if any(f.name in changed for changed in sizes.values())]
    rows = [(f"`{f.name}`", *(_yaml(plain(sizes[size].get(f.name, default_of(f)))) for size in sizes)) for f in fields]
    return _table(("field", *(f"`{size}`" for size in sizes)), rows)


def _network(section: str, shape: type, sizes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"### {section}.overrides\n",
        f"Fields of the network. `{section}.size` sets them, and `{section}.overrides` replaces single ones. The "
        "defaults are those of size demo.\n",
        option_table(shape),
        "The other sizes differ in these fields:\n",
        _size_table(sizes, shape),
    ]


_SUBSECTIONS = {
    "bake": lambda: [
        "### bake.windows\n",
        "For example `{fungi: {window_bp: 12000, stride_bp: 6000}}`. A clade that is not named, and a key that is left "
        "out, have the value in the clade's file.\n",
        option_table(WindowSizes),
    ],
    "crf": lambda: _network("crf", crf.CrfShape, crf.SIZES),
    "writer": lambda: _network("writer", writer.WriterShape, writer.SIZES),
}

_INTRODUCTION = """\
# Configuration

<!-- Written by genet5.settings.config_page from the declarations of the options: change those, not this page. -->

Every key of the configuration, with its default, what it allows and what it means. `config/config.yaml` holds the same
defaults. `config/README.md` says how to change them.

An option of a script is the same thing under the same name: the key `sft.token_budget` is the flag `--token-budget` of
`scripts/train_sft.py`. A key that is true or false has two flags, `--compile` and `--no-compile`. A list is several
words after one flag. Fields of a network are `KEY=VALUE` words: `--overrides num_layers=4 hidden_size=128`.
"""
_STUDIES = """\
The studies have their defaults, with explanations, in `config/studies/defaults.yaml`.
"""


if __name__ == "__main__":
    write_config_page(Path(sys.argv[1]))
