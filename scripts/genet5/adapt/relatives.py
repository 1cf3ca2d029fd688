"""Tables of species whose genes are known: what is typical of them, and where an adaptation to a genome begins.

One network does not hold the codons and splice sites of forty species, and a table of log-odds is small. What it adds
to the potentials stands for a species as an ``Adaptation`` made of a genome's own DNA does. The mean of the tables
stands for them all, that of some for the relatives of a genome, and a model that has them annotates with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genet5.adapt.adaptation import Adaptation
from genet5.adapt.counting import AROUND_BP, Counts
from genet5.adapt.intron_lengths import TOLD_BP, IntronLengths
from genet5.arrays import INTEGERS, TEXT, Wanted, read_arrays
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.crf.labels import NUM_CLASSES
from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.genome.sites import NUM_SITES

FILE = "relatives.npz"  # beside the weights of a CRF
FORMAT = 4
TYPICAL_HEXAMERS = 0.5  # species share their splice sites more than their codons
STEP = 1 / 16  # of stored log-odds, in nats
MOST = 127 * STEP  # larger ones are stored as this: of what genes hardly ever have, such as stop codons in frame
_SHAPES = {"hexamers": (NUM_CLASSES - 1, HEXAMERS), "sites": (NUM_SITES, AROUND_BP, 5)}
_COUNTS = {"introns": (TOLD_BP + 1,), "intron_bp": ()}
_ARRAYS = (*_SHAPES, *_COUNTS)


@dataclass(frozen=True)
class Relatives:
    """Log-odds of species as ``Adaptation`` has them, int8 in steps of ``STEP``.

    names: of the species. hexamers: [species, 4, HEXAMERS]. sites: [species, 4, AROUND_BP, 5]. strength, intron_cost:
    with which the mean of the tables is added to a genome of which nothing else is known; validation chooses them, and
    0 adds nothing. near: of how many tables, those nearest to the genome; 0: of all. introns: uint32 [species,
    TOLD_BP + 1], counts by length, and intron_bp: uint32 [species], the sum of their lengths (``count_lengths``); None:
    no introns.
    """

    names: tuple[str, ...]
    hexamers: np.ndarray
    sites: np.ndarray
    strength: float = 0.0
    intron_cost: float = 0.0
    near: int = 0
    introns: np.ndarray | None = None
    intron_bp: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, shape in _COUNTS.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.zeros((len(self.names), *shape), np.uint32))

    @classmethod
    def of(
        cls, counts: Mapping[str, Counts], strength: float = 0.0, intron_cost: float = 0.0, near: int = 0
    ) -> Relatives:
        tables = counts.values()
        return cls(
            tuple(counts),
            _stored([one.hexamer_log_odds() for one in tables], _SHAPES["hexamers"]),
            _stored([one.site_log_odds() for one in tables], _SHAPES["sites"]),
            strength,
            intron_cost,
            near,
            np.array([one.introns for one in tables]).reshape(-1, TOLD_BP + 1).astype(np.uint32),
            np.array([one.intron_bp for one in tables]).astype(np.uint32),
        )

    def joined(self, other: Relatives) -> Relatives:
        """The tables of both; of a species that both have, the other's."""
        mine = self.without(other.names)
        both = {name: np.concatenate([getattr(mine, name), getattr(other, name)]) for name in _ARRAYS}
        return replace(self, names=(*mine.names, *other.names), **both)

    def without(self, names: Collection[str]) -> Relatives:
        """The tables of all other species."""
        rows = [row for row, name in enumerate(self.names) if name not in names]
        kept = tuple(self.names[row] for row in rows)
        return replace(self, names=kept, **{name: getattr(self, name)[rows] for name in _ARRAYS})

    @property
    def adds(self) -> bool:
        """Whether anything is added to a genome of which nothing else is known."""
        return bool(self.names) and (self.strength > 0 or self.intron_cost > 0)

    @property
    def asks_codons(self) -> bool:
        """Whether what is added depends on the genome."""
        return self.adds and 0 < self.near < len(self.names)

    def typical(self, counts: Counts | None = None) -> Adaptation:
        """The mean of the ``near`` species that are nearest to what was counted. Where none are, it is that of all, of
        hexamers ``TYPICAL_HEXAMERS`` of it. Neutral where nothing is added.
        """
        if not self.adds:
            return Adaptation.neutral()
        near = self.nearest(counts, self.near) if self.asks_codons and counts is not None else []
        rows = [self.names.index(name) for name in near] or slice(None)
        hexamers, sites = (
            part[rows].mean(0, dtype=np.float32) * np.float32(STEP) for part in (self.hexamers, self.sites)
        )
        share = np.float32(1.0 if near else TYPICAL_HEXAMERS)
        lengths = IntronLengths.mean([one for name in near or self.names if (one := self.lengths_of(name)) is not None])
        return Adaptation(hexamers * share, sites, self.strength, self.intron_cost, lengths=lengths)

    def lengths_of(self, name: str) -> IntronLengths | None:
        """Of one species' introns; None where too few were counted."""
        row = self.names.index(name)
        return IntronLengths.of(self.introns[row].astype(float), float(self.intron_bp[row]))

    def adaptation(self, name: str, strength: float) -> Adaptation:
        """What a share of one species' log-odds adds."""
        row = self.names.index(name)
        parts = (part[row].astype(np.float32) * np.float32(STEP) for part in (self.hexamers, self.sites))
        return Adaptation(*parts, strength, lengths=self.lengths_of(name))

    def nearest(self, counts: Counts, number: int) -> list[str]:
        """The species whose log-odds of coding hexamers are most like those of what was counted, the nearest first;
        none where no coding base was counted.

        Alike are those that correlate, each hexamer weighed by its count. A sum of log-odds would prefer species of
        which much was counted: their log-odds are larger.
        """
        weights = counts.bases[1:4, :-1].ravel()
        if not weights.any():
            return []
        found = counts.hexamer_log_odds()[:3, :-1].ravel()
        alike = [_correlation(found, one[:3, :-1].ravel().astype(np.float64), weights) for one in self.hexamers]
        return [self.names[row] for row in np.argsort(alike, kind="stable")[::-1][:number]]


