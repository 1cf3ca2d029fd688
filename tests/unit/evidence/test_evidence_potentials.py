"""What hints do to the genes that are found: a hand-made gene that the best chain misses without them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from genet5.crf.decoding import best_genes
from genet5.evidence.hints import (
    CDS_PART,
    EXON_PART,
    HARD,
    INTERGENIC_PART,
    INTRON,
    LEARNED,
    PROTEINS,
    RNASEQ,
    START,
    STOP,
    Hint,
    HintFile,
)
from genet5.evidence.matching import match
from genet5.evidence.potentials import WindowEvidence, strand_features
from genet5.evidence.weights import shipped_weights, weights_of
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import WindowGene

RULES = GeneRules(splice_pairs=(("GT", "AG"),), min_intron_bp=20, max_intron_bp=1000, min_gene_bp=60)
EXONS = ((600, 720), (900, 1000), (1200, 1340))
SIZE = 2000
PENALTY = 8.0


def made_bases() -> str:
    """2 kb without stop codons in the gene's frame: a start, two introns from GT to AG, a stop; decoys all around."""
    rng = np.random.default_rng(3)
    letters = rng.choice(list("ACGT"), SIZE)
    coding = [at for first, last in EXONS for at in range(first, last)]
    for place in range(0, len(coding), 3):
        codon = rng.choice(["GCT", "GTA", "AGC", "GGT", "CAG", "GAA"])
        for at, letter in zip(coding[place : place + 3], codon, strict=True):
            letters[at] = letter
    for at, motif in ((600, "ATG"), (1337, "TAA"), (720, "GT"), (898, "AG"), (1000, "GT"), (1198, "AG")):
        letters[at : at + len(motif)] = list(motif)
    return "".join(letters)


BASES = made_bases()
INTRONS = tuple((left[1], right[0]) for left, right in pairwise(EXONS))
GENE = WindowGene("+", EXONS)


def genome_of(folder: Path, bases: str) -> Genome:
    path = folder / "gene.fa"
    path.write_text(f">c1\n{bases}\n")
    return Genome(path)


def potentials(bases: str, strand: str) -> tuple[np.ndarray, np.ndarray]:
    """A network that is almost blind: exons earn a hundredth of a nat per base, true ends one, so a gene earns 9."""
    of_bases = np.full((2, SIZE, 4), -0.05, np.float32)
    of_sites = np.full((2, 4, SIZE + 1), -6.0, np.float32)
    row, position = int(strand == "-"), 0
    for first, last in EXONS:
        for at in range(first, last):
            of_bases[row, at, position % 3] = 0.02
            position += 1
    for first, last in INTRONS:
        of_bases[row, first:last, 3] = 0.0
        of_sites[row, 2, first] = of_sites[row, 3, last] = -2.0
    of_sites[row, 0, EXONS[0][0]] = of_sites[row, 1, EXONS[-1][1]] = 2.0
    return of_bases, of_sites


def found(folder: Path, hints: list[Hint], strand: str = "+", weight: str = LEARNED) -> list[WindowGene]:
    """Genes with the hints, which are given for the forward strand."""
    bases = BASES if strand == "+" else reverse_complement(BASES)
    if strand == "-":
        hints = [
            hint._replace(
                start=SIZE - hint.end, end=SIZE - hint.start, strand={"+": "-", "-": "+", ".": "."}[hint.strand]
            )
            for hint in hints
        ]
    sites, place = WindowSites(bases, RULES), Region("c1", 0, SIZE)
    with genome_of(folder, bases) as genome:
        evidence = match([HintFile("hints", RNASEQ, "made", hints)], genome, RULES)
    added = WindowEvidence(evidence, weights_of(weight)).add(sites, place, *potentials(bases, strand))
    return [gene for gene, _ in best_genes(*added, sites, PENALTY)]


def intron(place: tuple[int, int], mult: int = 100, strand: str = "+") -> Hint:
    return Hint(RNASEQ, INTRON, "c1", *place, strand, mult)


def on(strand: str) -> WindowGene:
    return GENE if strand == "+" else GENE.turned(SIZE)


