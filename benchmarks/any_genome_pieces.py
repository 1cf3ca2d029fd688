"""Pieces of a genome to score: where it is cut, which predictions count on a locus, and genes with verified starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.genome.genes import Annotation, Gene, Region


def copy_within(source: Path, copy: Path) -> int:
    """Copy a GFF file without the rows that end before they start; returns how many these are.

    So some databases write a gene that runs over the origin of a circular genome.
    """
    left_out = 0
    with open_input(source) as stream, atomic_write(copy, "wb") as output:
        for line in stream:
            columns = line.split(b"\t", 5)
            if (
                len(columns) == 6
                and columns[3].isdigit()
                and columns[4].isdigit()
                and int(columns[3]) > int(columns[4])
            ):
                left_out += 1
            else:
                output.write(line)
    return left_out


def cut_regions(lengths: Mapping[str, int], annotation: Annotation, max_bp: int) -> list[Region]:
    """The first contigs, at most ``max_bp`` bases of them (0: all). The last one is cut where no gene lies.

    All regions begin at the first base of their contig, so positions of the cut genome are those of the whole one.
    """
    taken: list[Region] = []
    left = max_bp or sum(lengths.values())
    for seqid, length in lengths.items():
        if length <= left:
            end = length
        else:
            spans = [(gene.start, gene.end) for gene in annotation.genes if gene.seqid == seqid]
            spans += [(area.start, area.end) for area in annotation.dont_care if area.seqid == seqid]
            end = gene_free_place(spans, left)
        if end:
            taken.append(Region(seqid, 0, end))
        left -= end
        if end < length:
            break
    if not taken:
        raise InputError(f"--max-bp: {max_bp}: no gene-free place in so few bases of {next(iter(lengths))}")
    return taken


def whole_loci(lengths: Mapping[str, int], max_bp: int) -> list[Region]:
    """Whole loci, at most ``max_bp`` bases of them (0: all), in the order of a checksum of their names.

    Files of loci are sorted by name, so the first ones are of few species. Raises InputError where the first is longer.
    """
    left = max_bp or sum(lengths.values())
    taken = []
    for seqid in sorted(lengths, key=lambda name: hashlib.sha256(name.encode()).digest()):
        left -= lengths[seqid]
        if left < 0:
            break
        taken.append(Region(seqid, 0, lengths[seqid]))
    if not taken:
        raise InputError(f"--max-bp: {max_bp}: the first locus is longer")
    return taken


def gene_free_place(spans: Iterable[tuple[int, int]], limit: int) -> int:
    """Where to cut at ``limit`` or before it so that no span (start, end) is cut; 0 where there is no such place.

    ``limit`` itself if it lies between genes, else the middle of the last gap before it.
    """
    behind, last_gap = 0, 0
    for start, end in sorted(spans):
        if start >= limit:
            break
        if start > behind:
            last_gap = (behind + start) // 2
        behind = max(behind, end)
    return limit if behind <= limit else last_gap


def on_loci(predicted: Iterable[Gene], annotation: Annotation) -> list[Gene]:
    """The predicted genes with coding bases inside the span of an annotated gene, on its strand.

    Of a locus one gene is annotated. Predictions elsewhere may be right or wrong, nobody knows, so they are not scored.
    A prediction that reaches the gene counts with all its exons, also those in the flanks.
    """
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for gene in annotation.genes:
        spans.setdefault((gene.seqid, gene.strand), []).append((gene.start, gene.end))
    return [
        gene
        for gene in predicted
        if any(
            cds.start < end and start < cds.end
            for start, end in spans.get((gene.seqid, gene.strand), ())
            for transcript in gene.transcripts
            for cds in transcript.cds
        )
    ]


class VerifiedGene(NamedTuple):
    """A gene whose start was found by experiment; 0-based half-open."""

    seqid: str
    start: int
    end: int
    strand: str


def read_verified(path: Path, regions: Sequence[Region]) -> list[VerifiedGene]:
    """The verified genes that lie whole in the regions. Raises InputError where there are none."""
    areas = {region.seqid: region for region in regions}
    found = []
    with open_input(path) as stream:
        for number, line in enumerate(stream, start=1):
            if line.startswith(b"#") or not line.strip():
                continue
            columns = line.decode("utf-8").rstrip("\n").split("\t")
            if len(columns) < 8 or not columns[3].isdigit() or not columns[4].isdigit() or columns[6] not in "+-":
                raise InputError(f"{path}, line {number}: expected a row of GFF with a strand, found {columns}")
            seqid, start, end = columns[0], int(columns[3]) - 1, int(columns[4])
            area = areas.get(seqid)
            if columns[2] == "CDS" and area and area.start <= start and end <= area.end:
                found.append(VerifiedGene(seqid, start, end, columns[6]))
    if not found:
        raise InputError(f"{path}: no CDS row lies in {', '.join(list(areas)[:4])}")
    return found


class VerifiedStarts(NamedTuple):
    """Counts of verified genes: all, those whose stop was predicted, and of these those with the right start too."""

    genes: int
    stops: int
    exact: int


def count_verified(verified: Sequence[VerifiedGene], predicted: Iterable[Gene]) -> VerifiedStarts:
    """A gene is found by its last base, stop codon included; its start is right if the first base agrees as well."""
    starts: dict[tuple[str, str, int], set[int]] = {}
    for gene in predicted:
        for transcript in gene.transcripts:
            first, last = _ends(transcript.start, transcript.end, gene.strand)
            starts.setdefault((gene.seqid, gene.strand, last), set()).add(first)
    stops = exact = 0
    for gene in verified:
        first, last = _ends(gene.start, gene.end, gene.strand)
        predicted_starts = starts.get((gene.seqid, gene.strand, last), set())
        stops += bool(predicted_starts)
        exact += first in predicted_starts
    return VerifiedStarts(len(verified), stops, exact)


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """95 % interval (Wilson's) of a share; ``total`` at least 1."""
    z = 1.959964
    share, spread = right / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * (share * (1 - share) / total + spread / (4 * total)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def _ends(start: int, end: int, strand: str) -> tuple[int, int]:
    return (start, end) if strand == "+" else (end, start)
