"""Simple gene finders that any other must beat on the same DNA: a scan for long reading frames, and Prodigal.

Both read only the scored regions. They return one transcript per gene, and the CPU seconds of this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genet5.errors import InputError
from genet5.evaluate.features import merged_regions
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Interval, Region, Transcript
from genet5.genome.genetic_code import NUM_CODONS, GeneticCode, codon_number, codon_numbers, reverse_complement
from genet5.genome.prodigal import VERSION, find_genes

ATG = frozenset({"ATG"})
ATG_GTG_TTG = frozenset({"ATG", "GTG", "TTG"})
MIN_ORF_BP = 300
MIN_ORF_BP_PROKARYOTE = 210
PROKARYOTE_TABLES = frozenset({4, 11, 25})
MAX_TAKEN = 0.3
"""A reading frame is dropped when more than this share of it is taken by longer ones, on either strand."""

Array = NDArray[np.int64]


class Baseline(NamedTuple):
    """Genes, how long they took, and how they were made. ``kb_per_cpu_s`` counts the bases of one strand."""

    genes: list[Gene]
    cpu_s: float
    bases: int
    options: dict

    @property
    def kb_per_cpu_s(self) -> float:
        return self.bases / 1000 / max(self.cpu_s, 1e-9)


def min_orf_bp(code: GeneticCode) -> int:
    """Shortest reading frame worth calling: 210 bases under a prokaryote's genetic code, else 300."""
    return MIN_ORF_BP_PROKARYOTE if code.table in PROKARYOTE_TABLES else MIN_ORF_BP


def orf_scan(
    genome: Genome,
    code: GeneticCode,
    starts: Iterable[str] = ATG,
    min_bp: int | None = None,
    regions: Sequence[Region] | None = None,
) -> Baseline:
    """Every start..stop reading frame of at least ``min_bp`` (stop included) in six frames, longest first.

    Of frames with the same stop only the longest counts. A frame is dropped when longer ones take more than 30 % of it,
    on either strand. A codon of three unknown letters breaks a frame. ``min_bp`` defaults to ``min_orf_bp(code)``.
    """
    starts = frozenset(starts)
    min_bp = min_orf_bp(code) if min_bp is None else min_bp
    areas = _areas(genome, regions)
    began = time.process_time()
    is_start, is_stop = _codon_table(starts), _codon_table(code.stops)
    genes: list[Gene] = []
    for area in areas:
        sequence = genome.sequence(*area).encode("ascii")
        found = [_frames(sequence, is_start, is_stop, min_bp)]
        found.append(_frames(reverse_complement(sequence), is_start, is_stop, min_bp))
        found[1] = (len(sequence) - found[1][1], len(sequence) - found[1][0])
        start, end = (np.concatenate(pair) for pair in zip(*found, strict=True))
        reverse = np.repeat([False, True], [len(side[0]) for side in found])
        kept = _longest_first(start, end, reverse, len(sequence))
        for index in kept:
            strand = "-" if reverse[index] else "+"
            cds = Interval(area.start + int(start[index]), area.start + int(end[index]))
            name = f"orf_{len(genes) + 1}"
            genes.append(Gene(name, area.seqid, strand, (Transcript(f"{name}.1", (cds,), (0,)),)))
    options = {"tool": "orf_scan", "starts": sorted(starts), "min_bp": min_bp, "max_taken": MAX_TAKEN}
    return _finish(genes, began, areas, options | {"genetic_code": code.table})


def prodigal(genome: Genome, code: GeneticCode, regions: Sequence[Region] | None = None) -> Baseline:
    """Prodigal (pyrodigal), trained on the input itself. On less than 20 kb it uses its ready-made models.

    ``options["mode"]`` is ``single`` for the former, ``meta`` for the latter. Genes cut by the end of a region are
    partial. Raises InputError for a genetic code that Prodigal does not know.
    """
    areas = _areas(genome, regions)
    began = time.process_time()
    genes, training_bp = find_genes(genome, code, areas, ready_made=True)
    options = {"tool": VERSION, "mode": "single" if training_bp else "meta", "genetic_code": code.table}
    return _finish(genes, began, areas, options | {"training_bp": training_bp})


BASELINES: dict[str, Callable[[Genome, GeneticCode, Sequence[Region] | None], Baseline]] = {
    "orf_atg": lambda genome, code, regions: orf_scan(genome, code, ATG, None, regions),
    "orf_all": lambda genome, code, regions: orf_scan(genome, code, ATG_GTG_TTG, None, regions),
    "prodigal": prodigal,
}
"""Baselines by the name they carry in tables."""


def run_baseline(name: str, genome: Genome, code: GeneticCode, regions: Sequence[Region] | None = None) -> Baseline:
    """One of ``BASELINES``; an unknown name is an InputError."""
    if name not in BASELINES:
        raise InputError(f"baselines: {name!r} is not known; allowed: {', '.join(BASELINES)}")
    return BASELINES[name](genome, code, regions)


def _areas(genome: Genome, regions: Sequence[Region] | None) -> list[Region]:
    whole = [Region(name, 0, length) for name, length in genome.lengths.items()]
    return merged_regions(whole if regions is None else regions, genome.lengths)


def _finish(genes: list[Gene], began: float, areas: Sequence[Region], options: dict) -> Baseline:
    cpu_s = time.process_time() - began
    return Baseline(genes, cpu_s, sum(area.end - area.start for area in areas), options)


def _codon_table(codons: Iterable[str]) -> NDArray[np.bool_]:
    table = np.zeros(NUM_CODONS, bool)
    table[[codon_number(codon) for codon in codons]] = True
    return table


def _frames(
    sequence: bytes, is_start: NDArray[np.bool_], is_stop: NDArray[np.bool_], min_bp: int
) -> tuple[Array, Array]:
    """Longest start..stop reading frame before each stop of one strand: starts and ends in bases of ``sequence``."""
    starts, ends = [], []
    unknown = NUM_CODONS - 1
    for frame in range(3):
        codons = codon_numbers(sequence[frame:])
        closing = is_stop[codons]
        breaks = np.flatnonzero(closing | (codons == unknown))
        opening = np.flatnonzero(is_start[codons])
        if not len(breaks) or not len(opening):
            continue
        after = np.concatenate(([0], breaks[:-1] + 1))
        # The first start codon behind the previous break, if it comes before this one.
        place = np.searchsorted(opening, after)
        first = opening[np.minimum(place, len(opening) - 1)]
        good = (place < len(opening)) & (first < breaks) & closing[breaks] & (3 * (breaks + 1 - first) >= min_bp)
        starts.append(frame + 3 * first[good])
        ends.append(frame + 3 * (breaks[good] + 1))
    if not starts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(starts), np.concatenate(ends)


def _longest_first(start: Array, end: Array, reverse: NDArray[np.bool_], length: int) -> list[int]:
    """Indices of the frames kept, in order of position. Equal lengths: the leftmost first, then the forward strand."""
    order = np.lexsort((reverse, start, start - end))
    taken = bytearray(length)
    kept = []
    for index, low, high in zip(order.tolist(), start[order].tolist(), end[order].tolist(), strict=True):
        if taken.count(1, low, high) <= MAX_TAKEN * (high - low):
            taken[low:high] = b"\1" * (high - low)
            kept.append(index)
    return sorted(kept, key=lambda index: (start[index], end[index], reverse[index]))
