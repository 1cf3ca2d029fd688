"""Hints of aligned reads in BAM or CRAM: introns with the number of their reads, and where exons are covered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genet5.errors import InputError
from genet5.evidence.hints import EXON_PART, INTRON, Hint, HintFile

if TYPE_CHECKING:
    import pysam

LEAST_ANCHOR_BP = 6  # of a read on either side of an intron
LEAST_QUALITY = 1  # of the mapping; 0 stands for a read that fits at several places
BIN_BP = 20  # coverage is told in steps of that many bases
LEAST_COVERAGE = 2.0  # mean reads of a covered stretch
_UNUSABLE = 0x4 | 0x100 | 0x200 | 0x400 | 0x800  # unmapped, secondary, failed, duplicate, supplementary
_MATCHES, _DELETED, _SKIPPED = (0, 7, 8), 2, 3  # operations of CIGAR


def read_alignment_file(path: str | Path, source: str, genome: str | Path | None = None) -> HintFile:
    """Introns and covered stretches of BAM or CRAM, sorted or not. genome: the FASTA file, which CRAM may need.

    The strand of an intron is what the aligner says (tags XS and ts), else ``.``. Raises ``InputError``.
    """
    import pysam  # not needed by those who have no such file

    introns: dict[tuple[int, int, int, str], int] = {}
    steps: dict[int, np.ndarray] = {}
    before = pysam.set_verbosity(0)  # its own messages would stand beside the one line of an error
    try:
        with pysam.AlignmentFile(
            str(path), check_sq=False, reference_filename=str(genome) if genome else None
        ) as reads:
            names, lengths = reads.references, reads.lengths
            for read in _usable(reads):
                contig = read.reference_id
                if contig not in steps:
                    steps[contig] = np.zeros(lengths[contig] + 1, np.int32)
                _count_read(read, contig, introns, steps[contig])
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no whole BAM or CRAM file ({error})") from error
    finally:
        pysam.set_verbosity(before)
    hints = [
        Hint(source, INTRON, names[contig], start, end, strand, mult)
        for (contig, start, end, strand), mult in introns.items()
    ]
    for contig in sorted(steps):
        hints += covered_stretches(steps[contig], names[contig], source)
    return HintFile(str(path), source, "aligned reads", hints)


def _usable(reads: pysam.AlignmentFile) -> Iterator[pysam.AlignedSegment]:
    for read in reads.fetch(until_eof=True):
        if not read.flag & _UNUSABLE and read.mapping_quality >= LEAST_QUALITY and read.cigartuples:
            yield read


def _count_read(
    read: pysam.AlignedSegment, contig: int, introns: dict[tuple[int, int, int, str], int], steps: np.ndarray
) -> None:
    """Adds a read to the counts of introns, and to the steps of coverage (its sum is the coverage)."""
    parts = read.cigartuples
    begin = at = read.reference_start
    gaps = []
    for operation, length in parts:
        if operation in _MATCHES or operation == _DELETED:
            at += length
        elif operation == _SKIPPED:
            steps[begin] += 1
            steps[at] -= 1
            gaps.append((begin, at, at + length))
            begin = at = at + length
    steps[begin] += 1
    steps[at] -= 1
    for number, (left, start, end) in enumerate(gaps):
        right = gaps[number + 1][1] if number + 1 < len(gaps) else at
        if min(start - left, right - end) >= LEAST_ANCHOR_BP:
            key = contig, start, end, _strand(read)
            introns[key] = introns.get(key, 0) + 1


def _strand(read: pysam.AlignedSegment) -> str:
    """Of the transcript: XS says it outright (STAR, HISAT2), ts beside the strand of the read (minimap2)."""
    if read.has_tag("XS"):
        said = read.get_tag("XS")
        return said if said in ("+", "-") else "."
    if read.has_tag("ts"):
        same = read.get_tag("ts") == "+"
        return "+" if same != read.is_reverse else "-"
    return "."


def covered_stretches(steps: np.ndarray, seqid: str, source: str) -> list[Hint]:
    """Stretches of about even coverage, as hints of exons on an unknown strand; ``mult``: their mean coverage.

    steps: [length + 1], how much the coverage changes at each base. Coverages within a factor of two are one stretch.
    """
    coverage = np.cumsum(steps[:-1])
    if not len(coverage):
        return []
    edges = np.arange(0, len(coverage), BIN_BP)
    sizes = np.diff(np.append(edges, len(coverage)))
    means = np.add.reduceat(coverage, edges) / sizes
    levels = np.where(means >= LEAST_COVERAGE, np.log2(np.maximum(means, 1)).astype(np.int64), -1)
    turns = np.flatnonzero(np.diff(levels)) + 1
    firsts, lasts = np.append(0, turns), np.append(turns, len(levels))
    ends = edges + sizes
    found = []
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        if levels[first] >= 0:
            start, end = int(edges[first]), int(ends[last - 1])
            found.append(Hint(source, EXON_PART, seqid, start, end, ".", max(1, round(means[first:last].mean()))))
    return found
