"""Scores of predicted genes: read from column 6, and compared with how often the genes are exact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_files import CONTIG, Page, changed, toy_genes

from genet5.errors import InputError
from genet5.genome.genes import Gene
from genet5.genome.writing import write_gff3
from genet5.report.confidence import (
    confidence_chart,
    confidence_curve,
    confidence_dial,
    dial_chart,
    with_scores,
)


def scored(values: list[float | None]) -> list[Gene]:
    (gene,), _ = toy_genes(1)
    return [changed(gene, f"p{number}", score=value) for number, value in enumerate(values)]


def test_scores_come_from_the_gene_rows(tmp_path: Path) -> None:
    genes, contig = toy_genes(3)
    names = ["a;b", "plain", "none"]
    predicted = [
        changed(gene, name, score=0.25 + index) for index, (gene, name) in enumerate(zip(genes, names, strict=True))
    ]
    predicted[2] = changed(genes[2], "none", score=None)
    write_gff3(tmp_path / "a.gff3", predicted, {CONTIG: len(contig)})
    found = with_scores(scored([None]) + predicted, tmp_path / "a.gff3")
    assert [gene.score for gene in found] == [None, 0.25, 1.25, None]
    text = (tmp_path / "a.gff3").read_text()
    (tmp_path / "b.gff3").write_text(text.replace("\t0.25", "\thigh"))
    with pytest.raises(InputError, match=r"b\.gff3, line \d+: score 'high0*' is not a number"):
        with_scores(predicted, tmp_path / "b.gff3")


def test_curve_holds_means_of_equal_bins() -> None:
    # 20 genes of score .2, a quarter of them exact; 20 of score .8, all exact; and three that do not count.
    genes = scored([0.8] * 20 + [0.2] * 20 + [None, 0.9, 0.9])
    verdicts = ["exact"] * 25 + ["partial"] * 10 + ["wrong"] * 5 + ["wrong", "unjudged", "unjudged"]
    curve = confidence_curve(genes, verdicts)
    assert curve == [(pytest.approx(0.2), 0.25, 20), (pytest.approx(0.8), 1.0, 20)]
    page = Page(confidence_chart(curve, "GeneT5 sft"))
    assert "mean distance from the diagonal 0.12" in page.text
    assert len([tag for tag, _, _ in page.elements if tag == "circle"]) == 2


def test_the_dial_trades_recall_for_precision() -> None:
    # The genes of the curve above, of 50 known ones: 25 exact among 40, 20 among the 20 of at least .8, none above.
    genes = scored([0.8] * 20 + [0.2] * 20 + [None, 0.9, 0.9])
    verdicts = ["exact"] * 25 + ["partial"] * 10 + ["wrong"] * 5 + ["wrong", "unjudged", "unjudged"]
    dial = {round(least, 2): (precision, recall) for least, precision, recall in confidence_dial(genes, verdicts, 50)}
    assert dial[0.0] == dial[0.2] == (25 / 40, 0.5)
    assert dial[0.21] == dial[0.8] == (1.0, 0.4)
    assert max(dial) == 0.8 and len(dial) == 81
    assert confidence_dial(genes, verdicts, 0) == [] == confidence_dial(genes[:3], verdicts[:3], 50)
    chart = dial_chart(confidence_dial(genes, verdicts, 50), "GeneT5 sft")
    # F1: 2 * 25 / (40 + 50) = .56 with all, 2 * 20 / (20 + 50) = .57 from .21 on.
    assert "gene F1 is highest from 0.21 on: precision 1.00, recall 0.40" in Page(chart).text
    assert dial_chart([], "GeneT5 sft") is None


def test_few_genes_or_log_probabilities_make_no_curve() -> None:
    assert confidence_curve(scored([0.5] * 39), ["exact"] * 39) == []
    assert confidence_curve(scored([-0.5] * 60), ["exact"] * 60) == []
    assert confidence_chart([], "GeneT5 sft") is None


def plotted(chart: object) -> tuple[dict[str, list[float]], list[tuple[str, str, str]]]:
    """Ranges and pixels of both axes; name, class and points of every line."""
    page = Page(str(chart))
    (plot,) = [json.loads(attrs["data-plot"]) for _, attrs in page.with_class("lines")]
    lines = [(attrs["data-name"], attrs["class"], attrs["points"]) for _, attrs in page.with_class("line")]
    return plot, lines


def test_the_curve_lies_beside_the_diagonal() -> None:
    plot, lines = plotted(confidence_chart([(0.25, 0.5, 20), (0.75, 1.0, 20)], "GeneT5 sft"))
    assert plot == {"x": [0, 1, 52, 506], "y": [0, 1, 196, 12]}
    assert lines == [
        ("if scores were probabilities", "line s7 faint", "52,196 506,12"),
        ("share of exact genes", "line s1", "165.5,104 392.5,12"),
    ]


def test_the_dial_is_drawn_on_the_whole_scale() -> None:
    chart = dial_chart([(0.0, 0.5, 0.5), (0.5, 0.75, 0.5), (1.0, 1.0, 0.25)], "GeneT5 sft")
    # F1: .5, .6 and .4.
    assert "highest from 0.50 on: precision 0.75, recall 0.50" in Page(chart).text
    plot, lines = plotted(chart)
    assert plot == {"x": [0, 1, 52, 506], "y": [0, 1, 196, 12]}
    assert lines == [
        ("precision", "line s1", "52,104 279,58 506,12"),
        ("recall", "line s2", "52,104 279,104 506,150"),
    ]


def test_two_bins_need_forty_genes_with_probabilities_and_ends_count() -> None:
    genes = scored([0.0] * 20 + [1.0] * 20)
    assert confidence_curve(genes, ["wrong"] * 20 + ["exact"] * 20) == [(0.0, 0.0, 20), (1.0, 1.0, 20)]
    assert confidence_dial(genes, ["exact"] * 40, 1)[0] == (0.0, 1.0, 40.0)
    assert confidence_curve(scored([0.5] * 39 + [1.5]), ["exact"] * 40) == []


def test_a_low_f1_is_compared_as_it_is() -> None:
    chart = dial_chart([(0.0, 0.25, 0.25), (0.5, 0.5, 0.125), (0.75, 0.0, 0.0)], "GeneT5 sft")
    assert "highest from 0.00 on: precision 0.25, recall 0.25" in Page(chart).text
