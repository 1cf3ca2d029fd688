"""The page of one annotated genome: right numbers, a clear alarm, nothing from outside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from approved import check_approved, page_lines
from report_files import CONTIG, Page, changed, check_policy, table_cells, toy_genes

from genet5.clades import read_clades
from genet5.evaluate.sanity import gene_set_shape
from genet5.genome.fasta import write_fasta
from genet5.genome.genes import Gene
from genet5.report.annotation_page import density_alarm, write_annotation_page

EVIL = '<img src=x onerror="alert(1)">&\'"</td></script>'
SCORES = (0.95, 0.9, 0.85, 0.6, 0.55, 0.1)


def written(
    folder: Path,
    number: int = 12,
    *,
    title: str = "toy",
    calibrated: bool = True,
    loci: int = 2,
    clade: str = "fungi",
    left_out: int = 0,
    scores: Sequence[float | None] = SCORES,
    more: Mapping[str, object] | None = None,
) -> str:
    """The page of ``number`` genes on a contig of 12 kb, repeated as far as the contig's bases go."""
    genes, contig = toy_genes()
    genes = [changed(gene, f"{CONTIG}.g{index}", score=scores[index % 6]) for index, gene in enumerate(genes)][:number]
    genome = folder / "genome.fna"
    write_fasta(genome, [(CONTIG, contig), ("empty", "ACGT" * 250)])
    arrays = {"names": np.array([f"{CONTIG}:{4000 * place}-{4000 * place + 4000}" for place in range(loci)], dtype=str)}
    for place in range(loci):
        for track in ("coding_plus", "coding_minus", "intron_plus", "intron_minus"):
            arrays[f"locus_{place}_{track}"] = np.linspace(0, 1, 4000).astype(np.float16)
    tracks = folder / "toy.tracks.npz"
    np.savez(tracks, **arrays)
    summary = {
        "bases": len(contig) + 1000 - left_out,
        "calibrated": calibrated,
        "counts": {"genes": len(genes), "below_min_confidence": 3},
        "cpu_s": 2.5,
        "wall_s": 1.5,
        "options": {"clade": clade, "genetic_code": 1, "decoder": "viterbi", "window_bp": 48000},
    } | dict(more or {})
    page = folder / "toy.html"
    write_annotation_page(
        page,
        title=title,
        genome_path=genome,
        genes=genes,
        lengths={CONTIG: len(contig), "empty": 1000},
        summary=summary,
        tracks=tracks,
    )
    return page.read_text(encoding="utf-8")


def test_the_page_is_the_approved_one(tmp_path):
    check_approved(page_lines(written(tmp_path), tmp_path), Path(__file__).parent / "approved/annotation.html")


def test_the_page_allows_its_own_script_alone(tmp_path):
    check_policy(written(tmp_path))


def test_the_page_tells_the_facts_of_the_genes(tmp_path):
    text = written(tmp_path)
    page = Page(text)
    assert [attrs["id"] for tag, attrs, _ in page.elements if tag == "section"] == [
        "genes",
        "contigs",
        "loci",
        "method",
    ]
    assert "GeneT5 found 12 protein-coding genes in 13 kb." in page.text
    assert f"about {2 * sum(SCORES):.0f} of them are right to the base" in page.text
    rows = {row[0]: row[1:] for row in table_cells(text, "checks")}
    assert rows["Single-exon genes"] == ["6", ""] and rows["Multi-exon genes"] == ["6", ""]
    assert rows["Genes per Mb"] == ["923", "100 to 700"]
    assert not page.with_class("absent")
    assert "window" in page.text and "48000" in page.text and "1.5 s" in page.text
    speed = page.text.partition("Speed")[2].partition(" kb per CPU second")[0]
    assert float(speed) == pytest.approx(13 / 2.5, rel=0.01), "13 kb in 2.5 CPU seconds"


def test_the_page_of_some_regions_says_so_and_has_no_density_of_contigs(tmp_path):
    whole, some = Page(written(tmp_path)).text, Page(written(tmp_path, left_out=5000)).text
    assert "Genes per Mb" in whole.partition("Contigs")[2] and "were annotated" not in whole
    assert "Genes per Mb" not in some.partition("Contigs")[2].partition("Loci")[0]
    assert "only 8 kb were annotated" in some


def test_the_page_loads_nothing_and_takes_hostile_names(tmp_path):
    text = written(tmp_path, title=EVIL)
    page = Page(text)
    assert [tag for tag, _, _ in page.elements].count("script") == 1 and EVIL not in text
    assert not [tag for tag, _, _ in page.elements if tag in ("img", "iframe", "object")]
    assert all(attrs["href"].startswith(("#", "data:")) for _, attrs, _ in page.elements if "href" in attrs)
    assert not re.search(r"https?:|@import|url\(|fetch\(", page.inside("style") + page.inside("script"))


