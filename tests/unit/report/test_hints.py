"""Hinted introns on the page of an annotation: where their lines lie, their colours, and the section of evidence."""

from __future__ import annotations

import re

import numpy as np
from report_files import CONTIG, Page

from genet5.evidence.matching import REASONS
from genet5.genome.genes import Gene, Interval, Region, Transcript
from genet5.report.hints import evidence_section, hint_keys, hint_track
from genet5.report.loci import Locus


def gene(name: str, strand: str, *cds: tuple[int, int]) -> Gene:
    segments = tuple(Interval(*part) for part in cds)
    return Gene(name, CONTIG, strand, (Transcript(f"{name}.t", segments, (0,) * len(segments)),))


def drawn(hints: list[tuple[int, int, int, int]]) -> tuple[list[tuple[float, float, float, str, str]], float]:
    """Left, right, height on the page, class and title of each line, and the height of all; a base is a pixel."""
    locus = Locus(Region(CONTIG, 0, 1000), "", {}, np.array(hints, dtype=np.int64).reshape(-1, 4))
    genes = [gene("far", "-", (700, 760)), gene("near", "+", (100, 200), (300, 400))]
    markup, height = hint_track(locus, genes, float, 100.0, 50.0)
    page = Page(markup)
    titles = [data for parent, data in page.texts if parent == "title"]
    lines = [attrs for tag, attrs, _ in page.elements if tag == "line"]
    assert all(line["y1"] == line["y2"] for line in lines)
    (name,) = [attrs for tag, attrs, _ in page.elements if tag == "text"]
    assert (name["x"], name["y"]) == ("38", "108")
    return [
        (float(line["x1"]), float(line["x2"]), float(line["y1"]), line["class"], title)
        for line, title in zip(lines, titles, strict=True)
    ], height


def test_hints_lie_below_each_other_where_they_would_touch() -> None:
    """Those with most counts come first. Two pixels part the lines of a row, and a line is 1.5 pixels long at least."""
    hints = [
        (590, 599, 0, 8),
        (194, 198, 1, 15),
        (192, 193, 1, 18),
        (190, 191, 0, 20),
        (299, 301, 1, 30),
        (302, 310, 0, 40),
        (600, 650, 0, 9),
        (200, 300, 0, 1050),
        (720, 730, 1, 2),
    ]
    assert drawn(hints) == (
        [
            (200, 300, 102, "s3 hint", "201-300 · + strand · 1,050 counts · confirmed"),
            (302, 310, 102, "s6 hint", "303-310 · + strand · 40 counts · contradicted"),
            (299, 301, 108, "s7 hint", "300-301 · - strand · 30 counts · missed"),
            (190, 191.5, 102, "s6 hint", "191-191 · + strand · 20 counts · contradicted"),
            (192, 193.5, 108, "s7 hint", "193-193 · - strand · 18 counts · missed"),
            (194, 198, 102, "s7 hint", "195-198 · - strand · 15 counts · missed"),
            (600, 650, 102, "s7 hint", "601-650 · + strand · 9 counts · missed"),
            (590, 599, 108, "s7 hint", "591-599 · + strand · 8 counts · missed"),
            (720, 730, 102, "s6 hint", "721-730 · - strand · 2 counts · contradicted"),
        ],
        12,
    )


def test_eight_rows_of_hints_are_drawn_at_most() -> None:
    lines, height = drawn([(800, 900, 0, 30 - number) for number in range(10)])
    assert [line[2] for line in lines] == [102, 108, 114, 120, 126, 132, 138, 144] and height == 48
    assert drawn([]) == ([], 12)


def test_the_legend_names_the_fates_of_hints() -> None:
    assert hint_keys() == [
        ("hinted intron, confirmed", "s3"),
        ("hinted intron, missed", "s7"),
        ("hinted intron, contradicted", "s6"),
    ]


def words(markup: object) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", str(markup)).split())


EVIDENCE = {
    "introns": {"confirmed": 1200, "missed": 3, "contradicted": 4},
    "transcripts": {"full": 5, "partial": 6, "none": 7},
    "files": [{"path": "rna.gff", "source": "RNA-seq", "format": "hints", "read": 1300, "matched": 1207}],
    "refused": {},
    "listed": [],
    "notes": [],
}


def test_the_section_of_evidence_says_what_became_of_the_hints() -> None:
    assert words("".join(evidence_section(EVIDENCE)[1:])).partition("Hinted introns")[2] == (
        " those with a tenth of the counts of each rival, or more confirmed: introns of a gene 1,200 "
        "missed: introns where no gene of that strand is 3 "
        "contradicted: introns that cut the coding exons of a gene 4 "
        "Support attribute support of the GFF3 transcripts with each intron hinted, or with start and stop 5 "
        "transcripts with some hints 6 transcripts without hints 7 "
        "Files File Source Format Hints read Matched rna.gff RNA-seq hints 1,300 1,207"
    )


def test_refused_hints_and_notes_have_cards_where_there_are_some() -> None:
    reason = next(iter(REASONS))
    plain = evidence_section(EVIDENCE)
    more = evidence_section(EVIDENCE | {"refused": {reason: 2}, "listed": ["line 7"], "notes": ["Say so."]})
    assert more[: len(plain)] == plain and [words(part) for part in more[len(plain) :]] == [
        f"Hints that were refused {REASONS[reason]} 2 the first 1 line 7",
        "Notes Say so.",
    ]
