"""Does held-out DNA occur in the training DNA? Near-identical genes and windows between splits, on either strand.

Splits are disjoint by position, but genomes repeat themselves (paralogs, transposons, segmental duplications) and
species share genes. For every held-out gene the audit takes the k-mers of its coding segments and asks which share of
them occurs anywhere in the other split's DNA. With k = 24 and independent substitutions a share of .5 is 97 % identity,
.9 is 99.6 % (identity ** k).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genet5.errors import InputError
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation, Gene, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.kmers import MAX_K, canonical_kmers
from genet5.genome.splits import GeneIndex, genes_in_region, split_regions

PAIRS = (("train", "validation"), ("train", "test"), ("validation", "test"))
"""Whose DNA is searched, and whose genes and windows are looked for."""

HALF, MOST = 0.5, 0.9
"""Shares of a gene's or window's k-mers that count as half and as mostly shared."""

MIN_KMERS = 10
"""Fewer sampled k-mers than this say nothing: such genes and windows are counted, not assessed."""

_BLOCK_BP = 1 << 20
_WORST_SHOWN = 20
# Windows are long and many: one k-mer in 16 of those sampled for genes is enough for them.
_WINDOW_THINNING = 16
_FILTER_BITS = 24


@dataclass(frozen=True, slots=True)
class AuditedSpecies:
    """A genome, its annotation, and its regions per split as ``split_regions`` gives them."""

    name: str
    genome: Genome
    annotation: Annotation
    regions: Mapping[str, tuple[Region, ...]]


def audited_species(
    name: str,
    genome_path: str | Path,
    annotation_path: str | Path,
    *,
    genetic_code: int,
    split: str,
    validation_regions: str = "",
    test_regions: str = "",
    excluded_regions: str = "",
) -> AuditedSpecies:
    """Open a species by its files and its row of the species table; InputError for whatever is wrong with them."""
    genome = Genome(genome_path)
    try:
        regions = split_regions(split, validation_regions, test_regions, genome.lengths, excluded_regions)
    except InputError as error:
        raise InputError(f"species {name}: {error}") from error
    annotation = read_annotation(annotation_path, genome, GeneticCode.from_table(genetic_code))
    return AuditedSpecies(name, genome, annotation, regions)


def leak_audit(
    species: Sequence[AuditedSpecies],
    *,
    k: int = 24,
    sampling: int = 4,
    window_bp: int = 5000,
    max_share: float | None = None,
) -> dict:
    """Search every pair of splits for shared genes and windows; returns the report, ready for JSON.

    Genes are the trusted ones that lie whole in a held-out region (canonical transcript, segment by segment, so that
    introns play no part); windows are tiles of ``window_bp``. One k-mer in ``sampling`` is looked at (1 = all). Per
    pair: how many genes and windows there are, how many were assessed, how many share at least .5 and .9 of their
    k-mers, the same per species, and the genes that share most. Time is linear in the DNA, memory in the held-out DNA.
    With ``max_share`` the report is put through ``check_report``.
    """
    for name, value, allowed in (("k", k, f"11 to {MAX_K}"), ("sampling", sampling, "1 to 64")):
        low, high = allowed.split(" to ")
        if not int(low) <= value <= int(high):
            raise InputError(f"leak audit: {name} is {value}, allowed: {allowed}")
    if window_bp < k:
        raise InputError(f"leak audit: window_bp is {window_bp}, allowed: {k} or more")
    pairs = {}
    for source in dict.fromkeys(source for source, _ in PAIRS):
        held_out = [split for name, split in PAIRS if name == source]
        targets = _targets(species, held_out, k, sampling, window_bp)
        found = _found_in(species, source, targets.hashes, k, sampling)
        for split in held_out:
            pairs[f"{source}->{split}"] = targets.report(split, found)
    parameters = {"k": k, "sampling": sampling, "window_bp": window_bp, "half": HALF, "most": MOST}
    report = {"parameters": parameters, "pairs": pairs}
    if max_share is not None:
        check_report(report, max_share)
    return report


def check_report(report: dict, max_share: float) -> None:
    """InputError when, in any pair of splits, more than ``max_share`` of the assessed genes are half shared."""
    for pair, content in report["pairs"].items():
        share = content["genes"]["share_half"]
        if share > max_share:
            source, split = pair.split("->")
            genes = content["genes"]
            worst = ", ".join(
                f"{gene['species']} {gene['gene']} ({gene['share']:.2f})" for gene in content["worst"][:3]
            )
            raise InputError(
                f"leak audit: {genes['half']} of {genes['assessed']} {split} genes ({share:.1%}) have half or more of "
                f"their DNA in {source}, allowed {max_share:.1%}; the worst: {worst}; "
                f"hold out other regions or allow more"
            )


def report_table(report: dict) -> str:
    """The counts of a report as text, one line per pair of splits."""
    columns = f"{'searched->held out':<20}{'genes':>8}{'>= .5':>7}{'>= .9':>7}{'windows':>9}{'>= .5':>7}{'>= .9':>7}\n"
    for pair in (f"{source}->{split}" for source, split in PAIRS):
        content = report["pairs"][pair]
        columns += f"{pair:<20}"
        for kind, width in (("genes", 8), ("windows", 9)):
            counts = content[kind]
            columns += f"{counts['assessed']:>{width}}{counts['half']:>7}{counts['most']:>7}"
        columns += "\n"
    return columns


class _Target(NamedTuple):
    """A gene or a window to look for; ``id`` is empty for a window."""

    kind: str
    split: str
    species: str
    place: Region
    id: str


class _Shared(NamedTuple):
    """A target, the number of its k-mers, and the share of them that was found."""

    target: _Target
    kmers: int
    share: float

    @property
    def assessed(self) -> bool:
        return self.kmers >= MIN_KMERS


@dataclass
class _Targets:
    """``owners[i]`` is the target of the i-th k-mer, ``places[i]`` where it is in ``hashes`` (sorted, unique)."""

    items: list[_Target] = field(default_factory=list)
    owners: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    def report(self, split: str, found: NDArray[np.bool_]) -> dict:
        """Counts of one split; ``found`` says which of ``hashes`` occur in the DNA searched."""
        kmers = np.bincount(self.owners, minlength=len(self.items))
        shared = np.bincount(self.owners, weights=found[self.places], minlength=len(self.items))
        shares = shared / np.maximum(kmers, 1)
        results = map(_Shared, self.items, kmers.tolist(), shares.tolist())
        by_kind: dict[str, list[_Shared]] = {"gene": [], "window": []}
        for result in results:
            if result.target.split == split:
                by_kind[result.target.kind].append(result)
        species: dict[str, dict] = {}
        for kind, members in by_kind.items():
            members.sort(key=lambda result: result.target.species)
            for name, own in groupby(members, key=lambda result: result.target.species):
                species.setdefault(name, {})[f"{kind}s"] = _counts(list(own))
        worst = [result for result in by_kind["gene"] if result.assessed and result.share >= HALF]
        worst.sort(key=lambda result: (-result.share, result.target))
        return {
            "genes": _counts(by_kind["gene"]),
            "windows": _counts(by_kind["window"]),
            "species": species,
            "worst": [
                {"species": target.species, "gene": target.id, **target.place._asdict(), "share": round(share, 4)}
                for target, _, share in worst[:_WORST_SHOWN]
            ],
        }


def _counts(results: Sequence[_Shared]) -> dict:
    shares = np.array([result.share for result in results if result.assessed])
    half, most = int((shares >= HALF).sum()), int((shares >= MOST).sum())
    divisor = max(len(shares), 1)
    return {
        "total": len(results),
        "assessed": len(shares),
        "half": half,
        "most": most,
        "share_half": round(half / divisor, 6),
        "share_most": round(most / divisor, 6),
    }


def _targets(
    species: Sequence[AuditedSpecies], splits: Sequence[str], k: int, sampling: int, window_bp: int
) -> _Targets:
    targets = _Targets()
    owners, hashes = [], []

    def add(found: tuple[NDArray[np.int64], NDArray[np.uint64]]) -> None:
        owners.append(found[0])
        hashes.append(found[1])

    for member in species:
        index = GeneIndex(member.annotation.trusted)
        for split in splits:
            for region in member.regions[split]:
                genes, _ = genes_in_region(index, region)
                add(_gene_kmers(member.genome, genes, k, sampling, first_owner=len(targets.items)))
                targets.items += [
                    _Target("gene", split, member.name, Region(gene.seqid, gene.start, gene.end), gene.id)
                    for gene in genes
                ]
                first = len(targets.items)
                for offset, positions, values in _blocks(member.genome, region, k, sampling * _WINDOW_THINNING):
                    add((first + (offset + positions) // window_bp, values))
                for start in range(region.start, region.end, window_bp):
                    place = Region(region.seqid, start, min(start + window_bp, region.end))
                    targets.items.append(_Target("window", split, member.name, place, ""))
    if owners:
        targets.owners = np.concatenate(owners)
        targets.hashes, targets.places = np.unique(np.concatenate(hashes), return_inverse=True)
    return targets


def _gene_kmers(
    genome: Genome, genes: Sequence[Gene], k: int, sampling: int, first_owner: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Owner and hash of every sampled k-mer in the coding segments; thousands of genes per pass over the bases."""
    owners, hashes = [], []
    text: list[str] = []
    starts: list[int] = []
    numbers: list[int] = []
    length = 0

    def flush() -> None:
        # Between segments stands an N, so no k-mer spans two of them.
        positions, values = canonical_kmers("N".join(text).encode(), k, sampling)
        owners.append(np.array(numbers, np.int64)[np.searchsorted(starts, positions, side="right") - 1])
        hashes.append(values)

    for number, gene in enumerate(genes, start=first_owner):
        for start, end in gene.canonical.cds:
            text.append(genome.sequence(gene.seqid, start, end))
            starts.append(length)
            numbers.append(number)
            length += end - start + 1
        if length > _BLOCK_BP:
            flush()
            text, starts, numbers, length = [], [], [], 0
    if text:
        flush()
    if not owners:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    return np.concatenate(owners), np.concatenate(hashes)


