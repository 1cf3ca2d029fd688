"""The shapes that databases give GFF3 and GTF files, each in a small hand-made file."""

from __future__ import annotations

import sys
from pathlib import Path

import patience
import pytest
from genome_hand_made import HandMadeGenome, gff_rows

from genet5.errors import InputError
from genet5.genome.annotation import annotation_format
from genet5.genome.genes import DontCare


@pytest.fixture
def made(tmp_path: Path) -> HandMadeGenome:
    return HandMadeGenome(tmp_path)


def cds_of(annotation, index: int = 0) -> list[tuple[int, int]]:
    return [tuple(segment) for segment in annotation.genes[index].canonical.cds]


@pytest.mark.parametrize("strand", ["+", "-"])
def test_coordinates_strand_and_phases(made: HandMadeGenome, strand: str) -> None:
    segments = [(99, 200), (300, 350), (402, 551)]  # 101 + 50 + 149 bases
    made.put(segments, strand)
    (gene,) = made.read("##gff-version 3\n" + gff_rows("g1", segments, strand)).trusted
    assert (gene.id, gene.seqid, gene.strand, gene.canonical.id) == ("g1", "chr1", strand, "g1.t1")
    assert [tuple(segment) for segment in gene.canonical.cds] == segments
    assert gene.canonical.phases == ((0, 1, 2) if strand == "+" else (2, 1, 0))


def test_wrong_phases_are_put_right_and_counted(made: HandMadeGenome) -> None:
    segments = [(99, 200), (300, 499)]
    made.put(segments)
    annotation = made.read(gff_rows("g1", segments))
    assert annotation.genes[0].canonical.phases == (0, 1)
    assert annotation.counts["phases_corrected"] == 1


