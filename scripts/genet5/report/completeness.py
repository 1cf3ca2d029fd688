"""BUSCO results as bars: single, duplicated, fragmented and missing markers, of each stage beside the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from genet5.errors import InputError
from genet5.files import read_json
from genet5.report.figures import Part, legend, stacked_bar
from genet5.report.markup import Markup, tag
from genet5.report.numbers import count, is_number
from genet5.report.shell import card

CLASSES = (
    ("single", "single copy", "s1"),
    ("duplicated", "duplicated", "s3"),
    ("fragmented", "fragmented", "s5"),
    ("missing", "missing", "s7 soft"),
)

#: Stages that are no model's: the published proteins, and the DNA itself.
REFERENCE, GENOME = "reference", "genome"
_BESIDE = {REFERENCE: "Reference proteins", GENOME: "Genome, searched by BUSCO's own gene finder"}
_HELD_BY = {REFERENCE: "the reference proteins", GENOME: "the genome"}


def read_busco(path: str | Path) -> Mapping[str, object]:
    """A result of busco.py: numbers of markers by class."""
    document = read_json(path)
    for name, _, _ in CLASSES:
        if not is_number(document.get(name)):
            found = document.get(name)
            raise InputError(f"{path}: {name!r} is {found!r}, expected a number of marker genes as busco.py writes it")
    return document


def was_fetched(result: Mapping[str, object]) -> bool:
    """Whether the lineage of a result was fetched by its name, by the rule ``fetch_lineage``."""
    return str(result.get("lineage_path", "")).startswith("data/lineages/")


def busco_cards(results: Sequence[tuple[str, str, Mapping[str, object]]]) -> list[Markup]:
    """A card for each species of (species, stage, result): a sentence, and a bar for each stage and for the reference.

    The stages ``reference`` and ``genome`` are what the published proteins and the DNA hold: as much as a gene finder
    can be expected to find.
    """
    by_species: dict[str, list[tuple[str, Mapping[str, object]]]] = {}
    for species, stage, result in results:
        by_species.setdefault(species, []).append((stage, result))
    return [_species_card(species, found) for species, found in by_species.items()]


def _species_card(species: str, found: Sequence[tuple[str, Mapping[str, object]]]) -> Markup:
    ordered = sorted(found, key=lambda one: list(_BESIDE).index(one[0]) + 1 if one[0] in _BESIDE else 0)
    bars = []
    for stage, result in ordered:
        parts = [Part(name, result[key], style) for key, name, style in CLASSES]
        said = _summary(result, sum(part.value for part in parts))
        name = tag("figcaption", f"{_BESIDE.get(stage, f'GeneT5 {stage}')} ", tag("span", said))
        bars.append(tag("figure", name, stacked_bar(parts, f"BUSCO of {species}, {stage}"), class_="spaced"))
    keys = legend([(name, style) for _, name, style in CLASSES])
    return card(species, "", tag("p", _sentences(ordered), class_="note"), tag("div", bars, keys))


def _sentences(ordered: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    """``Complete: 92.0% (sft), of 95.0% in the reference proteins.`` And what each stage has of the latter."""
    shares = {stage: _complete(result) for stage, result in ordered}
    stages = [f"{share:.1f}% ({stage})" for stage, share in shares.items() if stage not in _BESIDE]
    beside = [f"{shares[stage]:.1f}% in {where}" for stage, where in _HELD_BY.items() if stage in shares]
    said = [f"Complete: {', of '.join(filter(None, [', '.join(stages), ' and '.join(beside)]))}."]
    found = {stage: _complete_markers(result) for stage, result in ordered}
    if reference := found.get(REFERENCE):
        for stage, markers in found.items():
            if stage not in _BESIDE and (markers or not shares[stage]):
                kept = len(markers & reference)
                said.append(f"Of the {count(len(reference))} in the reference proteins, {stage} has {count(kept)}.")
    return " ".join(said)


def _complete_markers(result: Mapping[str, object]) -> frozenset[str]:
    """Names of complete markers; none where a result says only how many."""
    markers = result.get("markers")
    named = markers.items() if isinstance(markers, Mapping) else ()
    return frozenset(str(name) for name, found in named if found in ("single", "duplicated"))


def _complete(result: Mapping[str, object]) -> float:
    """Percentage of complete markers."""
    total = sum(result[key] for key, _, _ in CLASSES)
    return 100 * (result["single"] + result["duplicated"]) / total if total else 0.0


def _summary(result: Mapping[str, object], total: float) -> str:
    """BUSCO's own line (made from the numbers where it is missing), lineage and version."""
    share = {name: f"{100 * result[name] / total if total else 0.0:.1f}%" for name, _, _ in CLASSES}
    line = (
        f"C:{_complete(result):.1f}%[S:{share['single']},D:{share['duplicated']}],F:{share['fragmented']},"
        f"M:{share['missing']}"
    )
    words = [result.get("one_line") or f"{line},n:{count(total)}"]
    words += [word for word in (result.get("lineage"),) if word]
    words += [f"BUSCO {version}" for version in (result.get("version"),) if version]
    return " · ".join(map(str, words))
