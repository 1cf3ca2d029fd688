"""Genes as arrays: every sequence and strand is a lane of one integer axis, so that scoring is one-dimensional.

On lane ``2 * sequence + (strand is '-')`` the base at position p of the sequence is at ``origin[lane] + p``. Lanes do
not touch, so no interval reaches into another sequence or strand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genet5.errors import InputError
from genet5.evaluate.intervals import Integers, IntervalSet, union
from genet5.genome.genes import DontCare, Gene, Region

_MARGIN_BP = 1 << 20
"""Bases between lanes: room for annotations that run past a sequence's end (circular origins)."""


class Axis:
    """Where each (sequence, strand) lies on the axis."""

    def __init__(self, lengths: Mapping[str, int]) -> None:
        self.lengths = dict(lengths)
        spans = np.repeat(np.array(list(self.lengths.values()), np.int64), 2) + 2 * _MARGIN_BP
        self.origins = np.cumsum(spans) - spans + _MARGIN_BP
        plus, minus = self.origins[0::2].tolist(), self.origins[1::2].tolist()
        self._origin = {(name, "+"): origin for name, origin in zip(self.lengths, plus, strict=True)}
        self._origin |= {(name, "-"): origin for name, origin in zip(self.lengths, minus, strict=True)}

    def origin(self, seqid: str, strand: str) -> int:
        """Axis position of base 0; an unknown sequence or strand is an InputError."""
        try:
            return self._origin[seqid, strand]
        except KeyError:
            if seqid not in self.lengths:
                raise InputError(f"scores: sequence {seqid!r} is not in the genome ({_some(self.lengths)})") from None
            raise InputError(f"scores: strand {strand!r} on {seqid}: allowed are '+' and '-'") from None

    def both_strands(self, intervals: Iterable[tuple[str, int, int]]) -> IntervalSet:
        """Axis set of (seqid, start, end), on both strands."""
        return self.stranded((seqid, start, end, ".") for seqid, start, end in intervals)

    def stranded(self, intervals: Iterable[tuple[str, int, int, str]]) -> IntervalSet:
        """Axis set of (seqid, start, end, strand); strand ``.`` means both."""
        starts, ends = [], []
        for seqid, start, end, strand in intervals:
            for side in "+-" if strand == "." else strand:
                origin = self.origin(seqid, side)
                starts.append(origin + start)
                ends.append(origin + end)
        return union(np.array(starts, np.int64), np.array(ends, np.int64))

    def dont_care(self, regions: Iterable[DontCare]) -> IntervalSet:
        """Axis set of don't-care regions; those on sequences the genome does not have are left out."""
        return self.stranded(region[:4] for region in regions if region.seqid in self.lengths)

    def is_reverse(self, positions: Integers) -> NDArray[np.bool_]:
        """Whether axis positions lie on a reverse-strand lane."""
        return (np.searchsorted(self.origins - _MARGIN_BP, positions, side="right") - 1) % 2 == 1


@dataclass(frozen=True)
class Coding:
    """Coding structures of a list of genes as arrays on an axis.

    Segment arrays (``start``, ``end``, ``transcript``) are in the order of genes, transcripts and ascending position;
    ``transcript`` indexes the transcript arrays, ``gene`` (one per transcript) the genes. ``chains`` holds a hashable
    key per transcript: lane and exact CDS.
    """

    genes: tuple[Gene, ...]
    start: Integers
    end: Integers
    transcript: Integers
    gene: Integers
    complete5: NDArray[np.bool_]
    complete3: NDArray[np.bool_]
    reverse: NDArray[np.bool_]
    first: Integers
    last: Integers
    length: Integers
    chains: tuple[tuple, ...]

    @staticmethod
    def of(genes: Sequence[Gene], axis: Axis, *, canonical_only: bool = False) -> Coding:
        """Flatten genes; with ``canonical_only`` only the first transcript of each."""
        starts: list[int] = []
        ends: list[int] = []
        gene_of: list[int] = []
        segments: list[int] = []
        complete5, complete3, reverse, chains = [], [], [], []
        for index, gene in enumerate(genes):
            origin = axis.origin(gene.seqid, gene.strand)
            for transcript in gene.transcripts[:1] if canonical_only else gene.transcripts:
                cds = transcript.cds
                starts += [origin + segment[0] for segment in cds]
                ends += [origin + segment[1] for segment in cds]
                segments.append(len(cds))
                gene_of.append(index)
                complete5.append(transcript.complete5)
                complete3.append(transcript.complete3)
                reverse.append(gene.strand == "-")
                chains.append((origin, cds))
        number = np.array(segments, np.int64)
        start, end = np.array(starts, np.int64), np.array(ends, np.int64)
        last = np.cumsum(number) - 1
        transcript = np.repeat(np.arange(len(number)), number)
        return Coding(
            genes=tuple(genes),
            start=start,
            end=end,
            transcript=transcript,
            gene=np.array(gene_of, np.int64),
            complete5=np.array(complete5, bool),
            complete3=np.array(complete3, bool),
            reverse=np.array(reverse, bool),
            first=last - number + 1,
            last=last,
            length=np.bincount(transcript, end - start, len(number)).astype(np.int64),
            chains=tuple(chains),
        )

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Per transcript: whole from start codon to stop codon."""
        return self.complete5 & self.complete3

    @property
    def multi_exon(self) -> NDArray[np.bool_]:
        """Per gene: whether its canonical transcript has more than one CDS segment."""
        return np.array([len(gene.transcripts[0].cds) > 1 for gene in self.genes], bool)

    def gene_position(self) -> Integers:
        """Per gene: axis position of its first coding base."""
        position = np.full(len(self.genes), np.iinfo(np.int64).max)
        np.minimum.at(position, self.gene, self.start[self.first])
        return position


def _some(names: Mapping[str, int], most: int = 4) -> str:
    shown = ", ".join(list(names)[:most])
    return f"it has {shown}" + (f", ... {len(names)} in all" if len(names) > most else "")


def merged_regions(regions: Sequence[Region], lengths: Mapping[str, int]) -> list[Region]:
    """Regions in genome order, touching and overlapping ones joined, clipped to their sequences."""
    rank = {name: index for index, name in enumerate(lengths)}
    for region in regions:
        if region.seqid not in rank:
            raise InputError(f"regions: sequence {region.seqid!r} is not in the genome ({_some(lengths)})")
    merged: list[Region] = []
    for seqid, start, end in sorted(regions, key=lambda region: (rank[region.seqid], region.start)):
        start, end = max(start, 0), min(end, lengths[seqid])
        if merged and merged[-1].seqid == seqid and start <= merged[-1].end:
            merged[-1] = Region(seqid, merged[-1].start, max(end, merged[-1].end))
        elif end > start:
            merged.append(Region(seqid, start, end))
    return merged
