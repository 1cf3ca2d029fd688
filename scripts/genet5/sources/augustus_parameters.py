"""The gene model that AUGUSTUS publishes for a species, read from its plain-text parameter files.

A folder of parameters is ``{config}/species/{name}``, as in Debian's package ``augustus-data``:

- ``{name}_parameters.cfg``: sizes of the splice-site windows, probabilities of the stop codons, genetic code
- ``{name}_exon_probs.pbl``: lengths and numbers of the four kinds of exon, coding DNA by codon position, start motif
- ``{name}_intron_probs.pbl``: splice-site patterns, lengths of introns, their DNA, the motif upstream of an acceptor
- ``{name}_igenic_probs.pbl``: DNA between genes

The tables of DNA exist once for each class of GC content. Patterns are written in upper or lower case, and their
length says the order of the model. All probabilities are normalised here: the files round them to three digits.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genet5.errors import InputError
from genet5.genome.genetic_code import genetic_codes

DEFAULT_CONFIG = "/usr/share/augustus/config"
"""Where Debian's package ``augustus-data`` puts its files."""

CONFIG_VARIABLE = "AUGUSTUS_CONFIG_PATH"
EXON_KINDS = ("single", "initial", "internal", "terminal")
SINGLE, INITIAL, INTERNAL, TERMINAL = range(4)

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


@dataclass(frozen=True)
class CompositionClass:
    """DNA of one class of GC content.

    ``composition`` [4]: A, C, G, T. ``exon`` [3, 4 ** k, 4]: the chance of a base at codon position 0, 1 or 2 after the
    k bases before it; ``intron`` and ``intergenic`` [4 ** k, 4] (each may have its own k). ``short_intron_share``: part
    of introns whose length is in the table; the others are ``mean_extra_intron_bp`` longer than it, geometrically.
    """

    composition: np.ndarray
    exon: np.ndarray
    intron: np.ndarray
    intergenic: np.ndarray
    start_motif: Motif | None
    acceptor_motif: Motif | None
    short_intron_share: float
    mean_extra_intron_bp: float


@dataclass(frozen=True)
class AugustusParameters:
    """The gene model of one species.

    ``exon_counts`` [4] and ``exon_lengths`` [4, D + 1] are in the order of ``EXON_KINDS``; ``exon_tail_shares`` [4] is
    the part longer than D, ``exon_tail_bp`` [4] how much longer in the mean. ``intron_lengths`` [d + 1]: short introns.
    ``stops``: probability of each stop codon. ``gc_donors``: introns may begin with GC.
    """

    name: str
    folder: Path
    genetic_code: int
    exon_counts: np.ndarray
    exon_lengths: np.ndarray
    exon_tail_shares: np.ndarray
    exon_tail_bp: np.ndarray
    max_exon_bp: int
    min_coding_bp: int
    intron_lengths: np.ndarray
    donors: SplicePatterns
    acceptors: SplicePatterns
    stops: dict[str, float]
    gc_donors: bool
    classes: tuple[CompositionClass, ...]

    @property
    def mean_intron_bp(self) -> float:
        """Mean length of an intron over the classes."""
        short = float(self.intron_lengths @ np.arange(len(self.intron_lengths)))
        longest = len(self.intron_lengths) - 1
        means = [
            c.short_intron_share * short + (1 - c.short_intron_share) * (longest + c.mean_extra_intron_bp)
            for c in self.classes
        ]
        return float(np.mean(means))

    @property
    def single_share(self) -> float:
        """Part of the genes that has one exon."""
        return float(self.exon_counts[SINGLE] / self.exon_counts[[SINGLE, INITIAL]].sum())

    @property
    def mean_internal_exons(self) -> float:
        """Internal exons in a gene of several exons."""
        return float(self.exon_counts[INTERNAL] / max(1.0, self.exon_counts[INITIAL]))

    @property
    def introns_per_gene(self) -> float:
        """Mean number of introns over all genes."""
        return (1 - self.single_share) * (1 + self.mean_internal_exons)


