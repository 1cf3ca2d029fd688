"""The rows of ``any_genome.py`` as Markdown, one table per clade, and as TSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

COLUMNS = (
    "table", "set", "species", "scored_bp", "genes", "tool", "seen", "predicted", "exon_f1", "exon_low", "exon_high",
    "stop_f1", "stop_low", "stop_high", "gene_f1", "gene_low", "gene_high", "verified", "verified_stop",
    "verified_start", "verified_low", "verified_high", "cpu_s", "kb_per_cpu_s", "verdict", "note",
)  # fmt: skip

# What verdicts compare: name, column, and the beginning of the columns of its interval; of eukaryotes, of prokaryotes.
LEVELS = (
    (("exon", "exon_f1", "exon"), ("gene", "gene_f1", "gene")),
    (("gene", "gene_f1", "gene"), ("starts", "verified_start", "verified")),
)


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
    names += ["CPU s", "above"]
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
    summary = summary_line(rows)
    lines += ["", summary] if summary else []
    return "\n".join(lines) + "\n"


def verdicts(rows: Sequence[Mapping]) -> dict[str, str]:
    """By target: the better of the best of ours and the best peer at each level of ``LEVELS``, and by how much.

    ``clear``: the 95 % intervals of the two do not overlap. Targets without both sides have no verdict.
    """
    told = {}
    for name in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == name]
        texts = [
            f"{title}: {_above(*best)}"
            for title, value, bound in LEVELS[of_set[0]["table"] == "prokaryotes"]
            if (best := best_of_sides(of_set, value, bound))
        ]
        if texts:
            told[name] = "; ".join(texts)
    return told


Bounded = tuple[str, float, float | None, float | None]
"""A tool, its score, and the ends of its interval."""


def best_of_sides(rows: Sequence[Mapping], value: str, bound: str) -> tuple[Bounded, Bounded] | None:
    """The best of ours and the best of the peers in a column; None where one side has no score."""
    sides = []
    for ours in (True, False):
        known = [row for row in rows if row[value] is not None and bool(row["ours"]) is ours]
        if not known:
            return None
        best = max(known, key=lambda row: row[value])
        sides.append(("ours" if ours else best["tool"], best[value], best[f"{bound}_low"], best[f"{bound}_high"]))
    return sides[0], sides[1]


def summary_line(rows: Sequence[Mapping]) -> str:
    """How many targets of a table ours is above in, and the mean of both sides over these targets; maybe empty."""
    texts = []
    for title, value, bound in LEVELS[rows[0]["table"] == "prokaryotes"]:
        names = dict.fromkeys(row["set"] for row in rows)
        pairs = [best_of_sides([row for row in rows if row["set"] == name], value, bound) for name in names]
        known = [pair for pair in pairs if pair]
        if known:
            above = sum(ours[1] > peer[1] for ours, peer in known)
            means = [sum(pair[side][1] for pair in known) / len(known) for side in (0, 1)]
            texts.append(
                f"{title}: ours above in {above} of {len(known)} targets, mean {_short(means[0])} (best peer "
                f"{_short(means[1])})"
            )
    return "; ".join(texts) + "." if texts else ""


def _above(ours: Bounded, peer: Bounded) -> str:
    upper, lower = (ours, peer) if ours[1] >= peer[1] else (peer, ours)
    if upper[1] == lower[1]:
        return "level"
    clear = upper[2] is not None and lower[3] is not None and upper[2] > lower[3]
    return f"{upper[0]} +{_short(upper[1] - lower[1])}{', clear' if clear else ''}"


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
