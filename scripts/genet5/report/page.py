"""The report: one HTML page that holds everything it needs and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from genet5.report.contents import Results
from genet5.report.headline import banner, tiles, top
from genet5.report.markup import Markup
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
from genet5.report.shell import whole_page

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
    return whole_page(
        f"GeneT5 · {results.run}",
        top(results),
        (banner(results), tiles(results)),
        sections,
        f"GeneT5 report of run {results.run}. This page needs no network; print it or send it as it is.",
    )