def config_folder(path: str | Path | None = None) -> Path:
    """``path``, else what ``AUGUSTUS_CONFIG_PATH`` says, else Debian's folder. InputError where there is none."""
    folder = Path(path or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    if not (folder / "species").is_dir():
        raise InputError(
            f"{folder}: no folder 'species' in it; give AUGUSTUS's folder 'config', or: apt install augustus-data"
        )
    return folder


def species_names(config: Path) -> list[str]:
    """The names of the species under ``config``, sorted; whether each can be read, ``read_parameters`` says."""
    return sorted(folder.name for folder in (config / "species").iterdir() if folder.is_dir())


def read_parameters(config: Path, name: str) -> AugustusParameters:
    """The parameters of species ``name``. InputError for a species or file that is missing or damaged."""
    folder = config / "species" / name
    if not name or Path(name).name != name or not folder.is_dir():
        raise InputError(f"{config / 'species'}: no species {name!r}; 'genet5 simulate --list' names them all")
    settings = _Settings(folder / f"{name}_parameters.cfg")
    exon, intron, intergenic = (_Table(folder / f"{name}_{kind}_probs.pbl") for kind in ("exon", "intron", "igenic"))
    exon_classes, intron_classes, intergenic_classes = exon.classes(), intron.classes(), intergenic.classes()
    for table, found in ((intron, intron_classes), (intergenic, intergenic_classes)):
        if len(found) != len(exon_classes):
            raise InputError(
                f"{table.path}: {len(found)} classes of GC content, {exon.path.name} has {len(exon_classes)}"
            )
    classes = []
    for in_exon, in_intron, between in zip(exon_classes, intron_classes, intergenic_classes, strict=True):
        share, extra = in_intron.numbers("TRANSITION", 2)
        if not 0 <= share <= 1 or extra < 0:
            raise in_intron.error("TRANSITION", f"{share:g} and {extra:g}, expected a probability and a mean length")
        classes.append(
            CompositionClass(
                composition=in_exon.composition(),
                exon=in_exon.emissions(3),
                intron=in_intron.emissions(1)[0],
                intergenic=between.emissions(1)[0],
                start_motif=in_exon.motif("TRANSINIT"),
                acceptor_motif=in_intron.motif("ASSMOTIF"),
                short_intron_share=share,
                mean_extra_intron_bp=extra,
            )
        )
    counts, lengths, tails, tail_bp = _exon_lengths(exon)
    donors = intron.patterns("DSS", settings.number("/Constant/dss_start"), settings.number("/Constant/dss_end"))
    acceptors = intron.patterns("ASS", settings.number("/Constant/ass_start"), settings.number("/Constant/ass_end"))
    return AugustusParameters(
        name=name,
        folder=folder,
        genetic_code=settings.genetic_code(),
        exon_counts=counts,
        exon_lengths=lengths,
        exon_tail_shares=tails,
        exon_tail_bp=tail_bp,
        max_exon_bp=settings.number("/ExonModel/maxexonlength", 15000),
        min_coding_bp=settings.number("/Constant/min_coding_len", 201),
        intron_lengths=_intron_lengths(intron),
        donors=donors,
        acceptors=acceptors,
        stops=settings.stops(),
        gc_donors=settings.values.get("/IntronModel/allow_dss_consensus_gc", (0, ""))[1].lower() in ("true", "1", "on"),
        classes=tuple(classes),
    )


class _Settings:
    """The file ``_parameters.cfg``: names and values, one pair a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, tuple[int, str]] = {}
        for number, line in enumerate(_lines(path), start=1):
            found = _SETTING.match(line.partition("#")[0])
            if found:
                self.values[found[1]] = (number, found[2])

    def number(self, key: str, default: int | None = None) -> int:
        if key not in self.values:
            if default is None:
                raise InputError(f"{self.path}: no {key}")
            return default
        line, text = self.values[key]
        if not text.isdigit():
            raise InputError(f"{self.path}: line {line}: {key} is {text!r}, expected a whole number")
        return int(text)

    def genetic_code(self) -> int:
        table = self.number("translation_table", 1)
        if table not in genetic_codes():
            raise InputError(f"{self.path}: translation_table {table} is no NCBI translation table")
        # A stop of probability 0 codes for an amino acid, says AUGUSTUS; some files tell the code in no other way.
        return (
            _CODE_OF_STOPS.get(tuple(codon for codon, value in self.stops().items() if value), 1)
            if table == 1
            else table
        )

    def stops(self) -> dict[str, float]:
        found = {}
        for key, (codon, default) in _STOPS.items():
            line, text = self.values.get(f"/Constant/{key}", (0, str(default)))
            value = _number(text)
            if value is None or not 0 <= value <= 1:
                raise InputError(f"{self.path}: line {line}: {key} is {text!r}, expected a probability")
            found[codon] = value
        total = sum(found.values())
        if not total:
            raise InputError(f"{self.path}: ochreprob, amberprob and opalprob are all 0")
        return {codon: value / total for codon, value in found.items()}


class _Table:
    """Lines ``first`` to ``last`` of a file of probabilities: sections that begin with ``[NAME]``."""

    def __init__(self, path: Path, lines: list[str] | None = None, first: int = 0, last: int | None = None) -> None:
        self.path = path
        self.lines = _lines(path) if lines is None else lines
        self.first = first
        self.last = len(self.lines) if last is None else last

    def classes(self) -> list[_Table]:
        heads = [place for place in range(self.first, self.last) if _CLASS.fullmatch(self.lines[place].strip())]
        if not heads:
            raise InputError(f"{self.path}: no class of GC content, a line '[1]'")
        return [_Table(self.path, self.lines, *span) for span in zip(heads, [*heads[1:], self.last], strict=True)]

    def section(self, name: str) -> Iterator[tuple[int, str]]:
        """Line number and text of the lines of a section that are neither empty nor a comment."""
        for place in range(self._place(name) + 1, self.last):
            text = self.lines[place].strip()
            if text.startswith("["):
                return
            if text and not text.startswith("#"):
                yield place + 1, text

    def has(self, name: str) -> bool:
        return any(self.lines[place].strip() == f"[{name}]" for place in range(self.first, self.last))

    def error(self, name: str, message: str, line: int | None = None) -> InputError:
        return InputError(f"{self.path}: line {line or self._place(name) + 1}: [{name}]: {message}")

    def numbers(self, name: str, count: int, skipped: int = 0) -> list[float]:
        """The first ``count`` lines of a section, one number each, after ``skipped`` others."""
        found = []
        for line, text in self.section(name):
            if skipped:
                skipped -= 1
                continue
            value = _number(text)
            if value is None:
                raise self.error(name, f"{text[:40]!r}, expected a number", line)
            found.append(value)
            if len(found) == count:
                return found
        raise self.error(name, f"{len(found)} numbers, expected {count}")

    def row(self, name: str, line: int, text: str, count: int) -> list[float]:
        """The numbers of one line, exactly ``count``, none below 0."""
        values = [_number(word) for word in text.split()]
        if len(values) != count or any(value is None or value < 0 for value in values):
            raise self.error(name, f"{text[:40]!r}, expected {count} numbers of at least 0", line)
        return values

    def composition(self) -> np.ndarray:
        for place in range(self.first, min(self.last, self.first + 4)):
            found = _COMPOSITION.match(self.lines[place].strip())
            if found:
                values = [_number(word) for word in found[1].replace(",", " ").split()]
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
                if _number(text) is None:
                    raise self.error(name, f"{text[:40]!r}, expected a pattern of A, C, G, T", line)
                continue
            # Some files repeat the patterns below with counts for initial and terminal parts; the first are the P_l.
            by_length.setdefault(len(code), {}).setdefault(_index(code), self.row(name, line, rest, columns))
        length = max(by_length, default=0)
        found = by_length.get(length, {})
        if not 1 <= length <= _LONGEST_ORDER + 1 or len(found) != 4**length:
            raise self.error(name, f"{len(found)} patterns of {length} bases, expected {4**length}")
        table = np.array([found[index] for index in range(4**length)]).T + _ROUNDING
        return table.reshape(columns, 4 ** (length - 1), 4)

    def motif(self, name: str) -> Motif | None:
        """A motif; None where the species has none (it is missing, or of width 0)."""
        if not self.has(name):
            return None
        rows = list(self.section(name))
        head = [_number(text) for _, text in rows[:2]]
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
        """Splice-site patterns with their probabilities."""
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


def _exon_lengths(exon: _Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts, lengths, shares of the tails and their mean lengths, by kind of exon."""
    rows = list(exon.section("LENGTH"))
    if len(rows) < 6:
        raise exon.error("LENGTH", f"{len(rows)} lines, expected 5 and the lengths")
    longest = _number(rows[0][1])
    if longest is None or longest < 1 or longest % 1:
        raise exon.error("LENGTH", f"{rows[0][1][:40]!r}, expected the longest length", rows[0][0])
    counts, exceeding = (np.array(exon.row("LENGTH", *rows[place], 4)) for place in (3, 4))
    table = rows[5 : 6 + int(longest)]
    if len(table) != longest + 1:
        raise exon.error("LENGTH", f"{len(table)} lengths, expected 0 to {longest:g}")
    lengths = np.array([exon.row("LENGTH", line, text, 5)[1:] for line, text in table]).T
    if not counts[[SINGLE, INITIAL]].sum():
        raise exon.error("LENGTH", "no single and no initial exon", rows[3][0])
    totals = lengths.sum(axis=1)
    needed = counts > 0
    needed[TERMINAL] = needed[INITIAL]
    if (needed & (totals == 0)).any():
        raise exon.error("LENGTH", f"no length of kind {EXON_KINDS[int((needed & (totals == 0)).argmax())]}")
    lengths /= np.where(totals, totals, 1)[:, None]
    tails = np.minimum(exceeding / np.maximum(counts, 1), 0.9)
    # The tail is geometric, continues the table at its end, and holds the share of the exons that exceed it.
    end = np.maximum(lengths[:, -1], 1e-6)
    return counts, lengths, tails, 1 + tails / end


def _intron_lengths(intron: _Table) -> np.ndarray:
    longest = intron.numbers("LENGTH", 1)[0]
    if longest < 1 or longest % 1:
        raise intron.error("LENGTH", f"{longest:g}, expected the longest length")
    values = np.array(intron.numbers("LENGTH", int(longest) + 1, skipped=1))
    if (values < 0).any() or not values.sum():
        raise intron.error("LENGTH", "expected probabilities of which one is above 0")
    return values / values.sum()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _number(text: str) -> float | None:
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
