"""Hints as additions to the potentials of a window.

Each part of a hint (``weights.PARTS``) is a *feature*: one number per base and state, or per boundary and kind of
site, that is multiplied with its weight and added before decoding. Features are linear in their weights, so the weights
are learned as those of any conditional random field. Sites that the bases forbid stay forbidden: nothing is added
that the decoder would read there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from genet5.evidence.hints import (
    CDS_PART,
    EXON_PART,
    INTERGENIC_PART,
    INTRON,
    KINDS,
    SOURCES,
    START,
    STOP,
)
from genet5.evidence.matching import ContigHints, Evidence
from genet5.evidence.weights import HARD_NATS, HARD_NATS_PER_BASE, Weights
from genet5.genome.genes import Region
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, START_SITE, STOP_SITE, WindowSites

NEAR_BP = 1000  # around a hinted intron: other introns of its gene would be seen there, too
_INTRON, _START, _STOP, _CDS, _EXON, _INTERGENIC = (
    KINDS.index(kind) for kind in (INTRON, START, STOP, CDS_PART, EXON_PART, INTERGENIC_PART)
)


class Feature(NamedTuple):
    """One of a strand, in strand coordinates. bases: [W, 4] as the potentials of bases, or None. sites: [4, W + 1], or
    None.
    """

    name: str
    bases: np.ndarray | None
    sites: np.ndarray | None


def strand_features(
    hints: ContigHints, place: Region, sites: WindowSites, row: int, weights: Weights
) -> Iterator[Feature]:
    """The features of a strand of a window. hints: those of its contig that touch it. row: 0 forward, 1 reverse."""
    strength = weights.strength(hints.mult, hints.share)
    own = hints.both | (hints.minus == bool(row))
    for number, source in enumerate(SOURCES):
        chosen = np.flatnonzero(own & (hints.source == number))
        if len(chosen):
            yield from _Strand(hints, place, sites, row, strength, chosen).features(source)


class _Strand:
    """The hints ``chosen`` of one source, as one strand of a window sees them."""

    def __init__(
        self, hints: ContigHints, place: Region, sites: WindowSites, row: int, strength: np.ndarray, chosen: np.ndarray
    ) -> None:
        self.width = place.end - place.start
        start, end = hints.start[chosen], hints.end[chosen]
        if row:
            self.first, self.last = place.end - end, place.end - start
        else:
            self.first, self.last = start - place.start, end - place.start
        self.kind, self.strength = hints.kind[chosen], strength[chosen]
        self.usual, self.frame = hints.usual[chosen], hints.frame[chosen]
        self.allowed = sites.allowed[row]

    def _of(self, kind: int) -> list[tuple[int, int, float, bool, int]]:
        found = np.flatnonzero((self.kind == kind) & (self.strength > 0))
        columns = (self.first, self.last, self.strength, self.usual, self.frame)
        return list(zip(*(column[found].tolist() for column in columns), strict=True))

    def features(self, source: str) -> Iterator[Feature]:
        introns = self._of(_INTRON)
        if introns:
            yield from self._introns(source, introns)
        for kind, part, site in ((_START, "start", START_SITE), (_STOP, "stop", STOP_SITE)):
            if hints := self._of(kind):
                found = self._no_sites()
                for first, last, strength, _, _ in hints:
                    at = first if kind == _START else last
                    if 0 <= at <= self.width:
                        found[site, at] = max(found[site, at], strength)
                yield Feature(f"{source}.{part}", None, found)
        if hints := self._of(_CDS):
            yield Feature(f"{source}.coding", self._coding(hints), None)
        if hints := self._of(_EXON):
            bases = self._no_bases()
            for first, last, strength, _, _ in hints:
                self._spread(bases[:, 3], first, last, -strength)
            bases[:, :3] = -bases[:, 3:]
            yield Feature(f"{source}.covered", bases, None)
        if hints := self._of(_INTERGENIC):
            bases = self._no_bases()
            for first, last, strength, _, _ in hints:
                self._spread(bases[:, 0], first, last, -strength)
            bases[:, 1:] = bases[:, :1]
            yield Feature(f"{source}.irpart", bases, None)

    def _introns(self, source: str, introns: list[tuple[int, int, float, bool, int]]) -> Iterator[Feature]:
        hinted, rare, bases = self._no_sites(), self._no_sites(), self._no_bases()
        seen = np.zeros(self.width + 1)
        for first, last, strength, usual, _ in introns:
            for site, at in ((DONOR_SITE, first), (ACCEPTOR_SITE, last)):
                if 0 <= at <= self.width:
                    of = hinted if usual else rare
                    of[site, at] = max(of[site, at], strength)
            self._spread(bases[:, 3], first, last, strength)
            near = slice(max(first - NEAR_BP, 0), max(last + NEAR_BP, 0))
            seen[near] = np.maximum(seen[near], strength)
        yield Feature(f"{source}.site", None, hinted)
        yield Feature(f"{source}.rare", None, rare)
        yield Feature(f"{source}.intron", bases, None)
        malus = self._no_sites()
        for site in (DONOR_SITE, ACCEPTOR_SITE):
            malus[site] = -np.where(self.allowed[site] & (hinted[site] + rare[site] == 0), seen, 0)
        yield Feature(f"{source}.malus", None, malus)

    def _coding(self, hints: list[tuple[int, int, float, bool, int]]) -> np.ndarray:
        """Codon position p of a base in the frame of its CDSpart; of one without a frame, all three alike."""
        bases = self._no_bases()
        for first, last, strength, _, frame in hints:
            if last <= 0 or first >= self.width or last <= first:
                continue
            at = np.arange(max(first, 0), min(last, self.width))
            value = strength / (last - first)
            if frame < 0:
                bases[at, :3] = np.maximum(bases[at, :3], value)
            else:
                position = (at - first - frame) % 3
                bases[at, position] = np.maximum(bases[at, position], value)
        return bases

    def _spread(self, column: np.ndarray, first: int, last: int, total: float) -> None:
        """``total`` over the bases from first to last, as far as the window shows them; of several the larger."""
        if last > first:
            part = column[max(first, 0) : max(last, 0)]
            value = total / (last - first)
            if total > 0:
                np.maximum(part, value, out=part)
            else:
                np.minimum(part, value, out=part)

    def _no_sites(self) -> np.ndarray:
        return np.zeros((4, self.width + 1))

    def _no_bases(self) -> np.ndarray:
        return np.zeros((self.width, 4))


#: What is forced where the weights are hard: of each feature the nats for a strength of 1.
_HARD = {"site": HARD_NATS, "rare": HARD_NATS, "start": HARD_NATS, "stop": HARD_NATS}


class WindowEvidence:
    """Adds the evidence of a genome to the potentials of its windows."""

    def __init__(self, evidence: Evidence, weights: Weights) -> None:
        self.evidence, self.weights = evidence, weights

    def add(
        self, sites: WindowSites, place: Region, bases: np.ndarray, of_sites: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Potentials with what the hints add. bases: [2, W, 4], of_sites: [2, 4, W + 1]; they stay as they are."""
        contig = self.evidence.contigs.get(place.seqid)
        if contig is None:
            return bases, of_sites
        hints = contig.within(place.start - NEAR_BP, place.end + NEAR_BP)
        if not len(hints.start):
            return bases, of_sites
        bases, of_sites = bases.copy(), of_sites.copy()
        for row in range(2):
            for feature in strand_features(hints, place, sites, row, self.weights):
                self._add(feature, bases[row], of_sites[row])
        return bases, of_sites

    def _add(self, feature: Feature, bases: np.ndarray, of_sites: np.ndarray) -> None:
        part = feature.name.partition(".")[2]
        if feature.sites is not None:
            nats = _HARD.get(part, 0.0) if self.weights.hard else self.weights.nats[feature.name]
            of_sites += (nats * feature.sites).astype(of_sites.dtype)
        if feature.bases is not None:
            if self.weights.hard and part in ("intron", "coding"):
                bases += (HARD_NATS_PER_BASE * np.sign(feature.bases)).astype(bases.dtype)
            elif not self.weights.hard:
                bases += (self.weights.nats[feature.name] * feature.bases).astype(bases.dtype)
