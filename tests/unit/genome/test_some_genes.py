"""Annotations that name some genes of their DNA: what is far from these genes is unknown."""

from __future__ import annotations

from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Transcript
from genet5.genome.some_genes import KNOWN_FLANK_BP, only_near_genes

LENGTHS = {"one": 5000, "two": 300, "three": 800}


def gene(name: str, seqid: str, *cds: tuple[int, int]) -> Gene:
    intervals = tuple(Interval(*segment) for segment in cds)
    return Gene(name, seqid, "+", (Transcript(f"{name}.t", intervals, (0,) * len(cds)),))


def test_dna_far_from_named_genes_becomes_dont_care() -> None:
    """Introns are near; neighbourhoods that meet leave no gap; a contig without a gene is unknown as a whole."""
    genes = (gene("a", "one", (1000, 1300), (2000, 2300)), gene("b", "one", (2650, 2800)), gene("c", "two", (100, 250)))
    known = Annotation(genes, (DontCare("one", 10, 20, "+", "pseudogene"),), {"genes": 3})
    found = only_near_genes(known, LENGTHS)
    assert KNOWN_FLANK_BP == 200
    assert found.genes == genes
    assert found.dont_care == (
        DontCare("one", 0, 800, ".", "not_annotated"),
        DontCare("one", 10, 20, "+", "pseudogene"),
        DontCare("one", 3000, 5000, ".", "not_annotated"),
        DontCare("three", 0, 800, ".", "not_annotated"),
    )
    assert found.counts == {"genes": 3, "not_annotated": 3}
