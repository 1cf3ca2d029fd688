"""Bake one species: genome and annotation in; shards, statistics, gene index and manifest out."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from genet5.bake.chosen_windows import SplitPlan, choose_windows
from genet5.bake.condensing import LEAST_FLANK_BP, OUTER, condense_genome
from genet5.bake.manifest import clear_folder, held_alone, write_manifest
from genet5.bake.samples import Sample, Span, key_text
from genet5.bake.shards import ShardRecord, encode_record, write_shards
from genet5.bake.stats import (
    SplitContent,
    gene_entry,
    species_stats,
    split_stats,
    whole_windows,
    write_gene_index,
)
from genet5.bake.windows import (
    AnnotationIndex,
    RegionGenes,
    RegionPlan,
    SpanIndex,
    WindowRules,
    n_runs,
    plan_region,
)
from genet5.bake.workers import map_in_order
from genet5.errors import InputError
from genet5.files import file_sha256, write_json
from genet5.genome.annotation import read_annotation
from genet5.genome.collector import collector_paused
from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.simulation_origin import simulated_from
from genet5.genome.some_genes import KNOWN_FLANK_BP, only_near_genes
from genet5.genome.splits import SPLITS, complement, parse_regions, split_regions
from genet5.species_table import ALL_GENES, ANNOTATED, SOME_GENES

BAKED_SPLITS = ("train", "validation")
"""Splits whose windows are written. Test regions are annotated from the genome itself, so they are only counted."""

_STRETCH_BP = 1 << 22
_TASK_WINDOWS = 100
"""What a worker gets at a time: regions of so many bases, and so many windows."""

_MAX_NAME = 36
# A tar name has 100 bytes, and the merged validation set puts the species' name before each key.
_MAX_SEQID_IN_KEY = 20


@dataclass(frozen=True, slots=True)
class SpeciesSource:
    """One line of the species table with its files. Regions are text: ``chrI,chrII:1-50000`` (1-based, closed).

    ``annotated``: whether the annotation names ``all`` genes of its DNA, or ``some``.
    ``exon_flank_bp``: bases kept beside exons, at most, of a genome that is condensed (``condensing.py``); 0: of none.
    ``simulated_from`` is filled in by ``bake_species``: the annotation itself says so.
    """

    species: str
    genome: Path
    annotation: Path
    genetic_code: int
    clade: str
    split: str
    validation_regions: str = ""
    test_regions: str = ""
    excluded_regions: str = ""
    annotated: str = ALL_GENES
    exon_flank_bp: int = 0
    simulated_from: str = ""


def bake_species(
    source: SpeciesSource, rules: WindowRules, samples_per_shard: int, folder: Path, threads: int = 1
) -> Path:
    """Bake ``source`` into ``folder`` and return the path of the manifest, which is written last.

    Whatever an earlier run left there is removed first, finished or not. The same input gives the same bytes, whatever
    the number of ``threads`` (processes that look at windows). Held in memory are the annotation and some samples (and,
    while the annotation is read, one contig): nothing that grows with the genome. Raises InputError for input or
    options that cannot be baked, and where another process bakes into ``folder``.
    """
    if threads < 1:
        raise InputError(f"threads: {threads} is not allowed, it must be at least 1")
    if samples_per_shard < 1:
        raise InputError(f"samples_per_shard: {samples_per_shard} is not allowed, it must be at least 1")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", source.species) or len(source.species) > _MAX_NAME:
        raise InputError(
            f"species: {source.species!r} is not allowed, use letters, digits, '.', '_' and '-', {_MAX_NAME} at most"
        )
    if source.annotated not in ANNOTATED:
        raise InputError(f"annotated: {source.annotated!r} is not allowed, allowed: {', '.join(ANNOTATED)}")
    if source.exon_flank_bp and source.exon_flank_bp < LEAST_FLANK_BP:
        raise InputError(f"exon_flank_bp: {source.exon_flank_bp} is not allowed, use 0 or at least {LEAST_FLANK_BP}")
    if source.exon_flank_bp and (source.split != "train" or source.validation_regions or source.test_regions):
        raise InputError("exon_flank_bp: a condensed genome is for training alone; hold parts out by excluded_regions")
    source = dataclasses.replace(source, simulated_from=simulated_from(source.annotation))
    with held_alone(folder):
        return _bake_alone(source, rules, samples_per_shard, folder, threads)


def _bake_alone(source: SpeciesSource, rules: WindowRules, samples_per_shard: int, folder: Path, threads: int) -> Path:
    if source.annotated == SOME_GENES:
        rules = dataclasses.replace(rules, empty_share=0.0)  # a window without a gene would teach nothing
    with _material(source, rules.seed) as (genome, annotation, regions):
        with collector_paused():
            index = AnnotationIndex(annotation)
            contents = {split: plan_split(split, regions[split], index, genome, rules, threads) for split in SPLITS}
        if any(regions[split] for split in BAKED_SPLITS) and not any(
            content.plan.kept for content in contents.values()
        ):
            raise InputError(
                f"{source.annotation}: no window has a gene: {len(annotation.trusted)} of {len(annotation.genes)} "
                "genes are trusted, and none lies in a training or validation region; "
                "check genetic_code and the regions"
            )
        clear_folder(folder)
        shards: list[ShardRecord] = []
        for split in BAKED_SPLITS:
            batches = map_in_order(
                _encoded_samples, (source, split, contents[split], genome), _tasks(contents[split].plan.kept), threads
            )
            encoded = chain.from_iterable(batches)
            for shard in write_shards(encoded, folder, split, samples_per_shard):
                print(f"{source.species}: {shard.name}, {shard.samples} samples", file=sys.stderr, flush=True)
                shards.append(shard)
        stats = write_statistics(folder, source.species, genome.lengths, annotation, contents)
    absent = [name for name in ("simulated_from", "exon_flank_bp") if not getattr(source, name)]
    left_out = ("genome", "annotation", *absent)
    parameters = {
        **{key: value for key, value in dataclasses.asdict(source).items() if key not in left_out},
        **dataclasses.asdict(rules),
        "samples_per_shard": samples_per_shard,
        "genome_sha256": file_sha256(source.genome),
        "annotation_sha256": file_sha256(source.annotation),
    }
    counts = {
        split: {
            "samples": stats["splits"][split]["windows"]["kept"],
            "empty": stats["splits"][split]["windows"]["kept_empty"],
            "bases": stats["splits"][split]["bases_written"],
        }
        for split in BAKED_SPLITS
    }
    return write_manifest(folder, parameters, counts, shards, ("stats.json", "gene_index.json"))


@contextlib.contextmanager
def _material(source: SpeciesSource, seed: int) -> Iterator[tuple[Genome, Annotation, dict[str, tuple[Region, ...]]]]:
    """The genome that windows are cut from, its genes, and the regions of each split."""
    with contextlib.ExitStack() as opened:
        genome = opened.enter_context(Genome(source.genome))
        with collector_paused():
            regions = regions_by_split(source, genome.lengths)
            annotation = read_annotation(source.annotation, genome, GeneticCode.from_table(source.genetic_code))
            if source.annotated == SOME_GENES:
                annotation = only_near_genes(annotation, genome.lengths)
        if source.exon_flank_bp:
            fna = Path(opened.enter_context(tempfile.TemporaryDirectory())) / "condensed.fna"
            outer = KNOWN_FLANK_BP if source.annotated == SOME_GENES else OUTER * source.exon_flank_bp
            annotation = condense_genome(
                genome, annotation, regions["train"], source.exon_flank_bp, outer, f"{seed} {source.species}", fna
            )
            genome = opened.enter_context(Genome(fna))
            whole = tuple(Region(name, 0, length) for name, length in genome.lengths.items())
            regions = {"train": whole, "validation": (), "test": ()}
        yield genome, annotation, regions


def regions_by_split(source: SpeciesSource, lengths: dict[str, int]) -> dict[str, tuple[Region, ...]]:
    """Regions of ``train``, ``validation`` and ``test``, without the excluded ones, in genome order."""
    regions = split_regions(source.split, source.validation_regions, source.test_regions, lengths)
    excluded = parse_regions(source.excluded_regions, lengths, key="excluded_regions")
    if not excluded:
        return regions
    kept = {name: complement((*complement(parts, lengths), *excluded), lengths) for name, parts in regions.items()}
    if not kept[source.split]:
        raise InputError(f"excluded_regions: {source.excluded_regions} leaves no base for split {source.split}")
    return kept


def plan_split(
    split: str,
    regions: tuple[Region, ...],
    index: AnnotationIndex,
    genome: Genome,
    rules: WindowRules,
    threads: int = 1,
) -> SplitContent:
    """Genes, N and windows of one split; no windows for splits that are not baked."""
    genes = [index.content(region) for region in regions]
    plans, n_bases = [], 0
    shared = genes, genome, rules if split in BAKED_SPLITS else None
    for scanned in map_in_order(_scanned, shared, _stretches(regions), threads):
        for plan, region_n_bases in scanned:
            n_bases += region_n_bases
            if plan is not None:
                plans.append(plan)
    if split in BAKED_SPLITS:
        cap = rules.max_windows if split == "train" else rules.max_validation_windows
        chosen = choose_windows(plans, regions, rules, max_windows=cap)
    else:
        chosen = SplitPlan((), 0, 0)
    return SplitContent(tuple(genes), n_bases, tuple(plans), chosen, rules.window_bp, rules.flank_bp)


def _stretches(regions: Sequence[Region]) -> list[tuple[int, int]]:
    """First and last (not included) number of regions that together have some megabases, all in order."""
    stretches, first, size = [], 0, 0
    for number, region in enumerate(regions, start=1):
        size += region.end - region.start
        if size >= _STRETCH_BP or number == len(regions):
            stretches.append((first, number))
            first, size = number, 0
    return stretches


def _scanned(
    shared: tuple[Sequence[RegionGenes], Genome, WindowRules | None], stretch: tuple[int, int]
) -> list[tuple[RegionPlan | None, int]]:
    """Windows (where there are rules for them) and number of N of each region of a stretch."""
    genes, genome, rules = shared
    result = []
    for content in genes[slice(*stretch)]:
        runs = n_runs(genome, content.region)
        plan = None if rules is None else plan_region(content, runs, rules)
        result.append((plan, int((runs[:, 1] - runs[:, 0]).sum()) if len(runs) else 0))
    return result


def _tasks(num_windows: int) -> list[tuple[int, int]]:
    """All windows of a split, in groups."""
    return [(first, min(first + _TASK_WINDOWS, num_windows)) for first in range(0, num_windows, _TASK_WINDOWS)]


def _encoded_samples(shared: tuple[SpeciesSource, str, SplitContent, Genome], windows: tuple[int, int]) -> list[bytes]:
    return [encode_record(sample.to_members()) for sample in split_samples(*shared, *windows)]


def split_samples(
    source: SpeciesSource,
    split: str,
    content: SplitContent,
    genome: Genome,
    first: int = 0,
    last: int | None = None,
) -> Iterator[Sample]:
    """The samples of a split's kept windows ``first`` .. ``last - 1`` (all), in genome order, read one at a time."""
    last = content.plan.kept if last is None else last
    contig_numbers = {seqid: number for number, seqid in enumerate(genome.names)}
    constant = {
        "species": source.species,
        "clade": source.clade,
        "genetic_code": source.genetic_code,
        "split": split,
        **({"simulated_from": source.simulated_from} if source.simulated_from else {}),
    }
    seen = 0
    for number, (region_genes, plan) in enumerate(zip(content.genes, content.plan.regions, strict=True)):
        before = seen
        seen += len(plan.start)
        if seen <= first or before >= last or not len(plan.start):
            continue
        rows = range(max(first - before, 0), min(last - before, len(plan.start)))
        seqid = region_genes.region.seqid
        genes, dont_care = _span_indexes(region_genes)
        key_start = f"{contig_numbers[seqid]:05d}-{key_text(seqid)[:_MAX_SEQID_IN_KEY]}"
        for row in rows:
            start, end = int(plan.start[row]), int(plan.end[row])
            left, right = content.sample_bounds(number, row)
            meta: dict[str, Any] = {
                **constant,
                "seqid": seqid,
                "start": start,
                "end": end,
                "flank5": start - left,
                "flank3": right - end,
                "num_genes": int(plan.num_genes[row]),
                "num_partial": int(plan.num_partial[row]),
                "num_introns": int(plan.num_introns[row]),
                "coding_bp": int(plan.coding_bp[row]),
            }
            spans = (region_genes.dont_care[span] for span in dont_care.overlapping(left, right))
            yield Sample(
                f"{key_start}-{start:010d}-{end:010d}",
                genome.sequence(seqid, left, right, keep_case=True).encode("ascii"),
                tuple(region_genes.genes[gene].shifted(-left) for gene in genes.overlapping(left, right)),
                tuple(sorted(Span(max(s, left) - left, min(e, right) - left, strand) for s, e, strand in spans)),
                meta,
            )


