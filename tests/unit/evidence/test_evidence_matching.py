"""Hints beside a genome: names, places, what the bases allow; and how much stronger hints leave of weaker ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genet5.errors import InputError
from genet5.evidence.hints import CDS_PART, INTRON, KINDS, PROTEINS, RNASEQ, START, STOP, Hint, HintFile
from genet5.evidence.matching import Evidence, match, matching_name, shares_of_rivals, trusted_share
from genet5.evidence.stored import evidence_arrays, evidence_from_arrays, hinted_introns
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.sites import GeneRules

RULES = GeneRules(splice_pairs=(("GT", "AG"), ("GC", "AG")), min_intron_bp=10, max_intron_bp=60)
#: One intron on the forward strand (6 to 26), and one on the reverse (40 to 60).
BASES = "ATGCCC" + "GTAAAAAAAAAAAAAAAAAG" + "CCCTAACCCCCCCC" + "CTTTTTTTTTTTTTTTTTAC" + "CCCCCCCCCCCCCCCCCCCC"


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{BASES}\n>chr2 the second\n{'A' * 200}\n")
    return Genome(path)


def matched(genome: Genome, *hints: Hint) -> Evidence:
    return match([HintFile("file.gff", RNASEQ, "made", list(hints))], genome, RULES)


def intron(start: int, end: int, strand: str = "+", mult: int = 1, seqid: str = "chr1") -> Hint:
    return Hint(RNASEQ, INTRON, seqid, start, end, strand, mult)


def test_the_bases_say_the_strand_of_an_intron_without_one(genome: Genome) -> None:
    found = matched(genome, intron(6, 26, "."), intron(40, 60, "."))
    assert found.contigs["chr1"].minus.tolist() == [False, True] and found.matched == 2 and not found.refused


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        (intron(7, 27), "splice"),
        (intron(6, 26, "-"), "splice"),
        (intron(8, 25, "."), "splice"),
        (intron(6, 14), "length"),
        (intron(6, 70), "length"),
        (intron(90, 130), "outside"),
        (Hint(RNASEQ, START, "chr1", 1, 4, "+"), "start"),
        (Hint(RNASEQ, STOP, "chr1", 28, 31, "+"), "stop"),
        (Hint(RNASEQ, START, "chr1", 0, 3, "."), "strand"),
        (Hint(RNASEQ, CDS_PART, "chr1", 0, 6, ".", 1, 0), "strand"),
    ],
)
def test_what_the_sequence_forbids_is_counted_and_listed(genome: Genome, hint: Hint, reason: str) -> None:
    found = matched(genome, intron(6, 26), hint)
    assert (found.read, found.matched, found.refused) == (2, 1, {reason: 1})
    assert len(found.listed) == 1 and found.listed[0].startswith(f"chr1:{hint.start + 1}-{hint.end} {hint.strand} ")
    assert found.lines()[0].startswith("evidence: 2 hints read, 1 matched, 1 refused (1 ")


def test_a_start_and_a_stop_that_are_there(genome: Genome) -> None:
    found = matched(genome, Hint(RNASEQ, START, "chr1", 0, 3, "+"), Hint(RNASEQ, STOP, "chr1", 29, 32, "+"))
    assert [KINDS[kind] for kind in found.contigs["chr1"].kind] == [START, STOP]


def test_unknown_names_are_listed_and_a_file_without_known_ones_is_an_error(genome: Genome) -> None:
    found = matched(genome, intron(6, 26), intron(6, 26, seqid="chrX"))
    assert found.refused == {"name": 1} and "no sequences named 'chrX'" in found.lines()[1]
    with pytest.raises(InputError, match=r"file\.gff: its sequences are named 'scaffold_7'; the genome has 'chr1'"):
        matched(genome, intron(6, 26, seqid="scaffold_7"))


@pytest.mark.parametrize(
    ("name", "own"),
    [("chr1", "chr1"), ("1", "chr1"), ("chr1 of this", "chr1"), ("Chr1", None), ("II", None), ("chrII", "chrII")],
)
def test_names_are_matched_with_and_without_chr(name: str, own: str | None) -> None:
    assert matching_name(name, {"chr1": 9, "chrII": 9, "ChrII": 9}) == own


def test_no_hints_are_no_error(genome: Genome) -> None:
    found = matched(genome)
    assert found.contigs == {} and found.lines() == ["evidence: 0 hints read, 0 matched, 0 refused"]


def test_counts_of_two_files_add_up(genome: Genome) -> None:
    files = [HintFile(name, RNASEQ, "made", [intron(6, 26, "+", 3)]) for name in ("one", "two")]
    files.append(HintFile("three", PROTEINS, "made", [intron(6, 26, "+", 5)._replace(source=PROTEINS)]))
    assert sorted(match(files, genome, RULES).contigs["chr1"].mult.tolist()) == [5, 6]


def test_each_intron_is_measured_against_its_strongest_rival() -> None:
    rng = np.random.default_rng(1)
    for number in (1, 2, 40):
        start = np.sort(rng.integers(0, 100, number))
        end, mult = start + rng.integers(1, 30, number), rng.integers(1, 50, number).astype(float)
        by_hand = [
            own / max(m for s, e, m in zip(start, end, mult, strict=True) if s < last and first < e)
            for first, last, own in zip(start, end, mult, strict=True)
        ]
        assert shares_of_rivals(start, end, mult).tolist() == pytest.approx(by_hand)


def test_hints_of_another_sequence_are_not_trusted(genome: Genome) -> None:
    assert trusted_share(98, 100) > 0.99
    assert trusted_share(2, 100) == 0 and trusted_share(3, 100) < 0.5
    assert trusted_share(1, 10) == 1  # too few to tell
    wrong = [intron(50 + step, 70 + step) for step in range(49)]
    found = matched(genome, intron(6, 26), *wrong)
    assert found.contigs["chr1"].share.tolist() == [0] and "hardly more than by chance" in found.notes[0]


def test_evidence_comes_back_from_arrays(genome: Genome) -> None:
    found = matched(genome, intron(6, 26), intron(40, 60, "-", 7), intron(7, 27))
    again = evidence_from_arrays(evidence_arrays(found))
    assert again.summary() == found.summary()
    for one, other in zip(again.contigs["chr1"], found.contigs["chr1"], strict=True):
        assert np.array_equal(one, other)
    assert evidence_from_arrays(evidence_arrays(matched(genome))).contigs == {}


def test_introns_of_loci_are_listed_for_the_page(genome: Genome) -> None:
    found = matched(genome, intron(6, 26), intron(40, 60, "-", 7))
    loci = [Region("chr1", 0, 70), Region("chr1", 30, 70), Region("chr2", 0, 50)]
    rows = {name: of_locus.tolist() for name, of_locus in hinted_introns(found, loci).items()}
    assert rows == {"locus_0_hints": [[6, 26, 0, 1], [40, 60, 1, 7]], "locus_1_hints": [[40, 60, 1, 7]],
                    "locus_2_hints": []}  # fmt: skip
