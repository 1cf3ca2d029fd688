"""Annotations and genomes that are damaged, or made to be slow: one line, linear time, and never other bases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genet5.errors import InputError
from genet5.genome.fasta import Genome, decompress_genome
from genet5.genome.genbank import read_genbank
from genet5.genome.gff import _Gff3Reader, read_gff3
from genet5.genome.gtf import _VALUES, read_gtf

LENGTHS = {"c": 100_000}
FIRST = ">c1 short\nACGTACGT\nACG\n>c2\nTTTT\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(">c1 a longer header line\nGGGGACGT\nACG\n>c2\nTTTT\n", id="longer header"),
        pytest.param(">c1 short\nACGTACGT\nACG\n>c2\nTTTTA\n", id="longer last record"),
        pytest.param(">c1 short\nACGTACG\nTACG\n>c2\nTTTT\n", id="other lines"),
        pytest.param(">c1 short\nACGTACGT\nACG\n>c3\nTTTT\n", id="other name"),
        pytest.param(">c1 short\nACGTACGT\nACG\n>c2\nTTTT\n>c3\nAC\n", id="one more record"),
        pytest.param(">c1 short\nACGTACGT\nACG\n", id="one record less"),
    ],
)
def test_the_index_of_a_replaced_genome_is_never_believed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "genome.fna"
    path.write_text(FIRST)
    Genome(path).close()
    path.write_text(text)
    os.utime(path, (1, 1))  # as cp -p leaves it: older than the index
    expected = {}
    for record in text.split(">")[1:]:
        header, _, bases = record.partition("\n")
        expected[header.split()[0]] = bases.replace("\n", "")
    with Genome(path) as genome:
        assert {name: genome.sequence(name) for name in genome.names} == expected


def test_the_index_of_a_genome_that_did_not_change_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "genome.fna"
    for text in (FIRST, FIRST.replace("\n", "\r\n"), FIRST.rstrip("\n")):
        path.write_bytes(text.encode())
        Path(f"{path}.fai").unlink(missing_ok=True)
        Genome(path).close()
        made = Path(f"{path}.fai").stat().st_ino
        Genome(path).close()
        assert Path(f"{path}.fai").stat().st_ino == made


def rows(*lines: str) -> str:
    return "##gff-version 3\n" + "".join(f"c\tx\t{line}\n" for line in lines)


def nested(kind: str, number: int, first_parent: str = "") -> list[str]:
    parent = [first_parent and f";Parent={first_parent}", *(f";Parent=n{place}" for place in range(number - 1))]
    return [f"{kind}\t1\t90\t.\t+\t.\tID=n{place}{parent[place]}" for place in range(number)]


@pytest.mark.parametrize("kind", ["mRNA", "pseudogene"])
def test_each_nested_row_is_asked_once_for_its_parent(tmp_path: Path, kind: str, monkeypatch) -> None:
    path, number = tmp_path / "a.gff", 300
    path.write_text(rows(*nested(kind, number), f"CDS\t1\t90\t.\t+\t0\tID=c;Parent=n{number - 1}"))
    asked: list[str] = []
    real = _Gff3Reader._parent_of
    monkeypatch.setattr(_Gff3Reader, "_parent_of", lambda self, row: (asked.append(row.attributes), real(self, row))[1])
    draft = read_gff3(path, LENGTHS)
    # Once on the way up, and once for the locus of the row itself.
    assert number <= len(asked) <= 2 * number
    assert [one.id for one in draft.transcripts] == (["n299"] if kind == "mRNA" else [])
    assert len(draft.dont_care) == (0 if kind == "mRNA" else number)


def test_parents_in_a_circle_end(tmp_path: Path) -> None:
    path = tmp_path / "a.gff"
    path.write_text(rows(*nested("mRNA", 3, first_parent="n2"), "CDS\t1\t90\t.\t+\t0\tID=c;Parent=n2"))
    (transcript,) = read_gff3(path, LENGTHS).transcripts
    assert (transcript.id, transcript.locus) == ("n2", "n1")


def test_a_row_that_is_its_own_parent_is_its_own_locus(tmp_path: Path) -> None:
    path = tmp_path / "a.gff"
    path.write_text(rows("mRNA\t1\t90\t.\t+\t.\tID=m;Parent=m", "CDS\t1\t90\t.\t+\t0\tID=c;Parent=m"))
    (transcript,) = read_gff3(path, LENGTHS).transcripts
    assert (transcript.id, transcript.locus) == ("m", "m")


def test_a_gene_above_other_rows_names_the_locus(tmp_path: Path) -> None:
    path = tmp_path / "a.gff"
    lines = ["gene\t1\t90\t.\t+\t.\tID=g", *nested("mRNA", 4, first_parent="g")]
    path.write_text(rows(*lines, *(f"CDS\t1\t90\t.\t+\t0\tID=c{n};Parent=n{n}" for n in range(4))))
    assert {one.id: one.locus for one in read_gff3(path, LENGTHS).transcripts} == dict.fromkeys(
        ["n0", "n1", "n2", "n3"], "g"
    )


def test_a_protein_of_a_lost_transcript_is_no_second_parent(tmp_path: Path) -> None:
    path = tmp_path / "a.gff"
    path.write_text(rows("CDS\t1\t90\t.\t+\t0\tParent=T.1,T.1-Protein", "CDS\t1\t90\t.\t+\t0\tParent=U-Protein"))
    assert [one.id for one in read_gff3(path, LENGTHS).transcripts] == ["T.1", "U-Protein"]


def test_a_word_without_a_value_is_tried_from_its_first_letter_alone() -> None:
    # 200,000 letters take hours if every letter begins a try.
    assert _VALUES.findall("x" * 200_000) == []
    assert _VALUES.findall('gene_id "g"; n 3;tag "a b"; -y z') == [
        ("gene_id", "g", ""), ("n", "", "3"), ("tag", "a b", ""), ("y", "", "z"),
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["1_807", "+1807", "１８０７", "٣", "1e3", "0x10", "9" * 30, "1 8"])
@pytest.mark.parametrize("column", [3, 4])
def test_numbers_that_only_python_reads_are_no_coordinates(tmp_path: Path, number: str, column: int) -> None:
    path = tmp_path / "a.gff"
    cells = ["c", "x", "CDS", "1", "90000", ".", "+", "0", "ID=c"]
    cells[column] = number
    path.write_text("##gff-version 3\n" + "\t".join(cells) + "\n", encoding="utf-8")
    for read in (read_gff3, read_gtf):
        with pytest.raises(InputError, match=r"a\.gff, line 2: start and end must be numbers"):
            read(path, LENGTHS)


@pytest.mark.parametrize("read", [read_gff3, read_gtf])
def test_an_endless_line_of_an_annotation_is_an_error(tmp_path: Path, read) -> None:
    path = tmp_path / "a.gff"
    good = rows("CDS\t1\t90\t.\t+\t0\tID=c")
    path.write_text(good + "c\tx\tCDS\t1\t9\t.\t+\t0\t" + "x" * 3_000_000)
    with pytest.raises(InputError, match=r"a\.gff, line 3: over 1000000 bytes"):
        read(path, LENGTHS)
    # Bases after ##FASTA may be one line.
    path.write_text(good + "##FASTA\n>c\n" + "A" * 3_000_000)
    read(path, LENGTHS)


def test_a_long_header_of_a_genome_is_an_error_and_a_long_line_of_bases_is_none(tmp_path: Path) -> None:
    path, output = tmp_path / "a.fa", tmp_path / "a.fna"
    path.write_text(">c " + "x" * 20_000_000)
    with pytest.raises(InputError, match=r"a\.fa, line 1: over 1000000 bytes"):
        decompress_genome(path, output)
    assert not output.exists()
    path.write_text(">c\n" + "ACGT" * 3_000_000)
    assert decompress_genome(path, output) == {"c": 12_000_000}


GENBANK = """LOCUS       c                 60 bp    DNA     linear   UNK
ACCESSION   c
VERSION     c
FEATURES             Location/Qualifiers
     CDS             {location}
                     /locus_tag="a"
ORIGIN
        1 atggctgcag ctgctgcagc tgcagctgct gcagctgcag ctgctgcagc tgcagcttaa
//
"""


@pytest.mark.parametrize("location", ["1..", "hello", "join(1..3,", "1..9^9..2"])
def test_a_feature_without_a_location_is_one_line(tmp_path: Path, location: str) -> None:
    path = tmp_path / "a.gb"
    path.write_text(GENBANK.format(location=location))
    with pytest.raises(InputError, match=r"a\.gb"):
        read_genbank(path, {"c": 60})


def test_an_endless_line_of_genbank_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.gb"
    path.write_text(GENBANK.format(location="1..60").replace('"a"', '"' + "a" * 2_000_000 + '"'))
    with pytest.raises(InputError, match=r"a\.gb, line 6: over 1000000 bytes"):
        read_genbank(path, {"c": 60})
