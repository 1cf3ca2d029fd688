"""Evidence in the report: hinted introns along a locus, and what became of the hints of a genome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genet5.evidence.matching import REASONS
from genet5.evidence.support import CONFIRMED, CONTRADICTED, FULL, MISSED, NONE, PARTIAL, fate_of
from genet5.genome.genes import Gene
from genet5.report.loci import Locus, overlapping
from genet5.report.markup import Markup, tag
from genet5.report.numbers import count
from genet5.report.provenance import pairs_table
from genet5.report.shell import card, heading

LANE_PX, MOST_LANES = 6.0, 8
STYLES = {CONFIRMED: "s3", MISSED: "s7", CONTRADICTED: "s6"}
MEANINGS = {
    CONFIRMED: "introns of a gene",
    MISSED: "introns where no gene of that strand is",
    CONTRADICTED: "introns that cut the coding exons of a gene",
}
_SUPPORT = {
    FULL: "transcripts with each intron hinted, or with start and stop",
    PARTIAL: "transcripts with some hints",
    NONE: "transcripts without hints",
}


def hint_track(locus: Locus, genes: Sequence[Gene], scale: Any, top: float, label_px: float) -> tuple[Markup, float]:
    """Hinted introns as lines below the genes, coloured by their fate; and the height of it in pixels.

    Of introns that do not fit into ``MOST_LANES`` those with most counts are drawn.
    """
    near = [genes[index] for index in overlapping(genes, locus.region)]
    by_strand = {
        sign: sorted((gene.canonical for gene in near if gene.strand == sign), key=lambda one: one.start)
        for sign in "+-"
    }
    drawn: list[Markup] = []
    lanes: list[list[tuple[float, float]]] = []
    for start, end, minus, mult in sorted(locus.hints.tolist(), key=lambda row: -row[3]):
        left, right = scale(start), max(scale(end), scale(start) + 1.5)
        lane = next(
            (
                n
                for n, taken in enumerate(lanes)
                if all(right + 2 <= first or last + 2 <= left for first, last in taken)
            ),
            len(lanes),
        )
        if lane == MOST_LANES:
            continue
        if lane == len(lanes):
            lanes.append([])
        lanes[lane].append((left, right))
        strand = "-" if minus else "+"
        fate = fate_of(start, end, by_strand[strand])
        said = f"{start + 1:,}-{end:,} · {strand} strand · {count(mult)} counts · {fate}"
        y = top + lane * LANE_PX + 2
        line = tag("line", x1=left, x2=right, y1=y, y2=y, class_=f"{STYLES[fate]} hint")
        drawn.append(tag("g", tag("title", said), line, class_="tip"))
    name = tag("text", "Hints", x=label_px - 12, y=top + 8, class_="row-label end")
    return tag("g", name, drawn, class_="hints"), max(len(lanes), 2) * LANE_PX


def hint_keys() -> list[tuple[str, str]]:
    """Of the legend."""
    return [(f"hinted intron, {fate}", style) for fate, style in STYLES.items()]


def evidence_section(evidence: Mapping[str, Any]) -> list[Markup]:
    """The section of a page: evidence is the entry of that name in ``{prefix}.json``."""
    text = "RNA-seq and proteins beside the genes. A contradicted intron may be another isoform, or a wrong alignment."
    content = heading("evidence", "Evidence", text)
    introns = [(f"{fate}: {MEANINGS[fate]}", count(number)) for fate, number in evidence["introns"].items()]
    support = [(_SUPPORT[verdict], count(number)) for verdict, number in evidence["transcripts"].items()]
    cards = [
        card("Hinted introns", "those with a tenth of the counts of each rival, or more", pairs_table(introns)),
        card("Support", "attribute support of the GFF3", pairs_table(support)),
    ]
    content.append(tag("div", cards, class_="cards above"))
    columns = ("File", "Source", "Format", "Hints read", "Matched")
    rows = [
        tag(
            "tr",
            tag("th", one["path"], scope="row"),
            [tag("td", one[key]) for key in ("source", "format")],
            [tag("td", count(one[key])) for key in ("read", "matched")],
        )
        for one in evidence["files"]
    ]
    head = [tag("th", name, scope="col", class_="text" if name == "File" else None) for name in columns]
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="checks")
    content.append(card("Files", "", tag("div", table, class_="scroll")))
    refused = [(REASONS[reason], count(number)) for reason, number in evidence["refused"].items()]
    if refused:
        listed = tag("ul", [tag("li", line) for line in evidence["listed"]])
        more = tag("details", tag("summary", f"the first {len(evidence['listed'])}"), listed)
        content.append(card("Hints that were refused", "", [pairs_table(refused), more]))
    if evidence["notes"]:
        content.append(card("Notes", "", tag("ul", [tag("li", line) for line in evidence["notes"]])))
    return content
