"""What baking met and kept, in numbers: ``stats.json``, and where each gene went: ``gene_index.json``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genet5.bake.chosen_windows import SplitPlan
from genet5.bake.windows import RegionGenes, RegionPlan, SpanIndex
from genet5.files import atomic_write
from genet5.genome.genes import Annotation, Gene, Interval

STATS_FIELDS = {
    "species": "name of the species",
    "contigs": "sequences of the genome",
    "bases": "their bases",
    "genes": "coding genes read, `trusted` and `flagged` (kept out of training, their bases are don't-care)",
    "flags": "genes by flag; a gene may have several",
    "annotation_counts": "what was met and left out, by reason",
    "splits": "the fields below for `train`, `validation` and `test`",
}
SPLIT_FIELDS = {
    "regions": "regions of the genome in this split",
    "bases": "their bases",
    "n_bases": "of these, N",
    "dont_care_bases": "bases that are don't-care on at least one strand",
    "genes": "trusted genes that lie whole in one of the regions; so are those counted below, if nothing else is said",
    "genes_cut": "trusted genes that a region's boundary cuts: don't-care",
    "genes_flagged": "flagged genes whole in one of the regions",
    "flags": "these by flag",
    "genes_longer_than_window": "genes that no window can hold whole",
    "genes_whole": "genes whole in at least one kept window",
    "genes_lost_to_n": "genes that would fit, but consist of N too much",
    "genes_left_out": "genes that would fit, but whose windows fell to `--max-windows`",
    "exons": "CDS segments of the genes",
    "introns": "gaps between them",
    "coding_bases": "CDS bases of the genes",
    "windows": "`scanned` = `grid` + `moved` (to hold a gene the grid cuts) + `narrowed` (around a gene in a sea of N) "
    "= `kept` + `dropped` by reason (`mostly_n`, `empty`, `over_cap`); `kept_empty`: kept without a gene",
    "bases_written": "bases of the samples, flanks included",
    "quantiles": "of gene span, coding bases and exons per gene, intron length, and genes per kept window",
}
GENE_INDEX_FIELDS = {
    "seqid": "contig",
    "start": "first base of the canonical CDS",
    "end": "end of the canonical CDS",
    "strand": "`+` or `-`",
    "num_exons": "CDS segments",
    "split": "`train`, `validation`, `test`, or null for a gene cut by a boundary or outside every split",
    "windows": "samples of that split whose core window holds the gene whole, numbered from 0 through the split's "
    "shards in order",
}
_LEVELS = {"min": 0, "p05": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "max": 100}


@dataclass(frozen=True, slots=True)
class SplitContent:
    """A split's regions with their genes, N and windows; the three sequences go region by region."""

    genes: tuple[RegionGenes, ...]
    n_bases: int
    scanned: tuple[RegionPlan, ...]
    plan: SplitPlan
    window_bp: int
    flank_bp: int

    def sample_bounds(self, region_number: int, row: int) -> Interval:
        """The bases of a sample: its core window with the flanks that the region has room for."""
        region = self.genes[region_number].region
        plan = self.plan.regions[region_number]
        return Interval(
            max(region.start, int(plan.start[row]) - self.flank_bp), min(region.end, int(plan.end[row]) + self.flank_bp)
        )


def quantiles(values: Iterable[int]) -> dict[str, float | int] | None:
    """Minimum, 5, 25, 50, 75, 95 % quantiles, maximum, mean and count of ``values``; None when there are none.

    Quantiles are values that occur (the lower of two neighbours); the mean has one decimal.
    """
    array = np.fromiter(values, dtype=np.int64)
    if not len(array):
        return None
    levels = np.percentile(array, list(_LEVELS.values()), method="lower").tolist()
    return {**dict(zip(_LEVELS, levels, strict=True)), "mean": round(float(array.mean()), 1), "count": len(array)}


def whole_windows(content: SplitContent) -> list[list[list[int]]]:
    """For each region and each of its genes, in order, the numbers of the kept samples that hold it whole."""
    result: list[list[list[int]]] = []
    sample = 0
    for region, plan in zip(content.genes, content.plan.regions, strict=True):
        holders: list[list[int]] = [[] for _ in region.genes]
        if not holders:
            result.append(holders)
            sample += len(plan.start)
            continue
        index = SpanIndex((gene.start for gene in region.genes), (gene.end for gene in region.genes))
        for start, end in zip(plan.start.tolist(), plan.end.tolist(), strict=True):
            for number in index.overlapping(start, end):
                gene = region.genes[number]
                if start <= gene.start and gene.end <= end:
                    holders[number].append(sample)
            sample += 1
        result.append(holders)
    return result


