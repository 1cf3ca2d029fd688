"""What a soft-masked base costs: by hand, on both strands, in a whole annotation, and where case says nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from annotate_toy_genome import toy_rules, train_tiny_model, write_three_contigs
from toy_bacterium import CLADE, CODE, WINDOW_BP

from genet5.annotate.calibration import Calibration
from genet5.annotate.decoders import DecodingOptions, make_decoder
from genet5.annotate.models import Model, load_annotator
from genet5.annotate.options import AnnotateOptions
from genet5.annotate.run import How, annotate_genome
from genet5.annotate.sampled_dna import masked_cost_of
from genet5.clades import read_clades
from genet5.crf.window_decoder import WindowDecoder, without_masked
from genet5.errors import InputError
from genet5.genome.fasta import Genome, write_fasta
from genet5.genome.genes import Gene, Region
from genet5.genome.sites import WindowSites

pytestmark = pytest.mark.usefixtures("one_thread")

COST = 50.0  # so much that no gene can pay for it


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_annotator(train_tiny_model(tmp_path_factory.mktemp("toy")))


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return write_three_contigs(tmp_path_factory.mktemp("genome"))


def in_case(genome: Genome, path: Path, lower: list[Region]) -> Genome:
    """The genome with these regions in lower case, and all others in upper case."""
    records = []
    for seqid, length in genome.lengths.items():
        bases = genome.sequence(seqid, 0, length)
        for region in lower:
            if region.seqid == seqid:
                low = bases[region.start : region.end].lower()
                bases = bases[: region.start] + low + bases[region.end :]
        records.append((seqid, bases))
    write_fasta(path, records)
    return Genome(path)


def genes_of(model: Model, genome: Genome, masked_cost: float, decoder: str = "viterbi") -> list[Gene]:
    how = How(CLADE, CODE.table, decoder, WINDOW_BP, 1000, masked_cost=masked_cost)
    regions = [Region(seqid, 0, length) for seqid, length in genome.lengths.items()]
    found = annotate_genome(model, Calibration(reason="none"), read_clades(), genome, regions, how)
    return found.genes


def test_coding_bases_cost_and_others_do_not() -> None:
    bases = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    sites = WindowSites("Acg", toy_rules())
    assert sites.masked.tolist() == [False, True, True]
    assert WindowSites(b"aCn", toy_rules()).masked.tolist() == [True, False, True]
    found = without_masked(bases, sites.masked, 0.5)
    taken = np.array([[0, 1, 1], [1, 1, 0]], np.float32)[:, :, None] * np.array([0.5, 0.5, 0.5, 0], np.float32)
    np.testing.assert_array_equal(bases - found, taken)
    assert found.dtype == np.float32


@pytest.mark.parametrize("decoder", ["viterbi", "expected"])
def test_genes_of_masked_dna_are_left_out(model: Model, genome: Genome, tmp_path: Path, decoder: str) -> None:
    plain = genes_of(model, genome, 0.0, decoder)
    assert {gene.strand for gene in plain} == {"+", "-"}
    seqid = plain[0].seqid
    half = Region(seqid, 0, genome.lengths[seqid] // 2)
    masked = in_case(genome, tmp_path / "masked.fna", [half])
    left = genes_of(model, masked, COST, decoder)
    inside = [gene for gene in plain if gene.seqid == seqid and gene.end <= half.end]
    assert len(inside) > 1
    assert not [gene for gene in left if gene.seqid == seqid and gene.start < half.end]
    others = [gene for gene in plain if gene.seqid != seqid]
    assert [(gene.seqid, gene.canonical.cds) for gene in left if gene.seqid != seqid] == [
        (gene.seqid, gene.canonical.cds) for gene in others
    ]
    assert [gene.canonical.cds for gene in genes_of(model, masked, 0.0, decoder)] == [g.canonical.cds for g in plain]


def test_case_says_nothing_where_nearly_all_is_lower(
    model: Model, genome: Genome, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    everything = [Region(seqid, 0, length) for seqid, length in genome.lengths.items()]
    lower = in_case(genome, tmp_path / "lower.fna", everything)
    assert masked_cost_of(COST, lower) == 0.0 and masked_cost_of(COST, genome) == COST
    assert masked_cost_of(COST, in_case(genome, tmp_path / "some.fna", everything[:1])) == COST
    assert [one.canonical.cds for one in genes_of(model, lower, COST)] == [
        one.canonical.cds for one in genes_of(model, genome, 0.0)
    ]
    assert (
        capsys.readouterr().err.count("lower.fna: nearly all in lower case, which is not taken for soft-masking") == 1
    )


def test_the_user_decides_before_the_model() -> None:
    shipped = SimpleNamespace(decoder="viterbi", window_bp=9000, overlap_bp=1000, masked_cost=0.2)
    settled = [AnnotateOptions(masked_cost=cost).settled("viterbi", 9000, shipped) for cost in (None, 0.0, 1.5)]
    assert [one.masked_cost for one in settled] == [0.2, 0.0, 1.5]
    assert AnnotateOptions().settled("viterbi", 9000).masked_cost == 0.0


def test_a_writer_takes_no_cost(model: Model) -> None:
    for name in ("lm", "joint", "reranked"):
        with pytest.raises(InputError, match=f"masked_cost: the decoder {name} takes none, allowed: 0, or"):
            make_decoder(name, model, read_clades(), CLADE, CODE.table, DecodingOptions(masked_cost=0.1))


def test_the_sample_of_an_adaptation_is_read_with_it(model: Model, genome: Genome, tmp_path: Path) -> None:
    from genet5.adapt.sampling import read_sample

    everything = [Region(seqid, 0, length) for seqid, length in genome.lengths.items()]
    masked = in_case(genome, tmp_path / "masked.fna", everything[:1])
    alone, costly = (
        read_sample(WindowDecoder(model.crf, toy_rules(), masked_cost=cost), masked, everything, 10**6)
        for cost in (0.0, COST)
    )
    changed = [not np.array_equal(*(one.potentials.bases for one in pair)) for pair in zip(alone, costly, strict=True)]
    assert changed == [bool(window.sites.masked.all()) for window in alone] and any(changed) and not all(changed)
