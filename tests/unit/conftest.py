"""Fixtures that several unit tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from reference_sets import EXPECTED, ReadSet

from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genetic_code import GeneticCode


@pytest.fixture(scope="session")
def read_set(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ReadSet]:
    """Reads a set of the reference data once per session."""
    folder = tmp_path_factory.mktemp("genomes")
    done: dict[str, ReadSet] = {}

    def read(name: str) -> ReadSet:
        if name not in done:
            source = shared_data / name
            archive = source.parent / "fna.gz"
            path = folder / f"{name.replace('/', '.')}.fna"
            decompress_genome(archive if archive.exists() else source, path)
            genome, code = Genome(path), GeneticCode.from_table(EXPECTED[name].table)
            done[name] = ReadSet(genome, code, read_annotation(source, genome, code))
        return done[name]

    return read
