"""A sample of a genome: which pieces of which contigs, and whether lower case means soft-masking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from genet5.annotate.sampled_dna import known_bp, masked_cost_of, sampled_regions
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genes import Region


@pytest.fixture
def genome_of(tmp_path: Path) -> Iterator[Callable[..., Genome]]:
    """A genome with these contigs."""
    with ExitStack() as opened:

        def genome(**contigs: str) -> Genome:
            write_fasta(tmp_path / "a.fna", list(contigs.items()))
            return opened.enter_context(Genome(tmp_path / "a.fna"))

        yield genome


def test_known_bases_are_counted_in_both_cases(genome_of: Callable[..., Genome]) -> None:
    assert known_bp(genome_of(a="ACGTNNacgtACGT"), Region("a", 1, 11)) == 8


def test_small_genomes_are_taken_whole(genome_of: Callable[..., Genome]) -> None:
    genome = genome_of(a="A" * 100, b="C" * 100)
    regions = [Region("b", 0, 100), Region("a", 0, 100)]
    assert sampled_regions(genome, regions, 200, 30) == regions
    assert sampled_regions(genome, regions, 199, 100) == [Region("a", 0, 100)]


def test_pieces_lie_at_even_distances_in_genomic_order(genome_of: Callable[..., Genome]) -> None:
    genome = genome_of(a="A" * 200, b="C" * 310)
    regions = [Region("a", 0, 200), Region("b", 10, 310)]
    assert sampled_regions(genome, regions, 250, 50) == [
        Region("a", 50, 100),
        Region("a", 150, 200),
        Region("b", 60, 110),
        Region("b", 160, 210),
        Region("b", 260, 310),
    ]
    assert sampled_regions(genome, [Region("b", 0, 110)], 60, 50) == [Region("b", 36, 73)]


def test_a_piece_beside_one_with_unknown_bases_is_taken_instead(genome_of: Callable[..., Genome]) -> None:
    """Of eleven pieces those in the middle of each half are asked: number 2 and 8 of the longest contig."""
    clean = genome_of(a="A" * 100, b="C" * 1000)
    regions = [Region("a", 0, 100), Region("b", 0, 1000)]
    assert sampled_regions(clean, regions, 200, 100) == [Region("b", 200, 300), Region("b", 800, 900)]
    left = genome_of(a="A" * 100, b="C" * 200 + "N" * 100 + "C" * 700)
    assert sampled_regions(left, regions, 200, 100) == [Region("b", 100, 200), Region("b", 800, 900)]
    right = genome_of(a="A" * 100, b="C" * 100 + "N" * 200 + "C" * 500 + "N" + "C" * 199)
    assert sampled_regions(right, regions, 200, 100) == [Region("b", 300, 400), Region("b", 700, 800)]


def test_contigs_are_taken_until_they_hold_twenty_samples(genome_of: Callable[..., Genome]) -> None:
    genome = genome_of(z="A" * 140, y="C" * 150, x="G" * 200)
    regions = [Region("z", 0, 140), Region("y", 0, 150), Region("x", 0, 200)]
    assert sampled_regions(genome, regions, 10, 10) == [Region("x", 100, 110)]
    assert sampled_regions(genome, regions, 11, 10) == [Region("x", 170, 180)]


@pytest.mark.parametrize(
    ("bases", "cost"),
    [("C" + "a" * 18, 0.25), ("C" + "a" * 19, 0), ("a" * 19 + "C", 0), ("A" * 9, 0.25), ("a" * 9, 0)],
)
def test_a_genome_nearly_all_in_lower_case_is_not_masked(
    genome_of: Callable[..., Genome], bases: str, cost: float
) -> None:
    genome = genome_of(a=bases)
    assert (masked_cost_of(0.25, genome), masked_cost_of(0.0, genome)) == (cost, 0)
