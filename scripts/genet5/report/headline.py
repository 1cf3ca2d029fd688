"""The head of the page: what was trained and scored, the alarm, and the figures everyone looks for first."""

from __future__ import annotations

from collections.abc import Mapping

from genet5.report.contents import Results
from genet5.report.curves import training_summary
from genet5.report.markup import Markup, tag
from genet5.report.numbers import bases, count, score, size
from genet5.report.scoreboard import Scoreboard, System, system_label
from genet5.report.shell import listed, signed, tile, title_block


def top(results: Results) -> Markup:
    """Name of the run, what was trained and scored, and a few facts."""
    return title_block("GeneT5 run report", results.run, _sentences(results), _facts(results))


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
        told.append(f"{teacher} made the labels of {listed(species)}, not a curator. It is the teacher here.")
    return told or ["This run has neither data cards nor scores yet."]


def _facts(results: Results) -> list[tuple[str, str]]:
    facts = []
    sections = ("crf", "writer") if results.stages & {"sft", "grpo"} else ("crf",)
    for section in sections:
        options = (results.config or {}).get(section)
        if isinstance(options, Mapping) and isinstance(options.get("size"), str):
            facts.append(("CRF" if section == "crf" else section, options["size"]))
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
        return signed(
            "unknown",
            "Gene sets were not checked",
            [],
            "No predictions were given, so density and shape of the genes are unknown.",
        )
    if alarms:
        return signed("bad", "Do not trust these gene sets before you have looked", alarms, None)
    names = listed([f"{prediction.species} ({prediction.stage})" for prediction in results.predictions])
    return signed(
        "good",
        "Gene sets look sane",
        [],
        f"Gene density, exon structure and splice sites are within reach of the reference: {names}.",
    )


def tiles(results: Results) -> Markup | None:
    """One tile for each of our systems on each species: gene F1 and one other level that means something there."""
    tiles = [_tile(board, system) for board in results.boards for system in board.systems if system.ours]
    return tag("div", tiles, class_="tiles") if tiles else None


def _tile(board: Scoreboard, system: System) -> Markup:
    other = ("exon", "exon F1") if system.value("intron") is not None else ("stop", "stop-side F1")
    figures = [(score(system.value(level)), name) for level, name in (("gene", "gene F1"), other)]
    rival = board.best_baseline("gene")
    ours = system.value("gene")
    beside = None
    if rival is not None and ours is not None:
        gap = ours - rival.value("gene")
        mark = tag("span", f"{gap:+.3f}".replace("-", "−"), class_="up" if gap > 0 else "down")
        beside = (f"best baseline, {rival.label}: {score(rival.value('gene'))} ", mark)
    return tile(f"{system.label} on {board.species}", figures, beside)
