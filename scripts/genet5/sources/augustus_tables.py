"""Reading the files of AUGUSTUS's parameters: settings, one a line, and sections of numbers and patterns.

Every mistake is an ``InputError`` with file and line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.errors import InputError
from genet5.species_table import GENETIC_CODES
from genet5.tables import whole_number

_STOPS = {"ochreprob": ("TAA", 0.33), "amberprob": ("TAG", 0.33), "opalprob": ("TGA", 0.34)}
_CODE_OF_STOPS = {("TGA",): 6, ("TAA", "TAG"): 4}
_LONGEST_ORDER = 8
_CLASS = re.compile(r"\[\d+\]")
_COMPOSITION = re.compile(r"#\s*\(a,c,g,t\)\s*=\s*\(([^)]*)\)", re.IGNORECASE)
_SETTING = re.compile(r"\s*(/?[\w/.-]+)\s+\"?([^\s\"]+)")
_ROUNDING = 1e-9  # what a pattern with a rounded probability of 0 keeps, so that every context has a next base


@dataclass(frozen=True)
class Motif:
    """DNA of fixed width: ``table`` [width, 4 ** order, 4] is the chance of each base after the ``order`` before it."""

    order: int
    table: np.ndarray

    @property
    def width(self) -> int:
        """Bases of the motif."""
        return len(self.table)


@dataclass(frozen=True)
class SplicePatterns:
    """Bases around GT or AG, without the two: ``patterns`` [n, before + after] of codes 0..3, ``probabilities`` [n].

    Patterns that the species' training genes do not hold are left out.
    """

    before: int
    after: int
    patterns: np.ndarray
    probabilities: np.ndarray


class AugustusSettings:
    """The file ``_parameters.cfg``: names and values, one pair a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, tuple[int, str]] = {}
        for number, line in enumerate(_lines(path), start=1):
            found = _SETTING.match(line.partition("#")[0])
            if found:
                self.values[found[1]] = (number, found[2])

    def number(self, key: str, default: int | None = None) -> int:
        """The whole number of a key; ``default`` where the file does not have it, if there is one."""
        if key not in self.values:
            if default is None:
                raise InputError(f"{self.path}: no {key}")
            return default
        line, text = self.values[key]
        number = whole_number(text)
        if number is None:
            raise InputError(f"{self.path}: line {line}: {key} is {text[:40]!r}, expected a whole number")
        return number

    def flag(self, key: str) -> bool:
        """Whether a key is there and says true."""
        return key in self.values and self.values[key][1].lower() in ("true", "1", "on")

    def genetic_code(self) -> int:
        """NCBI translation table: the one that is named, else the one that has the species' stop codons."""
        table = self.number("translation_table", 1)
        if table not in GENETIC_CODES:
            line = self.values["translation_table"][0]
            raise InputError(f"{self.path}: line {line}: translation_table {table} is no NCBI translation table")
        # A stop of probability 0 codes for an amino acid, says AUGUSTUS; some files tell the code in no other way.
        used = tuple(codon for codon, value in self.stops().items() if value)
        return _CODE_OF_STOPS.get(used, 1) if table == 1 else table

    def stops(self) -> dict[str, float]:
        """Probability of each stop codon; they add up to 1."""
        found = {}
        for key, (codon, default) in _STOPS.items():
            line, text = self.values.get(f"/Constant/{key}", (0, str(default)))
            value = number_of(text)
            if value is None or not 0 <= value <= 1:
                raise InputError(f"{self.path}: line {line}: {key} is {text!r}, expected a probability")
            found[codon] = value
        total = sum(found.values())
        if not total:
            raise InputError(f"{self.path}: ochreprob, amberprob and opalprob are all 0")
        return {codon: value / total for codon, value in found.items()}


