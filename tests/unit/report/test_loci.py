"""Verdicts on genes, the choice of loci, the saved tracks, and where things are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from report_files import CONTIG, Page, changed, toy_genes

from genet5.errors import InputError
from genet5.evaluate.verdicts import CodingBases, judge
from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Region, Transcript
from genet5.report.browser import BINS, LABEL_PX, MOST_GENES, WIDTH, GeneTrack, bin_means, draw_locus
from genet5.report.loci import TRACK_NAMES, Locus, choose_loci, overlapping, read_tracks


def gene(
    name: str, strand: str, *cds: tuple[int, int], flags: frozenset[str] = frozenset(), seqid: str = CONTIG
) -> Gene:
    segments = tuple(Interval(*part) for part in cds)
    return Gene(name, seqid, strand, (Transcript(f"{name}.t", segments, (0,) * len(segments)),), flags=flags)


def test_verdicts_by_hand() -> None:
    isoforms = Gene(
        "iso",
        CONTIG,
        "+",
        (*gene("a", "+", (900, 960)).transcripts, *gene("b", "+", (900, 930), (945, 990)).transcripts),
    )
    reference = Annotation(
        (
            gene("exact", "+", (0, 100), (200, 300)),
            gene("partial", "+", (400, 500)),
            gene("missed", "+", (600, 700)),
            gene("flagged", "-", (700, 800), flags=frozenset({"no_stop"})),
            isoforms,
        ),
        (DontCare(CONTIG, 700, 800, "-", "no_stop"), DontCare(CONTIG, 1000, 1100, ".", "pseudogene")),
    )
    predicted = [
        gene("p1", "+", (0, 100), (200, 300)),
        gene("p2", "+", (450, 520)),
        gene("p3", "-", (600, 700)),
        gene("p4", "-", (750, 760)),
        gene("p5", "+", (900, 930), (945, 990)),
        gene("p6", "+", (1050, 1090)),
        gene("p7", "+", (110, 190)),
        gene("p8", "+", (0, 100), seqid="elsewhere"),
        gene("p9", "+", (500, 520)),
    ]
    of_reference, of_predicted = judge(reference, predicted)
    assert of_reference == ["exact", "partial", "missed", "unjudged", "exact"]
    assert of_predicted == [
        "exact", "partial", "wrong", "unjudged", "exact", "unjudged", "wrong", "wrong", "wrong",
    ]  # fmt: skip


def test_overlap_index_agrees_with_brute_force() -> None:
    source = np.random.default_rng(5)
    spans = [(int(start), int(start + length)) for start, length in source.integers(1, [2000, 40], (150, 2))]
    index = CodingBases((CONTIG, "+", start, end) for start, end in spans)
    for start, length in source.integers(1, [2000, 12], (400, 2)).tolist():
        query = gene("q", "+", (start, start + length))
        expected = any(left < start + length and start < right for left, right in spans)
        assert index.touch(query) == expected
    assert not index.touch(gene("q", "-", spans[0]))


def test_loci_are_a_good_a_typical_and_a_bad_stretch() -> None:
    genes, _ = toy_genes(60)
    # The first 20 genes exact, the next 20 half exact, the last 20 all wrong.
    kept = [*genes[:20], *genes[20:40:2]]
    predicted = [changed(one, f"p{number}") for number, one in enumerate(kept)]
    predicted += [gene(f"x{number}", "-", (40_000 + number * 900, 40_000 + number * 900 + 60)) for number in range(22)]
    reference = Annotation(tuple(genes), ())
    regions = [Region(CONTIG, 0, 60_000)]
    loci = choose_loci(reference, predicted, judge(reference, predicted), regions)
    assert [locus.reason for locus in loci] == ["many exact genes", "typical", "many errors"]
    good, typical, bad = (locus.region for locus in loci)
    assert good.end <= 24_000 and 12_000 <= typical.start < 40_000 and bad.start >= 36_000
    assert all(6_000 <= region.end - region.start <= 13_000 for region in (good, typical, bad))
    assert loci == choose_loci(reference, predicted, judge(reference, predicted), regions)


def test_where_no_exact_gene_is_spliced_all_exact_genes_count() -> None:
    genes = [gene(f"g{number}", "+", (number * 1000, number * 1000 + 300)) for number in range(48)]
    # Of four pieces of 12 genes the first has 2 exact ones, the second 1, the third 8, the last none.
    exact = [*genes[:2], genes[13], *genes[24:32]]
    reference, predicted = Annotation(tuple(genes), ()), [changed(one, f"p{one.id}") for one in exact]
    loci = choose_loci(reference, predicted, judge(reference, predicted), [Region(CONTIG, 0, 48_000)])
    assert [(locus.reason, locus.region.start) for locus in loci] == [
        ("many exact genes", 24_000),
        ("typical", 0),
        ("many errors", 36_000),
    ]


def test_loci_need_genes_and_stay_inside_the_regions() -> None:
    genes, _ = toy_genes(30)
    reference = Annotation(tuple(genes), ())
    verdicts = judge(reference, [])
    assert choose_loci(Annotation((), ()), [], ([], []), [Region(CONTIG, 0, 30_000)]) == []
    assert choose_loci(reference, [], verdicts, [Region("empty", 0, 30_000)]) == []
    for locus in choose_loci(reference, [], verdicts, [Region(CONTIG, 10_000, 20_000)]):
        assert 10_000 <= locus.region.start < locus.region.end <= 20_000


def save_tracks(path: Path, names: list[str], lengths: list[int], **others: np.ndarray) -> Path:
    arrays = {
        f"locus_{index}_{track}": np.zeros(length, np.float16)
        for index, length in enumerate(lengths)
        for track in TRACK_NAMES
    }
    np.savez(path, **({"names": np.array(names)} | arrays | others))
    return path


def test_tracks_are_read(tmp_path: Path) -> None:
    values = np.linspace(-0.5, 1.5, 100).astype(np.float16)
    path = save_tracks(tmp_path / "a.npz", ["chr:1:5-105", "b:0-7"], [100, 7], locus_0_coding_plus=values)
    first, second = read_tracks(path)
    assert first.region == Region("chr:1", 5, 105) and second.region == Region("b", 0, 7)
    assert set(first.tracks) == set(TRACK_NAMES)
    assert first.tracks["coding_plus"].min() == 0 and first.tracks["coding_plus"].max() == 1


def test_broken_tracks_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"locus_0_coding_plus has shape \(9,\), the locus b:0-7 has 7 bases"):
        read_tracks(save_tracks(tmp_path / "a.npz", ["b:0-7"], [9]))
    with pytest.raises(InputError, match="locus name 'b:7-7' is not"):
        read_tracks(save_tracks(tmp_path / "b.npz", ["b:7-7"], [0]))
    np.savez(tmp_path / "c.npz", other=np.zeros(3))
    with pytest.raises(InputError, match="no array 'names'; found other"):
        read_tracks(tmp_path / "c.npz")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_tracks(tmp_path / "missing.npz")


def test_genes_are_drawn_where_they_lie() -> None:
    shown = gene("g", "+", (1100, 1300), (1500, 1600))
    outside = gene("far", "-", (5000, 5100))
    track = GeneTrack("Reference", [shown, outside], ["missed", "exact"])
    page = Page(draw_locus(Locus(Region(CONTIG, 1000, 2000), "", {}), [track], "A locus"))
    (drawn,) = page.with_class("gene")
    assert drawn[1]["class"] == "gene tip missed"
    per_base = (WIDTH - LABEL_PX - 12) / 1000
    (box,) = [attrs for tag, attrs in page.with_class("exon") if tag == "rect"]
    assert float(box["x"]) == pytest.approx(LABEL_PX + 100 * per_base, abs=0.1)
    assert float(box["width"]) == pytest.approx(200 * per_base, abs=0.1)
    # The last exon of a forward gene points to the right.
    (arrow,) = [attrs for tag, attrs in page.with_class("exon") if tag == "polygon"]
    corners = [tuple(map(float, pair.split(","))) for pair in arrow["points"].split()]
    assert max(corners)[0] == pytest.approx(LABEL_PX + 600 * per_base, abs=0.1)
    assert sum(x == max(corners)[0] for x, _ in corners) == 1
    assert len(page.with_class("chevron")) == 1
    title = page.inside("title")
    assert title == "g · + strand · 2 exons · 1,101-1,600 · 300 coding bp · missed by the prediction"


def test_overlapping_genes_get_lanes_of_their_own() -> None:
    genes = [gene("a", "+", (0, 500)), gene("b", "-", (400, 900)), gene("c", "+", (600, 900))]
    track = GeneTrack("GeneT5", genes, ["exact"] * 3)
    page = Page(draw_locus(Locus(Region(CONTIG, 0, 1000), "", {}), [track], "A locus"))
    tops = [float(attrs["y"]) for _, attrs in page.with_class("hit")]
    assert tops[0] == tops[2] != tops[1]


def test_probabilities_point_up_and_down() -> None:
    plus, minus = np.zeros(1000), np.zeros(1000)
    plus[:500], minus[500:] = 1.0, 1.0
    tracks = {"coding_plus": plus, "coding_minus": minus}
    page = Page(draw_locus(Locus(Region(CONTIG, 0, 1000), "", tracks), [], "A locus"))
    up, down = (
        np.array([tuple(map(float, pair.split(","))) for pair in attrs["points"].split()])
        for _, attrs in page.with_class("area")
    )
    zero = up[0, 1]
    half = LABEL_PX + (WIDTH - 12 - LABEL_PX) / 2
    assert up[1:-1][up[1:-1, 0] < half - 3, 1].max() < zero - 20 and up[up[:, 0] > half + 3, 1].min() == zero
    assert down[1:-1][down[1:-1, 0] > half + 3, 1].min() > zero + 20 and down[down[:, 0] < half - 3, 1].max() == zero
    assert zero - up[:, 1].min() == pytest.approx(down[:, 1].max() - zero), "one scale for both strands"


def test_bins_hold_means() -> None:
    assert bin_means(np.array([0.0, 1.0, 2.0, 4.0]), 2).tolist() == [0.5, 3.0]
    assert bin_means(np.arange(3.0), BINS).tolist() == [0.0, 1.0, 2.0]
    assert bin_means(np.arange(100_000.0), BINS).mean() == pytest.approx(49_999.5, rel=1e-3)


def test_reaching_into_a_region_is_enough() -> None:
    genes = [
        gene("a", "+", (0, 10)),
        gene("b", "+", (9, 12)),
        gene("c", "+", (20, 30)),
        gene("d", "+", (9, 12), seqid="x"),
    ]
    assert overlapping(genes, Region(CONTIG, 10, 20)) == [1]


def test_a_ruler_has_an_axis_ticks_and_their_places() -> None:
    page = Page(draw_locus(Locus(Region(CONTIG, 1000, 2000), "", {}), [], "A locus"))
    lines = [attrs for tag, attrs in page.with_class("axis") if tag == "line"]
    assert sum(line["y1"] == line["y2"] for line in lines) == 1 and sum(line["x1"] == line["x2"] for line in lines) >= 4
    labels = [attrs for tag, attrs in page.with_class("tick") if "middle" in attrs["class"]]
    assert len(labels) >= 3 and all(LABEL_PX < float(attrs["x"]) < WIDTH for attrs in labels)


def test_names_must_be_a_list_of_texts(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", names=np.array([["b:0-7"]]))
    np.savez(tmp_path / "b.npz", names=np.array([1 + 2j]))
    for name in ("a", "b"):
        with pytest.raises(InputError, match=f"{name}.npz: its array 'names' is no list of names"):
            read_tracks(tmp_path / f"{name}.npz")


def test_one_gene_is_enough_for_a_locus_where_no_piece_has_three() -> None:
    one = gene("a", "+", (15_000, 15_300))
    reference = Annotation((one,), ())
    loci = choose_loci(reference, [one], (["exact"], ["exact"]), [Region(CONTIG, 10_000, 20_000)])
    assert loci == [Locus(Region(CONTIG, 10_000, 20_000), "many exact genes", {})]


@pytest.mark.parametrize(
    ("start", "there"), [(9_000, False), (9_850, True), (9_849, False), (19_849, True), (19_850, False)]
)
def test_a_gene_belongs_to_the_stretch_that_holds_its_middle(start: int, there: bool) -> None:
    reference = Annotation((gene("a", "+", (start, start + 300)),), ())
    loci = choose_loci(reference, [], (["missed"], []), [Region(CONTIG, 10_000, 20_000)])
    assert [locus.region for locus in loci] == ([Region(CONTIG, 10_000, 20_000)] if there else [])


def test_a_stretch_without_genes_or_probabilities_says_so() -> None:
    track = GeneTrack("Reference", [gene("far", "-", (5000, 5100))], ["exact"])
    tracks = {"coding_plus": np.ones(1000), "intron_minus": np.ones(1000)}
    page = Page(draw_locus(Locus(Region(CONTIG, 1000, 2000), "", tracks), [track], "A locus"))
    assert "no genes here" in page.text and page.with_class("area") == []
    (svg,) = [attrs["aria-label"] for _, attrs in page.with_class("locus")]
    assert svg == "A locus. Reference: 0 genes"


def test_exons_that_end_where_the_stretch_begins_are_not_drawn() -> None:
    """A base has 0.95 pixels; the shortest exon is drawn with 1.4."""
    shown = gene("g", "+", (900, 1000), (1500, 1501), (1600, 1700), (2000, 2100))
    track = GeneTrack("Reference", [shown], ["exact"])
    page = Page(draw_locus(Locus(Region(CONTIG, 1000, 2000), "", {}), [track], "A locus"))
    boxes = [(tag, attrs.get("x"), attrs.get("width")) for tag, attrs in page.with_class("exon")]
    assert boxes == [("rect", "593", "1.4"), ("rect", "688", "95")]


def test_what_is_known_of_a_gene_stands_in_its_title() -> None:
    segments = (Interval(1100, 1300), Interval(1500, 1600))
    partial = Transcript("t", segments, (0, 0), complete5=False)
    known = Gene("g", CONTIG, "-", (partial,), score=0.25, flags=frozenset({"no_stop", "cut"}))
    track = GeneTrack("GeneT5", [known], ["partial"])
    page = Page(draw_locus(Locus(Region(CONTIG, 1000, 2000), "", {}), [track], "A locus"))
    assert page.inside("title") == (
        "g · - strand · 2 exons · 1,101-1,600 · 300 coding bp · score 0.250 · partial · flagged cut, no_stop · "
        "partly right"
    )


def test_more_genes_than_a_drawing_holds_are_counted() -> None:
    genes = [gene(f"g{number}", "+", (number, number + 900)) for number in range(MOST_GENES + 3)]
    track = GeneTrack("GeneT5", genes, ["exact"] * len(genes))
    page = Page(draw_locus(Locus(Region(CONTIG, 0, 1200), "", {}), [track], "A locus"))
    assert "3 more not drawn" in page.text and len(page.with_class("gene")) == MOST_GENES


def test_hints_lie_between_genes_and_probabilities() -> None:
    tracks = {"coding_plus": np.ones(1000), "coding_minus": np.zeros(1000)}
    hints = np.array([[1200, 1300, 0, 5]])
    track = GeneTrack("GeneT5", [gene("g", "+", (1100, 1200), (1300, 1400))], ["high"])
    page = Page(draw_locus(Locus(Region(CONTIG, 1000, 2000), "", tracks, hints), [track], "A locus"))
    (svg,) = [attrs for _, attrs in page.with_class("locus")]
    said = "A locus. GeneT5: 1 gene; 1 hinted intron; coding probability per strand, highest 1.00"
    # A lane of genes, two of hints and a track, with 10, 10 and 12 pixels below them.
    assert (svg["aria-label"], svg["height"]) == (said, str(34 + 27 + 10 + 12 + 10 + 62 + 12))
    assert [attrs["y1"] for _, attrs in page.with_class("hint")] == ["73"]
    assert "1,201-1,300 · + strand · 5 counts · confirmed" in page.inside("title")


def test_genes_are_packed_by_position_and_the_shortest_take_two_pixels() -> None:
    genes = [gene("c", "+", (600, 900)), gene("b", "+", (105, 200)), gene("a", "+", (100, 101))]
    track = GeneTrack("GeneT5", genes, ["exact"] * 3)
    page = Page(draw_locus(Locus(Region(CONTIG, 0, 1000), "", {}), [track], "A locus"))
    names = [data.partition(" ")[0] for parent, data in page.texts if parent == "title"]
    lanes = [float(attrs["y"]) for _, attrs in page.with_class("hit")]
    assert (names, lanes) == (["a", "b", "c"], [32, 59, 32])
