"""Sanity checks: counts by hand on known genes, and alarms where a gene set is off by a factor."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from report_files import CONTIG, changed, toy_genes

from genet5.evaluate.sanity import Check, GeneSetShape, compare, gene_set_shape, inside, scored_bases
from genet5.genome.fasta import Genome, index_genome, write_fasta
from genet5.genome.genes import Region

NORMAL = GeneSetShape(
    bases=1_000_000,
    genes=200,
    single_exon=80,
    multi_exon=120,
    introns=300,
    non_canonical_introns=3,
    multi_exon_genes_non_canonical=3,
    micro_exon_genes=1,
    partial_genes=0,
    median_cds_bp=1000.0,
)


def altered(**changes: float) -> GeneSetShape:
    return dataclasses.replace(NORMAL, **changes)


def alarms(predicted: GeneSetShape, reference: GeneSetShape = NORMAL) -> list[str]:
    return [check.name for check in compare(predicted, reference) if check.alarm]


def test_shape_of_known_genes(tmp_path: Path) -> None:
    genes, contig = toy_genes()
    write_fasta(tmp_path / "fna", [(CONTIG, contig)])
    index_genome(tmp_path / "fna")
    first, second = genes[1].canonical.cds
    # The intron of gene 1 one base shorter at its 5' end: TC..AG; its exon grows to 121 bases.
    odd = changed(genes[1], "odd", ((first.start, first.end + 1), second))
    # Gene 3 is on the reverse strand; an exon of 4 bases in front of its first one, and an intron that is not GT..AG.
    third = genes[3].canonical.cds
    micro = changed(genes[3], "micro", (*third, (third[-1].end + 30, third[-1].end + 34)))
    with Genome(tmp_path / "fna") as genome:
        shape = gene_set_shape([genes[0], genes[1], genes[3], odd, micro], genome, 12_000)
    assert (shape.genes, shape.single_exon, shape.multi_exon) == (5, 1, 4)
    assert (shape.introns, shape.non_canonical_introns, shape.multi_exon_genes_non_canonical) == (5, 2, 2)
    assert shape.micro_exon_genes == 1
    assert shape.genes_per_mb == pytest.approx(5 / 0.012)
    assert shape.mono_to_multi == 0.25
    assert shape.median_cds_bp == 241


def test_regions_select_whole_genes() -> None:
    genes, _ = toy_genes()
    assert inside(genes, None) == genes
    assert inside(genes, [Region(CONTIG, 100, 2400)]) == genes[:3]
    assert inside(genes, [Region(CONTIG, 101, 2399), Region("other", 0, 99_999)]) == genes[1:2]
    assert scored_bases({"a": 10, "b": 5}, None) == 15
    assert scored_bases({"a": 10, "b": 5}, [Region("a", 2, 6)]) == 4


def test_a_set_like_the_reference_raises_no_alarm() -> None:
    assert alarms(NORMAL) == []
    assert alarms(altered(genes=120, single_exon=50, multi_exon=70)) == []


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"genes": 500, "single_exon": 200, "multi_exon": 300}, "Genes per Mb", "2.5 times the reference"),
        ({"genes": 50, "single_exon": 20, "multi_exon": 30}, "Genes per Mb", "4.0 times too low"),
        ({"single_exon": 150, "multi_exon": 50}, "Single-exon : multi-exon genes", "4.5 times the reference"),
        ({"single_exon": 200, "multi_exon": 0, "introns": 0}, "Single-exon : multi-exon genes", "no multi-exon gene"),
        ({"median_cds_bp": 300.0}, "Median coding length (bp)", "3.3 times too low"),
        ({"non_canonical_introns": 60}, "Introns without canonical splice sites", "more than 5 % of introns"),
        ({"micro_exon_genes": 40}, "Genes with an exon of 5 bp or less", "too many"),
    ],
)
def test_each_failure_raises_its_alarm(changes: dict[str, float], name: str, words: str) -> None:
    raised = [check for check in compare(altered(**changes), NORMAL) if check.alarm]
    assert [check.name for check in raised] == [name]
    assert words in raised[0].alarm


def test_an_empty_prediction_is_an_alarm() -> None:
    empty = GeneSetShape(1_000_000, 0, 0, 0, 0, 0, 0, 0, 0, 0.0)
    assert alarms(empty) == ["Genes per Mb"]
    assert compare(empty, NORMAL)[0].alarm == "none at all"


def test_bacteria_have_no_ratio_but_must_not_be_spliced() -> None:
    bacteria = altered(single_exon=200, multi_exon=0, introns=0, non_canonical_introns=0)
    assert alarms(bacteria, bacteria) == []
    assert alarms(altered(single_exon=150, multi_exon=50), bacteria) == ["Single-exon : multi-exon genes"]


def test_a_strange_reference_is_no_alarm() -> None:
    strange = altered(non_canonical_introns=45, micro_exon_genes=16)
    assert alarms(strange, strange) == []


def test_few_genes_say_nothing() -> None:
    few = altered(genes=4, single_exon=1, multi_exon=3, introns=5, non_canonical_introns=2, micro_exon_genes=1)
    assert alarms(few, altered(genes=10, single_exon=5, multi_exon=5)) == []


def test_without_a_reference_the_usual_range_of_the_clade_decides() -> None:
    def density(low: float, high: float) -> Check:
        return compare(NORMAL, None, "oomycete", (low, high))[0]

    assert NORMAL.genes_per_mb == 200
    assert density(5, 350) == Check("Genes per Mb", 200, (5, 350), "number", None)
    assert density(3, 60).alarm == density(201, 500).alarm == "unusual for genomes of clade oomycete"
    assert density(200, 200).alarm is None
    assert (
        compare(NORMAL, None, "oomycete")[0]
        == compare(NORMAL, None)[0]
        == Check("Genes per Mb", 200, None, "number", None)
    )
    # With a reference the clade is not asked.
    assert not any(check.alarm for check in compare(NORMAL, NORMAL, "oomycete", (3, 60)))
