"""The rows of ``any_genome.py`` as Markdown, one table per clade, and as TSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

COLUMNS = (
    "table", "set", "species", "scored_bp", "genes", "tool", "seen", "predicted", "exon_f1", "exon_low", "exon_high",
    "stop_f1", "stop_low", "stop_high", "gene_f1", "gene_low", "gene_high", "verified", "verified_stop",
    "verified_start", "verified_low", "verified_high", "cpu_s", "kb_per_cpu_s", "verdict", "note",
)  # fmt: skip


def tsv_lines(rows: Sequence[Mapping]) -> Iterator[str]:
    """A header line and a line per row; what was not measured is empty."""
    yield "\t".join(COLUMNS) + "\n"
    told = verdicts(rows)
    for row in rows:
        cells = dict(row) | {"verdict": told.get(row["set"], "")}
        yield "\t".join(_cell(cells.get(name)) for name in COLUMNS) + "\n"


def markdown_table(title: str, rows: Sequence[Mapping]) -> str:
    """The rows of one clade; empty without rows. The verdict stands in the first row of a target."""
    if not rows:
        return ""
    prokaryotes = title == "prokaryotes"
    names = ["target", "genes", "tool", "seen"]
    names += ["gene F1", "stop F1", "verified starts"] if prokaryotes else ["exon F1", "gene F1"]
    names += ["CPU s", "above by gene F1"]
    told, lines = verdicts(rows), [f"### {title}", "", _line(names), _line(["---"] * len(names))]
    before = None
    for row in rows:
        first = row["set"] != before
        before = row["set"]
        cells = [
            f"{row['set']} ({row['scored_bp'] / 1e6:.2f} Mb)" if first and row["scored_bp"] else row["set"] * first
        ]
        cells += [str(row["genes"] or "") * first, row["tool"], row["seen"]]
        if row["gene_f1"] is None and row["note"]:
            cells += [row["note"], *[""] * (2 if prokaryotes else 1)]
        elif prokaryotes:
            cells += [score(row, "gene"), score(row, "stop"), _verified(row)]
        else:
            cells += [score(row, "exon"), score(row, "gene")]
        cells += ["" if row["cpu_s"] is None else f"{row['cpu_s']:.1f}", told.get(row["set"], "") if first else ""]
        lines.append(_line(cells))
    notes = {f"{row['set']}: {row['note']}." for row in rows if row["note"] and row["gene_f1"] is not None}
    lines += ["", *sorted(notes)] if notes else []
    return "\n".join(lines) + "\n"


def verdicts(rows: Sequence[Mapping]) -> dict[str, str]:
    """By target: the better of the best of ours and the best peer in gene F1, by how much, and whether that is clear.

    ``clear``: the 95 % intervals of the two do not overlap. Targets without both have no verdict.
    """
    told = {}
    for name in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == name and row["gene_f1"] is not None]
        sides = [[row for row in of_set if bool(row["ours"]) is ours] for ours in (True, False)]
        if not all(sides):
            continue
        ours, peer = (max(side, key=lambda row: row["gene_f1"]) for side in sides)
        upper, lower = (ours, peer) if ours["gene_f1"] >= peer["gene_f1"] else (peer, ours)
        difference = upper["gene_f1"] - lower["gene_f1"]
        bounds = upper["gene_low"], lower["gene_high"]
        clear = None not in bounds and bounds[0] > bounds[1]
        told[name] = "level" if not difference else f"{upper['tool']} +{difference:.3f}{', clear' if clear else ''}"
    return told


def score(row: Mapping, level: str) -> str:
    """F1 and its interval, ``.872 [.848, .909]``."""
    value, low, high = (row[f"{level}_{end}"] for end in ("f1", "low", "high"))
    if value is None:
        return "-"
    return _short(value) + ("" if low is None or high is None else f" [{_short(low)}, {_short(high)}]")


def _verified(row: Mapping) -> str:
    if row["verified"] is None:
        return ""
    shown = [_short(row[f"verified_{name}"]) for name in ("start", "low", "high", "stop")]
    return "{} [{}, {}] of {} (stop {})".format(*shown[:3], row["verified"], shown[3])


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace("\t", " ")
