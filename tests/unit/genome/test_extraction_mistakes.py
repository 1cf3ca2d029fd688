"""What extraction refuses, in one line and without a file, and what its command prints."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from extraction_case import GENE, Case

from genet5.errors import InputError
from genet5.genome.extraction import ENDINGS


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_chosen_kinds_alone_are_written(case: Case) -> None:
    done = case.run(GENE, what=["proteins"])
    assert case.records == {"proteins": {"t": "MA"}} and done.counts == {"proteins": 1}
    assert sorted(path.name for path in (case.folder / "out").iterdir()) == ["my.faa"]


ALL = "\n".join(f"c|x|CDS|{start}|{start + 11}|.|+|0|ID=p{start}" for start in range(1, 241, 12))


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            GENE.replace("c|x|exon|3|9", "chr9|x|exon|3|9"),
            {},
            "my.gff3, line 3: sequence 'chr9' is not in FASTA; it has 'c', 'r' (",
        ),
        (GENE.replace("c|x", "chr9|x"), {}, "my.gff3: none of its sequences ('chr9') is in FASTA, which has 'c', 'r'"),
        (GENE.replace("c|x", "d|x"), {"skip_missing": True}, "none of its sequences ('d') is in FASTA, which has"),
        (GENE.replace("|23|28|", "|23|31|"), {}, "my.gff3, line 4: ends at 31, beyond 'c', which has 30 bp in FASTA"),
        (
            GENE.replace("|23|28|", "|28|23|"),
            {},
            "my.gff3, line 4: start '28', end '23'; expected two numbers, 1 <= start",
        ),
        (GENE.replace("|23|28|", "|x|28|"), {}, "my.gff3, line 4: start 'x', end '28'; expected two numbers"),
        (GENE.replace("|23|28|", "|0|28|"), {}, "my.gff3, line 4: start '0'"),
        (
            GENE.replace("exon|23|28|.", "exon|23|28"),
            {},
            "my.gff3, line 4: 8 tab-separated columns, a row of GFF3 or GTF",
        ),
        ("c|x|region|1|30|.|+|.|Is_circular=true\nc|x|CDS|5|61|.|+|0|ID=p", {}, "line 2: ends at 61, beyond 'c'"),
        ("c|x|CDS|5|9|.|+|0|ID=p", {"what": ["introns"], "needed": True}, "my.gff3: no introns in this file"),
        ("c|x|tRNA|5|9|.|+|.|ID=p", {"what": ["cds", "proteins"], "needed": True}, "no cds and no proteins in this"),
        ("c|x|gene|5|9|.|+|.|ID=p", {}, "my.gff3: no exons and no introns and no cds and no proteins and no tr"),
        ("c|x|intron|5|9|.|+|.|ID=p", {}, "no genes, transcripts, exons or CDS: its rows are of type 'intron'"),
        ("##gff-version 3", {}, "my.gff3: no genes, transcripts, exons or CDS: it has no rows"),
        ("c|x|CDS|5|9|.|+|0|ID=p;transl_table=99", {}, "CDS of 'p': transl_table=99 is no NCBI translation table"),
        ("c|x|CDS|5|9|.|+|0|ID=p", {"genetic_code": 99}, "genetic code: unknown NCBI translation table 99; allowed: 1"),
        ("LOCUS       x", {}, "my.gff3: GenBank; sequences are extracted with GFF3 or GTF"),
        (">c\nACGT", {}, "my.gff3: looks like FASTA"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(case: Case, rows: str, options: dict, message: str) -> None:
    with pytest.raises(InputError) as error:
        case.run(rows, genome_name="FASTA", **options)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (case.folder / "out").exists() or not list((case.folder / "out").iterdir())


def test_stops_in_most_frames_point_to_another_code_or_assembly(tmp_path: Path) -> None:
    case = Case(tmp_path, {"c": "ATGTGAAAATAA" * 20})
    assert case.run(ALL, genetic_code=4).counts["proteins"] == 20
    with pytest.raises(InputError, match=r"20 of 20 complete CDS have a stop codon in frame with genetic code 1"):
        case.run(ALL)
    assert "MWK" in (tmp_path / "out/my.faa").read_text()  # the failed run changed nothing


def test_the_command(case: Case) -> None:
    (case.folder / "my.gff3.gz").write_bytes(gzip.compress(GENE.replace("|", "\t").encode()))
    (case.folder / "my.fa.gz").write_bytes(gzip.compress((case.folder / "my.fa").read_bytes()))
    files = ["--annotation", case.folder / "my.gff3.gz", "--genome", case.folder / "my.fa.gz"]
    command = [sys.executable, "-m", "genet5", "extract", *files, "--output-prefix", case.folder / "x/y"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"2 exons, 1 introns, 1 cds, 1 proteins, 1 transcripts: {case.folder / 'x/y'}.*\n"
    assert sorted(path.name for path in (case.folder / "x").iterdir()) == sorted(f"y{end}" for end in ENDINGS.values())
    failed = subprocess.run([*command, "--what", "genes"], capture_output=True, text=True)
    assert failed.returncode == 2 and "invalid choice: 'genes'" in failed.stderr
    files[3] = case.folder / "none.fa"
    failed = subprocess.run([*command[:4], *files, *command[-2:]], capture_output=True, text=True)
    assert failed.returncode == 1 and failed.stderr.startswith("error: ") and failed.stderr.count("\n") == 1
