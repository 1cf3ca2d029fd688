"""A locus as a small genome browser in SVG: genes with exons, introns and strand, and probability tracks below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genet5.evaluate.verdicts import UNJUDGED
from genet5.genome.genes import Gene, Region
from genet5.report.figures import CHARACTER_PX, picture, ticks
from genet5.report.hints import hint_track
from genet5.report.loci import Locus, overlapping
from genet5.report.markup import Markup, coordinate, tag
from genet5.report.numbers import bases, count, counted

WIDTH = 1080.0
LABEL_PX = 118.0
LANE_PX = 27.0
EXON_PX = 11.0
TRACK_PX = 62.0
BINS = 480
MOST_GENES = 160
VERDICT_WORDS = {
    "exact": "exact",
    "partial": "partly right",
    "wrong": "wrong: touches no reference gene",
    "missed": "missed by the prediction",
    UNJUDGED: "not judged",
    "neutral": "",
    "high": "",
    "middle": "",
    "low": "",
}
"""Classes that colour a gene, and what its tooltip adds. The last three are classes of confidence."""


@dataclass(frozen=True, slots=True)
class GeneTrack:
    """A row of genes: its name and, for every gene, a verdict that colours it."""

    name: str
    genes: Sequence[Gene]
    verdicts: Sequence[str]


class Scale:
    """Genome positions of one region to pixels."""

    def __init__(self, region: Region):
        self.region = region
        self.per_base = (WIDTH - LABEL_PX - 12.0) / (region.end - region.start)

    def __call__(self, position: float) -> float:
        inside = min(max(position, self.region.start), self.region.end)
        return LABEL_PX + (inside - self.region.start) * self.per_base


def draw_locus(locus: Locus, gene_tracks: Sequence[GeneTrack], title: str) -> Markup:
    """One locus: ruler, gene tracks top to bottom, then the coding and intron probabilities of both strands."""
    scale = Scale(locus.region)
    body: list[Markup] = [_ruler(scale)]
    top = 34.0
    said = []
    for track in gene_tracks:
        drawn, height, number = _gene_track(track, scale, top)
        body.append(drawn)
        said.append(f"{track.name}: {counted(number, 'gene')}")
        top += height + 10.0
    if locus.hints is not None:
        drawn, height = hint_track(locus, gene_tracks[0].genes, scale, top, LABEL_PX)
        body.append(drawn)
        said.append(counted(len(locus.hints), "hinted intron"))
        top += height + 10.0
    for label, style in (("coding", "coding"), ("intron", "intron")):
        plus, minus = locus.tracks.get(f"{style}_plus"), locus.tracks.get(f"{style}_minus")
        if plus is not None and minus is not None:
            body.append(_probabilities(label, style, plus, minus, scale, top))
            said.append(f"{label} probability per strand, highest {max(plus.max(), minus.max()):.2f}")
            top += TRACK_PX + 12.0
    region = locus.region
    body.append(tag("line", x1=0.0, x2=0.0, y1=20.0, y2=top - 4, class_="cursor"))
    where = f"{LABEL_PX} {WIDTH - 12.0} {region.start} {region.end}"
    return picture(WIDTH, top, title, "; ".join(said), body, class_="locus", data_scale=where, data_seqid=region.seqid)


def locus_figure(locus: Locus, gene_tracks: Sequence[GeneTrack], title: str, note: str) -> Markup:
    """A drawn locus below its place and a note."""
    seqid, start, end = locus.region
    where = f"{seqid}:{start + 1:,}-{end:,}"
    caption = tag("figcaption", f"{where} ", tag("span", f"{bases(end - start)}, {note}"))
    return tag("figure", caption, draw_locus(locus, gene_tracks, f"{title}, {where}"))


def _ruler(scale: Scale) -> Markup:
    region = scale.region
    parts = [tag("line", x1=LABEL_PX, x2=WIDTH - 12, y1=20.0, y2=20.0, class_="axis")]
    parts.append(tag("text", bases(region.end - region.start), x=LABEL_PX - 12, y=16.0, class_="tick end"))
    for value in ticks(region.start, region.end, 7):
        x = scale(value)
        parts.append(tag("line", x1=x, x2=x, y1=16.0, y2=24.0, class_="axis"))
        if LABEL_PX + 24 < x < WIDTH - 36:
            parts.append(tag("text", count(value), x=x, y=12.0, class_="tick middle"))
    return tag("g", parts, class_="ruler")


def _gene_track(track: GeneTrack, scale: Scale, top: float) -> tuple[Markup, float, int]:
    """The track's markup, its height in pixels and its number of genes."""
    chosen = overlapping(track.genes, scale.region)
    # Packing by position; the name under a gene needs room too.
    chosen.sort(key=lambda index: (track.genes[index].start, track.genes[index].end, track.genes[index].id))
    hidden = max(0, len(chosen) - MOST_GENES)
    lanes: list[float] = []
    drawn = []
    for index in chosen[:MOST_GENES]:
        gene = track.genes[index]
        left, right = scale(gene.start), scale(gene.end)
        lane = next((number for number, end in enumerate(lanes) if end + 3.0 <= left), len(lanes))
        if lane == len(lanes):
            lanes.append(0.0)
        lanes[lane] = max(right, left + 2.0)
        drawn.append(_gene(gene, track.verdicts[index], scale, top + lane * LANE_PX))
    height = max(len(lanes), 1) * LANE_PX
    label = [tag("text", track.name, x=LABEL_PX - 12, y=top + EXON_PX, class_="row-label end")]
    if not chosen:
        label.append(tag("text", "no genes here", x=LABEL_PX, y=top + EXON_PX, class_="tick"))
    if hidden:
        label.append(tag("text", f"{hidden} more not drawn", x=LABEL_PX - 12, y=top + EXON_PX + 13, class_="tick end"))
    return tag("g", label, drawn, class_="genes"), height, len(chosen)


