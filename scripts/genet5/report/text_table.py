"""Score tables as plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from genet5.report.scoreboard import LEVELS, Scoreboard, System

_COLUMNS = tuple((level, title) for level, title in LEVELS if level not in ("intron", "transcript", "gene_single_exon"))


def score_tables(boards: Sequence[Scoreboard]) -> str:
    """One table per species: F1 of every system (``-``: nothing to score), predicted genes, and kb per CPU second."""
    return "\n\n".join(_table(board) for board in boards)


def _table(board: Scoreboard) -> str:
    header = ["F1", *(title for _, title in _COLUMNS), "Genes", "kb per CPU s"]
    rows = [header, *(_row(board, system) for system in board.systems)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = []
    for label, *cells in rows:
        lines.append("  ".join([label.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]))
    return "\n".join([f"{board.species}, {board.where}", lines[0], "-" * len(lines[0]), *lines[1:]])


def _row(board: Scoreboard, system: System) -> list[str]:
    label = f"{system.label} (teacher)" if board.is_teacher(system) else system.label
    values = [system.value(level) for level, _ in _COLUMNS]
    numbers = [(system.value("predicted", "genes"), ".0f"), (system.number("kb_per_cpu_s"), ".1f")]
    return [
        label,
        *("-" if value is None else f"{value:.3f}" for value in values),
        *("-" if value is None else format(value, shape) for value, shape in numbers),
    ]
