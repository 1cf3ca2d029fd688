"""The bits that genes save: right ones save more than wrong ones, wrong ones cost, and the sum is that of the text."""

from __future__ import annotations

import numpy as np
import pytest

from genet5.annotate.code_length import Paint, saved_bits
from genet5.genome.genes import Interval
from genet5.genome.window_genes import WindowGene

GENE_CODONS, GENES, GAP = 250, 30, 300


def coding_dna(seed: int = 1) -> tuple[str, list[WindowGene]]:
    """Genes of few codons between random DNA, and where they are."""
    rng = np.random.default_rng(seed)
    codons = ["GCA", "GAA", "AAA", "CTG", "GGT", "GAT", "ACC", "CGT"]
    text, genes = "", []
    for _ in range(GENES):
        text += "".join(rng.choice(list("ACGT"), GAP))
        gene = "ATG" + "".join(rng.choice(codons, GENE_CODONS)) + "TAA"
        genes.append(WindowGene("+", (Interval(len(text), len(text) + len(gene)),)))
        text += gene
    return text, genes


def moved(gene: WindowGene, by: int) -> WindowGene:
    return WindowGene(gene.strand, tuple(Interval(start + by, end + by) for start, end in gene.cds))


def test_right_genes_save_more_than_shifted_ones_and_no_genes_nothing() -> None:
    text, genes = coding_dna()
    right = saved_bits([text], [genes])
    shifted = saved_bits([text], [[moved(gene, -100) for gene in genes]])
    assert right > 2_500 and right > shifted + 1_000
    assert saved_bits([text], [[]]) == 0


def test_genes_in_random_dna_cost_bits() -> None:
    rng = np.random.default_rng(2)
    text = "".join(rng.choice(list("ACGT"), 40_000))
    genes = [WindowGene("+", (Interval(at, at + 600),)) for at in range(500, 39_000, 1_500)]
    assert saved_bits([text], [genes]) < -100


def test_an_intron_that_joins_reading_frames_is_worth_its_place() -> None:
    rng = np.random.default_rng(3)
    text, genes = coding_dna(3)
    whole, cut, spliced = "", [], []
    for gene in genes:
        (start, end), gap = gene.cds[0], text[gene.start - GAP : gene.start]
        coding, middle = text[start:end], 3 * (GENE_CODONS // 2) + 1
        intron = "GTAAGT" + "".join(rng.choice(list("ACGT"), 60)) + "TTTTACAG"
        whole += gap
        first = Interval(len(whole), len(whole) + middle)
        second = Interval(first.end + len(intron), first.end + len(intron) + end - start - middle)
        whole += coding[:middle] + intron + coding[middle:]
        spliced.append(WindowGene("+", (first, second)))
        cut.append(WindowGene("+", (Interval(first.start, second.end),)))
    assert saved_bits([whole], [spliced]) > saved_bits([whole], [cut]) + 500


def test_a_strand_is_as_good_as_the_other() -> None:
    text, genes = coding_dna()
    turned = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    other = [gene.turned(len(text)) for gene in reversed(genes)]
    assert saved_bits([turned], [other]) == pytest.approx(saved_bits([text], [genes]), rel=0.05)


def test_unknown_bases_cost_nothing() -> None:
    text, genes = coding_dna()
    assert saved_bits([text, "N" * 1_000], [genes, []]) == pytest.approx(saved_bits([text], [genes]), abs=25)


def test_paint_has_codon_positions_introns_and_sites_of_both_strands() -> None:
    gene = WindowGene("+", (Interval(20, 24), Interval(40, 45)))
    for one, strand in ((gene, "+"), (gene.turned(60), "-")):
        paint = Paint(60)
        paint.add(one)
        turn = slice(None, None, 1 if strand == "+" else -1)
        classes, places = paint.classes[turn], paint.places[turn]
        assert classes[20:24].tolist() == [2, 3, 4, 2] and classes[40:45].tolist() == [3, 4, 2, 3, 4]
        assert (classes[24:40] == 1).all() and (classes[:20] == 0).all() and (classes[45:] == 0).all()
        assert places[20:23].tolist() == [18, 19, 20] and places[42:45].tolist() == [21, 22, 23]
        assert places[24] == 24 and places[39] == 37
        assert paint.reverse.any() == (strand == "-")
    before = paint.classes.copy()
    paint.add(WindowGene("+", (Interval(10, 30),)))
    assert (paint.classes[before > 0] == before[before > 0]).all()