class AugustusTable:
    """Lines ``first`` to ``last`` of a file of probabilities: sections that begin with ``[NAME]``."""

    def __init__(self, path: Path, lines: list[str] | None = None, first: int = 0, last: int | None = None) -> None:
        self.path = path
        self.lines = _lines(path) if lines is None else lines
        self.first = first
        self.last = len(self.lines) if last is None else last

    def classes(self) -> list[AugustusTable]:
        """The parts of the file for each class of GC content."""
        heads = [place for place in range(self.first, self.last) if _CLASS.fullmatch(self.lines[place].strip())]
        if not heads:
            raise InputError(f"{self.path}: no class of GC content, a line '[1]'")
        return [
            AugustusTable(self.path, self.lines, *span) for span in zip(heads, [*heads[1:], self.last], strict=True)
        ]

    def section(self, name: str) -> Iterator[tuple[int, str]]:
        """Line number and text of the lines of a section that are neither empty nor a comment."""
        for place in range(self._place(name) + 1, self.last):
            text = self.lines[place].strip()
            if text.startswith("["):
                return
            if text and not text.startswith("#"):
                yield place + 1, text

    def has(self, name: str) -> bool:
        """Whether there is a section of this name."""
        return any(self.lines[place].strip() == f"[{name}]" for place in range(self.first, self.last))

    def error(self, name: str, message: str, line: int | None = None) -> InputError:
        """The error to raise about a section, by default about its first line."""
        return InputError(f"{self.path}: line {line or self._place(name) + 1}: [{name}]: {message}")

    def numbers(self, name: str, count: int, skipped: int = 0) -> list[float]:
        """The first ``count`` lines of a section, one number each, after ``skipped`` others."""
        found = []
        for line, text in self.section(name):
            if skipped:
                skipped -= 1
                continue
            value = number_of(text)
            if value is None:
                raise self.error(name, f"{text[:40]!r}, expected a number", line)
            found.append(value)
            if len(found) == count:
                return found
        raise self.error(name, f"{len(found)} numbers, expected {count}")

    def row(self, name: str, line: int, text: str, count: int) -> list[float]:
        """The numbers of one line, exactly ``count``, none below 0."""
        values = [number_of(word) for word in text.split()]
        if len(values) != count or any(value is None or value < 0 for value in values):
            raise self.error(name, f"{text[:40]!r}, expected {count} numbers of at least 0", line)
        return values

    def composition(self) -> np.ndarray:
        """Shares of A, C, G and T in a class, [4], from the comment below its number."""
        for place in range(self.first, min(self.last, self.first + 4)):
            found = _COMPOSITION.match(self.lines[place].strip())
            if found:
                values = [number_of(word) for word in found[1].replace(",", " ").split()]
                if len(values) != 4 or any(value is None or value <= 0 for value in values):
                    raise InputError(f"{self.path}: line {place + 1}: {found[1]!r}, expected four shares above 0")
                return np.array(values) / sum(values)
        raise InputError(f"{self.path}: line {self.first + 1}: no line '# (a,c,g,t)= (...)' below it")

    def emissions(self, columns: int) -> np.ndarray:
        """The chance of each base after the k before it, [columns, 4 ** k, 4]; from [P_ls], else from [EMISSION].

        [P_ls] holds patterns of every length up to k + 1, of which the longest are taken.
        """
        name = "P_ls" if self.has("P_ls") else "EMISSION"
        table = self._pattern_table(name, columns)
        return table / table.sum(axis=-1, keepdims=True)

    def _pattern_table(self, name: str, columns: int) -> np.ndarray:
        by_length: dict[int, dict[int, list[float]]] = {}
        for line, text in self.section(name):
            word, _, rest = text.partition("\t") if "\t" in text else text.partition(" ")
            code = _pattern(word.strip())
            if code is None:
                if number_of(text) is None:
                    raise self.error(name, f"{text[:40]!r}, expected a pattern of A, C, G, T", line)
                continue
            # Some files repeat the patterns below with counts for initial and terminal parts; the first are the P_l.
            by_length.setdefault(len(code), {}).setdefault(_index(code), self.row(name, line, rest, columns))
        length = max(by_length, default=0)
        found = by_length.get(length, {})
        if not 1 <= length <= _LONGEST_ORDER + 1:
            raise self.error(name, f"patterns of {length} bases, expected 1 to {_LONGEST_ORDER + 1}")
        if len(found) != 4**length:
            raise self.error(name, f"{len(found)} patterns of {length} bases, expected {4**length}")
        table = np.array([found[index] for index in range(4**length)]).T + _ROUNDING
        return table.reshape(columns, 4 ** (length - 1), 4)

    def motif(self, name: str) -> Motif | None:
        """A motif; None where the species has none (it is missing, or of width 0)."""
        if not self.has(name):
            return None
        rows = list(self.section(name))
        head = [number_of(text) for _, text in rows[:2]]
        if len(head) < 2 or any(value is None or value < 0 or value % 1 for value in head):
            raise self.error(name, "expected a width and an order, each on a line")
        width, order = int(head[0]), int(head[1])
        if not width:
            return None
        if order > _LONGEST_ORDER or len(rows) < 2 + width:
            raise self.error(
                name, f"{len(rows) - 2} rows of order {order}, expected {width} of at most {_LONGEST_ORDER}"
            )
        table = np.array([self.row(name, line, text, 1 + 4 ** (order + 1))[1:] for line, text in rows[2 : 2 + width]])
        table = table.reshape(width, 4**order, 4) + _ROUNDING
        return Motif(order, table / table.sum(axis=-1, keepdims=True))

    def patterns(self, name: str, before: int, after: int) -> SplicePatterns:
        """Splice-site patterns of ``before + after`` bases with their probabilities."""
        codes, values = [], []
        for line, text in self.section(name):
            words = text.split()
            code = _pattern(words[0])
            if code is None:
                continue  # the three numbers above the patterns
            if len(code) != before + after:
                raise self.error(name, f"{words[0]!r}, expected {before} + {after} bases as in the .cfg", line)
            codes.append(code)
            values += self.row(name, line, " ".join(words[1:]), 1)
        if not codes and before + after:
            raise self.error(name, "no pattern")
        probabilities = np.array(values or [1.0])
        if not probabilities.sum():
            raise self.error(name, "all probabilities are 0")
        patterns = np.array(codes, dtype=np.int8).reshape(len(probabilities), before + after)
        return SplicePatterns(before, after, patterns, probabilities / probabilities.sum())

    def _place(self, name: str) -> int:
        for place in range(self.first, self.last):
            if self.lines[place].strip() == f"[{name}]":
                return place
        raise InputError(f"{self.path}: line {self.first + 1}: no section [{name}] from here on")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def number_of(text: str) -> float | None:
    """The finite number that a text is, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _pattern(word: str) -> list[int] | None:
    codes = ["ACGT".find(letter) for letter in word.upper()]
    return codes if codes and min(codes) >= 0 else None


def _index(codes: Sequence[int]) -> int:
    index = 0
    for code in codes:
        index = 4 * index + code
    return index
