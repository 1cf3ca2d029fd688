#!/usr/bin/env python
"""Adaptation to genomes without labels: exon and gene F1 before and after, what the guard chose, and what it cost.

The sets have labels, which are read for the scores alone, and the shipped models have not seen most of them. From each
come the longest sequences, up to a number of bases. A genome that ``GENET5_DATA`` does not hold is named with its
clade: ``--genome fungi=folder``, a folder with fna.gz and gff.gz. ``--each-share`` says whether the guard is right: it
takes every share in turn and prints the bits of held-back DNA beside the F1. ``--no-relatives`` begins with the model
alone, where tables of relatives lie beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from experiment import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))

from genet5.adapt import rounds
from genet5.annotate.api import Annotator, load
from genet5.annotate.options import AnnotateOptions
from genet5.device import use_threads
from genet5.errors import InputError, run_command
from genet5.evaluate.scores import score_annotation
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genes import Annotation, Gene, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.splits import format_regions

SETS = {
    "S.cryophilus": "fungi",
    "Cryptosporidium.muris": "protist",
    "Babesia.bovis": "protist",
    "Babesia.microti": "protist",
    "T.brucei": "protist",
    "D.melanogaster.2L": "invertebrate",
    "C.elegans.chrII": "invertebrate",
    "Volvox.carteri": "plant",
}
COLUMNS = (
    "set", "start exon", "start gene", "adapted exon", "adapted gene", "relative", "strength", "bits/kb", "CPU s",
    "start",
)  # fmt: skip
SHARE_COLUMNS = ("set", "share", "bits/kb", "exon", "gene")


class Set(NamedTuple):
    """A folder with fna.gz and gff.gz."""

    name: str
    clade: str
    folder: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=list(SETS), help="names of sets (default: all)")
    parser.add_argument("--genome", nargs="*", default=[], help="CLADE=FOLDER, further ones")
    parser.add_argument("--most-bp", type=int, default=1_000_000, help="bases of a set (%(default)s)")
    parser.add_argument("--each-share", action="store_true", help="bits and F1 of every share")
    parser.add_argument("--no-relatives", action="store_true", help="begin with the model alone")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    data = Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data"))
    chosen = [Set(name, _clade(name), data / name) for name in arguments.sets]
    for text in arguments.genome:
        clade, _, folder = text.partition("=")
        chosen.append(Set(Path(folder).name, clade, Path(folder)))
    annotators: dict[str, Annotator] = {}
    print("\t".join(SHARE_COLUMNS if arguments.each_share else COLUMNS), flush=True)
    with tempfile.TemporaryDirectory() as work:
        for one in chosen:
            if one.clade not in annotators:
                annotators[one.clade] = load(one.clade)
                if arguments.no_relatives:
                    annotators[one.clade].model.folder = None
            rows = each_share if arguments.each_share else row
            for cells in rows(one, annotators[one.clade], arguments.most_bp, Path(work)):
                print("\t".join(cells), flush=True)


def _clade(name: str) -> str:
    if name not in SETS:
        raise InputError(f"--sets: {name}, allowed: {', '.join(SETS)}")
    return SETS[name]


class Opened(NamedTuple):
    """A set on disk. named: its regions as text. truth: what is scored against."""

    genome: Genome
    truth: Annotation
    regions: list[Region]
    named: str

    @classmethod
    def of(cls, one: Set, code: GeneticCode, most_bp: int, work: Path) -> Opened:
        fasta = work / f"{one.name}.fna"
        decompress_genome(one.folder / "fna.gz", fasta)
        genome = Genome(fasta)
        regions = longest(genome, most_bp)
        named = ",".join(format_regions([region], genome.lengths) for region in regions)
        return cls(genome, read_annotation(one.folder / "gff.gz", genome, code), regions, named)

    def scores(self, genes: list[Gene]) -> list[str]:
        """Exon and gene F1."""
        found = score_annotation(self.truth, genes, self.genome.lengths, regions=self.regions, bootstrap=0)
        return [f"{found[level]['f1'] or 0:.3f}" for level in ("exon", "gene")]


def row(one: Set, annotator: Annotator, most_bp: int, work: Path) -> Iterator[list[str]]:
    """Cells of ``COLUMNS``; CPU s: of the run with adaptation, then of the one without."""
    opened = Opened.of(one, GeneticCode.from_table(annotator.clade.genetic_code), most_bp, work)
    begun = time.process_time()
    start = annotator.annotate(opened.genome, regions=opened.named)
    between = time.process_time()
    adapted = annotator.annotate(opened.genome, regions=opened.named, options=AnnotateOptions(adapt=True))
    ended = time.process_time()
    about = adapted.summary["adaptation"]
    taken = [tried["bits_per_kb"] for tried in about["tried"] if tried["taken"]]
    saved = f"{about['start']['bits_per_kb'] - taken[-1]:.2f}" if taken else "0"
    cost = [f"{ended - between:.0f}", f"{between - begun:.0f}"]
    found = [*opened.scores(start.genes), *opened.scores(adapted.genes)]
    yield [one.name, *found, str(about.get("relative") or "-"), f"{about['strength']:g}", saved, *cost]


def each_share(one: Set, annotator: Annotator, most_bp: int, work: Path) -> Iterator[list[str]]:
    """Cells of ``SHARE_COLUMNS``: of the start, then of every share, whatever the guard says."""
    opened = Opened.of(one, GeneticCode.from_table(annotator.clade.genetic_code), most_bp, work)
    shares, errors = rounds.STRENGTHS, rounds.LEAST_ERRORS
    rounds.LEAST_ERRORS = -1e9
    try:
        for number in range(len(shares)):
            rounds.STRENGTHS = shares[: number + 1]
            found = annotator.annotate(opened.genome, regions=opened.named, options=AnnotateOptions(adapt=True))
            about = found.summary["adaptation"]
            if not number:
                start = annotator.annotate(opened.genome, regions=opened.named)
                yield [one.name, "0", f"{about['start']['bits_per_kb']:.2f}", *opened.scores(start.genes)]
            bits = f"{about['tried'][-1]['bits_per_kb']:.2f}"
            yield [one.name, f"{about['strength']:g}", bits, *opened.scores(found.genes)]
    finally:
        rounds.STRENGTHS, rounds.LEAST_ERRORS = shares, errors


def longest(genome: Genome, most_bp: int) -> list[Region]:
    """The longest sequences, the last one cut, up to ``most_bp`` bases."""
    found, left = [], most_bp
    for name in sorted(genome.lengths, key=lambda name: (-genome.lengths[name], name)):
        if left > 0:
            found.append(Region(name, 0, min(genome.lengths[name], left)))
            left -= found[-1].end
    return found


if __name__ == "__main__":
    run_command(main)
