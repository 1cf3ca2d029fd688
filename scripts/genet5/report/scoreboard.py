"""Score documents of a run by species: all systems that were scored on the same DNA, and the best at each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from genet5.errors import InputError
from genet5.files import read_json
from genet5.genome.genes import Region
from genet5.report.numbers import is_number

OURS = "genet5"
LEVELS = (
    ("nucleotide", "Nucleotide"),
    ("exon", "Exon"),
    ("intron", "Intron"),
    ("stop", "Stop side"),
    ("transcript", "Transcript"),
    ("gene", "Gene"),
    ("gene_single_exon", "Gene, single exon"),
    ("gene_multi_exon", "Gene, multi-exon"),
)
SYSTEM_NAMES = {
    "orf_atg": "Longest ORF, ATG",
    "orf_all": "Longest ORF, all starts",
    "prodigal": "Prodigal",
    "augustus": "AUGUSTUS",
}
STAGES = ("grpo", "sft", "grpo_crf", "crf")


def system_label(name: str) -> str:
    """A program's name as it is usually written."""
    return SYSTEM_NAMES.get(name, name)


@dataclass(frozen=True, slots=True)
class System:
    """One row of the table: a predictor and the document's entry for it."""

    name: str
    entry: Mapping[str, object]

    @property
    def ours(self) -> bool:
        return self.name == OURS or self.name.startswith(f"{OURS}/")

    @property
    def rank(self) -> tuple[int, int]:
        """Place in the table: our stages first, the latest on top. Known baselines follow, then others."""
        if self.ours:
            stage = self.name.partition("/")[2]
            return 0, STAGES.index(stage) if stage in STAGES else -1
        names = list(SYSTEM_NAMES)
        return 1, names.index(self.name) if self.name in names else len(names)

    @property
    def label(self) -> str:
        return self.name.replace(f"{OURS}/", "GeneT5 ", 1) if self.ours else system_label(self.name)

    def value(self, level: str, what: str = "f1") -> float | None:
        """Precision, recall, F1 or a count of a level; None where undefined or not scored."""
        entry = self.entry.get(level)
        value = entry.get(what) if isinstance(entry, Mapping) else None
        return value if is_number(value) else None

    def number(self, name: str) -> float | None:
        value = self.entry.get(name)
        return value if is_number(value) else None

    def interval(self, level: str) -> tuple[float, float] | None:
        """The 95 % interval of F1, when it was computed and is defined."""
        bootstrap = self.entry.get("bootstrap")
        bounds = bootstrap.get("f1", {}).get(level) if isinstance(bootstrap, Mapping) else None
        if isinstance(bounds, Sequence) and len(bounds) == 2 and all(is_number(bound) for bound in bounds):
            return float(bounds[0]), float(bounds[1])
        return None


@dataclass(slots=True)
class Scoreboard:
    """Every system scored on one species and the same regions. ``regions`` is None for the whole genome."""

    species: str
    regions: tuple[Region, ...] | None
    teacher: str | None
    reference: Mapping[str, object]
    systems: list[System] = field(default_factory=list)

    def is_teacher(self, system: System) -> bool:
        """True for the program whose predictions are the reference."""
        return self.teacher is not None and system.name == self.teacher

    @property
    def contestants(self) -> list[System]:
        return [system for system in self.systems if not self.is_teacher(system)]

    def best(self, level: str) -> float | None:
        """The highest F1 of a level, the teacher aside."""
        values = [value for system in self.contestants if (value := system.value(level)) is not None]
        return max(values, default=None)

    def best_baseline(self, level: str) -> System | None:
        """The strongest system at a level that is neither ours nor the teacher."""
        rivals = [system for system in self.contestants if not system.ours and system.value(level) is not None]
        return max(rivals, key=lambda system: system.value(level), default=None)

    @property
    def where(self) -> str:
        """The scored part of the genome in words, 1-based."""
        if self.regions is None:
            return "whole genome"
        shown = [f"{seqid}:{start + 1:,}-{end:,}" for seqid, start, end in self.regions[:4]]
        more = len(self.regions) - len(shown)
        return "held-out " + ", ".join(shown) + (f" and {more} more regions" if more > 0 else "")


def read_scoreboards(paths: Sequence[str | Path]) -> list[Scoreboard]:
    """The score documents, those of the same species and regions (several stages) merged."""
    boards: dict[tuple, Scoreboard] = {}
    for path in paths:
        document = read_json(path)
        species, systems = document.get("species"), document.get("systems")
        if not isinstance(species, str) or not isinstance(systems, Mapping):
            raise InputError(f"{path}: not a score document: expected 'species' (text) and 'systems' (an object)")
        regions = _regions(document.get("regions"), path)
        reference = document.get("reference")
        board = boards.setdefault(
            (species, regions),
            Scoreboard(species, regions, document.get("teacher"), reference if isinstance(reference, Mapping) else {}),
        )
        known = {system.name for system in board.systems}
        for name, entry in systems.items():
            if not isinstance(entry, Mapping):
                raise InputError(f"{path}: systems.{name} is a {type(entry).__name__}, expected an object of levels")
            if name not in known:
                board.systems.append(System(name, entry))
    for board in boards.values():
        board.systems.sort(key=lambda system: (board.is_teacher(system), system.rank))
    return list(boards.values())


def _regions(value: object, path: str | Path) -> tuple[Region, ...] | None:
    """``[["chrI", 0, 230218], ...]``, 0-based half-open; null is the whole genome."""
    if not value:
        return None
    try:
        return tuple(Region(str(seqid), int(start), int(end)) for seqid, start, end in value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: regions: found {value!r}, expected a list of [seqid, start, end] or null") from error
