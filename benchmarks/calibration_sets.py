"""The DNA that shipped models are calibrated on: parts of ``GENET5_DATA``, and simulated genomes (``Simulated.``)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import simulate
from genet5.adapt.relatives import Relatives
from genet5.clades import Clade
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genes import Annotation, Region
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sites import GeneRules
from genet5.genome.splits import parse_regions

REPOSITORY = Path(__file__).resolve().parent.parent
SIMULATED = "Simulated."


class CalibrationSet(NamedTuple):
    """A set on disk. regions: those that are scored. code, rules: of the clade that annotates it."""

    name: str
    genome: Genome
    truth: Annotation
    regions: list[Region]
    code: GeneticCode
    rules: GeneRules

    def unseen(self, relatives: Relatives) -> Relatives:
        """Tables to read it with: a simulated genome stands for one whose species nobody knows."""
        return relatives.without([self.name] if self.name.startswith(SIMULATED) else [])


@contextmanager
def opened_set(name: str, regions: str, clade: Clade, bases: int, seed: int) -> Iterator[CalibrationSet]:
    """regions: as text; a simulated genome is scored whole. bases, seed: of a simulated one, which is drawn anew."""
    with tempfile.TemporaryDirectory() as work:
        folder = _folder(name, Path(work), bases, seed)
        both = folder / "genes.gb.gz"  # bases and genes in one file
        source, annotation = (both, both) if both.is_file() else (folder / "fna.gz", folder / "gff.gz")
        decompress_genome(source, Path(work) / "fna")
        code = GeneticCode.from_table(clade.genetic_code)
        with Genome(Path(work) / "fna") as genome:
            named = ",".join(genome.lengths) if name.startswith(SIMULATED) else regions
            found = list(parse_regions(named, genome.lengths))
            truth = read_annotation(annotation, genome, code)
            yield CalibrationSet(name, genome, truth, found, code, clade.gene_rules(code.table))


def _folder(name: str, work: Path, bases: int, seed: int) -> Path:
    """With fna.gz and gff.gz; that of a simulated genome is made in ``work``."""
    if not name.startswith(SIMULATED):
        return Path(os.environ.get("GENET5_DATA", REPOSITORY.parent / "shared" / "data")) / name
    species = name.removeprefix(SIMULATED)
    simulate.main([species, "--bases", str(bases), "--seed", str(seed), "--output", str(work)])
    return work / species
