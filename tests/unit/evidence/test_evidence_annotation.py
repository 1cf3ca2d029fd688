"""A genome annotated with evidence: files, attributes, summary, page; by parts; proteins aligned; and mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from toy_bacterium import write_genome

import annotate
import annotate_genome
import genet5
import join_annotation
from genet5.annotate.decoders import check_takes_evidence
from genet5.errors import InputError
from genet5.evidence import aligners
from genet5.genome.fasta import Genome
from genet5.genome.genes import Gene
from genet5.genome.genetic_code import reverse_complement

GENOME_BP = 12_000


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genome(tmp_path_factory.mktemp("genome") / "my.fa", length_bp=GENOME_BP, name="one")


@pytest.fixture(scope="module")
def genes(fasta: Path) -> list[Gene]:
    return genet5.annotate(fasta, clade="fungi")


def hints_within(fasta: Path, genes: list[Gene], path: Path) -> Path:
    """Introns within the coding exons of genes, whose ends the bases allow: forced, they change the genes."""
    rows = []
    with Genome(fasta) as genome:
        for gene in genes:
            for start, end in gene.canonical.cds:
                bases = genome.sequence("one", start, end).upper()
                bases = bases if gene.strand == "+" else reverse_complement(bases)
                donor = bases.find("GT", 30)
                acceptor = bases.find("AG", donor + 60)
                if 0 <= donor < acceptor:
                    first, last = donor, acceptor + 2
                    if gene.strand == "-":
                        first, last = len(bases) - last, len(bases) - first
                    place = f"{start + first + 1}\t{start + last}\t.\t{gene.strand}"
                    rows.append(f"one\tmade\tintron\t{place}\t.\tmult=50;src=E\n")
    assert rows
    path.write_text("".join(rows[:3]))
    return path


def run(fasta: Path, folder: Path, *flags: str) -> Path:
    annotate.main([str(fasta), "--clade=fungi", "--genetic-code=1", "--threads=1", f"--output={folder}", *flags])
    return folder / "my.gff3"


def test_without_evidence_nothing_is_said_of_it(fasta: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.gff").write_text("# no hints\n")
    plain = run(fasta, tmp_path / "plain")
    empty = run(fasta, tmp_path / "empty", f"--rnaseq={tmp_path / 'empty.gff'}")
    assert "support" not in plain.read_text()
    summary = json.loads(plain.with_suffix(".json").read_text())
    assert "evidence" not in summary and "hint_weight" not in summary["options"]
    # Hints that are not there change no gene.
    said = ";hints_supported=0;hints_contradicted=0;support=none"
    assert said in empty.read_text() and empty.read_text().replace(said, "") == plain.read_text()
    assert (tmp_path / "empty/my.faa").read_bytes() == (tmp_path / "plain/my.faa").read_bytes()


def test_forced_hints_are_in_the_genes_the_summary_and_the_page(
    fasta: Path, genes: list[Gene], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hints = hints_within(fasta, genes, tmp_path / "hints.gff")
    refused = "one\tmade\tintron\t1\t9000000\t.\t+\t.\tsrc=E\n"
    hints.write_text(hints.read_text() + refused)
    written = run(fasta, tmp_path / "out", f"--rnaseq={hints}", "--hint-weight=hard")
    number = hints.read_text().count("\n") - 1
    summary = json.loads(written.with_suffix(".json").read_text())["evidence"]
    assert (summary["read"], summary["matched"], summary["refused"]) == (number + 1, number, {"outside": 1})
    assert sum(summary["introns"].values()) == number and summary["introns"]["confirmed"] == number
    assert written.read_text().count("support=full") >= 1
    assert f"evidence: {number + 1} hints read, {number} matched, 1 refused" in capsys.readouterr().out
    page = (tmp_path / "out/my.html").read_text()
    for said in (
        "Hinted introns",
        "confirmed: introns of a gene",
        "one:1-9000000",
        "outside its sequence",
        "hints.gff",
    ):
        assert said in page
    assert 'class="s3 hint"' in page


def test_the_decoder_expected_takes_hints(fasta: Path, genes: list[Gene], tmp_path: Path) -> None:
    hints = hints_within(fasta, genes, tmp_path / "hints.gff")
    wanted = {(int(row.split("\t")[3]) - 1, int(row.split("\t")[4])) for row in hints.read_text().splitlines()}
    plain = genet5.annotate(fasta, clade="fungi", decoder="expected")
    hinted = genet5.annotate(fasta, clade="fungi", decoder="expected", rnaseq=str(hints), hint_weight="hard")
    without, found = ({tuple(pair) for gene in one for pair in gene.canonical.introns} for one in (plain, hinted))
    assert not without & wanted and found & wanted


def test_parts_make_the_same_files(fasta: Path, genes: list[Gene], tmp_path: Path) -> None:
    hints = hints_within(fasta, genes, tmp_path / "hints.gff")
    flags = [f"--genome={fasta}", "--clade=fungi", "--threads=1", f"--rnaseq={hints}", "--batch-size=1"]
    flags += ["--window-bp=5000", "--overlap-bp=1000"]
    annotate_genome.main([*flags, f"--output-prefix={tmp_path / 'whole'}"])
    for part in (1, 2):
        annotate_genome.main([*flags, f"--output-prefix={tmp_path / 'parts'}", f"--part={part}/2"])
    parts = [str(tmp_path / f"parts.part_{part}of2.npz") for part in (1, 2)]
    join_annotation.main(["--parts", *parts, f"--genome={fasta}", f"--output-prefix={tmp_path / 'joined'}"])
    assert (tmp_path / "joined.gff3").read_bytes() == (tmp_path / "whole.gff3").read_bytes()
    assert (tmp_path / "joined.tracks.npz").read_bytes() == (tmp_path / "whole.tracks.npz").read_bytes()
    said = [json.loads((tmp_path / f"{name}.json").read_text())["evidence"] for name in ("joined", "whole")]
    assert said[0] == said[1]


@pytest.mark.skipif(shutil.which("spaln") is None, reason="spaln is not on PATH: sudo apt-get install spaln")
def test_spaln_shows_the_genes_of_their_own_proteins(fasta: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(aligners, "ALIGNERS", aligners.ALIGNERS[1:])
    plain = run(fasta, tmp_path / "plain")
    written = run(fasta, tmp_path / "out", f"--proteins={plain.with_suffix('.faa')}")
    summary = json.loads(written.with_suffix(".json").read_text())["evidence"]
    (file,) = summary["files"]
    assert file["format"] == "proteins aligned by spaln" and file["matched"] > 5
    assert summary["transcripts"]["partial"] + summary["transcripts"]["full"] >= 3


def test_miniprot_is_called_as_its_manual_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in writes down how it was called, and what miniprot would write."""
    program = tmp_path / "bin/miniprot"
    program.parent.mkdir()
    rows = "c1\\tminiprot\\tmRNA\\t1\\t90\\t9\\t+\\t.\\tID=M1\\n"
    rows += "c1\\tminiprot\\tCDS\\t1\\t90\\t9\\t+\\t0\\tParent=M1;Target=p 1 30\\n"
    program.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/called\nprintf '{rows}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for name in ("genome.fa", "proteins.faa"):
        (tmp_path / name).write_text(">p\nACGT\n")
    found = aligners.align_proteins(tmp_path / "proteins.faa", tmp_path / "genome.fa", 2000)
    assert found.form == "proteins aligned by miniprot" and [hint.kind for hint in found.hints] == ["CDSpart", "start"]
    words = (tmp_path / "called").read_text().split()
    assert words[:-2] == ["-t", "1", "-G", "2000", "-N", "3", "--gff-only"]
    assert words[-2] == str(tmp_path / "genome.fa") and words[-1].endswith("proteins.faa")


def test_no_aligner_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"no aligner is on PATH; install miniprot .* or spaln \(sudo apt-get install"):
        aligners.found_aligner()


def test_an_aligner_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "miniprot"
    program.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "p.faa").write_text(">p\nMK\n")
    with pytest.raises(InputError, match="miniprot: exit status 3: no memory"):
        aligners.align_proteins(tmp_path / "p.faa", tmp_path / "p.faa", 2000)


def test_mistakes(fasta: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rnaseq: .*nothing\.bam: no such file"):
        run(fasta, tmp_path / "out", f"--rnaseq={tmp_path / 'nothing.bam'}")
    (tmp_path / "other.gff").write_text("two\tb2h\tintron\t5\t90\t.\t+\t.\tsrc=E\n")
    with pytest.raises(InputError, match="its sequences are named 'two'; the genome has 'one'"):
        run(fasta, tmp_path / "out", f"--rnaseq={tmp_path / 'other.gff'}")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="the decoder lm takes no evidence, allowed: viterbi"):
        check_takes_evidence("lm")