def write_statistics(
    folder: Path, species: str, lengths: dict[str, int], annotation: Annotation, contents: dict[str, SplitContent]
) -> dict[str, Any]:
    """Write ``stats.json`` and ``gene_index.json``; returns the former. Raises InputError for a repeated gene id."""
    splits: dict[str, dict[str, Any]] = {}
    place: dict[str, tuple[str, list[int]]] = {}
    for split, content in contents.items():
        if split in BAKED_SPLITS:
            holders = whole_windows(content)
        else:
            holders = [[[] for _ in region.genes] for region in content.genes]
        splits[split] = split_stats(content, holders)
        for region, samples_of in zip(content.genes, holders, strict=True):
            for gene, samples in zip(region.genes, samples_of, strict=True):
                place[gene.id] = split, samples
    entries: dict[str, dict[str, Any]] = {}
    for gene in annotation.trusted:
        if gene.id in entries:
            raise InputError(f"{species}: gene id {gene.id!r} stands for two genes of the annotation; ids must differ")
        entries[gene.id] = gene_entry(gene, *place.get(gene.id, (None, [])))
    stats = species_stats(species, lengths, annotation, splits)
    write_json(folder / "stats.json", stats)
    write_gene_index(folder / "gene_index.json", entries)
    return stats


def _span_indexes(content: RegionGenes) -> tuple[SpanIndex, SpanIndex]:
    """Where the region's genes and its don't-care spans lie."""
    return (
        SpanIndex((gene.start for gene in content.genes), (gene.end for gene in content.genes)),
        SpanIndex((span[0] for span in content.dont_care), (span[1] for span in content.dont_care)),
    )
