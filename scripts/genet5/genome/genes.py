"""Genes as the whole project sees them: coding structures in 0-based, half-open, forward-strand coordinates.

Only the readers and writers of this package convert to the 1-based closed coordinates of GFF3, GTF and GenBank.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Interval(NamedTuple):
    """Bases ``start`` .. ``end - 1`` of a sequence, forward strand."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


class Region(NamedTuple):
    """A stretch of one sequence, 0-based half-open."""

    seqid: str
    start: int
    end: int


class DontCare(NamedTuple):
    """Bases that earn neither credit nor blame. ``strand`` is ``+``, ``-`` or ``.`` (both strands)."""

    seqid: str
    start: int
    end: int
    strand: str
    reason: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """One coding structure.

    ``cds`` ascends by position on the forward strand whatever the gene's strand, and contains the stop codon.
    ``phases`` follow ``cds`` one to one with GFF3's meaning: bases to skip, in transcript direction, to the next codon.
    ``complete5``/``complete3`` are False where the structure is cut before its start or after its last known base.
    """

    id: str
    cds: tuple[Interval, ...]
    phases: tuple[int, ...]
    complete5: bool = True
    complete3: bool = True

    @property
    def start(self) -> int:
        return self.cds[0].start

    @property
    def end(self) -> int:
        return self.cds[-1].end

    @property
    def length(self) -> int:
        """Coding bases, stop codon included."""
        return sum(end - start for start, end in self.cds)

    @property
    def introns(self) -> tuple[Interval, ...]:
        return tuple(Interval(left.end, right.start) for left, right in zip(self.cds, self.cds[1:], strict=False))


@dataclass(frozen=True, slots=True)
class Gene:
    """A protein-coding gene; ``transcripts[0]`` is the canonical one.

    ``flags`` name what is wrong with the canonical transcript (see ``checks.py``); a flagged gene is kept and its bases
    are a don't-care region. ``score`` is the predictor's confidence, None for references.
    """

    id: str
    seqid: str
    strand: str
    transcripts: tuple[Transcript, ...]
    biotype: str = "protein_coding"
    flags: frozenset[str] = field(default_factory=frozenset)
    score: float | None = None

    @property
    def canonical(self) -> Transcript:
        return self.transcripts[0]

    @property
    def start(self) -> int:
        return min(transcript.start for transcript in self.transcripts)

    @property
    def end(self) -> int:
        return max(transcript.end for transcript in self.transcripts)


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotation as read: every coding gene in (sequence, start, end, id) order, and don't-care regions.

    ``dont_care`` holds the CDS spans of flagged genes, of pseudogenes and of transposon genes.
    ``counts`` holds what was met and left out, by reason, for logs and data cards.
    """

    genes: tuple[Gene, ...]
    dont_care: tuple[DontCare, ...]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def trusted(self) -> tuple[Gene, ...]:
        """The genes without flags: what is learnt from and scored."""
        return tuple(gene for gene in self.genes if not gene.flags)


def first_phase(transcript: Transcript, strand: str) -> int:
    """Phase of the 5'-most CDS segment (0 for a complete transcript)."""
    return transcript.phases[0] if strand == "+" else transcript.phases[-1]


def phases_from_lengths(cds: tuple[Interval, ...], strand: str, first: int = 0) -> tuple[int, ...]:
    """GFF3 phases of ascending segments when the 5'-most one has phase ``first``."""
    order = cds if strand == "+" else tuple(reversed(cds))
    phases = []
    phase = first
    for start, end in order:
        phases.append(phase)
        phase = (phase - (end - start)) % 3
    return tuple(phases) if strand == "+" else tuple(reversed(phases))