@pytest.mark.parametrize("strand", ["+", "-"])
def test_two_hints_bring_back_a_gene_exactly(tmp_path: Path, strand: str) -> None:
    assert found(tmp_path, [], strand) == []
    assert found(tmp_path, [intron(place) for place in INTRONS], strand) == [on(strand)]


@pytest.mark.parametrize("strand", ["+", "-"])
def test_of_hints_that_contradict_each_other_the_stronger_wins(tmp_path: Path, strand: str) -> None:
    sites = WindowSites(BASES, RULES).plus
    donors = [at for at in np.flatnonzero(sites.any_donor).tolist() if 640 < at < 720 and at != 720]
    rival = (donors[0], 900)
    hints = [intron(place) for place in INTRONS]
    assert found(tmp_path, [*hints, intron(rival, 2)], strand) == [on(strand)]
    for weight in (LEARNED, HARD):
        assert found(tmp_path, [*hints, intron(rival, 2)], strand, weight) == [on(strand)]


def test_forced_hints_make_genes_of_nothing_but_what_the_bases_allow(tmp_path: Path) -> None:
    hints = [intron(place, 1) for place in INTRONS]
    assert found(tmp_path, hints, weight=HARD)[0].cds[-2:] == GENE.cds[-2:]
    wrong = [intron((first + 1, last + 1), 10_000) for first, last in INTRONS]
    assert found(tmp_path, wrong, weight=HARD) == []


@pytest.mark.parametrize("strand", ["+", "-"])
def test_proteins_show_frame_start_and_stop(tmp_path: Path, strand: str) -> None:
    """Without a word of introns: the coding parts and the two ends of the gene."""
    parts = []
    for (first, last), done in zip(EXONS, (0, 120, 220), strict=True):
        trimmed = 9 if strand == "+" else 12  # any part of an exon will do
        parts.append(Hint(PROTEINS, CDS_PART, "c1", first + trimmed, last - 12, "+", 30, -(done + trimmed) % 3))
    ends = [Hint(PROTEINS, START, "c1", 600, 603, "+", 30), Hint(PROTEINS, STOP, "c1", 1337, 1340, "+", 30)]
    assert found(tmp_path, parts + ends, strand) == [on(strand)]
    assert found(tmp_path, parts, strand) == [on(strand)]
    shifted = [part._replace(frame=(part.frame + 1) % 3) for part in parts]
    assert found(tmp_path, shifted, strand) == []


def features(
    folder: Path, hints: list[Hint], row: int = 0, rules: GeneRules = RULES
) -> dict[str, tuple[np.ndarray | None, np.ndarray | None]]:
    sites, place = WindowSites(BASES, rules), Region("c1", 0, SIZE)
    with genome_of(folder, BASES) as genome:
        evidence = match([HintFile("hints", RNASEQ, "made", hints)], genome, rules)
    made = strand_features(evidence.contigs["c1"], place, sites, row, shipped_weights())
    return {feature.name: (feature.bases, feature.sites) for feature in made}


def test_the_parts_of_an_intron(tmp_path: Path) -> None:
    made = features(tmp_path, [intron(INTRONS[0])])
    strength = shipped_weights().strength(np.array([100.0]), np.array([1.0]))[0]
    _, sites = made["rnaseq.site"]
    assert sorted(zip(*(axis.tolist() for axis in np.nonzero(sites)), strict=True)) == [(2, 720), (3, 900)]
    assert sites[2, 720] == pytest.approx(strength)
    bases, _ = made["rnaseq.intron"]
    assert bases[720:900, 3].sum() == pytest.approx(strength) and bases.sum() == pytest.approx(strength)
    _, malus = made["rnaseq.malus"]
    allowed = WindowSites(BASES, RULES).plus
    assert malus[2, 1000] == pytest.approx(-strength)  # a donor nearby that no read shows
    assert malus[2, 720] == malus[3, 900] == 0 and not malus[2][~allowed.any_donor].any() and not malus[:2].any()
    assert features(tmp_path, [intron(INTRONS[0])], row=1) == {}


