"""Genomes of a run before they are here: their bases, windows, tokens and disk."""

from __future__ import annotations

import math
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genet5.bake.manifest import read_manifest
from genet5.bake.options import WindowSizes
from genet5.clades import Clade
from genet5.genome.fasta import fasta_records, read_index
from genet5.genome.genbank import genbank_sequences, is_genbank
from genet5.genome.splits import split_regions
from genet5.sources.download import file_here
from genet5.species_table import Species
from genet5.tokens.codec import sequence_tokens
from genet5.writer.token_counts import FRAME_TOKENS

#: Bases in a byte of a gzipped FASTA file of a soft-masked genome.
BASES_PER_PACKED_BYTE = 3.3
#: DNA tokens per base with DNABERT-2's byte pairs: 2,999 to 3,444 tokens for 15,000 bases (docs/decisions.md).
BPE_TOKENS_PER_BASE = 0.22
#: Coding segments of a gene, and bytes of a sample beside its bases.
SEGMENTS, SAMPLE_BYTES = {False: 1, True: 5}, 3000
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class GenomePlan:
    """A species. genome_bp: None if nobody says. known: who says it. Windows are at most those given unless baked.

    tokens: of a window, prompt and structure sequence; structure_tokens: of the latter. disk_gb: of the files as
    published, unpacked and baked.
    """

    row: Species
    window_bp: int
    genome_bp: int | None = None
    known: str = "unknown"
    train: int = 0
    validation: int = 0
    test_bp: int = 0
    tokens: float = 0.0
    structure_tokens: float = 0.0
    disk_gb: float = 0.0
    baked: bool = False


def plan_genome(
    row: Species,
    clade: Clade,
    windows: WindowSizes,
    bake: Mapping[str, Any],
    tokenizer: Mapping[str, Any],
    run: str,
    folder: Path = Path("data"),
) -> GenomePlan:
    """What is known of a species: from the files of the run, else from the table, else from the server.

    folder: of the run's data, with ``raw`` and ``baked``.
    """
    lengths = contig_lengths(row, folder / "raw" / row.species / "fna.fai")
    known, total = ("its file", sum(lengths.values())) if lengths else _said(row)
    if total is None:
        return GenomePlan(row, windows.window_bp, known=known)
    bases = _bases_by_split(row, lengths, total)
    counts = {}
    for split, cap in (("train", bake["max_windows"]), ("validation", bake["max_validation_windows"])):
        most = math.ceil(bases[split] / windows.stride_bp)
        counts[split] = min(most, cap) if cap else most
    manifest = folder / "baked" / run / row.species / "manifest.json"
    if manifest.is_file():
        counts = {split: one["samples"] for split, one in read_manifest(manifest)["counts"].items()}
    written = structure_tokens(clade, windows.window_bp)
    baked_bp = (counts["train"] + counts["validation"]) * (windows.window_bp + 2 * bake["flank_bp"] + SAMPLE_BYTES)
    return GenomePlan(
        row,
        windows.window_bp,
        total,
        known,
        counts["train"],
        counts["validation"],
        bases["test"],
        prompt_tokens(windows.window_bp, tokenizer) + written,
        written,
        (total * (1 + 1 / BASES_PER_PACKED_BYTE) + baked_bp) / 1e9,
        manifest.is_file(),
    )


def prompt_tokens(window_bp: int, tokenizer: Mapping[str, Any]) -> float:
    """Tokens of the prompt of a window: DNA, mile-posts, and what stands around them."""
    per_base = {"char": 1.0, "bpe": BPE_TOKENS_PER_BASE}.get(tokenizer["kind"], 1 / tokenizer["k"])
    return window_bp * per_base + window_bp // tokenizer["segment_bp"] + 1 + FRAME_TOKENS


def structure_tokens(clade: Clade, window_bp: int) -> float:
    """Tokens of a structure sequence of as many genes as is usual: the geometric mean of the clade's limits."""
    genes = math.sqrt(clade.genes_per_mb[0] * clade.genes_per_mb[1]) * window_bp / 1e6
    return genes * (sequence_tokens(1, SEGMENTS[bool(clade.rules.splice_pairs)], 0, 0) - 1) + 1


def contig_lengths(row: Species, index: Path) -> dict[str, int]:
    """Bases of each contig, from the index of a genome that is here or from a file on this machine; else nothing.

    Raises ``InputError`` for a damaged file.
    """
    if index.is_file():
        return {name: record[0] for name, record in read_index(index).items()}
    path = None if row.simulated_from else file_here(row.genome)
    if path is None:
        return {}
    records = genbank_sequences(path) if is_genbank(path) else fasta_records(path)
    return {name: len(bases) for name, bases in records}


def _said(row: Species) -> tuple[str, int | None]:
    """Who says how many bases a genome has that is not here, and how many."""
    if row.genome_bp:
        return "the table", row.genome_bp
    if row.genome.startswith(("https://", "http://")):
        try:
            request = urllib.request.Request(row.genome, method="HEAD", headers={"User-Agent": "genet5"})
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                size = int(answer.headers.get("Content-Length") or 0)
        except (OSError, ValueError):
            return "unknown: no answer from the server, and no genome_bp in the table", None
        if size:
            return "size of the download", int(size * BASES_PER_PACKED_BYTE)
    return "unknown: no genome_bp in the table", None


def _bases_by_split(row: Species, lengths: Mapping[str, int], total: int) -> dict[str, int]:
    """Bases of each split. Without contig lengths a whole contig in a list of regions counts nothing."""
    if lengths:
        parts = split_regions(row.split, row.validation_regions, row.test_regions, lengths, row.excluded_regions)
        return {split: sum(region.end - region.start for region in regions) for split, regions in parts.items()}
    named = {"validation": row.validation_regions, "test": row.test_regions}
    found = {"train": 0} | {split: _listed_bp(text) for split, text in named.items()}
    if not named.get(row.split):
        found[row.split] = max(0, total - sum(found.values()))
    return found


def _listed_bp(text: str) -> int:
    spans = re.findall(r":(\d+)-(\d+)(?:,|$)", text)
    return sum(int(end) - int(start) + 1 for start, end in spans)