def test_tair_second_parent_is_a_protein(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    made.put([(999, 1299)])
    rows = """chr1|TAIR10|gene|100|399|.|+|.|ID=A1;Note=protein_coding_gene
chr1|TAIR10|mRNA|100|399|.|+|.|ID=A1.1;Parent=A1
chr1|TAIR10|protein|100|399|.|+|.|ID=A1.1-Protein;Derives_from=A1.1
chr1|TAIR10|CDS|100|399|.|+|0|Parent=A1.1,A1.1-Protein;
chr1|TAIR10|CDS|1000|1299|.|+|0|Parent=A2.1,A2.1-Protein;
"""
    annotation = made.read(rows)
    assert [(gene.id, len(gene.transcripts), sorted(gene.flags)) for gene in annotation.genes] == [
        ("A1", 1, []),
        ("A2.1", 1, ["orphan"]),  # an extract lost its mRNA and protein rows
    ]
    assert annotation.dont_care == (DontCare("chr1", 999, 1299, "+", "orphan"),)


def test_flybase_cds_with_several_parents(made: HandMadeGenome) -> None:
    made.put([(99, 200), (300, 499)])
    made.put([(600, 700)], cds="C" * 100)
    rows = """chr1|FlyBase|gene|100|499|.|+|.|ID=g
chr1|FlyBase|CDS|100|200|.|+|0|Parent=t1,t2
chr1|RNASeq_splice|intron|201|300|9|+|.|ID=sj1
chr1|FlyBase|mRNA|100|499|.|+|.|ID=t1;Parent=g
chr1|FlyBase|mRNA|90|499|.|+|.|ID=t2;Parent=g
chr1|FlyBase|CDS|301|499|.|+|1|Parent=t1,t2
"""
    (gene,) = made.read(rows).trusted
    assert {transcript.id for transcript in gene.transcripts} == {"t1", "t2"}
    assert {transcript.cds for transcript in gene.transcripts} == {((99, 200), (300, 499))}


def test_bacterial_gene_with_two_proteins(made: HandMadeGenome) -> None:
    cds = made.put([(99, 399)])
    inner = "ATG" + cds[-147:]
    made.put([(249, 399)], cds=inner)
    rows = """chr1|RefSeq|gene|100|399|.|+|.|ID=gene-b1;gene_biotype=protein_coding
chr1|RefSeq|CDS|250|399|.|+|0|ID=cds-2;Parent=gene-b1;partial=false
chr1|RefSeq|CDS|100|399|.|+|0|ID=cds-1;Parent=gene-b1
"""
    (gene,) = made.read(rows, table=11).trusted
    assert [(transcript.id, transcript.length) for transcript in gene.transcripts] == [("cds-1", 300), ("cds-2", 150)]


def test_cds_rows_alone_without_header_windows_line_ends_fasta_section(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    made.put([(999, 1299)], "-")
    rows = """chr1|Prodigal|CDS|100|399|21.1|+|0|ID=1_1;partial=00;start_type=ATG
chr1|evidence|match|1|2|.|+|.
chr1|Prodigal|CDS|1000|1299|9|-|0|ID=1_2;partial=00
###
##FASTA
>chr1
ACGT
"""
    annotation = made.read(rows.replace("\n", "\r\n"))
    assert [gene.id for gene in annotation.trusted] == ["1_1", "1_2"]
    assert annotation.counts["rows"] == 3


def test_minimal_file_without_transcript_rows_is_not_all_orphans(made: HandMadeGenome) -> None:
    made.put([(99, 200), (300, 499)])
    rows = "chr1|x|CDS|100|200|.|+|0|Parent=t1\nchr1|x|CDS|301|499|.|+|1|Parent=t1\n"
    (gene,) = made.read(rows).trusted
    assert (gene.id, len(gene.canonical.cds)) == ("t1", 2)


def test_prodigal_marks_cut_edges_by_digit(made: HandMadeGenome) -> None:
    made.put([(0, 300)], cds="GCC" * 99 + "TAA")
    (gene,) = made.read("chr1|Prodigal|CDS|1|300|.|+|0|ID=1_1;partial=10\n").genes
    assert gene.flags == {"partial"}
    assert (gene.canonical.complete5, gene.canonical.complete3) == (False, True)


def test_escapes_in_ids_and_sequence_names(tmp_path: Path) -> None:
    made = HandMadeGenome(tmp_path, **{"chr|1": 1000, "gi|45|ref|NC_1.1|": 1000})
    made.put([(99, 399)], contig="chr|1")
    made.put([(99, 399)], contig="gi|45|ref|NC_1.1|")
    rows = """chr%7C1\tx\tgene\t100\t399\t.\t+\t.\tID=a%2Cb
chr%7C1\tx\tmRNA\t100\t399\t.\t+\t.\tID=m%3B1; Parent=a%2Cb
chr%7C1\tx\tCDS\t100\t399\t.\t+\t0\tID=c; Parent=m%3B1
NC_1.1\tx\tCDS\t100\t399\t.\t+\t0\tID=d
"""
    path = tmp_path / "file.gff"
    path.write_text(rows)
    from genet5.genome.annotation import read_annotation
    from genet5.genome.genetic_code import GeneticCode

    with made.genome() as genome:
        annotation = read_annotation(path, genome, GeneticCode.from_table(1))
    assert [(gene.seqid, gene.id, gene.canonical.id) for gene in annotation.trusted] == [
        ("chr|1", "a,b", "m;1"),
        ("gi|45|ref|NC_1.1|", "d", "d"),
    ]


def test_pseudogenes_and_transposons_are_dont_care_and_no_genes(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    rows = (
        gff_rows("good", [(99, 399)])
        + """chr1|x|pseudogene|500|600|.|-|.|ID=p1;pseudo=true
chr1|x|pseudogenic_transcript|500|600|.|-|.|ID=p1.t;Parent=p1
chr1|x|CDS|510|590|.|-|0|ID=p1.c;Parent=p1.t
chr1|x|pseudogene|700|800|.|+|.|ID=p2
chr1|x|gene|900|1000|.|+|.|ID=p3;biotype=transcribed_pseudogene
chr1|x|mRNA|900|1000|.|+|.|ID=p3.t;Parent=p3
chr1|x|gene|1100|1200|.|+|.|ID=p4
chr1|x|mRNA|1100|1200|.|+|.|ID=p4.t;Parent=p4
chr1|x|CDS|1100|1200|.|+|0|ID=p4.c;Parent=p4.t;pseudo=true
chr1|x|transposable_element_gene|1300|1400|.|.|.|ID=te
chr1|x|mRNA_TE_gene|1300|1400|.|.|.|ID=te.1;Parent=te
chr1|x|gene|1500|1600|.|+|.|ID=trn;biotype=tRNA_pseudogene
chr1|x|gene|1700|1800|.|+|.|ID=nc
chr1|x|ncRNA|1700|1800|.|+|.|ID=nc.1;Parent=nc
chr1|x|CDS|1700|1800|.|+|0|ID=nc.c;Parent=nc.1
chr1|x|blocked_reading_frame|1900|2000|.|+|.|ID=brf
chr1|x|CDS|1900|2000|.|+|0|Parent=brf
"""
    )
    annotation = made.read(rows)
    assert [gene.id for gene in annotation.genes] == ["good"]
    assert annotation.dont_care == (
        DontCare("chr1", 509, 590, "-", "pseudogene"),
        DontCare("chr1", 699, 800, "+", "pseudogene"),
        DontCare("chr1", 899, 1000, "+", "pseudogene"),
        DontCare("chr1", 1099, 1200, "+", "pseudogene"),
        DontCare("chr1", 1299, 1400, ".", "transposon"),
        DontCare("chr1", 1899, 2000, "+", "pseudogene"),
    )
    assert annotation.counts["cds_rows_under_noncoding"] == 1
    assert (annotation.counts["pseudogene_loci"], annotation.counts["transposon_loci"]) == (5, 1)


def test_rows_on_unknown_sequences_are_counted(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    rows = gff_rows("g1", [(99, 399)]) + gff_rows("far", [(9, 99)], contig="chrM").replace("|CDS|", "|exon|")
    annotation = made.read(rows)
    assert [gene.id for gene in annotation.genes] == ["g1"]
    assert annotation.counts["rows_on_unknown_sequences"] == 3


def test_half_of_the_coding_rows_may_be_elsewhere_but_not_more(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    rows = gff_rows("g1", [(99, 399)]) + gff_rows("far", [(9, 99)], contig="chrM")
    assert made.read(rows).counts["cds_rows_on_unknown_sequences"] == 1
    with pytest.raises(
        InputError, match=r"line 6: 2 of 3 CDS rows name a sequence .* first 'chrM'; the FASTA has 'chr1'"
    ):
        made.read(rows + gff_rows("farther", [(109, 199)], contig="chrM"))


def test_ids_repeated_on_several_sequences_become_unique(tmp_path: Path) -> None:
    made = HandMadeGenome(tmp_path, chrX=500, chrY=500)
    rows = ""
    for contig in ("chrX", "chrY"):
        made.put([(99, 399)], contig=contig)
        rows += gff_rows("g1", [(99, 399)], contig=contig)
    annotation = made.read(rows)
    assert [gene.id for gene in annotation.trusted] == ["g1@chrX", "g1@chrY"]
    assert [gene.canonical.id for gene in annotation.trusted] == ["g1.t1@chrX", "g1.t1@chrY"]


def gtf_row(kind: str, start: int, end: int, strand: str = "+", more: str = "") -> str:
    return f'chr1|e|{kind}|{start + 1}|{end}|.|{strand}|0|gene_id "g"; transcript_id "t"; {more}\n'


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("stop_rows", [True, False])
def test_gtf_stop_codon_is_taken_into_the_cds(made: HandMadeGenome, strand: str, stop_rows: bool) -> None:
    segments = [(99, 200), (300, 499)]
    made.put(segments, strand)
    without = [(99, 200), (300, 496)] if strand == "+" else [(102, 200), (300, 499)]
    rows = "".join(gtf_row("CDS", start, end, strand) for start, end in without)
    if stop_rows:
        rows += gtf_row("stop_codon", *((496, 499) if strand == "+" else (99, 102)), strand)
    annotation = made.read(rows)
    assert cds_of(annotation) == segments
    assert annotation.trusted and annotation.counts["stop_codons_added"] == 1


def test_gtf_stop_codon_split_by_an_intron(made: HandMadeGenome) -> None:
    made.put([(99, 200), (300, 497), (600, 602)])
    rows = gtf_row("CDS", 99, 200) + gtf_row("CDS", 300, 496)
    rows += gtf_row("stop_codon", 496, 497) + gtf_row("stop_codon", 600, 602)
    annotation = made.read(rows)
    assert cds_of(annotation) == [(99, 200), (300, 497), (600, 602)]
    assert not annotation.genes[0].flags


def test_gtf_gene_rows_with_bare_ids_and_pseudogenes(made: HandMadeGenome) -> None:
    made.put([(99, 399)])
    rows = "chr1|AUGUSTUS|gene|100|399|.|+|.|g1\nchr1|AUGUSTUS|transcript|100|399|.|+|.|g1.t1\n"
    rows += 'chr1|AUGUSTUS|CDS|100|399|.|+|0|transcript_id "g1.t1"; gene_id "g1";\n'
    rows += 'chr1|e|gene|700|800|.|-|.|gene_id "p"; gene_biotype "processed_pseudogene";\n'
    rows += 'chr1|e|CDS|900|1000|.|+|0|gene_id "q"; transcript_id "q1"; gene_biotype "polymorphic_pseudogene";\n'
    annotation = made.read(rows)
    assert [(gene.id, gene.canonical.id) for gene in annotation.trusted] == [("g1", "g1.t1")]
    assert [region[1:] for region in annotation.dont_care] == [
        (699, 800, "-", "pseudogene"),
        (899, 1000, "+", "pseudogene"),
    ]


def test_gtf_marks_of_incomplete_ends(made: HandMadeGenome) -> None:
    made.put([(99, 399)], cds="A" + "GCC" * 99 + "GC")
    (gene,) = made.read(
        gtf_row("CDS", 99, 399, more='tag "cds_start_NF"; tag "cds_end_NF";').replace("|0|", "|1|")
    ).genes
    assert gene.flags == {"partial"}
    assert (gene.canonical.complete5, gene.canonical.complete3, gene.canonical.phases) == (False, False, (1,))


def test_formats_are_told_from_contents(tmp_path: Path) -> None:
    for text, expected in {
        "##gff-version   3\n": "GFF3",
        "\ufeff##gff-version 3\n": "GFF3",
        "chr1\tx\tgene\t1\t9\t.\t+\t.\tID=a;Note=the gene_id x\n": "GFF3",
        '#!genome-build R64\nchr1\tx\tgene\t1\t9\t.\t+\t.\tgene_id "a";\n': "GTF",
        "chr1\tx\tgene\t1\t9\t.\t+\t.\tg1\nchr1\tx\tCDS\t1\t9\t.\t+\t.\ttranscript_id t; gene_id g\n": "GTF",
        "LOCUS       x 10 bp\n": "GenBank",
    }.items():
        path = tmp_path / "file"
        path.write_text(text)
        assert annotation_format(path) == expected, text


CYCLES = {
    "its own parent": ("a", "a"),
    "each other's parents": ("b", "a"),
    "a circle above": ("b", "c"),
}
READ_CYCLE = """
import resource, sys
from pathlib import Path
from genet5.genome.annotation import read_annotation
from genet5.genome.fasta import Genome
from genet5.genome.genetic_code import GeneticCode
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
genome, code = Genome(Path(sys.argv[1])), GeneticCode.from_table(1)
print(len(read_annotation(Path(sys.argv[2]), genome, code).genes))
"""


@pytest.mark.parametrize("cycle", CYCLES)
def test_parents_in_a_circle_come_to_an_end(cycle: str, tmp_path: Path) -> None:
    """In a process of its own with limits of computing and memory: without a guard it would go on for ever."""
    above_a, above_b = CYCLES[cycle]
    rows = [("mRNA", f"ID=a;Parent={above_a}"), ("mRNA", f"ID=b;Parent={above_b}"), ("mRNA", "ID=c;Parent=b")]
    rows += [("CDS", "ID=cds;Parent=a"), ("pseudogene", "ID=p;Parent=c")]
    (tmp_path / "g.fna").write_text(">chr\n" + "A" * 50 + "ATG" + "GCT" * 30 + "TAA" + "A" * 50 + "\n")
    lines = [f"chr\tx\t{kind}\t51\t146\t.\t+\t{'0' if kind == 'CDS' else '.'}\t{text}" for kind, text in rows]
    (tmp_path / "g.gff3").write_text("##gff-version 3\n" + "\n".join(lines) + "\n")
    done = patience.run([sys.executable, "-c", READ_CYCLE, tmp_path / "g.fna", tmp_path / "g.gff3"])
    assert (done.returncode, done.stdout) == (0, "1\n")
