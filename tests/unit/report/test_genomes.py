"""Predictions beside their reference: the files named on the command line, and what needs a reference."""

from __future__ import annotations

import pytest
from report_files import changed, toy_genes

from genet5.errors import InputError
from genet5.report.browser import GeneTrack
from genet5.report.genomes import Prediction, ReferenceFiles, parse_reference


def test_a_reference_is_four_fields() -> None:
    assert parse_reference("S=a.gff=b.fna=12") == ReferenceFiles("S", "a.gff", "b.fna", 12)
    assert parse_reference("S==b.fna=1") == ReferenceFiles("S", None, "b.fna", 1)


@pytest.mark.parametrize("text", ["S=a=b", "S=a=b=1=2", "=a=b=1", "S=a==1", "S=a=b=", "S=a=b=x"])
def test_other_references_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"found '{text}', expected species=annotation=genome=code"):
        parse_reference(text)


def test_only_a_reference_says_how_often_genes_are_right() -> None:
    (gene,), _ = toy_genes(1)
    genes = [changed(gene, f"p{number}", score=0.25 if number < 20 else 0.75) for number in range(40)]
    track = GeneTrack("GeneT5 sft", genes, ["wrong"] * 20 + ["exact"] * 20)
    known = Prediction("S", "sft", True, (), (GeneTrack("Reference", [], []), track), (), 40)
    assert known.confidence == [(0.25, 0.0, 20), (0.75, 1.0, 20)]
    assert known.dial[:26] == [(pytest.approx(number / 100), 0.5, 0.5) for number in range(26)]
    assert known.dial[26:] == [(pytest.approx(number / 100), 1.0, 0.5) for number in range(26, 76)]
    new = Prediction("S", "sft", False, (), (track,), ())
    assert (new.confidence, new.dial, new.known) == ([], [], 0)
