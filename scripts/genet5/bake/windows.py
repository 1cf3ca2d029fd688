"""The windows of a region: a regular grid, moved windows for genes it cuts, and what is left out."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from genet5.bake.samples import SampleGene, count_introns, gene_key, visible_genes
from genet5.errors import InputError
from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation, Gene, Interval, Region
from genet5.genome.spans import true_runs
from genet5.genome.splits import GeneIndex, genes_in_region

_SCAN_BP = 1 << 20
"""Bases of a contig looked at together for runs of N."""

_NO_RUNS = np.zeros((0, 2), dtype=np.int64)
_NO_RUNS.setflags(write=False)


@dataclass(frozen=True, slots=True)
class WindowRules:
    """How windows are laid and chosen; lengths in bp, shares from 0 to 1.

    ``empty_share``: most windows without a gene among those kept. ``max_n_share``: windows with more N are dropped.
    ``max_windows``, ``max_validation_windows``: caps on a species' windows of these splits, None for no cap.
    """

    window_bp: int
    stride_bp: int
    flank_bp: int
    empty_share: float = 0.1
    max_n_share: float = 0.5
    max_windows: int | None = None
    max_validation_windows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        checks = (
            ("window_bp", self.window_bp >= 1, "at least 1"),
            ("stride_bp", 1 <= self.stride_bp <= self.window_bp, f"from 1 to window_bp, {self.window_bp}"),
            ("flank_bp", self.flank_bp >= 0, "0 or more"),
            ("empty_share", 0 <= self.empty_share < 1, "from 0 to below 1"),
            ("max_n_share", 0 <= self.max_n_share <= 1, "from 0 to 1"),
            *(
                (name, cap is None or cap >= 1, "at least 1, or left out")
                for name, cap in (
                    ("max_windows", self.max_windows),
                    ("max_validation_windows", self.max_validation_windows),
                )
            ),
        )
        for name, is_valid, allowed in checks:
            if not is_valid:
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must be {allowed}")


class SpanIndex:
    """Spans of one contig, ascending by start, that answer which of them share a base with a window."""

    def __init__(self, starts: Iterable[int], ends: Iterable[int]) -> None:
        self.starts = np.fromiter(starts, dtype=np.int64)
        # The running maximum ascends where the ends themselves do not (nested spans), so it can be bisected.
        ends = np.fromiter(ends, dtype=np.int64)
        self.ends = ends
        self._reach = np.maximum.accumulate(ends) if len(ends) else ends

    def candidates(self, start: Any, end: Any) -> tuple[Any, Any]:
        """First and last (not included) of the spans among which those are that touch ``[start, end)``; also arrays."""
        return self._reach.searchsorted(start, side="right"), self.starts.searchsorted(end, side="left")

    def overlapping(self, start: int, end: int) -> list[int]:
        """Numbers of the spans that touch ``[start, end)``, ascending."""
        first, last = map(int, self.candidates(start, end))
        return (first + np.flatnonzero(self.ends[first:last] > start)).tolist()


@dataclass(frozen=True, slots=True)
class RegionGenes:
    """What one split region holds, in contig coordinates.

    ``genes``: canonical transcripts of the trusted genes that lie whole inside, in ``gene_key`` order. ``flags``: flags
    of the flagged genes inside, one tuple a gene. ``cut``: trusted genes that a boundary cuts. ``dont_care``: spans
    ``(start, end, strand)``, clipped to the region, ascending.
    """

    region: Region
    genes: tuple[SampleGene, ...]
    flags: tuple[frozenset[str], ...]
    cut: int
    dont_care: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """The windows of one region, one row each and ascending: int64 arrays of equal length.

    ``start``/``end``: core window on the contig. ``num_genes``, ``num_partial``, ``num_introns``, ``coding_bp``: what
    it shows. The rest counts what happened on the way: ``scanned`` windows looked at, of which ``grid`` from the
    regular grid, ``moved`` to hold genes the grid cuts, and ``narrowed`` around genes whose full window is mostly N;
    ``mostly_n`` dropped for their N. ``lost_to_n``: genes that fit but that no window can hold for their own N.
    """

    start: np.ndarray
    end: np.ndarray
    num_genes: np.ndarray
    num_partial: np.ndarray
    num_introns: np.ndarray
    coding_bp: np.ndarray
    grid: int
    moved: int
    narrowed: int
    mostly_n: int
    lost_to_n: int

    @property
    def scanned(self) -> int:
        return self.grid + self.moved + self.narrowed

    def subset(self, chosen: np.ndarray) -> RegionPlan:
        """The rows where ``chosen`` (bool) is true; counts are kept."""
        names = ("start", "end", "num_genes", "num_partial", "num_introns", "coding_bp")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def canonical_gene(gene: Gene) -> SampleGene:
    """The canonical transcript of ``gene``, in contig coordinates."""
    transcript = gene.canonical
    return SampleGene(
        gene.id, gene.strand, transcript.cds, transcript.phases, transcript.complete5, transcript.complete3
    )


class AnnotationIndex:
    """Genes and don't-care spans of an annotation by position."""

    def __init__(self, annotation: Annotation) -> None:
        self._genes = GeneIndex(annotation.genes)
        self._seqids = {gene.seqid for gene in annotation.genes} | {span.seqid for span in annotation.dont_care}
        by_seqid: dict[str, set[tuple[int, int, str]]] = {}
        for seqid, start, end, strand, _ in annotation.dont_care:
            by_seqid.setdefault(seqid, set()).add((start, end, strand))
        self._dont_care = {}
        for seqid, members in by_seqid.items():
            spans = sorted(members)
            self._dont_care[seqid] = spans, SpanIndex((span[0] for span in spans), (span[1] for span in spans))

    def content(self, region: Region) -> RegionGenes:
        """What ``region`` holds.

        The CDS segments of trusted genes that a boundary cuts become don't-care: the rest of such a gene belongs to
        another split, so nothing may be learnt from its stump.
        """
        if region.seqid not in self._seqids:
            return RegionGenes(region, (), (), 0, ())
        inside, cut = genes_in_region(self._genes, region)
        cut = tuple(gene for gene in cut if not gene.flags)
        listed, index = self._dont_care.get(region.seqid, ([], SpanIndex((), ())))
        spans = {listed[number] for number in index.overlapping(region.start, region.end)}
        spans.update((start, end, gene.strand) for gene in cut for start, end in gene.canonical.cds)
        clipped = {
            (max(start, region.start), min(end, region.end), strand)
            for start, end, strand in spans
            if start < region.end and end > region.start
        }
        return RegionGenes(
            region,
            tuple(sorted((canonical_gene(gene) for gene in inside if not gene.flags), key=gene_key)),
            tuple(gene.flags for gene in inside if gene.flags),
            len(cut),
            tuple(sorted(clipped)),
        )


