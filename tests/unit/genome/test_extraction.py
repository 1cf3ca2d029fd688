"""Sequences out of annotations: each awkward shape by a hand-made file whose answer was worked out by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from extraction_case import FORWARD, GENE, INTRON, Case

from genet5.genome import transcript_parts
from genet5.genome.genetic_code import reverse_complement


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


MINUS = """
r|x|gene|3|28|.|-|.|ID=g
r|x|mRNA|3|28|.|-|.|ID=t;Parent=g
r|x|exon|3|8|.|-|.|Parent=t
r|x|exon|22|28|.|-|.|Parent=t
r|x|CDS|5|8|.|-|1|ID=p;Parent=t
r|x|CDS|22|26|.|-|0|ID=p;Parent=t
"""
ANSWER = {
    "exons": {"t.exon1": "TTATGGC", "t.exon2": "TTAACC"},
    "introns": {"t.intron1": INTRON},
    "cds": {"t": "ATGGCTTAA"},
    "proteins": {"t": "MA"},
    "transcripts": {"t": "TTATGGCTTAACC"},
}


def test_a_gene_with_utrs(case: Case) -> None:
    done = case.run(GENE)
    assert case.records == ANSWER
    assert done.counts == {"exons": 2, "introns": 1, "cds": 1, "proteins": 1, "transcripts": 1} and not done.notes
    assert case.headers == {
        "exons": ["t.exon1 transcript=t gene=g c:3-9(+)", "t.exon2 transcript=t gene=g c:23-28(+)"],
        "introns": ["t.intron1 transcript=t gene=g c:10-22(+)"],
        "cds": ["t gene=g c:5-26(+)"],
        "proteins": ["t gene=g c:5-26(+)"],
        "transcripts": ["t gene=g c:3-28(+)"],
    }


@pytest.mark.parametrize("turned", [False, True], ids=["ascending", "descending"])
def test_the_minus_strand_in_either_order_of_rows(case: Case, turned: bool) -> None:
    rows = MINUS.strip().splitlines()
    case.run("\n".join(rows[:2] + rows[:1:-1] if turned else rows))
    assert case.records == ANSWER
    assert case.headers["exons"] == ["t.exon1 transcript=t gene=g r:22-28(-)", "t.exon2 transcript=t gene=g r:3-8(-)"]
    assert case.headers["introns"] == ["t.intron1 transcript=t gene=g r:9-21(-)"]


@pytest.mark.parametrize(
    "exon_rows",
    ["five_prime_UTR|3|4 CDS|5|9 CDS|23|26 three_prime_UTR|27|28", "CDS|23|26 UTR|27|28 UTR|3|4 CDS|5|9"],
    ids=["ordered", "shuffled"],
)
def test_without_exon_rows_exons_are_cds_and_utr_rows(case: Case, exon_rows: str) -> None:
    rows = [f"c|x|{row}|.|+|{'0' if row == 'CDS|5|9' else '.'}|Parent=t" for row in exon_rows.split()]
    case.run("c|x|mRNA|3|28|.|+|.|ID=t;Parent=g\n" + "\n".join(rows))
    assert case.records == ANSWER
    assert case.headers["cds"] == ["t gene=g c:5-26(+)"]  # the gene's row is missing, its name is not


def test_without_exon_and_utr_rows_exons_are_cds_rows(case: Case) -> None:
    case.run("\n".join(row for row in GENE.splitlines() if "exon" not in row))
    assert case.records["exons"] == {"t.exon1": "ATGGC", "t.exon2": "TTAA"}
    assert case.records["introns"] == ANSWER["introns"]
    assert case.records["transcripts"] == case.records["cds"] == ANSWER["cds"]


def test_rows_with_several_parents_belong_to_each(case: Case) -> None:
    case.run("""
        c|x|gene|3|28|.|+|.|ID=g
        c|x|mRNA|3|28|.|+|.|ID=t;Parent=g
        c|x|mRNA|3|12|.|+|.|ID=u;Parent=g
        c|x|exon|3|9|.|+|.|ID=e1;Parent=t,u
        c|x|exon|23|28|.|+|.|ID=e2;Parent=t
        c|x|CDS|5|9|.|+|0|ID=p;Parent=t,u
        c|x|CDS|23|26|.|+|1|ID=p;Parent=t
    """)
    assert case.records["exons"] == ANSWER["exons"] | {"u.exon1": "TTATGGC"}
    assert case.records["cds"] == {"t": "ATGGCTTAA", "u": "ATGGC"}
    assert case.records["proteins"] == {"t": "MA", "u": "M"}
    assert case.records["introns"] == ANSWER["introns"]


def test_a_protein_as_a_second_parent_is_no_transcript(case: Case) -> None:
    protein = "c|x|protein|5|26|.|+|.|ID=t-Protein;Derives_from=t"
    case.run(GENE.replace("ID=p;Parent=t", "Parent=t,t-Protein;") + protein)
    assert case.records == ANSWER


def test_parts_of_a_gene_and_its_transcript_are_the_transcripts(case: Case) -> None:
    case.run(GENE.replace("Parent=t", "Parent=g,t"))
    assert case.records == ANSWER


def test_a_lost_protein_is_no_transcript_either(case: Case) -> None:
    case.run("c|x|CDS|5|9|.|+|0|Parent=t,t-Protein\nc|x|CDS|23|26|.|+|1|Parent=t,t-Protein")
    assert case.records["cds"] == ANSWER["cds"]


def test_cds_under_a_protein_belong_to_its_transcript(case: Case) -> None:
    case.run(GENE.replace("ID=p;Parent=t", "Parent=q") + "c|x|polypeptide|5|26|.|+|.|ID=q;Derives_from=t")
    assert case.records == ANSWER


def test_bacterial_cds_hang_from_the_gene(case: Case) -> None:
    done = case.run(
        """
        c|x|gene|5|9|.|+|.|ID=gene-a
        c|x|CDS|5|9|.|+|0|ID=cds-1;Parent=gene-a
        r|x|gene|5|26|.|-|.|ID=gene-b
        r|x|CDS|5|8|.|-|0|ID=cds-2;Parent=gene-b
        r|x|CDS|22|26|.|-|0|ID=cds-3;Parent=gene-b
        c|x|gene|20|28|.|+|.|ID=gene-c
        c|x|tRNA|20|28|.|+|.|ID=rna-c;Parent=gene-c
        c|x|pseudogene|1|2|.|+|.|ID=gene-d
    """,
        genetic_code=11,
    )
    assert case.records["cds"] == {"cds-1": "ATGGC", "cds-2": "TTAA", "cds-3": "ATGGC"}
    assert case.records["transcripts"] == case.records["cds"] | {"rna-c": "CAGTTAACC"}
    assert [header.split()[1] for header in case.headers["transcripts"]] == [
        "gene=gene-a", "gene=gene-b", "gene=gene-b", "gene=gene-c",
    ]  # fmt: skip
    assert case.records["introns"] == {} and done.counts["introns"] == 0
    assert done.notes == ["transcripts without exon, CDS and UTR rows, taken as one exon: 1, first rna-c"]


def test_cds_alone_are_told_apart_by_their_ids(case: Case) -> None:
    case.run("""
        c|x|CDS|5|9|.|+|0|ID=one
        c|x|CDS|23|26|.|+|1|ID=one
        r|x|CDS|22|26|.|-|0|.
    """)
    assert case.records["cds"] == {"one": "ATGGCTTAA", "r:22-26(-)": "ATGGC"}
    assert case.headers["cds"][0] == "one gene=one c:5-26(+)"


GTF = """
c|x|exon|3|9|.|+|.|gene_id "g"; transcript_id "t"; note "a; b";
c|x|exon|23|28|.|+|.|gene_id "g"; transcript_id "t";
c|x|CDS|5|9|.|+|0|gene_id "g"; transcript_id "t";
c|x|CDS|23|23|.|+|1|gene_id "g"; transcript_id "t"
c|x|stop_codon|24|26|.|+|0|transcript_id "t"; gene_id "g";
c|x|start_codon|5|7|.|+|0|gene_id "g"; transcript_id "t";
"""


def test_gtf_without_gene_rows_and_with_the_stop_codon_apart(case: Case) -> None:
    case.run(GTF)
    assert case.records == ANSWER
    assert case.headers["cds"] == ["t gene=g c:5-26(+)"]


def test_gtf_with_one_name_for_gene_and_transcript(case: Case) -> None:
    described = 'c|x|gene|3|28|.|+|.|gene_id "t";\nc|x|transcript|3|28|.|+|.|gene_id "t"; transcript_id "t";'
    case.run(described + GTF.replace('"g"', '"t"'))
    assert case.records == ANSWER
    assert case.headers["transcripts"] == ["t gene=t c:3-28(+)"]


def test_gtf_on_the_minus_strand_with_a_split_stop_codon(case: Case) -> None:
    case.run("""
        r|x|exon|3|8|.|-|.|gene_id "g"; transcript_id "t";
        r|x|exon|22|28|.|-|.|gene_id "g"; transcript_id "t";
        r|x|CDS|24|26|.|-|0|gene_id "g"; transcript_id "t";
        r|x|stop_codon|22|23|.|-|0|gene_id "g"; transcript_id "t";
        r|x|stop_codon|8|8|.|-|1|gene_id "g"; transcript_id "t";
    """)
    assert case.records["cds"] == {"t": "ATGGCT"}


@pytest.mark.parametrize(
    ("marks", "header"),
    [
        ("", "t gene=g c:6-26(+) partial5 phase=2"),
        (";partial=true;start_range=.,6", "t gene=g c:6-26(+) partial5 phase=2"),
        (";partial=true;end_range=26,.", "t gene=g c:6-26(+) partial5 phase=2 partial3"),
        (";partial=11", "t gene=g c:6-26(+) partial5 phase=2 partial3"),
    ],
)
def test_bases_before_the_first_whole_codon_are_not_translated(case: Case, marks: str, header: str) -> None:
    case.run(f"""
        c|x|mRNA|3|28|.|+|.|ID=t;Parent=g
        c|x|CDS|6|9|.|+|2|ID=p;Parent=t{marks}
        c|x|CDS|23|26|.|+|1|ID=p;Parent=t{marks}
    """)
    assert case.records["cds"] == {"t": "TGGCTTAA"}
    assert case.records["proteins"] == {"t": "A"}  # TG GCT TAA
    assert case.headers["proteins"] == [header]


def test_a_cut_start_is_read_as_it_is_and_a_whole_one_as_methionine(case: Case, tmp_path: Path) -> None:
    case = Case(tmp_path, {"c": "CTGAAATGA"})
    row = "c|x|CDS|1|9|.|+|0|ID=t"
    case.run(row)
    assert case.records["proteins"] == {"t": "MK"}
    case.run(row + ";partial=true;start_range=.,1")
    assert case.records["proteins"] == {"t": "LK"}


def test_genetic_codes_and_stops_in_frame(tmp_path: Path) -> None:
    case = Case(tmp_path, {"c": "ATGTGAAAATAAATGTGAAAATAAATGTGAAAATAA"})
    rows = "c|x|CDS|1|12|.|+|0|ID=a\nc|x|CDS|13|24|.|+|0|ID=b;transl_table=4\nc|x|CDS|25|36|.|+|0|ID=c;transl_table=11"
    case.run(rows)
    assert case.records["proteins"] == {"a": "M*K", "b": "MWK", "c": "M*K"}
    case.run(rows, genetic_code=4)
    assert case.records["proteins"] == {"a": "MWK", "b": "MWK", "c": "M*K"}


def test_trans_spliced_parts_stay_in_the_order_of_the_file(case: Case) -> None:
    done = case.run("""
        c|x|gene|5|9|.|-|.|ID=g;part=1
        c|x|gene|23|26|.|+|.|ID=g;part=2
        c|x|CDS|5|9|.|-|0|ID=p;Parent=g;exception=trans-splicing
        c|x|CDS|23|26|.|+|0|ID=p;Parent=g;exception=trans-splicing
    """)
    assert case.records["cds"] == case.records["transcripts"] == {"p": "GCCATTTAA"}  # GCCAT of the other strand, TTAA
    assert case.headers["cds"] == ["p gene=g c:5-9(-),c:23-26(+)"]
    assert case.records["introns"] == {}
    assert [note for note in done.notes if note.startswith("trans-spliced transcripts")] and len(done.notes) == 1


def test_parts_of_one_strand_may_be_trans_spliced_too(case: Case) -> None:
    case.run("c|x|CDS|23|26|.|+|0|ID=p;exception=trans-splicing\nc|x|CDS|5|9|.|+|0|ID=p;exception=trans-splicing")
    assert case.records["cds"] == {"p": "TTAAATGGC"} and case.records["introns"] == {}


CIRCLE = {"o": "GCTTAACCCCCCATG"}  # 15 bases: ATG before the origin, GCT TAA behind it


@pytest.mark.parametrize(
    "rows",
    [
        "o|x|CDS|13|21|.|+|0|ID=p;Parent=g",
        "o|x|CDS|13|15|.|+|0|ID=p;Parent=g\no|x|CDS|1|6|.|+|0|ID=p;Parent=g",
        "o|x|CDS|1|6|.|+|0|ID=p;Parent=g\no|x|CDS|13|15|.|+|0|ID=p;Parent=g",
    ],
    ids=["beyond the end", "two rows", "two ascending rows"],
)
@pytest.mark.parametrize("strand", ["+", "-"])
def test_a_gene_across_the_origin_of_a_circle(tmp_path: Path, rows: str, strand: str) -> None:
    sequence = CIRCLE["o"]
    if strand == "-":  # the same circle from the other side: base x is 16 - x
        sequence = reverse_complement(sequence)
        turned = {"|13|21|": "|10|18|", "|13|15|": "|1|3|", "|1|6|": "|10|15|"}
        for old, new in turned.items():
            rows = rows.replace(old, new.replace("|1|3|", "|#|"))
        rows = rows.replace("|#|", "|1|3|").replace("|+|", "|-|")
    case = Case(tmp_path, {"o": sequence})
    case.run(f"o|x|region|1|15|.|+|.|ID=o;Is_circular=true\n{rows}")
    assert list(case.records["cds"].values()) == list(case.records["exons"].values()) == ["ATGGCTTAA"]
    assert list(case.records["proteins"].values()) == ["MA"]
    assert case.records["introns"] == {}
    assert case.headers["cds"][0].endswith("o:13-21(+)" if strand == "+" else "o:10-18(-)")


def test_an_intron_behind_the_origin(tmp_path: Path) -> None:
    case = Case(tmp_path, {"o": "GCT" + "GTAAG" + "TAA" + "C" * 10 + "ATG"})
    rows = "".join(f"o|x|CDS|{place}|.|+|0|ID=p\n" for place in ("22|24", "1|3", "9|11"))
    case.run(rows + "o|x|region|1|24|.|+|.|Is_circular=true")
    assert case.records["cds"] == {"p": "ATGGCTTAA"} and case.records["introns"] == {"p.intron1": "GTAAG"}
    assert case.headers["introns"] == ["p.intron1 transcript=p gene=p o:28-32(+)"]


def test_the_phase_of_a_gene_across_the_origin_is_that_of_its_first_row(tmp_path: Path) -> None:
    case = Case(tmp_path, {"o": reverse_complement(CIRCLE["o"])})
    rows = "o|x|CDS|1|3|.|-|1|ID=p\no|x|CDS|10|15|.|-|2|ID=p"
    case.run("o|x|region|1|15|.|+|.|Is_circular=true\n" + rows)
    assert case.records["proteins"] == {"p": "WL"}  # A TGG CTT AA


def test_one_name_on_two_sequences_are_two_transcripts(case: Case) -> None:
    case.run(GENE + MINUS)
    assert case.records["cds"] == {"t": "ATGGCTTAA", "t@r": "ATGGCTTAA"}
    assert case.records["exons"] == {
        f"{name}.exon{n}": ANSWER["exons"][f"t.exon{n}"] for name in ("t", "t@r") for n in (1, 2)
    }


def test_names_are_unescaped_and_blanks_stay_out_of_headers(case: Case) -> None:
    case.run(GENE.replace("ID=t;", "ID=a%3Bb c%09,d;").replace("Parent=t", "Parent=a%3Bb%20c%09%2Cd"))
    assert case.headers["cds"] == ["a;b%20c%09,d gene=g c:5-26(+)"]


def test_a_frameshift_is_no_intron(case: Case) -> None:
    done = case.run(
        "c|x|CDS|1|6|.|+|0|ID=p\nc|x|CDS|8|12|.|+|0|ID=p\nc|x|CDS|16|20|.|+|0|ID=p\nc|x|CDS|20|30|.|+|0|ID=p"
    )
    assert case.records["cds"] == {"p": FORWARD[:6] + FORWARD[7:12] + FORWARD[15:20] + FORWARD[19:]}
    assert case.records["introns"] == {}
    assert done.notes == ["gaps of 3 bases or less, taken as frameshifts, no introns: 2, first p"]


def test_rows_given_twice_count_once(case: Case) -> None:
    case.run(GENE + "\n".join(row for row in GENE.splitlines() if "exon" in row or "CDS" in row))
    assert case.records == ANSWER


def test_cds_rows_of_an_rna_that_does_not_code_are_exons(case: Case) -> None:
    done = case.run(GENE + "c|x|ncRNA|3|9|.|+|.|ID=n\nc|x|CDS|3|9|.|+|0|Parent=n")
    assert case.records["cds"] == ANSWER["cds"]
    assert case.records["transcripts"] == ANSWER["transcripts"] | {"n": "TTATGGC"}
    assert done.notes == ["CDS rows under an RNA that does not code, read as exons: 1, first n"]


def test_what_is_left_out_is_said(case: Case) -> None:
    done = case.run(
        GENE
        + """
        c|x|exon|1|2|.|+|.|ID=alone
        c|x|five_prime_UTR|1|2|.|+|.|Parent=lost
        c|x|exon|3|28|.|+|.|Parent=g
        d|x|gene|1|9|.|+|.|ID=elsewhere
        """,
        skip_missing=True,
    )
    assert case.records == ANSWER
    assert done.notes == [
        "rows of a gene beside those of its transcripts, left out: 1, first line 10",
        "transcripts that have UTR or stop codon rows alone, left out: 1, first lost",
        "exon, UTR and stop codon rows without a Parent, left out: 1",
        f"rows on sequences that {case.folder / 'my.fa'} lacks, left out: 1",
    ]


def test_pseudogenes_are_marked(case: Case) -> None:
    case.run("c|x|pseudogene|5|26|.|+|.|ID=g;pseudo=true\nc|x|CDS|5|9|.|+|0|ID=p;Parent=g\nr|x|CDS|22|26|.|-|0|ID=q")
    assert case.headers["cds"] == ["p gene=g c:5-9(+) pseudogene", "q gene=q r:22-26(-)"]


def test_a_fasta_section_ends_the_annotation_and_types_of_no_use_are_passed_over(case: Case) -> None:
    case.run("c|x|match|1|99|.|+|.|ID=m\nc|x|intron|10|999|.|+|.|Parent=t\n" + GENE + "##FASTA\n>c\nACGT")
    assert case.records == ANSWER


def test_a_name_that_is_taken_gets_its_sequence_and_then_a_number(monkeypatch) -> None:
    given = (("a", "c1"), ("a", "c2"), ("a", "c2"), ("a", "c2"), ("b", "c2"))
    names = [SimpleNamespace(name=name, seqid=seqid) for name, seqid in given]
    monkeypatch.setattr(transcript_parts, "_Parts", lambda *_: SimpleNamespace(all=lambda: iter(names)))
    found = [parts.name for parts in transcript_parts.read_parts(None, {}, transcript_parts.Notes())]
    assert found == ["a", "a@c2", "a@c2.2", "a@c2.3", "b"]
