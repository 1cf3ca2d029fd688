"""Everything a page is made of, and the pieces of layout that its parts share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genet5.report.datacard import DataCard
from genet5.report.genomes import Prediction
from genet5.report.markup import Markup, tag
from genet5.report.provenance import StepTime
from genet5.report.results import Log
from genet5.report.scoreboard import Scoreboard


@dataclass(slots=True)
class Results:
    """Everything a page is made of; each list may be empty, and its section then says so."""

    run: str
    cards: list[DataCard] = field(default_factory=list)
    boards: list[Scoreboard] = field(default_factory=list)
    busco: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)
    training: list[Log] = field(default_factory=list)
    evaluation: list[Log] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    times: list[StepTime] = field(default_factory=list)
    config: Mapping[str, object] | None = None
    versions: list[tuple[str, str]] = field(default_factory=list)
    checksums: list[tuple[str, str]] = field(default_factory=list)
    parameters: int | None = None


def heading(anchor: str, title: str, text: str | None = None) -> list[Markup]:
    """Title and lead of a section."""
    return [tag("h2", title, id=f"{anchor}-title"), *([tag("p", text)] if text else [])]


def absent(text: str) -> Markup:
    """One line that says what is missing."""
    return tag("p", text, class_="absent")


def card(title: str, note: str, *content: object) -> Markup:
    """A framed block with a title and a note beside it."""
    return tag("article", tag("header", tag("h3", title), tag("p", note) if note else None), content, class_="card")


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names as a sentence has them: ``a, b and c``, the first few of many."""
    names = list(dict.fromkeys(names))
    shown = names[:most] + ([f"{len(names) - most} more"] if len(names) > most else [])
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1]
