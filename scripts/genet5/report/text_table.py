"""Score tables as plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from genet5.report.scoreboard import Scoreboard, System

_COLUMNS = (
    ("nucleotide", "nucleotide"),
    ("exon", "exon"),
    ("end3", "stop side"),
    ("gene", "gene"),
    ("gene_multi_exon", "multi-exon gene"),
)


def score_tables(boards: Sequence[Scoreboard]) -> str:
    """One table per species: F1 of every system at every level (``-``: nothing to score there), and kb per CPU second."""
    return "\n\n".join(_table(board) for board in boards)


def _table(board: Scoreboard) -> str:
    header = ["F1", *(title for _, title in _COLUMNS), "genes", "kb per CPU s"]
    rows = [header, *(_row(board, system) for system in board.systems)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join([f"{board.species}, {board.where}", lines[0], "-" * len(lines[0]), *lines[1:]])


def _row(board: Scoreboard, system: System) -> list[str]:
    label = f"{system.label} (teacher)" if board.is_teacher(system) else system.label
    values = [system.value(level) for level, _ in _COLUMNS]
    numbers = [(system.number("predicted_genes"), ".0f"), (system.number("kb_per_cpu_s"), ".1f")]
    return [
        label,
        *("-" if value is None else f"{value:.3f}" for value in values),
        *("-" if value is None else format(value, shape) for value, shape in numbers),
    ]
