"""Which bases of a genome are for training, for validation and for testing.

In text (config, command line) regions are 1-based and closed, as in samtools: ``chrI``, ``chrI:1-50000``, or a comma
list of these. ``NT_*`` is every contig whose name begins with NT_. Inside they are 0-based and half-open like
everything else.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import accumulate, pairwise

from genet5.errors import InputError
from genet5.genome.fasta import shown_names
from genet5.genome.genes import Annotation, Gene, Region
from genet5.tables import whole_number

SPLITS = ("train", "validation", "test")

_RANGE = re.compile(r"(?P<seqid>.+):(?P<start>[^:]*)-(?P<end>[^:]*)")
_NAMES_SHOWN = 20


def parse_regions(text: str, lengths: Mapping[str, int], *, key: str = "regions") -> tuple[Region, ...]:
    """Read a comma list of regions, in genome order.

    ``lengths`` maps every contig of the genome to its bases; ``key`` names the option or column in messages. A contig
    whose own name looks like a range or a pattern (``HLA*01:01-02``) is taken as a name first. Empty text gives no
    regions. Raises InputError for an unknown contig, a pattern that fits none, a range outside its contig, and regions
    that overlap each other.
    """
    items = [item.strip() for item in text.split(",")] if text.strip() else []
    regions = _in_genome_order([region for item in items for region in _parse_item(item, lengths, key)], lengths)
    _refuse_overlaps([(region, key) for region in regions])
    return regions


def split_regions(
    split: str,
    validation_regions: str | Iterable[Region],
    test_regions: str | Iterable[Region],
    lengths: Mapping[str, int],
    excluded_regions: str | Iterable[Region] = (),
) -> dict[str, tuple[Region, ...]]:
    """Divide a genome into ``train``, ``validation`` and ``test`` regions, each in genome order.

    ``split`` owns every base that neither list names: of a ``train`` species the remainder is trained on, a ``test``
    species without ``test_regions`` is tested whole. ``test_regions`` of a ``test`` species (and
    ``validation_regions`` of a ``validation`` species) narrow it: bases outside the lists are then in no split.
    ``excluded_regions`` are in no split; they may overlap the other two lists. Raises InputError for overlapping
    validation and test regions, and when no base is left for ``split`` itself.
    """
    if split not in SPLITS:
        raise InputError(f"split: {split!r} is not a split, allowed: {', '.join(SPLITS)}")
    lists = {"validation": validation_regions, "test": test_regions}
    named = {name: _as_regions(regions, lengths, f"{name}_regions") for name, regions in lists.items()}
    labelled = [(region, f"{name}_regions") for name, regions in named.items() for region in regions]
    _refuse_overlaps(sorted(labelled, key=lambda pair: pair[0]))
    result: dict[str, tuple[Region, ...]] = {"train": (), **named}
    if not result[split]:
        result[split] = complement([region for region, _ in labelled], lengths)
        if not result[split]:
            raise InputError(
                f"split: {split}, but validation_regions and test_regions cover the whole genome: "
                f"no base is left for {split}"
            )
    excluded = _as_regions(excluded_regions, lengths, "excluded_regions")
    if not excluded:
        return result
    kept = {name: complement((*complement(parts, lengths), *excluded), lengths) for name, parts in result.items()}
    if not kept[split]:
        raise InputError(f"excluded_regions: {format_regions(excluded, lengths)} leave no base for split {split}")
    return kept


def complement(regions: Iterable[Region], lengths: Mapping[str, int]) -> tuple[Region, ...]:
    """The maximal regions of the genome outside ``regions``, in genome order."""
    taken: dict[str, list[Region]] = {}
    for region in regions:
        taken.setdefault(region.seqid, []).append(region)
    rest = []
    for seqid, length in lengths.items():
        position = 0
        for region in sorted(taken.get(seqid, ())):
            if region.start > position:
                rest.append(Region(seqid, position, region.start))
            position = max(position, region.end)
        if position < length:
            rest.append(Region(seqid, position, length))
    return tuple(rest)


def format_regions(regions: Iterable[Region], lengths: Mapping[str, int]) -> str:
    """The text that ``parse_regions`` reads back; a whole contig is written by its name alone."""
    return ",".join(
        seqid if (start, end) == (0, lengths[seqid]) else f"{seqid}:{start + 1}-{end}" for seqid, start, end in regions
    )


class GeneIndex:
    """Genes by position: any number of region queries, each O(log genes + answers), on one annotation."""

    def __init__(self, genes: Iterable[Gene]) -> None:
        by_seqid: dict[str, list[Gene]] = {}
        for gene in genes:
            by_seqid.setdefault(gene.seqid, []).append(gene)
        self._contigs = {}
        for seqid, members in by_seqid.items():
            members.sort(key=lambda gene: (gene.start, gene.end, gene.id))
            starts = [gene.start for gene in members]
            # A running maximum ascends where the ends themselves do not (nested genes), so it can be bisected.
            reach = list(accumulate((gene.end for gene in members), max))
            self._contigs[seqid] = (members, starts, reach)

    def overlapping(self, region: Region) -> list[Gene]:
        """Genes that share a base (of their span, introns included) with the region, by (start, end, id)."""
        if region.seqid not in self._contigs:
            return []
        members, starts, reach = self._contigs[region.seqid]
        first = bisect_right(reach, region.start)
        last = bisect_left(starts, region.end)
        return [gene for gene in members[first:last] if gene.end > region.start]


def genes_in_region(annotation: Annotation | GeneIndex, region: Region) -> tuple[tuple[Gene, ...], tuple[Gene, ...]]:
    """Genes that lie whole inside the region, and genes cut by one of its ends.

    The span of a gene reaches over all of its transcripts. Flagged genes are among both. For many regions of one
    annotation build a ``GeneIndex`` once and pass it instead.
    """
    index = annotation if isinstance(annotation, GeneIndex) else GeneIndex(annotation.genes)
    inside, cut = [], []
    for gene in index.overlapping(region):
        (inside if region.start <= gene.start and gene.end <= region.end else cut).append(gene)
    return tuple(inside), tuple(cut)


def _parse_item(item: str, lengths: Mapping[str, int], key: str) -> list[Region]:
    if item in lengths or "*" not in item:
        return [_parse_region(item, lengths, key)]
    named = [Region(seqid, 0, length) for seqid, length in lengths.items() if fnmatchcase(seqid, item)]
    # A range of a contig that has a star in its own name.
    return named or [_parse_region(item, lengths, key)]


def _parse_region(item: str, lengths: Mapping[str, int], key: str) -> Region:
    if not item:
        raise InputError(f"{key}: an empty item between commas, expected NAME or NAME:START-END")
    if item in lengths:
        return Region(item, 0, lengths[item])
    match = _RANGE.fullmatch(item)
    seqid = match["seqid"] if match and match["seqid"] in lengths else None
    if match is None or seqid is None:
        raise _unknown_contig(match["seqid"] if match else item, lengths, key)
    start, end = whole_number(match["start"]), whole_number(match["end"])
    if start is None or end is None:
        raise InputError(f"{key}: {item[:100]!r} is not NAME:START-END with whole numbers")
    if not 1 <= start <= end <= lengths[seqid]:
        raise InputError(f"{key}: {item!r} is not within 1-{lengths[seqid]} of {seqid} (1-based, both ends included)")
    return Region(seqid, start - 1, end)


def _unknown_contig(name: str, lengths: Mapping[str, int], key: str) -> InputError:
    return InputError(f"{key}: no contig {name!r}; the genome has {shown_names(lengths, _NAMES_SHOWN)}")


def _as_regions(regions: str | Iterable[Region], lengths: Mapping[str, int], key: str) -> tuple[Region, ...]:
    if isinstance(regions, str):
        return parse_regions(regions, lengths, key=key)
    regions = list(regions)
    for region in regions:
        if region.seqid not in lengths:
            raise _unknown_contig(region.seqid, lengths, key)
    ordered = _in_genome_order(regions, lengths)
    _refuse_overlaps([(region, key) for region in ordered])
    return ordered


def _in_genome_order(regions: list[Region], lengths: Mapping[str, int]) -> tuple[Region, ...]:
    rank = {seqid: place for place, seqid in enumerate(lengths)}
    return tuple(sorted(regions, key=lambda region: (rank[region.seqid], region.start, region.end)))


def _refuse_overlaps(ordered: list[tuple[Region, str]]) -> None:
    for (left, left_key), (right, right_key) in pairwise(ordered):
        if left.seqid == right.seqid and right.start < left.end:
            keys = left_key if left_key == right_key else f"{left_key} and {right_key}"
            raise InputError(
                f"{keys}: {_text(left)} and {_text(right)} overlap, a base can be in one split only and once"
            )


def _text(region: Region) -> str:
    return f"{region.seqid}:{region.start + 1}-{region.end}"
