"""What the network chooses between at each structure token: legal ids, and for boundaries candidate positions.

A decision is made from the grammar's cursor, the same way in training and in decoding. Candidates carry the places at
which CRF scores are looked up, so that the network only gathers numbers (``crf_scores.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from genet5.tokens.grammar import Cursor
from genet5.tokens.grammar_steps import Boundary, Candidates, Step
from genet5.tokens.tokenizer import GeneTokenizer

BOUNDARY_STEPS = {Step.FIVE_LOC, Step.FIVE_OFF, Step.THREE_LOC, Step.THREE_OFF}
LOC_STEPS = {Step.FIVE_LOC, Step.THREE_LOC}


class Kind(IntEnum):
    """What a candidate would be; each kind weighs its CRF scores with its own learned weights."""

    START = 0  # first base of a start codon
    DONOR = 1  # end of an exon, an intron follows
    STOP = 2  # end of the first in-frame stop codon
    EDGE = 3  # end of a gene the window cuts
    ACCEPTOR = 4  # begin of an exon after an intron
    CUT = 5  # begin of a gene the window cuts, at its edge
    NONE = 6  # no further gene in the window


#: columns of a candidate table, all in strand coordinates but PREVIOUS and FORWARD
STRAND, KIND, FRAME, POSITION, ANCHOR, DIRECT, PREVIOUS, FORWARD, RANK, FIRST_CODON = range(10)
COLUMNS = 10


@dataclass
class Decision:
    """One structure token.

    structure: legal ids, or None where a boundary is written. table: int32 [n, 10], the candidates (columns above).
    groups: int32 [n]; for a boundary all 0; for a structure token the index into ``structure`` that the candidate
    supports. is_offset: True for the second token of a boundary, which lies in segment ``loc``.
    """

    structure: np.ndarray | None
    table: np.ndarray
    groups: np.ndarray
    is_offset: bool = False
    loc: int = -1


def _rows(
    cursor: Cursor,
    strand: str,
    kind: np.ndarray | Kind,
    positions: np.ndarray,
    frame: np.ndarray | int,
    anchor: np.ndarray | int,
    read_from: np.ndarray | None = None,
    previous_key: int = -1,
) -> np.ndarray:
    """Candidate table; ``read_from``: first codon start at or after the position, where a candidate opens a segment."""
    table = np.empty((len(positions), COLUMNS), dtype=np.int32)
    window_bp = cursor.window_bp
    table[:, STRAND] = strand == "-"
    table[:, KIND] = kind
    table[:, FRAME] = frame
    table[:, POSITION] = positions
    table[:, ANCHOR] = anchor
    if read_from is None:
        table[:, DIRECT] = positions
    else:
        sites = cursor.sites.strand(strand)
        stop = np.minimum(sites.stop_end[np.minimum(read_from, window_bp + 3)], window_bp)
        table[:, DIRECT] = np.maximum(stop, positions)
    strand_sites = cursor.sites.strand(strand)
    table[:, RANK] = strand_sites.start_rank[positions]
    table[:, FIRST_CODON] = strand_sites.first_start[positions]
    table[:, PREVIOUS] = previous_key
    table[:, FORWARD] = positions if strand == "+" else window_bp - positions
    return table


def _starts(cursor: Cursor, strand: str) -> np.ndarray:
    positions = np.flatnonzero(cursor.gene_starts(strand))
    return _rows(cursor, strand, Kind.START, positions, positions % 3, positions, positions, cursor.previous_key)


def _cuts(cursor: Cursor, strand: str, phases: tuple[int, ...]) -> np.ndarray:
    """Genes cut by the 5' edge, one candidate per phase (those cut within an intron share it)."""
    phase = np.array(phases, dtype=np.int64)
    zero = np.zeros(len(phase), dtype=np.int64)
    table = _rows(cursor, strand, Kind.CUT, zero, phase, 0, phase, cursor.previous_key)
    table[:, RANK] = strand in cursor.cut_strands  # the edge of a strand cuts one gene; more are possible, not likely
    return table


