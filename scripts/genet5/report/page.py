"""The report: one HTML page that holds everything it needs and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genet5.report.contents import Results
from genet5.report.headline import banner, tiles, top
from genet5.report.markup import Markup, tag
from genet5.report.sections import (
    MOST_LOCI,
    busco_section,
    data_section,
    drawn_loci,
    loci_section,
    near_misses_section,
    provenance_section,
    sanity_section,
    scores_section,
    training_section,
)

MOST_BYTES = 1_900_000
LOCI_PER_PREDICTION = (MOST_LOCI, 3, 2, 1, 0)
"""Numbers of loci tried in turn until the page is small enough."""


def build_page(results: Results) -> str:
    """The page as HTML text, with as many drawn loci as fit into ``MOST_BYTES``."""
    drawn = [drawn_loci(prediction) for prediction in results.predictions]
    for number in LOCI_PER_PREDICTION:
        page = _page(results, drawn, number)
        if len(page.encode()) <= MOST_BYTES:
            break
    return page


def _page(results: Results, drawn: Sequence[Sequence[Markup]], loci: int) -> str:
    sections = (
        ("scores", "Scores", scores_section(results)),
        ("sanity", "Sanity", sanity_section(results)),
        ("loci", "Loci", loci_section(results, drawn, loci)),
        ("near-misses", "Near misses", near_misses_section(results)),
        ("busco", "BUSCO", busco_section(results)),
        ("training", "Training", training_section(results)),
        ("data", "Data", data_section(results)),
        ("provenance", "Provenance", provenance_section(results)),
    )
    navigation = [tag("a", name, href=f"#{anchor}") for anchor, name, _ in sections]
    body = tag(
        "body",
        tag("a", "Skip to the scores", href="#scores", class_="skip"),
        top(results),
        tag("nav", tag("div", navigation), aria_label="Sections"),
        tag(
            "main",
            banner(results),
            tiles(results),
            [tag("section", content, id=anchor, aria_labelledby=f"{anchor}-title") for anchor, _, content in sections],
        ),
        tag("footer", f"GeneT5 report of run {results.run}. This page needs no network; print it or send it as it is."),
        tag("div", "", id="tip", aria_hidden="true"),
        tag("script", _asset("page.js")),
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"GeneT5 · {results.run}"),
        tag("link", rel="icon", href="data:,"),
        tag("style", _asset("page.css")),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _asset(name: str) -> Markup:
    return Markup("\n" + Path(__file__).with_name(name).read_text(encoding="utf-8"))
