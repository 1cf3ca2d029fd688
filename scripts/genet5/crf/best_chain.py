"""The best chain of genes of one strand under the rules of genes, by dynamic programming over the CRF's potentials.

A gene scores the sum of its coding and intron potentials and of those of its sites, and what the lengths of its introns
add, minus ``gene_penalty``. The
strand is read 5' to 3' once, with a running best for every reading frame, so the chain is exact under the rules:
start codons, the first in-frame stop (codons split by introns included), splice pairs, intron lengths, genes cut by
the window's edges. The reading itself is compiled (``chain_reading.py``).

What a chain leaves out of what the rules allow: an exon with a donor has at least three bases; a gene within an
intron of its own strand is not offered; a gene shares ``n`` bases with the next one only if its last segment has at
least ``max_overlap_bp + n``, so that no three genes share bases and no gene shares more than ``max_overlap_bp`` with
those after it or before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from genet5.crf.chain_reading import COMPLETE, Carries, Limits, Marks, prefix_sums, read_strand
from genet5.crf.chain_sums import NO_LENGTHS
from genet5.genome.sites import NO_STOP, GeneRules, StrandSites

LEAST_EXON_BP = 3  # of exons with a donor: a split codon then never spans three exons
SHORT_OVERLAP_BP = 8  # most genes that overlap share 1 or 4 bases of a start and a stop codon


class Found(NamedTuple):
    """A gene in strand coordinates. segments: (begin, end) from 5' to 3'. phase: None if complete at its 5' end."""

    segments: tuple[tuple[int, int], ...]
    phase: int | None
    partial3: bool
    score: float


@dataclass(frozen=True)
class StrandPotentials:
    """Potentials of one strand; those of bases as prefix sums.

    coding: [3, W + 1], bases before the boundary read with codons beginning at positions = frame (mod 3).
    intron: [W + 1]. sites: [4, W + 1], not summed. introns: [L], what an intron of each length below L adds.
    """

    coding: np.ndarray
    intron: np.ndarray
    sites: np.ndarray
    introns: np.ndarray = field(default_factory=lambda: NO_LENGTHS)

    @classmethod
    def of(cls, odds: np.ndarray, sites: np.ndarray, introns: np.ndarray = NO_LENGTHS) -> StrandPotentials:
        """odds: [W, 4], of coding at codon position 0, 1, 2 and of intron. sites: [4, W + 1]."""
        sums = prefix_sums(odds)
        return cls(sums[:3], sums[3], sites, introns)


def best_chain(strand: StrandSites, scores: StrandPotentials, gene_penalty: float) -> list[Found]:
    """The best genes of one strand, 5' to 3'."""
    rules = strand.rules
    limits = Limits(
        rules.min_gene_bp,
        max(rules.min_exon_bp, LEAST_EXON_BP),
        rules.least_intron_bp,
        rules.max_intron_bp,
        rules.max_overlap_bp,
        np.array(_overlaps(rules), dtype=np.int64),
        len(_acceptor_motifs(rules)),
    )
    sums = np.ascontiguousarray(scores.coding), scores.intron, np.ascontiguousarray(scores.sites, dtype=np.float64)
    marks, carries = _marks(strand, limits.overlaps), _carries(strand.stops)
    genes, segments = read_strand(strand.codes, marks, *sums, scores.introns, carries, limits, float(gene_penalty))
    found = []
    for first, last, phase, partial3, score in genes[::-1].tolist():
        pieces = tuple((begin, end) for begin, end in segments[int(first) : int(last)][::-1].tolist())
        found.append(Found(pieces, None if phase == COMPLETE else int(phase), bool(partial3), score))
    return found


def _marks(strand: StrandSites, overlaps: np.ndarray) -> Marks:
    """What may happen at the boundaries of a strand."""
    rules, size = strand.rules, strand.window_bp
    start = strand.start
    if not rules.splice_pairs:  # genes in one piece that are too short could never end
        begins = np.flatnonzero(start)
        ends = strand.stop_end[begins]
        start = np.zeros_like(start)
        start[begins[(ends >= NO_STOP) | (ends - begins >= rules.min_gene_bp)]] = True
    donor, acceptor = np.zeros(size + 1, dtype=np.uint16), np.zeros(size + 1, dtype=np.uint16)
    for bit, motif in enumerate(_acceptor_motifs(rules)):
        pairs = [pair for pair, (_, found) in enumerate(rules.splice_pairs) if found == motif]
        donor |= np.logical_or.reduce([strand.donors[pair] for pair in pairs]).astype(np.uint16) << bit
        acceptor |= strand.acceptors[pairs[0]].astype(np.uint16) << bit
    donor[:LEAST_EXON_BP] = 0  # no exon ends there, and two bases are looked at before a donor
    acceptor[size:] = 0
    stops = np.flatnonzero(strand.stop_here)
    foreseen = np.zeros((len(overlaps), size + 1), dtype=bool)
    for tier, overlap in enumerate(overlaps):
        seen = stops - rules.max_overlap_bp - overlap
        ahead, seen = stops[seen >= 0], seen[seen >= 0]
        # No other stop codon of the frame ends from there on.
        least = np.maximum(seen - 2, 0)
        foreseen[tier, ahead[strand.stop_end[least + (ahead - least) % 3] == ahead]] = True
    return Marks(start, strand.stop_here, donor, acceptor, foreseen)


def _carries(stops: np.ndarray) -> Carries:
    """Classes of carried bases under a genetic code; ``stops``: bool [65], by the index of the codon."""
    codons = np.zeros((5, 5, 5), dtype=bool)
    codons[:4, :4, :4] = stops[:64].reshape(4, 4, 4)
    classes, masks, counts = [], [], [1]
    for table in (codons.reshape(25, 5), codons.reshape(5, 25)):  # [carried, completing]
        distinct, class_of = np.unique(table, axis=0, return_inverse=True)
        classes.append(class_of.reshape(-1))
        masks.append((distinct.astype(np.int64) << np.arange(len(distinct))[:, None]).sum(0))
        counts.append(len(distinct))
    return Carries(*classes, *masks, np.array(counts))


def _overlaps(rules: GeneRules) -> list[int]:
    """Overlaps offered to the gene that follows, in bases."""
    return sorted({rules.max_overlap_bp, min(rules.max_overlap_bp, SHORT_OVERLAP_BP)} - {0})


def _acceptor_motifs(rules: GeneRules) -> list[str]:
    """Acceptor dinucleotides, each once."""
    return list(dict.fromkeys(acceptor for _, acceptor in rules.splice_pairs))
