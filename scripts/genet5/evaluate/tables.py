"""The score document of one species as rows: a long TSV for programs and a wide table for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from genet5.evaluate.scores import CLASS_LEVELS, LEVELS

SCORE_COLUMNS = (
    "species", "system", "level", "reference", "predicted", "found", "right", "fp", "fn", "ignored",
    "precision", "recall", "f1", "f1_low", "f1_high", "f1_without_dont_care", "cpu_s", "kb_per_cpu_s",
)  # fmt: skip
_SHOWN = {
    "nucleotide": "nucl",
    "exon": "exon",
    "intron": "intron",
    "stop": "stop",
    "transcript": "tx",
    "gene": "gene",
    "gene_single_exon": "single",
    "gene_multi_exon": "multi",
}


def score_tsv(document: Mapping) -> str:
    """One line per system and level, with a header line; undefined values are empty. Columns as in ``score_rows``."""
    lines = ["\t".join(SCORE_COLUMNS)]
    for row in score_rows(document):
        lines.append("\t".join("" if row[name] is None else str(row[name]) for name in SCORE_COLUMNS))
    return "\n".join(lines) + "\n"


def score_rows(document: Mapping) -> Iterator[dict[str, Any]]:
    """One row per system and level, with the keys ``SCORE_COLUMNS``; undefined values are None.

    ``reference``/``predicted`` count features that take part, ``found``/``right`` those matched on either side.
    """
    for system, report in document["systems"].items():
        speed = {name: report.get(name) for name in ("cpu_s", "kb_per_cpu_s")}
        for level in (*LEVELS, *CLASS_LEVELS):
            row = _counts(report[level]) | speed | {"species": document["species"], "system": system, "level": level}
            row |= {name: report[level][name] for name in ("precision", "recall", "f1")}
            row["f1_low"], row["f1_high"] = report.get("bootstrap", {}).get("f1", {}).get(level, (None, None))
            row["f1_without_dont_care"] = report["without_dont_care"][level]["f1"]
            yield {name: row.get(name) for name in SCORE_COLUMNS}


def beside_each_other(documents: Iterable[Mapping]) -> list[dict]:
    """Documents that score the same DNA against the same reference as one, such as those of several training stages.

    Systems that all of them hold, the baselines, come last and once.
    """
    groups: dict[str, list[Mapping]] = {}
    for document in documents:
        same = [document[key] for key in ("species", "regions", "reference", "genetic_code", "isoforms")]
        groups.setdefault(json.dumps(same, sort_keys=True), []).append(document)
    joined = []
    for group in groups.values():
        common = set.intersection(*(set(document["systems"]) for document in group))
        own = {name: report for doc in group for name, report in doc["systems"].items() if name not in common}
        shared = {name: report for name, report in group[0]["systems"].items() if name in common}
        joined.append({**group[0], "systems": own | shared})
    return joined


def score_text(document: Mapping) -> str:
    """F1 of every system, aligned, with speed; ``-`` where undefined or not measured."""
    rows = [["F1", *_SHOWN.values(), "cpu-s", "kb/cpu-s"]]
    for system, report in document["systems"].items():
        scores = [_shown(report[level]["f1"], "{:.3f}") for level in _SHOWN]
        rows.append([system, *scores, _shown(report["cpu_s"], "{:.2f}"), _shown(report["kb_per_cpu_s"], "{:,.0f}")])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    reference = document["reference"]
    where = "whole genome" if document["regions"] is None else f"{len(document['regions'])} region(s)"
    head = (
        f"{document['species']}, {where}, {reference['scored_bp']:,} bp: {reference['genes']} genes "
        f"({reference['genes_multi_exon']} multi-exon), don't care: {reference['genes_flagged']} flagged, "
        f"{reference['genes_cut_by_region']} cut, {reference['dont_care_bp']:,} bp"
    )
    removed = {
        system: f"{report['gene']['ignored']} genes ignored, gene F1 without don't-care "
        + _shown(report["without_dont_care"]["gene"]["f1"], "{:.3f}")
        + _intervals(report.get("bootstrap", {}).get("f1", {}))
        for system, report in document["systems"].items()
    }
    lines = [head, *_aligned(rows, widths), *(f"{system}: {text}" for system, text in removed.items())]
    return "\n".join(lines) + "\n"


def _counts(entry: Mapping) -> dict[str, int]:
    if "found" in entry:
        missed, wrong = entry["reference"] - entry["found"], entry["predicted"] - entry["right"]
        return {name: entry[name] for name in ("reference", "predicted", "found", "right")} | {
            "fn": missed,
            "fp": wrong,
        }
    right = entry["tp"]
    sides = {"reference": right + entry["fn"], "predicted": right + entry["fp"], "found": right, "right": right}
    return sides | {name: entry[name] for name in ("fp", "fn", "ignored")}


def _intervals(bounds: Mapping[str, tuple[float | None, float | None]]) -> str:
    """95 % intervals of exon and gene F1, where they were made."""
    known = {level: bounds[level] for level in ("exon", "gene") if level in bounds and None not in bounds[level]}
    texts = [f"{level} {low:.3f} to {high:.3f}" for level, (low, high) in known.items()]
    return f"; 95 % intervals: {', '.join(texts)}" if texts else ""


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _aligned(rows: list[list[str]], widths: list[int]) -> Iterator[str]:
    for name, *cells in rows:
        yield "  ".join(
            [name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))]
        )
