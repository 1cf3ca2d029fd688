"""What hints say of annotated genes, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from genet5.evidence.hints import CDS_PART, INTRON, PROTEINS, RNASEQ, START, STOP, Hint, HintFile
from genet5.evidence.matching import Evidence, match
from genet5.evidence.support import CONFIRMED, CONTRADICTED, FULL, MISSED, NONE, PARTIAL, Support, fate_of, support_of
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Interval, Region, Transcript, phases_from_lengths
from genet5.genome.sites import GeneRules

RULES = GeneRules(splice_pairs=(("GT", "AG"),), min_intron_bp=10, max_intron_bp=500)
#: GT from 100, 200, ... and AG up to 150, 250, ... on the forward strand; CT..AC the same from 600 on.
SIZE = 1200


def made_bases() -> str:
    letters = ["A"] * SIZE
    for at in range(100, SIZE, 100):
        motifs = ("GT", "AG") if at < 600 else ("CT", "AC")
        letters[at : at + 2], letters[at + 48 : at + 50] = motifs
    letters[0:3], letters[347:350] = "ATG", "TAA"
    return "".join(letters)


def gene(name: str, strand: str, *cds: tuple[int, int]) -> Gene:
    parts = tuple(Interval(*part) for part in cds)
    return Gene(name, "c1", strand, (Transcript(f"{name}.t1", parts, phases_from_lengths(parts, strand)),))


def intron(at: int, end: int, strand: str = "+", mult: int = 9) -> Hint:
    return Hint(RNASEQ, INTRON, "c1", at, end, strand, mult)


GENE = gene("g1", "+", (0, 100), (150, 200), (250, 350))


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    path = tmp_path / "genome.fa"
    path.write_text(f">c1\n{made_bases()}\n>c2\nACGT\n")
    return Genome(path)


def evidence(genome: Genome, *hints: Hint) -> Evidence:
    found = match([HintFile("hints", RNASEQ, "made", list(hints))], genome, RULES)
    assert not found.refused
    return found


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        ([intron(100, 150), intron(200, 250)], Support(2, 0, FULL)),
        ([intron(100, 150)], Support(1, 0, PARTIAL)),
        ([intron(300, 550)], Support(0, 1, NONE)),
        ([intron(100, 150), intron(200, 250), intron(100, 250, mult=5)], Support(2, 1, FULL)),
        ([intron(100, 150), intron(200, 250, mult=100), intron(100, 250, mult=5)], Support(2, 0, FULL)),
        ([Hint(PROTEINS, START, "c1", 0, 3, "+"), Hint(PROTEINS, STOP, "c1", 347, 350, "+")], Support(2, 0, PARTIAL)),
        ([Hint(PROTEINS, CDS_PART, "c1", 3, 90, "+", 1, 0)], Support(1, 0, PARTIAL)),
        ([Hint(PROTEINS, CDS_PART, "c1", 3, 90, "+", 1, 1)], Support(0, 0, NONE)),
        ([Hint(PROTEINS, CDS_PART, "c1", 155, 190, "+", 1, 0)], Support(1, 0, PARTIAL)),  # frame: 100 + 5 = 0 mod 3
        ([intron(600, 650, "-")], Support(0, 0, NONE)),
    ],
)
def test_support_of_one_transcript(genome: Genome, hints: list[Hint], expected: Support) -> None:
    assert support_of([GENE], evidence(genome, *hints)).by_transcript == {"g1.t1": expected}


def test_a_gene_without_introns_needs_both_its_ends(genome: Genome) -> None:
    single = gene("g2", "+", (0, 350))
    ends = [Hint(PROTEINS, START, "c1", 0, 3, "+"), Hint(PROTEINS, STOP, "c1", 347, 350, "+")]
    assert support_of([single], evidence(genome, *ends)).by_transcript["g2.t1"] == Support(2, 0, FULL)
    assert support_of([single], evidence(genome, ends[0])).by_transcript["g2.t1"] == Support(1, 0, PARTIAL)
    # Its reading frame is that of another strand's hint by chance alone.
    assert support_of([gene("g3", "-", (0, 350))], evidence(genome, *ends)).by_transcript["g3.t1"].support == NONE


def test_fates_of_hinted_introns(genome: Genome) -> None:
    other = gene("g4", "-", (560, 600), (650, 700))
    hints = [intron(100, 150), intron(300, 550), intron(600, 650, "-"), intron(800, 850, "-"), intron(400, 450)]
    found = support_of([GENE, other], evidence(genome, *hints))
    # The last one lies beside the gene, and so overlaps its rival 300-550 alone.
    assert found.introns == {CONFIRMED: 2, MISSED: 2, CONTRADICTED: 1}
    assert found.summary()["transcripts"] == {FULL: 1, PARTIAL: 1, NONE: 0}
    annotated = [Region("c1", 0, 500), Region("c2", 0, 4)]
    assert support_of([GENE, other], evidence(genome, *hints), annotated).introns == {
        CONFIRMED: 1,
        MISSED: 1,
        CONTRADICTED: 0,
    }


def test_the_fate_of_one_hint_on_the_page() -> None:
    transcripts = [GENE.canonical, gene("g5", "+", (560, 600), (650, 700)).canonical]
    fates = {(100, 150): CONFIRMED, (600, 650): CONFIRMED, (300, 550): CONTRADICTED, (800, 850): MISSED}
    assert {place: fate_of(*place, transcripts) for place in fates} == fates


def test_genes_of_contigs_without_hints_have_none(genome: Genome) -> None:
    found = support_of([gene("g5", "+", (0, 350))], evidence(genome))
    assert found.by_transcript == {"g5.t1": Support(0, 0, NONE)}
    assert found.by_transcript["g5.t1"].attributes() == {
        "hints_supported": "0",
        "hints_contradicted": "0",
        "support": "none",
    }
