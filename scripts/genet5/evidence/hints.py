"""A hint: a place of a genome where reads or a protein show an intron, a coding part, a start or a stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

RNASEQ, PROTEINS = SOURCES = ("rnaseq", "proteins")
INTRON, START, STOP, CDS_PART, EXON_PART, INTERGENIC_PART = KINDS = (
    "intron",
    "start",
    "stop",
    "CDSpart",
    "exonpart",
    "irpart",
)
NO_FRAME = -1
#: Counts beyond it are no counts of reads.
MOST_READS = 10**15
#: How hints weigh: against what the DNA says, or beyond it.
LEARNED, HARD = HINT_WEIGHTS = ("learned", "hard")


class Hint(NamedTuple):
    """One row of evidence, 0-based half-open on the forward strand.

    source: ``rnaseq`` or ``proteins``. kind: one of ``KINDS``. strand: ``+``, ``-``, or ``.`` where the source does not
    know. mult: reads or proteins that show it, at least 1. frame: of a CDSpart, bases to the first whole codon, counted
    from its 5' end (GFF's column 8), else ``NO_FRAME``. A start or a stop has the place of its codon.
    """

    source: str
    kind: str
    seqid: str
    start: int
    end: int
    strand: str
    mult: int = 1
    frame: int = NO_FRAME

    def shown(self) -> str:
        """``Chr1:3914-3995 + intron (rnaseq, mult 87)``, 1-based and closed."""
        place = f"{self.seqid}:{self.start + 1}-{self.end} {self.strand}"
        return f"{place} {self.kind} ({self.source}, mult {self.mult})"


@dataclass
class HintFile:
    """What a file of evidence holds. form: its format. skipped: rows of types that are no evidence here, by type."""

    path: str
    source: str
    form: str
    hints: list[Hint]
    skipped: dict[str, int] = field(default_factory=dict)