def test_loci_are_coloured_by_confidence_where_scores_are_probabilities(tmp_path):
    page = Page(written(tmp_path))
    assert len(page.with_class("locus")) == 2
    drawn = {name: len([1 for tag, _ in page.with_class(name) if tag == "g"]) for name in ("high", "middle", "low")}
    assert drawn == {"high": 5, "middle": 2, "low": 1}
    plain = Page(written(tmp_path, calibrated=False))
    assert len([1 for tag, _ in plain.with_class("neutral") if tag == "g"]) == 8
    assert "not calibrated" in plain.text and "Genes by confidence" not in plain.text


def test_no_gene_and_no_locus_still_make_a_page(tmp_path):
    page = Page(written(tmp_path, 0, loci=0))
    assert "GeneT5 found 0 protein-coding genes" in page.text and "--track-loci" in page.text


def test_an_unknown_clade_is_not_judged(tmp_path):
    page = Page(written(tmp_path, clade="oomycete"))
    assert "Gene density was not checked" in page.text and not page.with_class("bad")


@pytest.fixture
def of_density():
    """Alarm for some genes in a number of bases."""
    genes, _ = toy_genes()
    fungi = read_clades()["fungi"]

    def alarm(number: int, bases: int, left_out: int = 0) -> str | None:
        several: list[Gene] = [replace(genes[0], id=str(index)) for index in range(number)]
        return density_alarm(gene_set_shape(several, None, bases), fungi, left_out)

    return alarm


def test_density_outside_the_usual_range_alarms_and_says_what_to_check(of_density):
    assert of_density(400, 1_000_000) is None
    assert of_density(900, 1_000_000) == (
        "Gene density is too high: 900 genes per Mb. Genomes of fungi usually have 100 to 700. "
        "Check the clade and the genetic code, and mask repeats."
    )
    assert of_density(20, 1_000_000, 4) == (
        "Gene density is too low: 20 genes per Mb. Genomes of fungi usually have 100 to 700. "
        "min_confidence left out 4 genes. Check the clade, the genetic code and the assembly."
    )


def test_a_short_sequence_may_have_few_or_many_genes_by_chance(of_density):
    assert of_density(0, 10_000) is None and of_density(12, 10_000) is None
    assert of_density(0, 200_000) is not None and of_density(30, 10_000) is not None


def test_the_usual_range_ends_where_chance_does(of_density):
    """Of 100 genes that are expected 80 may be found, and of 4,900 (7 Mb) 5,040."""
    low = (
        "Gene density is too low: 79 genes per Mb. Genomes of fungi usually have 100 to 700. "
        "Check the clade, the genetic code and the assembly."
    )
    assert [of_density(80, 1_000_000), of_density(79, 1_000_000)] == [None, low]
    assert of_density(5040, 7_000_000) is None and "too high" in of_density(5041, 7_000_000)
    assert "left out" not in of_density(5041, 7_000_000, 4)


def test_confidence_is_of_genes_with_a_score_from_its_limits_on(tmp_path):
    scores = (0.8, 0.5, None, 0.79, 0.49, 1.0)
    page = Page(written(tmp_path, scores=scores))
    drawn = {
        name: next(data for parent, data in page.texts if parent == "title" and f"score {score}" in data).split(" ")[0]
        for name, score in (("high", "0.800"), ("middle", "0.500"))
    }
    assert drawn == {"high": f"{CONTIG}.g0", "middle": f"{CONTIG}.g1"}
    counted = [len([1 for tag, _ in page.with_class(name) if tag == "g"]) for name in ("high", "middle", "low")]
    # The loci show genes 0 to 7.
    assert counted == [3, 3, 1] and len([1 for tag, _ in page.with_class("neutral") if tag == "g"]) == 1
    assert "60 %expected right to the base4 genes with 80 % or more" in page.text
    bars = [attrs["aria-label"] for _, attrs in page.with_class("chart") if "confidence" in attrs["aria-label"]]
    assert bars == [
        "Genes by confidence. 0–10 2, 10–20 0, 20–30 0, 30–40 0, 40–50 2, 50–60 2, 60–70 0, 70–80 2, 80–90 2, 90–100 2"
    ]


def test_the_method_says_what_the_dna_chose(tmp_path):
    def settings(**more: object) -> str:
        return Page(written(tmp_path, more=more)).text.partition("Settings")[2].partition("Files")[0]

    asked = {"clade_asked": "auto", "clade": "fungi", "genetic_code_asked": 1}
    text = settings(chosen=asked | {"unsure": "Two clades are near."})
    assert "Cladefungi, chosen by the DNA" in text and "Genetic code1Decoder" in text
    assert "DoubtTwo clades are near." in text
    assert "Cladefungi, chosen by the DNA" in settings(chosen=asked | {"clade_asked": "eukaryotes"})
    text = settings(chosen=asked | {"clade_asked": "fungi", "genetic_code_asked": "auto"})
    assert "CladefungiGenetic code1, chosen by the DNA" in text and "Doubt" not in text
    text = settings(adaptation={"adapted": False, "reason": "too little DNA"})
    assert "Adaptationnot adapted to this genome: too little DNA" in text
    assert "chosen" not in text


def test_a_run_whose_clock_stood_still_has_no_speed(tmp_path):
    assert "Speed– kb per CPU second" in Page(written(tmp_path, more={"cpu_s": 0})).text
