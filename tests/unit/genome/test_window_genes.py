"""Genes of a window as one of its strands reads them."""

from __future__ import annotations

import pytest

from genet5.genome.genes import Interval
from genet5.genome.window_genes import WindowGene

WINDOW_BP = 100


def gene(strand: str, *cds: tuple[int, int], **cut: bool) -> WindowGene:
    return WindowGene(strand, tuple(Interval(*one) for one in cds), **cut)


@pytest.mark.parametrize(
    ("one", "segments", "introns"),
    [
        (gene("+", (10, 20), (40, 60)), [(10, 20), (40, 60)], [(20, 40)]),
        (gene("-", (10, 20), (40, 60)), [(40, 60), (80, 90)], [(60, 80)]),
        (gene("+", (10, 20), (40, 60), partial5=True, phase=1), [(10, 20), (40, 60)], [(0, 10), (20, 40)]),
        (gene("-", (10, 20), (40, 60), partial5=True, phase=1), [(40, 60), (80, 90)], [(0, 40), (60, 80)]),
        (gene("+", (10, 20), (40, 60), partial3=True), [(10, 20), (40, 60)], [(20, 40), (60, 100)]),
        (gene("-", (10, 20), (40, 60), partial3=True), [(40, 60), (80, 90)], [(60, 80), (90, 100)]),
        (gene("+", (0, 20), partial5=True, phase=2), [(0, 20)], []),
        (gene("+", (80, 100), partial3=True), [(80, 100)], []),
        (gene("-", (0, 20), partial3=True), [(80, 100)], []),
    ],
)
def test_segments_and_introns_are_read_from_5_to_3(one, segments, introns):
    """An intron that the window cuts reaches its edge; an exon that it cuts has none there."""
    assert [tuple(each) for each in one.on_strand(WINDOW_BP)] == segments
    assert [tuple(each) for each in one.introns_on_strand(WINDOW_BP)] == introns


def test_a_gene_turned_twice_is_the_gene():
    one = gene("+", (10, 20), (40, 60), partial5=True, partial3=True, phase=2)
    turned = one.turned(WINDOW_BP)
    assert turned == gene("-", (40, 60), (80, 90), partial5=True, partial3=True, phase=2)
    assert turned.turned(WINDOW_BP) == one and (turned.start, turned.end) == (40, 90)