def n_runs(genome: Genome, region: Region) -> np.ndarray:
    """Runs of N (either case) in ``region``, int64 of shape (runs, 2), contig coordinates, ascending.

    The region is read in pieces; a run that crosses pieces stays one run or becomes two that touch.
    """
    runs = [_NO_RUNS]
    for start in range(region.start, region.end, _SCAN_BP):
        end = min(start + _SCAN_BP, region.end)
        if genome.holds_n(region.seqid, start, end):
            text = genome.sequence(region.seqid, start, end)
            is_n = np.frombuffer(text.encode("ascii"), dtype=np.uint8) == ord("N")
            runs.append(true_runs(is_n) + start)
    return np.concatenate(runs) if len(runs) > 1 else _NO_RUNS


def count_n(runs: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """N bases in each window ``[start, end)``, int64, from ``n_runs``."""
    if not len(runs):
        return np.zeros(len(start), dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(runs[:, 1] - runs[:, 0])))

    def up_to(position: np.ndarray) -> np.ndarray:
        run = np.searchsorted(runs[:, 0], position, side="right")
        last = np.maximum(run - 1, 0)
        inside = np.clip(position - runs[last, 0], 0, runs[last, 1] - runs[last, 0])
        return before[last] + np.where(run > 0, inside, 0)

    return up_to(end) - up_to(start)


def grid_starts(region: Region, window_bp: int, stride_bp: int) -> np.ndarray:
    """Starts of the regular windows: every ``stride_bp``, the last one moved back to end with the region.

    A region shorter than a window has one window, as long as the region.
    """
    last = region.end - window_bp
    if last <= region.start:
        return np.array([region.start], dtype=np.int64)
    return np.append(np.arange(region.start, last, stride_bp, dtype=np.int64), last)


def plan_region(content: RegionGenes, runs: np.ndarray, rules: WindowRules) -> RegionPlan:
    """Windows of a region such that every gene that fits is whole in at least one, those of mostly N left out."""
    region = content.region
    if not content.genes and not len(runs) and region.end - region.start <= rules.window_bp:
        return _one_empty_window(region.start, region.end)
    starts = grid_starts(region, rules.window_bp, rules.stride_bp).tolist()
    grid = [Interval(start, min(start + rules.window_bp, region.end)) for start in starts]
    usable = _without_n(grid, runs, rules)
    fitting = [gene for gene in content.genes if gene.end - gene.start <= rules.window_bp]
    uncovered = _uncovered(fitting, usable)
    moved, groups = _moved_windows(uncovered, region, rules.window_bp)
    moved_usable = set(_without_n(moved, runs, rules))
    # Around a gene in a sea of N a window of full length is mostly N: one as short as the gene allows is not.
    stranded = [
        gene for window, group in zip(moved, groups, strict=True) if window not in moved_usable for gene in group
    ]
    narrowed = [_narrow_window(gene, region, rules.window_bp) for gene in stranded]
    narrowed_usable = set(_without_n(narrowed, runs, rules))
    chosen = sorted({*usable, *moved_usable, *narrowed_usable})
    new_moved = set(moved) - set(grid)
    new_narrowed = set(narrowed) - set(grid) - new_moved
    bounds = np.array(chosen, dtype=np.int64).reshape(-1, 2)
    return RegionPlan(
        bounds[:, 0],
        bounds[:, 1],
        *_contents(content.genes, chosen).T,
        grid=len(grid),
        moved=len(new_moved),
        narrowed=len(new_narrowed),
        mostly_n=len(grid) + len(new_moved) + len(new_narrowed) - len(chosen),
        lost_to_n=len(_uncovered(fitting, chosen)),
    )


