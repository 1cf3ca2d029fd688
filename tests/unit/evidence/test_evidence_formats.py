"""Each format of evidence, from a few real rows; what is wrong is one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pysam
import pytest

from genet5.errors import InputError
from genet5.evidence.formats import read_hints
from genet5.evidence.hints import CDS_PART, EXON_PART, INTRON, PROTEINS, RNASEQ, START, STOP, Hint

#: VARUS, of A. thaliana.
VARUS = """\
Chr1\tb2h\tintron\t3914\t3995\t87\t+\t.\tmult=87;pri=4;src=E
Chr1\tb2h\tintron\t3914\t4000\t0\t+\t.\tpri=4;src=E
Chr1\tb2h\tintron\t4277\t4485\t5\t.\t.\tmult=5;pri=4;src=E
"""
#: ProtHint, of D. melanogaster, in its own format and as hints of AUGUSTUS.
PROTHINT = """\
2L\tProtHint\tIntron\t2220259\t2220319\t25\t+\t.\tal_score=0.525973; splice_sites=gt_ag; topProt=TRUE;
2L\tProtHint\tstop_codon\t133680\t133682\t24\t+\t0\tal_score=0.467769; topProt=TRUE;
"""
PROTHINT_AUGUSTUS = """\
2L\tProtHint\tintron\t2220259\t2220319\t2\t+\t.\tsrc=P;mult=25;pri=4;al_score=0.525973;
2L\tProtHint\tintron\t2220259\t2220319\t25\t+\t.\tsrc=M;mult=25;pri=4
2L\tProtHint\tCDSpart\t456078\t456208\t1\t+\t2\tgrp=7395_0:001400_211_g;src=C;pri=4;
2L\tProtHint\tstart\t455931\t455933\t1\t+\t0\tsrc=P;mult=2;pri=4;al_score=0.2;
2L\tProtHint\tstop\t133680\t133682\t2\t+\t0\tsrc=P;mult=24;pri=4;al_score=0.467769;
"""
#: miniprot 0.18.
MINIPROT = """\
##gff-version 3
##PAF\tmfa1\t76\t0\t76\t+\tchr1\t931\t200\t728\t228\t228\t0\tAS:i:364\tcg:Z:31M300N45M
chr1\tminiprot\tmRNA\t201\t731\t401\t+\t.\tID=MP000001;Rank=1;Identity=1.0000;Positive=1.0000;Target=mfa1 1 76
chr1\tminiprot\tCDS\t201\t293\t144\t+\t0\tParent=MP000001;Rank=1;Identity=1.0000;Target=mfa1 1 31
chr1\tminiprot\tCDS\t594\t731\t257\t+\t0\tParent=MP000001;Rank=1;Identity=1.0000;Target=mfa1 32 76
chr1\tminiprot\tstop_codon\t729\t731\t0\t+\t0\tParent=MP000001;Rank=1
"""
#: spaln 2.4.13 on C. elegans; the reverse strand.
SPALN = """\
##gff-version\t3
##sequence-region\tIII 1025 3072
III\tALN\tgene\t1271\t2917\t1858\t-\t.\tID=gene00001;Name=III_2
III\tALN\tmRNA\t1271\t2917\t1858\t-\t.\tID=mRNA00001;Parent=gene00001;Name=III_2
III\tALN\tcds\t2817\t2917\t258\t-\t0\tID=cds00001;Parent=mRNA00001;Name=III_2;Target=cTel54X.1.1 1 34 +
III\tALN\tcds\t2681\t2764\t163\t-\t1\tID=cds00002;Parent=mRNA00001;Name=III_2;Target=cTel54X.1.1 35 62 +
"""
#: STAR: on +, on -, on an unknown strand with reads at several places alone.
STAR = """\
chr1\t14830\t14969\t2\t2\t1\t5\t40\t38
chr1\t15039\t15795\t1\t1\t1\t12\t2\t35
chr1\t20000\t20500\t0\t0\t0\t0\t3\t20
"""
#: TopHat and regtools write the same twelve columns.
BED = """\
track name=junctions description="TopHat junctions"
chr1\t14739\t15034\tJUNC00000001\t3\t-\t14739\t15034\t255,0,0\t2\t90,65\t0,230
chr19\t17601563\t17602859\tJUNC00000001\t2\t?\t17601563\t17602859\t255,0,0\t2\t35,56\t0,1240
"""


def read(folder: Path, name: str, text: str, source: str = RNASEQ) -> list[Hint]:
    path = folder / name
    path.write_text(text)
    return read_hints(path, source).hints


def test_hints_of_augustus_and_varus(tmp_path: Path) -> None:
    assert read(tmp_path, "hints.gff", VARUS) == [
        Hint(RNASEQ, INTRON, "Chr1", 3913, 3995, "+", 87),
        Hint(RNASEQ, INTRON, "Chr1", 3913, 4000, "+", 1),
        Hint(RNASEQ, INTRON, "Chr1", 4276, 4485, ".", 5),
    ]


def test_a_gzipped_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    (tmp_path / "hints.gff.gz").write_bytes(gzip.compress(VARUS.encode()))
    assert read_hints(tmp_path / "hints.gff.gz", RNASEQ).hints == read(tmp_path, "hints.gff", VARUS)


def test_counts_of_one_source_add_up_and_the_other_ways_to_show_it_do_not(tmp_path: Path) -> None:
    twice = VARUS + VARUS.splitlines(keepends=True)[0]
    assert read(tmp_path, "hints.gff", twice)[0].mult == 174
    assert read(tmp_path, "hints.gff", twice.replace("mult=87;pri=4;src=E", "mult=7;pri=4;src=W", 1))[0].mult == 87


def test_prothint_in_both_of_its_formats(tmp_path: Path) -> None:
    assert read(tmp_path, "prothint.gff", PROTHINT, PROTEINS) == [
        Hint(PROTEINS, INTRON, "2L", 2220258, 2220319, "+", 25),
        Hint(PROTEINS, STOP, "2L", 133679, 133682, "+", 24),
    ]
    assert sorted(read(tmp_path, "augustus.gff", PROTHINT_AUGUSTUS, PROTEINS)) == [
        Hint(PROTEINS, CDS_PART, "2L", 456077, 456208, "+", 1, 2),
        Hint(PROTEINS, INTRON, "2L", 2220258, 2220319, "+", 25),
        Hint(PROTEINS, START, "2L", 455930, 455933, "+", 2),
        Hint(PROTEINS, STOP, "2L", 133679, 133682, "+", 24),
    ]


def test_miniprot(tmp_path: Path) -> None:
    # Coding parts lose nine bases at each end, so the frame stays; a start, since the first amino acid is aligned.
    assert set(read(tmp_path, "aligned.gff", MINIPROT, PROTEINS)) == {
        Hint(PROTEINS, INTRON, "chr1", 293, 593, "+"),
        Hint(PROTEINS, CDS_PART, "chr1", 209, 284, "+", 1, 0),
        Hint(PROTEINS, CDS_PART, "chr1", 602, 722, "+", 1, 0),
        Hint(PROTEINS, START, "chr1", 200, 203, "+"),
        Hint(PROTEINS, STOP, "chr1", 728, 731, "+"),
    }


def test_spaln_on_the_reverse_strand(tmp_path: Path) -> None:
    assert set(read(tmp_path, "aligned.gff3", SPALN, PROTEINS)) == {
        Hint(PROTEINS, INTRON, "III", 2764, 2816, "-"),
        Hint(PROTEINS, CDS_PART, "III", 2825, 2908, "-", 1, 0),
        Hint(PROTEINS, CDS_PART, "III", 2689, 2755, "-", 1, 1),
        Hint(PROTEINS, START, "III", 2914, 2917, "-"),
    }


def test_star(tmp_path: Path) -> None:
    assert read(tmp_path, "SJ.out.tab", STAR) == [
        Hint(RNASEQ, INTRON, "chr1", 14829, 14969, "-", 5),
        Hint(RNASEQ, INTRON, "chr1", 15038, 15795, "+", 12),
        Hint(RNASEQ, INTRON, "chr1", 19999, 20500, ".", 3),
    ]


def test_bed_of_junctions(tmp_path: Path) -> None:
    assert read(tmp_path, "junctions.bed", BED) == [
        Hint(RNASEQ, INTRON, "chr1", 14829, 14969, "-", 3),
        Hint(RNASEQ, INTRON, "chr19", 17601598, 17602803, ".", 2),
    ]
    assert read(tmp_path, "six.bed", "chr1\t10620\t21193\tJUNC00000001\t1\t+\n") == [
        Hint(RNASEQ, INTRON, "chr1", 10620, 21193, "+", 1)
    ]


def write_reads(path: Path, mode: str, reference: Path | None = None) -> Path:
    """Three reads over one intron (one of them a duplicate), another, two within an exon, one at several places."""
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": "c1", "LN": 2000}]}
    rows = [
        (0, 100, "50M200N50M", 60, "+"),
        (0, 110, "40M200N60M", 60, "+"),
        (0x400, 110, "40M200N60M", 60, "+"),
        (16, 145, "5M200N95M", 60, "+"),  # too little of it on the left
        (0, 600, "6M100N94M", 60, "+"),  # just enough of it
        (0, 1000, "100M", 60, None),
        (0, 1000, "100M", 60, None),
        (0, 1500, "100M", 0, None),
    ]
    with pysam.AlignmentFile(str(path), mode, header=header, reference_filename=str(reference or "") or None) as out:
        for number, (flag, start, cigar, quality, strand) in enumerate(rows):
            read = pysam.AlignedSegment()
            read.query_name, read.flag, read.reference_id, read.reference_start = f"r{number}", flag, 0, start
            read.mapping_quality, read.cigarstring = quality, cigar
            read.query_sequence, read.query_qualities = "A" * 100, pysam.qualitystring_to_array("I" * 100)
            if strand:
                read.set_tag("XS", strand)
            out.write(read)
    return path


@pytest.mark.parametrize("mode", ["wb", "wc"])
def test_bam_and_cram(tmp_path: Path, mode: str) -> None:
    fasta = tmp_path / "genome.fa"
    fasta.write_text(">c1\n" + "A" * 2000 + "\n")
    path = write_reads(tmp_path / "reads", mode, fasta)
    hints = read_hints(path, RNASEQ, fasta).hints
    introns = [(150, 350, 2), (606, 706, 1)]
    expected = [Hint(RNASEQ, INTRON, "c1", start, end, "+", reads) for start, end, reads in introns]
    assert [hint for hint in hints if hint.kind == INTRON] == expected
    covered = [hint for hint in hints if hint.kind == EXON_PART]
    assert (covered[-1].start, covered[-1].end, covered[-1].mult, covered[-1].strand) == (1000, 1100, 2, ".")
    assert not any(hint.start < 350 and hint.end > 160 for hint in covered)


def test_a_bam_file_that_is_cut_short(tmp_path: Path) -> None:
    whole = write_reads(tmp_path / "reads.bam", "wb").read_bytes()
    (tmp_path / "cut.bam").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.bam: (no whole BAM or CRAM file|truncated gzip)"):
        read_hints(tmp_path / "cut.bam", RNASEQ)


@pytest.mark.parametrize("text", ["", "# nothing was found\n", "##gff-version 3\n\n"])
@pytest.mark.parametrize("source", [RNASEQ, PROTEINS])
def test_an_empty_file_has_no_hints(tmp_path: Path, text: str, source: str) -> None:
    assert read(tmp_path, "empty.gff", text, source) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Chr1\tb2h\tintron\t3914\t3995\t87\t+\t.\n", "neither of the formats known for rnaseq"),
        (VARUS + "Chr1\tb2h\tintron\t3914\n", "line 4: 4 columns, expected the 9 of GFF"),
        (VARUS + "Chr1\tb2h\tintron\tx\t3995\t87\t+\t.\tpri=4\n", "line 4: start is 'x', expected a whole number"),
        (VARUS + "Chr1\tb2h\tintron\t5\t3995\t87\t*\t.\tpri=4\n", r"line 4: strand is '\*', expected one of"),
        (VARUS + "Chr1\tb2h\tintron\t50\t49\t87\t+\t.\tpri=4\n", "line 4: start 50, end 49"),
        (VARUS.replace("4485", "4_485"), "line 3: end is '4_485', expected a whole number"),
        (VARUS.replace("mult=5", "mult=many"), "line 3: mult=many, expected a whole number"),
        (VARUS.replace("mult=5", "mult=-5"), "line 3: mult=-5, expected a whole number"),
        (VARUS.replace("mult=5", "mult=1_0"), "line 3: mult=1_0, expected a whole number"),
        (VARUS.replace("mult=5", "mult=" + "9" * 400), "line 3: mult=9{40}, expected a whole number up to 10*$"),
        (VARUS.replace("4277", "4_277"), "line 3: start is '4_277', expected a whole number"),
        (VARUS.replace("4485", "9" * 5000), "line 3: start or end has too many digits"),
        (VARUS + "Chr1\t" + "b" * 1_000_001 + "\n", "line 4: over 1000000 bytes"),
        ("Chr1\ta\trepeat\t1\t9\t.\t+\t.\tpri=4\n", "rows of type repeat; allowed: intron"),
        (
            "".join(f"Chr1\ta\tt{n}\t1\t9\t.\t+\t.\tpri=4\n" for n in (5, 4, 1, 2, 3)),
            "rows of type t1, t2, t3, t4; allowed: intron",
        ),
        (MINIPROT, "a GFF of genes or aligned proteins"),
        (STAR + "chr1\t9\t5\t1\t1\t1\t1\t1\t1\n", "line 4: an intron from base 9 to 5"),
        (STAR + "chr1\t9\n", "line 4: expected the 9 columns of STAR"),
        (STAR.replace("15795", "1_5795"), "line 2: expected the 9 columns of STAR"),
        (STAR.replace("\t12\t", "\t-12\t"), "line 2: expected the 9 columns of STAR"),
        (BED + "chr1\t9\t50\n", "line 4: expected BED of junctions"),
        (BED.replace("\t3\t-", "\tinf\t-"), "line 2: expected BED of junctions"),
        (BED.replace("\t3\t-", "\tnan\t-"), "line 2: expected BED of junctions"),
        (BED.replace("\t3\t-", "\t1e300\t-"), "line 2: expected BED of junctions"),
        (BED.replace("90,65", "9_0,65"), "line 2: expected BED of junctions"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, "wrong", text)
    assert "\n" not in str(caught.value) and "wrong" in str(caught.value)


def test_comments_are_no_hints(tmp_path: Path) -> None:
    """Also one that was a row, and one that begins with a single #."""
    row = VARUS.splitlines(keepends=True)[0]
    assert read(tmp_path, "hints.gff", f"# of my reads\n#{row}{VARUS}##FASTA\n>Chr1\nACGT\n") == read(
        tmp_path, "plain.gff", VARUS
    )


def test_rows_of_other_types_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "hints.gff"
    path.write_text(VARUS + "Chr1\tb2h\ttss\t50\t50\t87\t+\t.\tpri=4\n")
    assert read_hints(path, RNASEQ).skipped == {"tss": 1}
