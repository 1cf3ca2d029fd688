"""The head of the page: what was trained and scored, the alarm, and the figures everyone looks for first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genet5.report.contents import Results, listed
from genet5.report.curves import training_summary
from genet5.report.markup import Markup, tag
from genet5.report.numbers import bases, count, score, size
from genet5.report.scoreboard import Scoreboard, System, system_label


def top(results: Results) -> Markup:
    """Name of the run, what was trained and scored, and a few facts."""
    glyph = tag(
        "svg",
        tag("line", x1=2, x2=84, y1=8, y2=8, stroke="currentColor", stroke_width=1.6),
        tag("rect", x=2, y=2, width=16, height=12, rx=2, class_="s1"),
        tag("rect", x=30, y=2, width=9, height=12, rx=2, class_="s1"),
        tag("polygon", points="54,2 82,2 90,8 82,14 54,14", class_="s1"),
        viewBox="0 0 92 16",
        class_="glyph",
        aria_hidden="true",
    )
    switch = tag("button", "light / dark", type="button", class_="theme", hidden=True)
    facts = [tag("li", name, " ", tag("b", value)) for name, value in _facts(results)]
    return tag(
        "header",
        tag(
            "div",
            tag("div", glyph, tag("span", "GeneT5 run report"), switch, class_="brand"),
            tag("h1", results.run),
            [tag("p", sentence) for sentence in _sentences(results)],
            tag("ul", facts, class_="facts") if facts else None,
        ),
        class_="top",
    )


def _sentences(results: Results) -> list[str]:
    """What was trained on what, and where it was scored."""
    told = []
    learnt = [card for card in results.cards if card.trains]
    if learnt:
        dna, genes = (sum(getattr(card, name) for card in learnt) for name in ("training_bases", "training_genes"))
        names = listed([card.species for card in learnt])
        told.append(f"Trained on {names}: {bases(dna)} of DNA with {count(genes)} trusted genes.")
    if results.boards:
        told.append("Scored on " + listed([f"{board.species} ({board.where})" for board in results.boards]) + ".")
    made: dict[str, list[str]] = {}
    for species, teacher in [(one.species, one.teacher) for one in (*results.cards, *results.boards)]:
        if teacher:
            made.setdefault(system_label(teacher), []).append(species)
    for teacher, species in made.items():
        told.append(f"The labels of {listed(species)} were made by {teacher}, the teacher here, not by curators.")
    return told or ["This run has neither data cards nor scores yet."]


def _facts(results: Results) -> list[tuple[str, str]]:
    facts = []
    model = (results.config or {}).get("model")
    if isinstance(model, Mapping) and isinstance(model.get("size"), str):
        facts.append(("model", model["size"]))
    if results.parameters is not None:
        facts.append(("parameters", size(results.parameters)))
    for log in results.training:
        facts += [(f"{log.stage} {name}", value) for name, value in training_summary(log)]
    return facts


def banner(results: Results) -> Markup:
    """Green when every checked gene set looks like one, red with the reasons when one does not."""
    alarms = [
        f"{prediction.species} ({prediction.stage}): {check.name[0].lower()}{check.name[1:]}: {check.alarm}"
        for prediction in results.predictions
        for check in prediction.checks
        if check.alarm
    ]
    if not results.predictions:
        return _signed(
            "unknown",
            "Gene sets were not checked",
            [],
            "No predictions were given, so density and shape of the genes are unknown.",
        )
    if alarms:
        return _signed("bad", "Do not trust these gene sets before you have looked", alarms, None)
    names = listed([f"{prediction.species} ({prediction.stage})" for prediction in results.predictions])
    return _signed(
        "good",
        "Gene sets look sane",
        [],
        f"Gene density, exon structure and splice sites are within reach of the reference: {names}.",
    )


def _signed(kind: str, title: str, items: Sequence[str], text: str | None) -> Markup:
    paths = {"good": "M7 13.5l4 4 8-9", "bad": "M13 6.5v8M13 18.2v.8", "unknown": "M13 7v.8M13 11v8"}
    sign = tag(
        "svg",
        tag("circle", cx=13, cy=13, r=12, fill="none", stroke="currentColor", stroke_width=2),
        tag("path", d=paths[kind], fill="none", stroke="currentColor", stroke_width=2.4, stroke_linecap="round"),
        viewBox="0 0 26 26",
        class_="sign",
        aria_hidden="true",
    )
    words = [
        tag("p", tag("b", title)),
        tag("p", text) if text else None,
        tag("ul", [tag("li", item) for item in items]) if items else None,
    ]
    return tag("div", sign, tag("div", words), class_=f"banner {kind}", role="alert" if kind == "bad" else "status")


def tiles(results: Results) -> Markup | None:
    """One tile for each of our systems on each species: gene F1 and one other level that means something there."""
    tiles = [_tile(board, system) for board in results.boards for system in board.systems if system.ours]
    return tag("div", tiles, class_="tiles") if tiles else None


def _tile(board: Scoreboard, system: System) -> Markup:
    other = ("exon", "exon F1") if system.value("intron") is not None else ("stop", "stop-side F1")
    figures = [
        tag("div", tag("span", score(system.value(level)), class_="big"), tag("span", name, class_="what"))
        for level, name in (("gene", "gene F1"), other)
    ]
    rival = board.best_baseline("gene")
    ours = system.value("gene")
    beside = None
    if rival is not None and ours is not None:
        gap = ours - rival.value("gene")
        mark = tag("span", f"{gap:+.3f}".replace("-", "−"), class_="up" if gap > 0 else "down")
        beside = tag("div", f"best baseline, {rival.label}: {score(rival.value('gene'))} ", mark, class_="beside")
    return tag(
        "div",
        tag("div", f"{system.label} on {board.species}", class_="who"),
        tag("div", figures, class_="figures"),
        beside,
        class_="tile",
    )
