"""The tracks that the report draws, and the loci they are of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from annotate_toy_genome import toy_rules, train_tiny_crf, write_three_contigs
from toy_bacterium import write_run

from genet5.annotate import tracks as library
from genet5.annotate.tracks import crf_tracks, spread_loci
from genet5.crf.folder import load_crf
from genet5.crf.model import Crf
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.sites import GeneRules


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Crf, GeneRules, Genome]:
    folder = tmp_path_factory.mktemp("toy")
    return load_crf(train_tiny_crf(write_run(folder / "run"))), toy_rules(), write_three_contigs(folder)


def test_tracks_have_a_value_per_base_and_are_turned_with_the_strand(toy) -> None:
    """On the reverse complement of a locus the strands change places and run backwards."""
    crf, rules, genome = toy
    loci = [Region("long", 3_000, 5_500), Region("short", 0, 1_500)]
    tracks = crf_tracks(crf, rules, genome, loci)
    assert tracks["names"].tolist() == ["long:3000-5500", "short:0-1500"]
    assert len(tracks) == 1 + 2 * 4
    turned = StubGenome({name: reverse_complement(genome.sequence(name)) for name in genome.names})
    length = genome.lengths["long"]
    mirrored = crf_tracks(
        crf, rules, turned, [Region("long", length - 5_500, length - 3_000), Region("short", 0, 1_500)]
    )
    for number, size in enumerate((2_500, 1_500)):
        for kind in ("coding", "intron"):
            plus, minus = (tracks[f"locus_{number}_{kind}_{strand}"] for strand in ("plus", "minus"))
            assert plus.shape == minus.shape == (size,) and plus.dtype == np.float16
            assert plus.min() >= 0 and plus.max() <= 1 and not np.array_equal(plus, minus)
            np.testing.assert_allclose(mirrored[f"locus_{number}_{kind}_plus"], minus[::-1], atol=2e-3)
            np.testing.assert_allclose(mirrored[f"locus_{number}_{kind}_minus"], plus[::-1], atol=2e-3)


class StubGenome:
    """Sequences in memory."""

    def __init__(self, sequences: dict[str, str]) -> None:
        self.sequences = sequences

    def sequence(self, seqid: str, start: int, end: int) -> str:
        return self.sequences[seqid][start:end]


def test_tracks_show_coding_where_the_base_head_says_so(toy, monkeypatch) -> None:
    """A head that marks the first 30 bases of either strand: plus shows them on the left, minus on the right."""
    crf, rules, genome = toy

    def scores(_crf, codes, _precision):
        logits = torch.full((1, 2, codes.shape[-1], 5), -20.0)
        logits[..., 0] = 20.0
        logits[0, :, :30, :] = torch.tensor([-20.0, 20.0, -20.0, -20.0, -20.0])
        return type("Scores", (), {"class_logits": logits})

    monkeypatch.setattr(library, "score_codes", scores)
    tracks = crf_tracks(crf, rules, genome, [Region("short", 100, 300)])
    assert np.flatnonzero(tracks["locus_0_coding_plus"] > 0.5).tolist() == list(range(30))
    assert np.flatnonzero(tracks["locus_0_coding_minus"] > 0.5).tolist() == list(range(170, 200))


def test_loci_are_spread_over_the_regions() -> None:
    regions = [Region("a", 1_000, 101_000), Region("b", 0, 100_000)]
    loci = spread_loci(regions, 4, 10_000)
    assert loci == [
        Region("a", 21_000, 31_000),
        Region("a", 71_000, 81_000),
        Region("b", 20_000, 30_000),
        Region("b", 70_000, 80_000),
    ]


@pytest.mark.parametrize(("number", "length_bp"), [(1, 500), (3, 5_000), (6, 12_000), (40, 300)])
def test_loci_stay_inside_their_regions_and_none_stands_twice(number: int, length_bp: int) -> None:
    regions = [Region("a", 50, 450), Region("b", 1_000, 30_000), Region("c", 0, 3)]
    loci = spread_loci(regions, number, length_bp)
    assert 1 <= len(loci) <= number and len(set(loci)) == len(loci) and loci == sorted(loci)
    bounds = {region.seqid: region for region in regions}
    for seqid, start, end in loci:
        region = bounds[seqid]
        assert region.start <= start < end <= region.end
        assert end - start == min(length_bp, region.end - region.start)
    assert spread_loci(regions, 0, 100) == []


@pytest.mark.parametrize(
    ("regions", "number", "length_bp", "loci"),
    [
        ([Region("a", 50, 450)], 1, 100, [Region("a", 200, 300)]),
        ([Region("a", 0, 10)], 3, 4, [Region("a", 0, 4), Region("a", 3, 7), Region("a", 6, 10)]),
        ([Region("a", 0, 10), Region("b", 5, 15)], 1, 4, [Region("b", 5, 9)]),
        ([Region("a", 2, 5)], 2, 9, [Region("a", 2, 5)]),
        ([], 2, 9, []),
    ],
)
def test_loci_lie_in_the_middle_of_equal_shares(
    regions: list[Region], number: int, length_bp: int, loci: list[Region]
) -> None:
    assert spread_loci(regions, number, length_bp) == loci