def _blocks(
    genome: Genome, region: Region, k: int, sampling: int
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint64]]]:
    """Sampled k-mers of a region in blocks: offset of the block in the region, positions within it, hashes."""
    for start in range(region.start, region.end, _BLOCK_BP):
        # Blocks overlap by k - 1, so that every k-mer is in exactly one of them.
        end = min(start + _BLOCK_BP + k - 1, region.end)
        bases = genome.sequence(region.seqid, start, end).encode()
        yield start - region.start, *canonical_kmers(bases, k, sampling)


def _found_in(
    species: Sequence[AuditedSpecies], split: str, wanted: NDArray[np.uint64], k: int, sampling: int
) -> NDArray[np.bool_]:
    """Which of the ``wanted`` hashes (sorted) occur in the DNA of ``split``, all species."""
    found = np.zeros(len(wanted), bool)
    if not len(wanted):
        return found
    # A table of the hashes' low bits rejects most of the DNA before the slower search in ``wanted``.
    low_bits = np.uint64((1 << _FILTER_BITS) - 1)
    possible = np.zeros(1 << _FILTER_BITS, bool)
    possible[wanted & low_bits] = True
    for member in species:
        for region in member.regions[split]:
            for _, _, hashes in _blocks(member.genome, region, k, sampling):
                candidates = hashes[possible[hashes & low_bits]]
                place = np.minimum(np.searchsorted(wanted, candidates), len(wanted) - 1)
                found[place[wanted[place] == candidates]] = True
    return found
