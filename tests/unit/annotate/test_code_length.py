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


def test_a_painted_gene_has_a_class_and_a_place_for_each_base() -> None:
    gene = WindowGene("+", (Interval(20, 24), Interval(40, 45)))
    classes = [0] * 20 + [2, 3, 4, 2] + [1] * 16 + [3, 4, 2, 3, 4] + [0] * 15
    places = [-1, -1, *range(21), -1, *range(24, 30), -1, -1, *range(30, 38), -1, -1, 21, 22, 23, *[-1] * 15]
    for one, turn in ((gene, 1), (gene.turned(60), -1)):
        paint = Paint(60)
        paint.add(one)
        assert paint.classes[::turn].tolist() == classes and paint.places[::turn].tolist() == places
        reverse = [turn < 0 and 2 <= at < 45 for at in range(60)]
        assert paint.reverse[::turn].tolist() == reverse


def test_what_the_window_cuts_off_is_not_painted() -> None:
    paint = Paint(30)
    paint.add(WindowGene("+", (Interval(5, 9), Interval(27, 30)), partial3=True))
    assert paint.classes.tolist() == [0] * 5 + [2, 3, 4, 2] + [1] * 18 + [3, 4, 2]
    # 18 bases before a start are counted, of which the window has 5; and 3 after it.
    assert paint.places.tolist() == [*range(13, 21), -1, *range(24, 30), *[-1] * 4, *range(30, 38), -1, -1, -1]
    paint = Paint(12)
    paint.add(WindowGene("+", (Interval(0, 9),), partial5=True, phase=2))
    assert paint.classes.tolist() == [3, 4, 2, 3, 4, 2, 3, 4, 2, 0, 0, 0]
    assert paint.places.tolist() == [-1] * 6 + [21, 22, 23, -1, -1, -1]


def test_genes_painted_first_stay() -> None:
    paint = Paint(40)
    paint.add(WindowGene("+", (Interval(20, 26),)))
    paint.add(WindowGene("-", (Interval(23, 32),)))
    assert paint.classes.tolist() == [0] * 20 + [2, 3, 4, 2, 3, 4, 4, 3, 2, 4, 3, 2] + [0] * 8
    # The start of the second gene is at 32 on the reverse strand: 3 bases of it, and 8 before it in the window.
    start = [20, 19, 18, *range(17, 9, -1)]
    assert paint.places.tolist() == [-1, -1, *range(21), 21, 22, 23, -1, -1, -1, *start]
    assert paint.reverse.tolist() == [False] * 26 + [True] * 3 + [True] * 11


def test_the_places_of_genes_are_written_as_binary_digits_of_lengths() -> None:
    """Unknown bases cost nothing. A length costs its digits after the first, and the chance of so many digits."""
    spliced = WindowGene("+", (Interval(10, 20), Interval(30, 45)))
    bits = 1 + 3 + 1 + 3 + 3 + 3 + 5 - 6 + 3 * np.log2(40) + np.log2(14) + np.log2(42)
    assert saved_bits(["N" * 100], [[spliced]]) == pytest.approx(-bits)
    over = [WindowGene("-", (Interval(25, 40),)), WindowGene("+", (Interval(10, 30),))]
    bits = 2 + 3 + 0 + 4 + 2 + 0 + 3 + 5 - 6 + np.log2([40, 40, 40, 42, 14, 42, 44]).sum() - np.log2(40)
    assert saved_bits(["N" * 100], [over]) == pytest.approx(-bits)
    whole = WindowGene("+", (Interval(0, 100),))
    bits += 1 + 0 + 0 + 6 + 0 - 6 + np.log2([46, 8.8, 44, 16]).sum() - np.log2(14)
    assert saved_bits(["N" * 100, "N" * 100], [over, [whole]]) == pytest.approx(-bits)


def written(windows: list[str], painted: list[Paint]) -> float:
    """Bits of the bases of windows, with counts by the text before a base."""
    of_class, of_all, of_place = ({} for _ in range(3))
    weights = {kind: [1 / 7] * 7 for kind in range(5)}

    def counted(table: dict, key: object, base: int, prior: float) -> float:
        row = table.setdefault(key, [0] * 4)
        chance = (row[base] + 4 * prior) / (sum(row) + 4)
        row[base] += 1
        return chance

    bits = 0.0
    for window, paint in zip(windows, painted, strict=True):
        for at, letter in enumerate(window):
            if letter == "N":
                continue
            turned = bool(paint.reverse[at])
            text = window[at + 1 : at + 6] if turned else window[max(at - 5, 0) : at][::-1]
            text = text.partition("N")[0]
            base, text = (
                ("TGCA".index(letter), text.translate(str.maketrans("ACGT", "TGCA")))
                if turned
                else (
                    "ACGT".index(letter),
                    text,
                )
            )
            kind, place = int(paint.classes[at]), int(paint.places[at])
            by_class, by_all, chances = 0.25, 0.25, []
            for length in range(len(text) + 1):
                by_class = counted(of_class, (kind, text[:length]), base, by_class)
                by_all = counted(of_all, text[:length], base, by_all)
                chances.append(by_class)
            chances = [by_all, *chances, *[by_class] * (6 - len(chances))]
            chance = sum(weight * one for weight, one in zip(weights[kind], chances, strict=True))
            new = [(weight * one / chance) ** 0.998 + 1e-4 for weight, one in zip(weights[kind], chances, strict=True)]
            weights[kind] = [weight / sum(new) for weight in new]
            if place >= 0:
                chance = counted(of_place, place, base, chance)
            bits -= np.log2(chance)
    return bits


def test_saved_bits_are_those_of_counts_by_the_text_before_each_base() -> None:
    """Genes of both strands, with an intron and unknown bases, in two windows that share their counts."""
    rng = np.random.default_rng(7)
    windows = ["".join(rng.choice(list("AACGT"), 400)) for _ in range(2)]
    windows[0] = windows[0][:150] + "NN" + windows[0][152:]
    genes = [
        [WindowGene("+", (Interval(100, 160), Interval(220, 301)))],
        [WindowGene("-", (Interval(20, 80), Interval(120, 180))), WindowGene("+", (Interval(300, 390),))],
    ]
    without, painted = ([Paint(400) for _ in windows] for _ in range(2))
    for paint, found in zip(painted, genes, strict=True):
        for gene in found:
            paint.add(gene)
    unknown = saved_bits(["N" * 400] * 2, genes)  # what the places alone cost
    assert saved_bits(windows, genes) == pytest.approx(written(windows, without) - written(windows, painted) + unknown)
