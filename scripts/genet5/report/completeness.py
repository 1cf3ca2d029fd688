"""BUSCO results as bars: single, duplicated, fragmented and missing marker genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from genet5.errors import InputError
from genet5.files import read_json
from genet5.report.figures import Part, legend, stacked_bar
from genet5.report.markup import Markup, tag
from genet5.report.numbers import count, is_number

CLASSES = (
    ("single", "single copy", "s1"),
    ("duplicated", "duplicated", "s3"),
    ("fragmented", "fragmented", "s5"),
    ("missing", "missing", "s7 soft"),
)


def read_busco(path: str | Path) -> Mapping[str, object]:
    """A result of busco.py: numbers of markers by class."""
    document = read_json(path)
    for name, _, _ in CLASSES:
        if not is_number(document.get(name)):
            found = document.get(name)
            raise InputError(f"{path}: {name!r} is {found!r}, expected a number of marker genes as busco.py writes it")
    return document


def busco_bars(results: Sequence[tuple[str, str, Mapping[str, object]]]) -> Markup:
    """One bar for each (species, stage, result)."""
    rows = []
    for species, stage, result in results:
        parts = [Part(name, result[key], style) for key, name, style in CLASSES]
        total = sum(part.value for part in parts)
        said = _summary(result, total)
        name = tag("figcaption", f"{species}, {stage} ", tag("span", said))
        rows.append(tag("figure", name, stacked_bar(parts, f"BUSCO of {species}, {stage}"), class_="spaced"))
    return tag("div", rows, legend([(name, style) for _, name, style in CLASSES]))


def _summary(result: Mapping[str, object], total: float) -> str:
    """BUSCO's own line (made from the numbers where it is missing), lineage and version."""
    share = {name: f"{100 * result[name] / total if total else 0.0:.1f}%" for name, _, _ in CLASSES}
    complete = 100 * (result["single"] + result["duplicated"]) / total if total else 0.0
    line = (
        f"C:{complete:.1f}%[S:{share['single']},D:{share['duplicated']}],F:{share['fragmented']},M:{share['missing']}"
    )
    words = [result.get("one_line") or f"{line},n:{count(total)}"]
    words += [word for word in (result.get("lineage"),) if word]
    words += [f"BUSCO {version}" for version in (result.get("version"),) if version]
    return " · ".join(map(str, words))
