"""The score table, its details, and the near misses behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genet5.report.figures import Mark, Part, histogram, interval_chart, legend, stacked_bar
from genet5.report.markup import Markup, tag
from genet5.report.numbers import MISSING, count, is_number, percent, score, significant
from genet5.report.scoreboard import LEVELS, Scoreboard, System

CHART_LEVELS = ("nucleotide", "exon", "intron", "stop", "gene", "gene_multi_exon")
DETAIL_LEVELS = (*LEVELS[:3], ("start", "Start side"), *LEVELS[3:])
OUR_STYLES = ("s1", "s5", "s6")
OTHER_STYLES = ("s2", "s3", "s4", "s7")
GENE_SIDES = (("precision", "s3"), ("recall", "s2"))
GENE_STEPS = (
    ("exact", "s1"),
    ("at least 95 % of the bases", "s1 soft"),
    ("at least 80 %", "s3"),
    ("some bases", "s2"),
    ("missed", "s7 soft"),
)
EXON_STEPS = (("exact", "s1"), ("one border right", "s3"), ("overlap only", "s2"), ("missed", "s7 soft"))


def styles(board: Scoreboard) -> dict[str, str]:
    """A colour class for every system of a board: ours and the others from different ends of the palette."""
    given: dict[str, str] = {}
    ours = others = 0
    for system in board.systems:
        if system.ours:
            given[system.name] = OUR_STYLES[ours % len(OUR_STYLES)]
            ours += 1
        else:
            given[system.name] = OTHER_STYLES[others % len(OTHER_STYLES)]
            others += 1
    return given


def score_table(board: Scoreboard) -> Markup:
    """Systems down, levels across: F1 with its 95 % interval, then time; the best of each column is marked."""
    head = [tag("th", "F1", scope="col", class_="text")]
    head += [tag("th", name, scope="col") for _, name in LEVELS]
    head += [tag("th", "CPU s", scope="col"), tag("th", "kb per CPU s", scope="col")]
    colours = styles(board)
    rows = [_score_row(board, system, colours[system.name]) for system in board.systems]
    caption = tag(
        "caption",
        "F1 of coding sequence: strand and coordinates must be exact. "
        "▲ marks the best of a column. Small figures are 95 % intervals.",
    )
    return tag(
        "div",
        tag("table", caption, tag("thead", tag("tr", head)), tag("tbody", rows), class_="scores"),
        class_="scroll",
    )


def _score_row(board: Scoreboard, system: System, colour: str) -> Markup:
    teacher = board.is_teacher(system)
    swatch = tag(
        "svg",
        tag("rect", width=10, height=10, rx=2, class_=colour),
        class_="swatch",
        width=10,
        height=10,
        viewBox="0 0 10 10",
        aria_hidden="true",
        style="display:inline-block",
    )
    cells = [
        tag("th", swatch, system.label, tag("small", "teacher: made the labels") if teacher else None, scope="row")
    ]
    for level, name in LEVELS:
        value, interval = system.value(level), system.interval(level)
        best = not teacher and value is not None and value == board.best(level)
        small = tag("small", f"{interval[0]:.3f}–{interval[1]:.3f}") if interval else None
        words = None
        if value is None:
            words = "nothing of this kind in reference or prediction"
        elif system.value(level, "precision") is not None or system.value(level, "recall") is not None:
            precision, recall = (score(system.value(level, what)) for what in ("precision", "recall"))
            words = f"{name}: precision {precision}, recall {recall}"
        cells.append(
            tag(
                "td",
                score(value),
                small,
                class_="best" if best else None,
                style=f"--part:{value:.3f}" if value is not None else None,
                title=words,
            )
        )
    for name, choose in (("cpu_s", min), ("kb_per_cpu_s", max)):
        value = system.number(name)
        known = [number for rival in board.contestants if (number := rival.number(name)) is not None]
        best = not teacher and len(known) > 1 and value is not None and value == choose(known)
        cells.append(tag("td", significant(value), class_="best" if best else None))
    return tag("tr", cells, class_="teacher" if teacher else ("ours" if system.ours else None))


def score_charts(board: Scoreboard) -> Markup | None:
    """F1 of all systems per level, and precision and recall of genes; None when nothing is defined."""
    names = dict(LEVELS)
    colours = styles(board)
    rows = []
    for level in CHART_LEVELS:
        marks = [
            Mark(system.label, value, system.interval(level), colours[system.name])
            for system in board.contestants
            if (value := system.value(level)) is not None
        ]
        if marks:
            rows.append((names[level].removeprefix("Gene, ").capitalize(), marks))
    if not rows:
        return None
    keys = [(system.label, colours[system.name]) for system in board.contestants]
    caption = tag("figcaption", "F1 by level ", tag("span", "bars are 95 % intervals"))
    figures = [tag("figure", caption, interval_chart(rows, f"F1 on {board.species}"), legend(keys))]
    sides = [
        (
            system.label,
            [
                Mark(what, value, None, style)
                for what, style in GENE_SIDES
                if (value := system.value("gene", what)) is not None
            ],
        )
        for system in board.contestants
    ]
    sides = [(name, marks) for name, marks in sides if marks]
    if sides:
        caption = tag("figcaption", "Genes: precision and recall")
        chart = interval_chart(sides, f"Precision and recall of genes on {board.species}", left=148)
        figures.append(tag("figure", caption, chart, legend(GENE_SIDES)))
    return tag("div", figures, class_="two")


def detail_table(board: Scoreboard) -> Markup:
    """Precision, recall and counts of every system and level, folded away."""
    columns = ("Precision", "Recall", "F1", "Right", "Wrong", "Missed", "Ignored", "F1, nothing spared")
    head = [tag("th", "System", scope="col", class_="text"), tag("th", "Level", scope="col", class_="text")]
    head += [tag("th", name, scope="col") for name in columns]
    rows = []
    for system in board.systems:
        for level, name in DETAIL_LEVELS:
            if not isinstance(system.entry.get(level), Mapping):
                continue
            plain = system.entry.get("without_dont_care")
            spared = plain.get(level, {}).get("f1") if isinstance(plain, Mapping) else None
            cells = [score(system.value(level, what)) for what in ("precision", "recall", "f1")]
            cells += [count(number) for number in _counts(system, level)]
            cells.append(score(spared))
            rows.append(
                tag(
                    "tr",
                    tag("th", system.label, scope="row"),
                    tag("td", name, class_="text"),
                    [tag("td", cell) for cell in cells],
                )
            )
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows))
    return tag("details", tag("summary", "Precision, recall and counts"), tag("div", table, class_="scroll"))


def _counts(system: System, level: str) -> list[float | None]:
    """Right, wrong, missed, ignored; the exon classes of genes carry totals of either side instead."""
    right, wrong, missed = (system.value(level, what) for what in ("tp", "fp", "fn"))
    if right is None:
        right = system.value(level, "right")
        predicted, reference, found = (system.value(level, what) for what in ("predicted", "reference", "found"))
        wrong = predicted - right if predicted is not None and right is not None else None
        missed = reference - found if reference is not None and found is not None else None
    return [right, wrong, missed, system.value(level, "ignored")]


def near_misses(board: Scoreboard) -> Markup | None:
    """How far the wrong ones are off: ladders of genes and exons, split and fused genes, offsets of exon borders."""
    measured = [system for system in board.contestants if isinstance(system.entry.get("near_misses"), Mapping)]
    if not measured:
        return None
    blocks = [
        _ladder(measured, "Reference genes", GENE_STEPS, _gene_steps),
        _ladder(measured, "Reference exons", EXON_STEPS, _exon_steps),
    ]
    offsets = [figure for system in measured if system.ours for figure in _offsets(system)]
    return tag(
        "div",
        tag("div", [block for block in blocks if block is not None], class_="two"),
        _gene_faults(measured),
        tag("div", offsets, class_="two") if offsets else None,
    )


def _ladder(systems: Sequence[System], title: str, steps: Sequence[tuple[str, str]], counts_of) -> Markup | None:
    rows = []
    for system in systems:
        counts = counts_of(system)
        if counts is None or not sum(counts):
            continue
        parts = [Part(name, number, style) for (name, style), number in zip(steps, counts, strict=True)]
        said = f"{percent(counts[0] / sum(counts))} exact of {count(sum(counts))}"
        bar = stacked_bar(parts, f"{title}, {system.label}")
        rows.append(tag("figure", tag("figcaption", f"{system.label} ", tag("span", said)), bar))
    if not rows:
        return None
    return tag("div", tag("h4", title), rows, legend(steps))


def _gene_steps(system: System) -> list[float] | None:
    ladder = system.entry["near_misses"].get("gene")
    exact, missed_exact = system.value("gene", "tp"), system.value("gene", "fn")
    if not isinstance(ladder, Mapping) or exact is None or missed_exact is None:
        return None
    close, near = (_found(ladder.get(step)) for step in ("base_f1_95", "base_f1_80"))
    missed = ladder.get("missed")
    if close is None or near is None or not is_number(missed):
        return None
    genes = exact + missed_exact
    # A gene predicted twice or annotated twice is close to itself more than once: no step below nothing.
    return [
        exact,
        max(close - exact, 0),
        max(near - max(close, exact), 0),
        max(genes - max(near, exact) - missed, 0),
        missed,
    ]


def _found(step: object) -> float | None:
    value = step.get("found") if isinstance(step, Mapping) else None
    return value if is_number(value) else None


def _exon_steps(system: System) -> list[float] | None:
    ladder = system.entry["near_misses"].get("exon")
    if not isinstance(ladder, Mapping):
        return None
    counts = [ladder.get(name) for name in ("exact", "one_border", "overlap_only", "missed")]
    return counts if all(is_number(number) for number in counts) else None


def _gene_faults(systems: Sequence[System]) -> Markup | None:
    rows = []
    for system in systems:
        ladder = system.entry["near_misses"].get("gene")
        if isinstance(ladder, Mapping):
            cells = [tag("td", count(ladder.get(name))) for name in ("missed", "wrong", "split", "fused")]
            rows.append(tag("tr", tag("th", system.label, scope="row"), cells))
    if not rows:
        return None
    names = ("Missed (no base shared)", "Wrong (no base shared)", "Split", "Fused")
    head = [tag("th", "Genes", scope="col", class_="text"), [tag("th", name, scope="col") for name in names]]
    return tag(
        "div",
        tag("h4", "Lost, made up, split and fused"),
        tag("table", tag("thead", tag("tr", head)), tag("tbody", rows)),
        class_="scroll",
    )


def _offsets(system: System) -> list[Markup]:
    """Histograms of misplaced borders; the exact ones would dwarf all others and are given in words."""
    ladder = system.entry["near_misses"].get("exon")
    figures = []
    for key, side in (("offset_5prime", "5′"), ("offset_3prime", "3′")):
        bins = ladder.get(key) if isinstance(ladder, Mapping) else None
        if not isinstance(bins, Mapping) or not all(is_number(number) for number in bins.values()):
            continue
        total, exact = sum(bins.values()), bins.get("0", 0)
        off = [(name, number) for name, number in sorted(bins.items(), key=_first_number) if name != "0"]
        share = percent(exact / total) if total else MISSING
        said = f"{count(exact)} of {count(total)} exact ({share}); the others by bases, + further 3′"
        title = f"{side} exon borders, {system.label}"
        figures.append(tag("figure", tag("figcaption", f"{title} ", tag("span", said)), histogram(off, title)))
    return figures


def _first_number(item: tuple[str, float]) -> float:
    """Order of the bins ``<-99``, ``-99..-31``, ``-1``, ``4..9``, ``>=100``, whatever order a file has them in."""
    name = item[0]
    if name.startswith("<"):
        return float("-inf")
    return float(name.removeprefix(">=").split("..")[0])
