"""Single-gene loci joined to chromosomes: every gene is still there, whole, and reads the same protein."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode, reverse_complement
from genet5.genome.writing import cds_sequence

CODE = GeneticCode.from_table(1)
FIRST = (
    "ccttatta" * 4 + "ATGGCTGCTGTAAGTttttttttttttttttttttttttcagGGTGCTTAA" + "ccttatta" * 5
)  # codons split by the intron
SECOND = "ggcc" * 20 + "ATGCCCAAATTTGGGTAG" + "ggcc" * 3
CUT = "acca" * 10 + "ATGAAACCCGGGTTT"


@pytest.fixture
def loci(tmp_path: Path) -> tuple[Path, Path]:
    turned = reverse_complement(SECOND)
    (tmp_path / "loci.fna").write_text(
        f">a\n{FIRST}\n>b\n{turned}\n>cut\n{CUT}\n>two\n{SECOND}{SECOND}\n>left\n{SECOND}\n"
    )
    donor, acceptor = FIRST.index("GTAAGT"), FIRST.index("cagGGT") + 3
    end, length = FIRST.index("TAAcc") + 3, len(SECOND)
    start = SECOND.index("ATG")
    spans = {
        "a": [("+", 33, donor), ("+", acceptor + 1, end)],
        "b": [("-", length - start - 17, length - start)],
        "cut": [("+", 41, len(CUT))],
        "left": [("+", start + 1, start + 18)],
    }
    rows = [(seqid, seqid, *span) for seqid, cds in spans.items() for span in cds]
    rows += [("two", f"two{i}", "+", start + 1 + i * length, start + 18 + i * length) for i in range(2)]
    lines = ["##gff-version 3"]
    for name in dict.fromkeys(row[1] for row in rows):
        own = [row for row in rows if row[1] == name]
        seqid, strand = own[0][0], own[0][2]
        first, last = min(row[3] for row in own), max(row[4] for row in own)
        lines.append(f"{seqid}\tx\tmRNA\t{first}\t{last}\t.\t{strand}\t.\tID={name}")
        lines += [f"{seqid}\tx\tCDS\t{a}\t{b}\t.\t{strand}\t0\tParent={name}" for *_, a, b in own]
    (tmp_path / "loci.gff3").write_text("\n".join(lines) + "\n")
    return tmp_path / "loci.fna", tmp_path / "loci.gff3"


@pytest.mark.parametrize("seed", range(4))
def test_every_usable_locus_is_there_as_often_as_asked_and_reads_the_same(loci, repository, monkeypatch, seed) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(repository / "benchmarks")])
    from pseudo_chromosomes import join_loci

    joined = loci[1].with_name("joined.gff3")
    join_loci(*loci, {"a", "b", "cut", "two"}, copies=3, seed=seed, gff3=joined)
    with Genome(joined.with_suffix(".fna")) as genome:
        annotation = read_annotation(joined, genome, CODE)
        found = Counter(cds_sequence(genome, gene, gene.canonical).upper() for gene in annotation.genes)
        total = sum(genome.lengths.values())
    whole = FIRST.upper().replace(FIRST[FIRST.index("GTAAGT") : FIRST.index("cagGGT") + 3].upper(), "")
    coding = whole[32 : whole.index("GGTGCTTAA") + 9]
    assert found == {coding: 3, "ATGCCCAAATTTGGGTAG": 3}
    assert not any(gene.flags for gene in annotation.genes)
    assert 6 * 20 < total < 3 * (len(FIRST) + len(SECOND))  # flanks are cut, not lost altogether
    ordered = sorted(annotation.genes, key=lambda gene: gene.start)
    least = 2 * 12  # what is left of the shortest flank of either locus
    assert all(left.end + least <= right.start for left, right in pairwise(ordered))
    assert {gene.strand for gene in annotation.genes} == {"+", "-"}
