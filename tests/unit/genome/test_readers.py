"""Every reference set is read with the gene count its documentation states, and its structures are right."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest
from Bio import SeqIO
from reference_sets import EXPECTED

from genet5.errors import InputError
from genet5.genome.annotation import annotation_format, read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genes import Annotation, Gene
from genet5.genome.genetic_code import GeneticCode, reverse_complement


def spliced(gene: Gene, genome: Genome) -> str:
    bases = "".join(genome.sequence(gene.seqid, start, end) for start, end in gene.canonical.cds)
    return bases if gene.strand == "+" else reverse_complement(bases)


@pytest.mark.parametrize("name", EXPECTED)
def test_gene_counts_are_those_of_the_documentation(name: str, read_set, shared_data: Path) -> None:
    expected = EXPECTED[name]
    annotation = read_set(name).annotation
    assert annotation_format(shared_data / name) == expected.format
    assert len(annotation.genes) == expected.loci
    assert annotation.counts["transcripts"] == expected.transcripts
    assert len(annotation.trusted) == annotation.counts["genes_sound"] == expected.sound
    assert annotation.counts.get("pseudogene_loci", 0) == expected.pseudogenes


@pytest.mark.parametrize("name", EXPECTED)
def test_sound_genes_translate_and_structures_are_in_order(name: str, read_set) -> None:
    genome, code, annotation = read_set(name)
    for gene in annotation.trusted:
        protein = code.translate(spliced(gene, genome))
        assert protein[0] == "M" and protein[-1] == "*" and "*" not in protein[:-1] and "X" not in protein, gene.id
        for transcript in gene.transcripts:
            assert transcript.complete5 and transcript.complete3
            assert all(left.end < right.start for left, right in zip(transcript.cds, transcript.cds[1:], strict=False))
            assert transcript.phases[0 if gene.strand == "+" else -1] == 0
    assert len({gene.id for gene in annotation.genes}) == len(annotation.genes)
    order = {seqid: index for index, seqid in enumerate(genome.names)}
    keys = [(order[gene.seqid], gene.start, gene.end, gene.id) for gene in annotation.genes]
    assert keys == sorted(keys)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_flagged_gene_is_covered_by_dont_care(name: str, read_set) -> None:
    genome, _, annotation = read_set(name)
    regions: dict[tuple[str, str], list[tuple[int, int]]] = {}
    assert annotation.genes
    for region in annotation.dont_care:
        assert 0 <= region.start < region.end <= genome.lengths[region.seqid]
        assert region.strand in ("+", "-", ".")
        regions.setdefault((region.seqid, region.strand), []).append((region.start, region.end))
    for gene in annotation.genes:
        covered = (gene.canonical.start, gene.canonical.end) in regions.get((gene.seqid, gene.strand), [])
        assert covered or not gene.flags


def test_what_the_documentation_leaves_out_is_counted(read_set) -> None:
    pombe = read_set("S.pombe/gff.gz").annotation.counts
    assert pombe["rows_on_unknown_sequences"] == 168
    assert pombe["cds_rows_under_noncoding"] > 1800
    assert read_set("P.falciparum/gff.gz").annotation.counts["cds_rows_under_noncoding"] == 15
    thale = read_set("A.thaliana/gff.gz").annotation
    assert (thale.counts["transposon_loci"], thale.counts["orphan_transcripts"]) == (11, 4)
    assert Counter(region.reason for region in thale.dont_care)["transposon"] == 11
    ensembl = read_set("S.cerevisiae.ensembl/gtf.gz").annotation
    assert ensembl.counts["stop_codons_added"] == 6600
    assert sum(gene.seqid != "Mito" for gene in ensembl.genes) == 6572
    yeast = read_set("S.cerevisiae/gff.gz").annotation
    assert Counter(flag for gene in yeast.genes for flag in gene.flags) == {"frameshift": 47}
    coli = read_set("E.coli/gff.gz").annotation
    assert {gene.id for gene in coli.genes if "in_frame_stop" in gene.flags} == {
        "gene-b1474",
        "gene-b3894",
        "gene-b4079",
    }
    assert sum(len(gene.transcripts) for gene in coli.genes) + coli.counts["isoforms_dropped"] == 4298
    fly = read_set("D.melanogaster.chr2R/genes.gb.train.gz").annotation
    assert fly.counts["stop_codons_added"] == 486


def test_intron_counts_are_those_of_the_documentation(read_set) -> None:
    for name, introns in {
        "D.melanogaster.chr2L/genes.gb.train.gz": 814,
        "D.melanogaster.chr2L/genes.gb.test.gz": 232,
        "D.melanogaster.chr2R/genes.gb.train.gz": 1751,
        "T.thermophila/genes.gb.gz": 3792,
        "A.thaliana.hmmstar/gff.gz": 2445,
        "P.vivax/gff.gz": 750,
        "S.cerevisiae/gff.gz": 327,
    }.items():
        genes = read_set(name).annotation.genes
        assert sum(len(transcript.introns) for gene in genes for transcript in gene.transcripts) == introns, name


@pytest.mark.parametrize("name", ["E.coli/gbk.gz", "M.alvi/gbk.gz", "Y.pestis/gbk.gz"])
def test_translations_are_those_in_the_file(name: str, read_set, shared_data: Path) -> None:
    genome, code, annotation = read_set(name)
    with gzip.open(shared_data / name, "rt") as stream:
        features = [feature for record in SeqIO.parse(stream, "genbank") for feature in record.features]
    stated = {
        feature.qualifiers["locus_tag"][0]: feature.qualifiers["translation"][0]
        for feature in features
        if "translation" in feature.qualifiers
    }
    compared = [(code.translate(spliced(gene, genome)), stated[gene.id] + "*") for gene in annotation.trusted]
    assert len(compared) == EXPECTED[name].sound
    assert [ours for ours, theirs in compared if ours != theirs] == []


def structures(annotation: Annotation) -> set[tuple]:
    return {(gene.seqid, gene.strand, transcript.cds) for gene in annotation.trusted for transcript in gene.transcripts}


def test_two_formats_of_one_annotation_agree(read_set) -> None:
    assert structures(read_set("M.alvi/gff.gz").annotation) == structures(read_set("M.alvi/gbk.gz").annotation)


def test_gff3_and_gtf_of_the_same_yeast_agree(read_set) -> None:
    ncbi, ensembl = read_set("S.cerevisiae/gff.gz"), read_set("S.cerevisiae.ensembl/gtf.gz")
    names = dict(zip(ncbi.genome.names, ensembl.genome.names, strict=False))
    ours = {(names[seqid], strand, cds) for seqid, strand, cds in structures(ncbi.annotation)}
    assert len(ours & structures(ensembl.annotation)) > 0.95 * len(ours)


@pytest.mark.parametrize("name", ["C.elegans/gff.gz", "D.melanogaster/gff.gz", "M.alvi/gff.gz", "H.sapiens/gtf.gz"])
def test_the_order_of_rows_does_not_matter(name: str, read_set, shared_data: Path, tmp_path: Path) -> None:
    genome, code, annotation = read_set(name)
    with gzip.open(shared_data / name, "rt") as stream:
        lines = stream.readlines()
    head = [line for line in lines if line.startswith("##gff-version")]
    rows = [line for line in lines if not line.startswith("#")]
    random.Random(5).shuffle(rows)
    path = tmp_path / "shuffled"
    path.write_text("".join(head + rows))
    assert read_annotation(path, genome, code) == annotation


@pytest.mark.parametrize(
    ("name", "table", "better"),
    [
        ("M.alvi/gff.gz", 11, "genetic code 4 "),
        ("M.alvi/gff.gz", 1, "genetic code 4 "),
        ("T.thermophila/genes.gb.gz", 1, "genetic code 6 "),
        ("E.coli/gff.gz", 4, "genetic code 11 "),
        ("P.vivax/gff.gz", 6, "genetic code 1 "),
    ],
)
def test_wrong_genetic_code_is_refused_and_the_right_one_named(
    name: str, table: int, better: str, read_set, shared_data: Path
) -> None:
    genome = read_set(name).genome
    with pytest.raises(InputError, match=better) as error:
        read_annotation(shared_data / name, genome, GeneticCode.from_table(table))
    assert "\n" not in str(error.value) and f"genetic code {table}" in str(error.value)


def test_annotation_of_another_genome_is_refused(read_set, shared_data: Path) -> None:
    genome = read_set("S.pombe/gff.gz").genome
    code = GeneticCode.from_table(1)
    with pytest.raises(InputError, match=r"gff.gz, line 15: 6316 of 6316 CDS rows .* first 'BK006935.2'; .* 'I', 'II'"):
        read_annotation(shared_data / "S.cerevisiae/gff.gz", genome, code)
    with pytest.raises(InputError, match=r"gtf.gz, line 9: 6118 of 6913 CDS rows name a sequence"):
        read_annotation(shared_data / "S.cerevisiae.ensembl/gtf.gz", genome, code)
