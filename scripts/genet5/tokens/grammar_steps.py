"""What the grammar decides at each token: its steps, the boundaries of a segment, and where these may stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np


class Step(Enum):
    """What the next token decides."""

    GENE = auto()  # <+>, <-> or <eos>
    OPEN = auto()  # <cds> or <partial5>
    PHASE = auto()  # <phase_0..2>
    CDS = auto()  # <cds>, nothing else
    FIVE_LOC = auto()  # 5' boundary of a segment: mile-post, then offset
    FIVE_OFF = auto()
    THREE_LOC = auto()  # 3' boundary
    THREE_OFF = auto()
    AFTER = auto()  # after a segment: <cds>, <partial3> or <end>
    END = auto()  # <end>, nothing else
    DONE = auto()


class Boundary(Enum):
    """Which boundary of a segment is written."""

    START = auto()  # 5' boundary of a complete gene: a start codon
    RESUME = auto()  # 5' boundary after an intron, or of a gene that the window cuts
    END = auto()  # 3' boundary


class SegmentEnd(Enum):
    """What the last written segment ended at."""

    STOP = auto()
    EDGE = auto()
    DONOR = auto()


class GrammarViolation(ValueError):
    """A token the grammar does not allow at this point."""


@dataclass
class Candidates:
    """Where a boundary may stand and how its segment is read; positions in strand coordinates.

    mask: bool [window_bp + 1]. kind: START (start codons), RESUME (acceptors, or the edge of a cut gene), END (donors
    and the terminal). frame: codons of the segment being read begin at positions = frame (mod 3) (END only). missing:
    bases that complete the codon split by the last intron or by the edge (RESUME only). terminal: where the segment
    must end at the latest: the first in-frame stop, or the edge (END only, else -1). anchor: 5' boundary of the segment
    (END), donor of the intron just opened (RESUME), else 0. previous_key: first boundary of the gene before.
    """

    kind: Boundary
    strand: str
    mask: np.ndarray
    frame: int = 0
    missing: int = 0
    terminal: int = -1
    anchor: int = 0
    previous_key: int = -1
