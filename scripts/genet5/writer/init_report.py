"""The report on a model's first weights: where every tensor came from, and what became of every one that was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

COPIED, RESHAPED, DROPPED, NEW = "copied", "reshaped", "dropped", "new"


class ReportRow(NamedTuple):
    """One tensor's fate. ``source`` is empty for a new tensor, ``target`` for a dropped one."""

    action: str
    source: str
    target: str
    shape: str
    note: str


def shape_text(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def report_tsv(rows: Sequence[ReportRow]) -> str:
    """Tab-separated, with a header."""
    return "".join("\t".join(row) + "\n" for row in [ReportRow._fields, *rows])


def report_table(rows: Sequence[ReportRow]) -> str:
    """Aligned columns for a terminal."""
    cells = [[word or "-" for word in row] for row in [ReportRow._fields, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def report_summary(rows: Sequence[ReportRow]) -> str:
    """``61 tensors copied, 4 new``."""
    counts = Counter(row.action for row in rows)
    return ", ".join(f"{counts[action]} {action}" for action in (COPIED, RESHAPED, DROPPED, NEW) if counts[action])