def split_stats(content: SplitContent, holders: Sequence[Sequence[Sequence[int]]]) -> dict[str, Any]:
    """The numbers of one split (``SPLIT_FIELDS``); ``holders`` come from ``whole_windows``."""
    genes = [gene for region in content.genes for gene in region.genes]
    flags = [flags for region in content.genes for flags in region.flags]
    introns = [right.start - left.end for gene in genes for left, right in zip(gene.cds, gene.cds[1:], strict=False)]
    coding = [sum(end - start for start, end in gene.cds) for gene in genes]
    shown = [count for plan in content.plan.regions for count in plan.num_genes.tolist()]
    whole = sum(bool(samples) for region in holders for samples in region)
    longer = sum(gene.end - gene.start > content.window_bp for gene in genes)
    lost_to_n = sum(plan.lost_to_n for plan in content.scanned)
    written = (
        content.sample_bounds(number, row)
        for number, plan in enumerate(content.plan.regions)
        for row in range(len(plan.start))
    )
    # Windows are planned in splits that are baked only, so a test split has no genes to miss.
    is_baked = bool(content.scanned)
    return {
        "regions": len(content.genes),
        "bases": sum(region.region.end - region.region.start for region in content.genes),
        "n_bases": content.n_bases,
        "dont_care_bases": sum(_union_bp(region.dont_care) for region in content.genes),
        "genes": len(genes),
        "genes_cut": sum(region.cut for region in content.genes),
        "genes_flagged": len(flags),
        "flags": _flag_counts(flags),
        "genes_longer_than_window": longer,
        "genes_whole": whole,
        "genes_lost_to_n": lost_to_n,
        "genes_left_out": len(genes) - longer - whole - lost_to_n if is_baked else 0,
        "exons": len(introns) + len(genes),
        "introns": len(introns),
        "coding_bases": sum(coding),
        "windows": {
            "scanned": sum(plan.scanned for plan in content.scanned),
            "grid": sum(plan.grid for plan in content.scanned),
            "moved": sum(plan.moved for plan in content.scanned),
            "narrowed": sum(plan.narrowed for plan in content.scanned),
            "kept": content.plan.kept,
            "kept_empty": sum(count == 0 for count in shown),
            "dropped": {
                "mostly_n": sum(plan.mostly_n for plan in content.scanned),
                "empty": content.plan.dropped_empty,
                "over_cap": content.plan.dropped_over_cap,
            },
        },
        "bases_written": sum(bounds.length for bounds in written),
        "quantiles": {
            "gene_bp": quantiles(gene.end - gene.start for gene in genes),
            "coding_bp": quantiles(coding),
            "exons": quantiles(len(gene.cds) for gene in genes),
            "intron_bp": quantiles(introns),
            "genes_per_window": quantiles(shown),
        },
    }


def species_stats(
    species: str, lengths: dict[str, int], annotation: Annotation, splits: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """The content of ``stats.json`` (``STATS_FIELDS``)."""
    flags = [gene.flags for gene in annotation.genes if gene.flags]
    return {
        "species": species,
        "contigs": len(lengths),
        "bases": sum(lengths.values()),
        "genes": {
            "total": len(annotation.genes),
            "trusted": len(annotation.genes) - len(flags),
            "flagged": len(flags),
        },
        "flags": _flag_counts(flags),
        "annotation_counts": dict(annotation.counts),
        "splits": splits,
    }


def gene_entry(gene: Gene, split: str | None, windows: Sequence[int]) -> dict[str, Any]:
    """One gene of ``gene_index.json`` (``GENE_INDEX_FIELDS``)."""
    transcript = gene.canonical
    return {
        "seqid": gene.seqid,
        "start": transcript.start,
        "end": transcript.end,
        "strand": gene.strand,
        "num_exons": len(transcript.cds),
        "split": split,
        "windows": list(windows),
    }


def write_gene_index(path: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Write gene id -> entry, sorted, one gene a line: small, and still comparable line by line."""
    with atomic_write(path) as stream:
        stream.write("{")
        for number, gene_id in enumerate(sorted(entries)):
            entry = json.dumps(entries[gene_id], sort_keys=True, separators=(",", ":"))
            stream.write(f"{',' if number else ''}\n{json.dumps(gene_id)}:{entry}")
        stream.write("\n}\n")


def _flag_counts(flags: Iterable[Iterable[str]]) -> dict[str, int]:
    return dict(sorted(Counter(flag for names in flags for flag in names).items()))


def _union_bp(spans: Sequence[tuple[int, int, str]]) -> int:
    """Bases under ascending spans, each counted once."""
    covered, reach = 0, 0
    for start, end, _ in spans:
        covered += max(0, end - max(start, reach))
        reach = max(reach, end)
    return covered
