"""CSV logs of a run, and the species and stage that the path of a result names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.errors import InputError
from genet5.files import one_line
from genet5.tables import table_rows


@dataclass(frozen=True, slots=True)
class Log:
    """A CSV log by column. ``numbers`` holds float arrays (NaN where a cell is empty), ``words`` the other columns."""

    stage: str
    numbers: dict[str, np.ndarray]
    words: dict[str, list[str]]

    def __len__(self) -> int:
        return max((len(column) for column in [*self.numbers.values(), *self.words.values()]), default=0)


def read_log(path: str | Path) -> Log:
    """A CSV file with a header line. Its stage is the name of the folder it lies in (``sft``, ``grpo``)."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        # A line without its end was cut short by a kill; the run that continues writes it again.
        rows = [row for _, row in table_rows(text[: text.rfind("\n") + 1].splitlines(), path, ",")]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({one_line(error)})") from error
    if not rows:
        raise InputError(f"{path}: is empty, expected a header line of column names")
    header = rows[0]
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise InputError(f"{path}: line {line}: {len(row)} cells, the header has {len(header)}")
    numbers: dict[str, np.ndarray] = {}
    words: dict[str, list[str]] = {}
    for index, name in enumerate(header):
        cells = [row[index].strip() for row in rows[1:]]
        try:
            numbers[name] = np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError:
            words[name] = cells
    return Log(path.parent.name, numbers, words)


def species_of(path: str | Path) -> str:
    """The species a result file is named after: ``annotation/run/sft/S.cerevisiae.tracks.npz`` -> ``S.cerevisiae``."""
    name = Path(path).name
    for ending in (".tracks.npz", ".npz", ".gff3", ".gff", ".json", ".tsv", ".gz"):
        name = name.removesuffix(ending)
    return name


def stage_of(path: str | Path) -> str:
    """The stage a result file belongs to: the name of its folder."""
    return Path(path).parent.name