def _nothing_more(cursor: Cursor) -> np.ndarray:
    end = np.array([cursor.window_bp])
    return _rows(cursor, "+", Kind.NONE, end, 0, end, None, cursor.previous_key)


def _structure_decision(cursor: Cursor, tokens: GeneTokenizer, extra: int | None) -> Decision:
    legal = cursor.legal_ids()
    if extra is not None and extra not in legal:
        legal = np.sort(np.append(legal, extra))
    tables: list[np.ndarray] = []
    owners: list[int] = []

    def add(token: int, table: np.ndarray) -> None:
        where = np.flatnonzero(legal == token)
        if len(where) and len(table):
            tables.append(table)
            owners.extend([int(where[0])] * len(table))

    if len(legal) > 1 and cursor.step is Step.GENE:
        for strand, token in (("+", tokens.plus), ("-", tokens.minus)):
            add(token, _starts(cursor, strand))
            add(token, _cuts(cursor, strand, cursor.cut_phases(strand)))
        add(tokens.eos, _nothing_more(cursor))
    elif len(legal) > 1 and cursor.step is Step.OPEN:
        add(tokens.cds, _starts(cursor, cursor.strand))
        add(tokens.partial5, _cuts(cursor, cursor.strand, cursor.cut_phases(cursor.strand)))
    elif len(legal) > 1 and cursor.step is Step.PHASE:
        for phase in range(3):
            add(tokens.phase(phase), _cuts(cursor, cursor.strand, (phase,)))
    table = np.concatenate(tables) if tables else np.empty((0, COLUMNS), dtype=np.int32)
    return Decision(legal, table, np.array(owners, dtype=np.int32))


def _boundary_table(cursor: Cursor, candidates: Candidates, extra: int | None) -> np.ndarray:
    mask = candidates.mask
    if extra is not None and not mask[extra]:
        mask = mask.copy()
        mask[extra] = True
    positions = np.flatnonzero(mask)
    strand = candidates.strand
    if candidates.kind is Boundary.END:
        kind = np.full(len(positions), Kind.DONOR, dtype=np.int32)
        at_end = positions == candidates.terminal
        kind[at_end] = Kind.EDGE if candidates.terminal == cursor.window_bp else Kind.STOP
        return _rows(cursor, strand, kind, positions, candidates.frame, candidates.anchor)
    read_from = positions + candidates.missing
    kind = np.full(len(positions), Kind.START if candidates.kind is Boundary.START else Kind.ACCEPTOR, dtype=np.int32)
    anchor: np.ndarray | int = positions
    if candidates.kind is Boundary.RESUME:
        anchor = candidates.anchor
        if candidates.anchor == 0:
            kind[positions == 0] = Kind.CUT
    return _rows(cursor, strand, kind, positions, read_from % 3, anchor, read_from, candidates.previous_key)


def next_decision(
    cursor: Cursor,
    tokens: GeneTokenizer,
    target: int | None = None,
    target_forward: int | None = None,
) -> Decision:
    """The decision the cursor stands before.

    ``target`` / ``target_forward``: in training, the token or forward position that is right; it is made a candidate
    even where the rules refuse it (a reference gene they do not cover).
    """
    if cursor.step not in BOUNDARY_STEPS:
        return _structure_decision(cursor, tokens, target)
    extra = None if target_forward is None else cursor.forward(cursor.strand, target_forward)
    table = _boundary_table(cursor, cursor.candidates, extra)
    if cursor.step not in LOC_STEPS:
        table = table[table[:, FORWARD] // tokens.segment_bp == cursor.loc]
        return Decision(None, table, np.zeros(len(table), dtype=np.int32), True, cursor.loc)
    return Decision(None, table, np.zeros(len(table), dtype=np.int32))