def _gene(gene: Gene, verdict: str, scale: Scale, top: float) -> Markup:
    transcript = gene.canonical
    middle = top + EXON_PX / 2
    left, right = scale(transcript.start), scale(transcript.end)
    parts = [tag("title", _sentence(gene, verdict))]
    # An invisible box makes the whole gene answer to the pointer, introns included.
    parts.append(tag("rect", x=left, y=top - 2, width=max(right - left, 3.0), height=EXON_PX + 4, class_="hit"))
    if len(transcript.cds) > 1:
        parts.append(tag("line", x1=left, x2=right, y1=middle, y2=middle, class_="intron-line"))
        parts.extend(_arrows(transcript.introns, gene.strand, scale, middle))
    last = len(transcript.cds) - 1 if gene.strand == "+" else 0
    for number, (start, end) in enumerate(transcript.cds):
        if end <= scale.region.start or start >= scale.region.end:
            continue
        parts.append(_exon(scale(start), scale(end), top, gene.strand if number == last else ""))
    room = int((right - left) / CHARACTER_PX)
    if room >= 4:
        # A drawing has one contig, so a name need not repeat it.
        name = gene.id.removeprefix(f"{gene.seqid}.")
        name = name if len(name) <= room else f"{name[: room - 1]}…"
        parts.append(tag("text", name, x=(left + right) / 2, y=top + EXON_PX + 10, class_="gene-name middle"))
    return tag("g", parts, class_=f"gene tip {verdict}")


def _exon(left: float, right: float, top: float, arrow: str) -> Markup:
    """A coding box; the transcript's last one ends in a point that shows the strand."""
    right = max(right, left + 1.4)
    head = min(5.0, right - left)
    middle, bottom = top + EXON_PX / 2, top + EXON_PX
    if arrow == "+":
        corners = [(left, top), (right - head, top), (right, middle), (right - head, bottom), (left, bottom)]
    elif arrow == "-":
        corners = [(right, top), (left + head, top), (left, middle), (left + head, bottom), (right, bottom)]
    else:
        return tag("rect", x=left, y=top, width=right - left, height=EXON_PX, class_="exon")
    return tag("polygon", points=" ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in corners), class_="exon")


def _arrows(introns: Sequence[tuple[int, int]], strand: str, scale: Scale, middle: float) -> list[Markup]:
    """A chevron in the middle of every intron that is wide enough for one."""
    lean = 3.0 if strand == "+" else -3.0
    out = []
    for start, end in introns:
        left, right = scale(start), scale(end)
        if right - left >= 12.0:
            x = (left + right) / 2
            points = ((x - lean / 2, middle - 3), (x + lean / 2, middle), (x - lean / 2, middle + 3))
            path = " ".join(f"{coordinate(a)},{coordinate(b)}" for a, b in points)
            out.append(tag("polyline", points=path, class_="chevron"))
    return out


def _sentence(gene: Gene, verdict: str) -> str:
    transcript = gene.canonical
    words = [
        gene.id,
        f"{gene.strand} strand",
        counted(len(transcript.cds), "exon"),
        f"{transcript.start + 1:,}-{transcript.end:,}",
    ]
    words.append(f"{transcript.length:,} coding bp")
    if gene.score is not None:
        words.append(f"score {gene.score:.3f}")
    if not (transcript.complete5 and transcript.complete3):
        words.append("partial")
    if gene.flags:
        words.append("flagged " + ", ".join(sorted(gene.flags)))
    if VERDICT_WORDS[verdict]:
        words.append(VERDICT_WORDS[verdict])
    return " · ".join(words)


def _probabilities(label: str, style: str, plus: np.ndarray, minus: np.ndarray, scale: Scale, top: float) -> Markup:
    """Forward strand upwards, reverse strand downwards from a common zero."""
    zero = top + TRACK_PX / 2
    half = TRACK_PX / 2 - 2
    parts = [
        tag("text", label, x=LABEL_PX - 12, y=zero + 4, class_="row-label end"),
        tag("text", "+", x=LABEL_PX - 4, y=top + 12, class_="tick end"),
        tag("text", "−", x=LABEL_PX - 4, y=top + TRACK_PX - 4, class_="tick end"),
    ]
    for sign, half_line in ((1, zero - half), (-1, zero + half)):
        parts.append(tag("line", x1=LABEL_PX, x2=WIDTH - 12, y1=half_line, y2=half_line, class_="grid"))
        values = bin_means(plus if sign > 0 else minus, BINS)
        edges = np.linspace(LABEL_PX, WIDTH - 12, len(values) + 1)
        points = [(LABEL_PX, zero)]
        points += [
            (float(x), zero - sign * half * float(value))
            for x, value in zip((edges[:-1] + edges[1:]) / 2, values, strict=True)
        ]
        points.append((WIDTH - 12, zero))
        path = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)
        parts.append(tag("polygon", points=path, class_=f"area {style}"))
    parts.append(tag("line", x1=LABEL_PX, x2=WIDTH - 12, y1=zero, y2=zero, class_="axis"))
    return tag("g", parts, class_="track")


def bin_means(values: np.ndarray, bins: int) -> np.ndarray:
    """Means of ``values`` over at most ``bins`` equal stretches."""
    edges = np.linspace(0, len(values), min(bins, len(values)) + 1).astype(int)
    return np.add.reduceat(values.astype(np.float64), edges[:-1]) / np.diff(edges)