def test_a_site_of_usual_and_rare_introns_of_the_same_strength_has_no_malus(tmp_path: Path) -> None:
    """Of introns from GT and from GC to the same AG."""
    _, last = INTRONS[0]
    start = BASES.index("GC", INTRONS[0][0] + 20)
    rules = replace(RULES, splice_pairs=(("GT", "AG"), ("GC", "AG")))
    made = features(tmp_path, [intron(INTRONS[0]), intron((start, last))], rules=rules)
    (_, hinted), (_, rare) = made["rnaseq.site"], made["rnaseq.rare"]
    assert start < last - 20 and rare[2, start] > 0 and hinted[3, last] == rare[3, last] > 0
    assert made["rnaseq.malus"][1][3, last] == 0


def test_there_is_no_malus_where_nothing_is_covered(tmp_path: Path) -> None:
    sites = WindowSites("A" * 50 + BASES + "A" * 4000 + BASES, RULES)
    hint = intron((770, 950))
    path = tmp_path / "long.fa"
    path.write_text(">c1\n" + "A" * 50 + BASES + "A" * 4000 + BASES + "\n")
    with Genome(path) as genome:
        evidence = match([HintFile("hints", RNASEQ, "made", [hint])], genome, RULES)
    made = strand_features(evidence.contigs["c1"], Region("c1", 0, sites.window_bp), sites, 0, shipped_weights())
    (malus,) = [feature.sites for feature in made if feature.name == "rnaseq.malus"]
    assert malus.any() and not malus[:, 6000:].any()


def test_strength_grows_with_counts_saturates_and_falls_with_rivals() -> None:
    weights = shipped_weights()
    one = np.ones(5)
    grown = weights.strength(np.array([1.0, 3.0, 10.0, 100.0, 1e6]), one)
    assert (np.diff(grown) > 0).all() and grown[-1] <= 1 and grown[-1] - grown[-2] < grown[1] + grown[0]
    fallen = weights.strength(100 * one, np.array([1.0, 0.5, 0.1, 0.01, 0.0]))
    assert (np.diff(fallen) <= 0).all() and fallen[2] == pytest.approx(fallen[0] / 2) and fallen[3] == fallen[4] == 0


def test_covered_bases_and_intergenic_parts(tmp_path: Path) -> None:
    made = features(tmp_path, [Hint(RNASEQ, EXON_PART, "c1", 600, 700, ".", 20)])
    bases, _ = made["rnaseq.covered"]
    assert (bases[600:700, :3] > 0).all() and (bases[600:700, 3] < 0).all() and not bases[:600].any()
    other = features(tmp_path, [Hint(RNASEQ, EXON_PART, "c1", 600, 700, ".", 20)], row=1)
    assert np.array_equal(other["rnaseq.covered"][0], bases[::-1])
    made = features(tmp_path, [Hint(RNASEQ, INTERGENIC_PART, "c1", 100, 200, ".", 1)])
    assert (made["rnaseq.irpart"][0][100:200] < 0).all()


@pytest.mark.parametrize("cut", [(0, 950), (700, 1300), (850, 2000)])
def test_a_window_sees_its_share_of_what_the_whole_genome_shows(tmp_path: Path, cut: tuple[int, int]) -> None:
    hints = [intron(place) for place in INTRONS] + [Hint(RNASEQ, CDS_PART, "c1", 609, 711, "+", 9, 0)]
    first, last = cut
    with genome_of(tmp_path, BASES) as genome:
        evidence = match([HintFile("hints", RNASEQ, "made", hints)], genome, RULES)
    added = WindowEvidence(evidence, shipped_weights())
    whole, part = WindowSites(BASES, RULES), WindowSites(BASES[first:last], RULES)
    nothing = (np.zeros((2, SIZE, 4)), np.zeros((2, 4, SIZE + 1)))
    bases, sites = added.add(whole, Region("c1", 0, SIZE), *nothing)
    of_part, sites_of_part = added.add(
        part, Region("c1", first, last), np.zeros((2, last - first, 4)), np.zeros((2, 4, last - first + 1))
    )
    assert np.allclose(of_part[0], bases[0, first:last])
    # At its edges a window cannot tell whether the bases allow a site.
    assert np.allclose(sites_of_part[0][:, 2:-2], sites[0][:, first + 2 : last - 1])
    assert not nothing[0].any()