@functools.lru_cache(maxsize=1 << 15)
def _one_empty_window(start: int, end: int) -> RegionPlan:
    """The plan of a small contig without genes and without N. Drafts of genomes have many, so equal ones are shared."""
    bounds = np.array([[start], [end]], dtype=np.int64)
    nothing = np.zeros((4, 1), dtype=np.int64)
    for array in (bounds, nothing):
        array.setflags(write=False)
    return RegionPlan(*bounds, *nothing, grid=1, moved=0, narrowed=0, mostly_n=0, lost_to_n=0)


def _without_n(windows: Sequence[Interval], runs: np.ndarray, rules: WindowRules) -> list[Interval]:
    bounds = np.array(windows, dtype=np.int64).reshape(-1, 2)
    share = count_n(runs, bounds[:, 0], bounds[:, 1]) / np.maximum(bounds[:, 1] - bounds[:, 0], 1)
    return [windows[row] for row in np.flatnonzero(share <= rules.max_n_share).tolist()]


def _uncovered(genes: Sequence[SampleGene], windows: Sequence[Interval]) -> list[SampleGene]:
    """Genes that lie whole in none of the windows (ascending)."""
    if not windows or not genes:
        return list(genes)
    bounds = np.array(windows, dtype=np.int64)
    reach = np.maximum.accumulate(bounds[:, 1])
    starts = np.array([gene.start for gene in genes], dtype=np.int64)
    ends = np.array([gene.end for gene in genes], dtype=np.int64)
    latest = np.searchsorted(bounds[:, 0], starts, side="right") - 1
    held = (latest >= 0) & (reach[np.maximum(latest, 0)] >= ends)
    return [genes[number] for number in np.flatnonzero(~held).tolist()]


def _moved_windows(
    genes: Sequence[SampleGene], region: Region, window_bp: int
) -> tuple[list[Interval], list[list[SampleGene]]]:
    """Windows of full length that hold ``genes``, neighbours together where they fit, and the genes of each."""
    groups: list[list[SampleGene]] = []
    reach = 0
    for gene in genes:
        if groups and max(reach, gene.end) - groups[-1][0].start <= window_bp:
            groups[-1].append(gene)
            reach = max(reach, gene.end)
        else:
            groups.append([gene])
            reach = gene.end
    windows = []
    for group in groups:
        start, end = group[0].start, max(gene.end for gene in group)
        # In the middle, so that both ends see their surroundings, but within the region.
        middle = start - (window_bp - (end - start)) // 2
        left = max(region.start, min(middle, region.end - window_bp))
        windows.append(Interval(left, min(left + window_bp, region.end)))
    return windows, groups


def _narrow_window(gene: SampleGene, region: Region, window_bp: int) -> Interval:
    """A gene with a quarter of its length on either side; like all windows no longer than ``window_bp``."""
    length = gene.end - gene.start
    margin = min(length // 4, (window_bp - length) // 2)
    return Interval(max(region.start, gene.start - margin), min(region.end, gene.end + margin))


def _contents(genes: Sequence[SampleGene], windows: Sequence[Interval]) -> np.ndarray:
    """Genes, partial genes, introns and coding bases that each window shows, int64 of shape (windows, 4).

    Genes that lie whole in a window are counted by what is known of them; only those that its edge cuts are clipped.
    """
    counts = np.zeros((len(windows), 4), dtype=np.int64)
    if not genes:
        return counts
    index = SpanIndex((gene.start for gene in genes), (gene.end for gene in genes))
    spans = list(zip(index.starts.tolist(), index.ends.tolist(), strict=True))
    whole = [
        (1, not (gene.complete5 and gene.complete3), _gaps(gene.cds), sum(right - left for left, right in gene.cds))
        for gene in genes
    ]
    bounds = np.array(windows, dtype=np.int64).reshape(-1, 2)
    first, last = index.candidates(bounds[:, 0], bounds[:, 1])
    rows = []
    for (start, end), low, high in zip(windows, first.tolist(), last.tolist(), strict=True):
        row, cut = [0, 0, 0, 0], []
        for number in range(low, high):
            gene_start, gene_end = spans[number]
            if start <= gene_start and gene_end <= end:
                row = [count + one for count, one in zip(row, whole[number], strict=True)]
            elif gene_end > start:
                cut.append(genes[number])
        if cut:
            shown, _ = visible_genes(cut, start, end)
            row[0] += len(shown)
            row[1] += sum(gene.partial5 or gene.partial3 for gene in shown)
            row[2] += count_introns(shown)
            row[3] += sum(right - left for gene in shown for left, right in gene.cds)
        rows.append(row)
    counts[:] = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return counts


def _gaps(cds: Sequence[Interval]) -> int:
    return sum(right[0] > left[1] for left, right in pairwise(cds))