def _correlation(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> float:
    """Pearson's, weighted; 0 where either is constant."""
    one, other = (values - np.average(values, weights=weights) for values in (one, other))
    spread = np.sqrt((weights * one**2).sum() * (weights * other**2).sum())
    return float((weights * one * other).sum() / spread) if spread > 0 else 0.0


def _stored(tables: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    found = np.array(tables, np.float32).reshape(-1, *shape)
    return np.rint(np.clip(found, -MOST, MOST) / STEP).astype(np.int8)


def save_relatives(path: str | Path, relatives: Relatives) -> None:
    """Write a NumPy archive that ``load_relatives`` reads."""
    head = f"{FORMAT} {relatives.strength!r} {relatives.intron_cost!r} {relatives.near}"
    names = np.array("\n".join([head, *relatives.names]))
    with atomic_write(path, "wb") as stream:
        np.savez_compressed(stream, relatives=names, **{name: getattr(relatives, name) for name in _ARRAYS})


def load_relatives(path: str | Path) -> Relatives:
    """Raises ``InputError`` for a file that is none, is cut short or damaged, or has another format."""
    path = Path(path)
    what, remedy = "no tables of relatives", "make it with genet5 count-relatives"
    text = read_arrays(path, what, remedy, {"relatives": Wanted(TEXT, 0)})["relatives"]
    head, *names = str(text).split("\n")
    found, *numbers = head.split(" ")
    if found != str(FORMAT):
        raise InputError(f"{path}: format {found[:20]!r}, allowed: {FORMAT}; make it again with genet5 count-relatives")
    arrays = read_arrays(path, what, remedy, {name: Wanted(INTEGERS) for name in _ARRAYS})
    strength, intron_cost, near = _numbers(numbers, path)
    if len(set(names)) < len(names) or not all(names):
        raise InputError(f"{path}: a species has no name, or stands there twice")
    for name, shape in (_SHAPES | _COUNTS).items():
        has, expected, kind = arrays[name].shape, (len(names), *shape), "int8" if name in _SHAPES else "uint32"
        if has != expected or arrays[name].dtype != kind:
            raise InputError(f"{path}: {name} is {arrays[name].dtype} {list(has)}, allowed: {kind} {list(expected)}")
    return Relatives(tuple(names), strength=strength, intron_cost=intron_cost, near=near, **arrays)


def _numbers(words: Sequence[str], path: Path) -> tuple[float, float, int]:
    """Strength, cost of an intron and number of near species. Raises ``InputError`` for anything else."""
    try:
        first, second, third = words
        strength, intron_cost, near = float(first), float(second), int(third)
    except ValueError:
        strength, intron_cost, near = np.nan, np.nan, -1
    if not (0 <= strength < np.inf and 0 <= intron_cost < np.inf and near >= 0):
        said = " ".join(words)[:40]
        raise InputError(f"{path}: strength, cost of an intron and near species are {said!r}, allowed: 0 or more")
    return strength, intron_cost, near
