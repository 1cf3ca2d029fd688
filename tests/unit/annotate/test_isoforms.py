"""Further transcripts: what a window offers, what a genome keeps, and files that stay valid."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_bacterium import chromosome

import genet5
from genet5.annotate.genomes import with_isoforms
from genet5.annotate.options import AnnotateOptions
from genet5.annotate.run import write_annotation
from genet5.crf.decoding import best_genes
from genet5.crf.isoforms import IsoformOptions, other_transcripts
from genet5.crf.posterior import gene_log_posteriors
from genet5.errors import InputError
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene, Interval, Transcript, phases_from_lengths
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sites import GeneRules, WindowSites

RULES = GeneRules(splice_pairs=(("GT", "AG"),), min_intron_bp=10, min_gene_bp=9, max_overlap_bp=0)
PENALTY = 1.0


def drawn(seed: int, size: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), size=size))


@pytest.fixture(scope="module")
def window():
    rng, size = np.random.default_rng(5), 400
    sites = WindowSites(drawn(5, size), RULES)
    potentials, site = rng.normal(0, 0.1, (2, size, 4)), rng.normal(0, 1, (2, 4, size + 1))
    return potentials - np.array([0, 0, 0, 0.05]), site + np.array([1, 1, 0, 0])[:, None], sites


def test_further_transcripts_are_probable_complete_and_of_one_gene(window):
    potentials, site, sites = window
    genes = [gene for gene, _ in best_genes(potentials, site, sites, PENALTY)]
    options = (IsoformOptions(number, 0.005, 400) for number in (2, 9))
    few, many = (other_transcripts(potentials, site, sites, PENALTY, genes, one) for one in options)
    assert many and any(len(others) > 1 for others in many.values())
    assert all(len(others) == 1 for others in few.values())
    for gene, scored in many.items():
        others = [other for other, _ in scored]
        assert few[gene] == scored[:1] and gene in genes and gene not in others
        shares = gene_log_posteriors(potentials, site, sites.allowed, PENALTY, others)
        assert shares == [share for _, share in scored] == sorted(shares, reverse=True)
        assert shares[-1] >= math.log(0.005)
        for other in others:
            assert not other.partial5 and not other.partial3 and other.strand == gene.strand
            touched = [
                one for one in genes if one.strand == other.strand
                and any(a.start < b.end and b.start < a.end for a in one.cds for b in other.cds)
            ]  # fmt: skip
            assert touched == [gene]
            lengths = [right.start - left.end for left, right in zip(other.cds, other.cds[1:], strict=False)]
            assert all(RULES.min_intron_bp <= length for length in lengths)


def test_a_gene_has_one_transcript_unless_more_are_asked_for(window):
    potentials, site, sites = window
    genes = [gene for gene, _ in best_genes(potentials, site, sites, PENALTY)]
    assert not any(other_transcripts(potentials, site, sites, PENALTY, genes, IsoformOptions()).values())


def gene(*cds: tuple[int, int], strand: str = "+") -> Gene:
    intervals = tuple(Interval(*segment) for segment in cds)
    return Gene("", "c", strand, (Transcript("", intervals, phases_from_lengths(intervals, strand, 0)),))


def test_a_genome_keeps_those_that_meet_no_other_gene():
    one, two = gene((10, 40)), gene((60, 90))
    good, long, third = ((Interval(10, 20), Interval(30, 50)), (Interval(10, 70),), (Interval(16, 40),))
    others = {("c", "+", one.canonical.cds): [long, good, third]}
    found = with_isoforms([one, two], others, 9)
    assert [transcript.cds for transcript in found[0].transcripts] == [one.canonical.cds, good, third]
    assert found[0].transcripts[1].phases == (0, 2) and found[1] == two
    assert [len(made.transcripts) for made in with_isoforms([one, two], others, 2)] == [2, 1]
    assert with_isoforms([one, two], others, 1) == [one, two]


def test_the_files_of_an_annotation_with_isoforms_are_valid(tmp_path: Path):
    """Of bacteria: further transcripts are other starts."""
    (tmp_path / "my.fa").write_text(f">c\n{chromosome()[:30_000]}\n")
    annotator = genet5.load("bacteria")
    options = AnnotateOptions(isoforms=3, isoform_posterior=0.02)
    with Genome(tmp_path / "my.fa") as genome:
        found = annotator.annotate(genome, options=options)
        plain = annotator.annotate(genome)
        write_annotation(tmp_path / "my", found, genome)  # it reads the GFF3 back and checks it
        read = read_annotation(tmp_path / "my.gff3", genome, GeneticCode.from_table(11)).genes
    numbers = [len(one.transcripts) for one in found.genes]
    assert 1 < max(numbers) <= 3 and len(read) == len(found.genes)
    assert [replace(one, transcripts=one.transcripts[:1]) for one in found.genes] == plain.genes
    assert {t.cds for one in read for t in one.transcripts} == {t.cds for one in found.genes for t in one.transcripts}


def test_the_writer_and_parts_have_one_transcript(tmp_path: Path):
    (tmp_path / "my.fa").write_text(f">c\n{drawn(3, 3_000)}\n")
    with Genome(tmp_path / "my.fa") as genome, pytest.raises(InputError) as error:
        genet5.load("fungi").annotate(genome, options=AnnotateOptions(isoforms=2, decoder="lm"))
    assert str(error.value) == "isoforms: 2, but the decoder lm finds one transcript; use viterbi or expected"
