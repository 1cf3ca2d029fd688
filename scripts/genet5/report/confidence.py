"""Do the scores of predicted genes mean what they say, and what does leaving out those of low score bring and cost?"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.evaluate.verdicts import EXACT, UNJUDGED
from genet5.genome.genes import Gene
from genet5.report.figures import Series, legend, line_chart
from genet5.report.markup import Markup, tag

MOST_BINS = 10
FEWEST_PER_BIN = 20
THRESHOLDS = np.linspace(0.0, 1.0, 101)
_GENE_ID = re.compile(r"(?:^|;)ID=([^;]+)")


def with_scores(genes: Sequence[Gene], path: str | Path) -> list[Gene]:
    """The genes with the scores (column 6) of the gene rows that carry their ids in a GFF3 file."""
    scores: dict[str, float] = {}
    with open_input(Path(path)) as stream:
        for number, line in enumerate(stream, 1):
            columns = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
            if len(columns) != 9 or columns[2] != "gene" or columns[5] == ".":
                continue
            named = _GENE_ID.search(columns[8])
            try:
                value = float(columns[5])
            except ValueError as error:
                raise InputError(f"{path}, line {number}: score {columns[5]!r} is not a number") from error
            if named:
                scores[unquote(named[1])] = value
    return [dataclasses.replace(gene, score=scores.get(gene.id)) for gene in genes]


def _judged(genes: Sequence[Gene], verdicts: Sequence[str]) -> list[tuple[float, bool]]:
    """(score, whether exact) of the genes that have a score and a verdict."""
    return [
        (gene.score, verdict == EXACT)
        for gene, verdict in zip(genes, verdicts, strict=True)
        if gene.score is not None and verdict != UNJUDGED
    ]


def confidence_curve(genes: Sequence[Gene], verdicts: Sequence[str]) -> list[tuple[float, float, int]]:
    """(mean score, share of exact genes, number of genes) of bins of equal size, ascending.

    Genes without a score or verdict do not count. Empty when a score is not between 0 and 1 (no probability) or there
    are fewer genes than two bins need.
    """
    judged = _judged(genes, verdicts)
    number = min(MOST_BINS, len(judged) // FEWEST_PER_BIN)
    if number < 2 or not all(0 <= score <= 1 for score, _ in judged):
        return []
    table = np.array(sorted(judged), dtype=float)
    return [(float(part[:, 0].mean()), float(part[:, 1].mean()), len(part)) for part in np.array_split(table, number)]


def confidence_chart(curve: Sequence[tuple[float, float, int]], who: str) -> Markup | None:
    """The curve beside the diagonal where a score is the probability of an exact gene; None for an empty one."""
    if not curve:
        return None
    scores, shares, numbers = (np.array(column, dtype=float) for column in zip(*curve, strict=True))
    title = f"Exact genes by score, {who}"
    ends = np.array([0.0, 1.0])
    lines = [
        Series("if scores were probabilities", ends, ends, "s7 faint"),
        Series("share of exact genes", scores, shares, "s1", markers=True),
    ]
    off = float(np.average(np.abs(scores - shares), weights=numbers))
    caption = tag("figcaption", f"{title} ", tag("span", f"mean distance from the diagonal {off:.2f}"))
    chart = line_chart(lines, title, x_label="score", y_range=(0.0, 1.0))
    return tag("figure", caption, chart, legend([("share of exact genes", "s1"), ("ideal", "s7 soft")]))


def confidence_dial(genes: Sequence[Gene], verdicts: Sequence[str], known: int) -> list[tuple[float, float, float]]:
    """(least score, precision, recall) of exact genes where those of a lower score are left out, ascending.

    ``known``: reference genes that could be found. Ends with the last threshold that leaves a gene. Empty where
    ``confidence_curve`` is, and without reference genes.
    """
    if not known or not confidence_curve(genes, verdicts):
        return []
    scores, right = (np.array(column, dtype=float) for column in zip(*_judged(genes, verdicts), strict=True))
    kept = [(float(least), right[scores >= least]) for least in THRESHOLDS]
    return [(least, float(part.mean()), float(part.sum()) / known) for least, part in kept if len(part)]


def dial_chart(dial: Sequence[tuple[float, float, float]], who: str) -> Markup | None:
    """Precision and recall over the least score; None for an empty dial."""
    if not dial:
        return None
    least, precision, recall = (np.array(column) for column in zip(*dial, strict=True))
    title = f"Genes at least so confident, {who}"
    lines = [Series("precision", least, precision, "s1"), Series("recall", least, recall, "s2")]
    best = int(np.argmax(2 * precision * recall / np.maximum(precision + recall, 1e-9)))
    said = f"gene F1 is highest from {least[best]:.2f} on: precision {precision[best]:.2f}, recall {recall[best]:.2f}"
    chart = line_chart(lines, title, x_label="least score (min_confidence)", y_range=(0.0, 1.0))
    return tag(
        "figure",
        tag("figcaption", f"{title} ", tag("span", said)),
        chart,
        legend([("precision", "s1"), ("recall", "s2")]),
    )
