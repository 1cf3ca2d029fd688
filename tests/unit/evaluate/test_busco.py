"""BUSCO: the real program on real proteomes, and one clear line for everything that can be wrong with the inputs."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys

import pytest
from busco_lineage import lineage_folder
from programs import needs

from genet5.errors import InputError
from genet5.evaluate.busco import RESULT_FIELDS, prepare_proteins, run_busco

NOTHING_WRONG = ">a\nMKL\n"


def run_script(repository, *flags):
    command = [sys.executable, str(repository / "scripts" / "busco.py"), *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs("busco")
@needs("hmmsearch")
def test_pox_proteome_from_a_tar_through_the_script(shared_data, repository, tmp_path):
    done = run_script(
        repository,
        *("--proteins", shared_data / "busco/pep/Cowpox_virus.faa.gz"),
        *("--lineage", shared_data / "busco/poxviridae_odb10.tar.gz"),
        *("--threads", 2),
        *("--output", tmp_path / "deep/cowpox.json"),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "deep/cowpox.json").read_text())
    version = result.pop("version")
    assert version[0].isdigit()
    assert len(result.pop("markers")) == 18
    assert result.pop("lineage_path") == str(shared_data / "busco/poxviridae_odb10.tar.gz")
    assert result == {
        "mode": "proteins",
        "lineage": "poxviridae_odb10", "one_line": "C:100.0%[S:100.0%,D:0.0%],F:0.0%,M:0.0%,n:18",
        "n": 18, "complete": 18, "single": 18, "duplicated": 0, "fragmented": 0, "missing": 0,
    }  # fmt: skip
    assert result["one_line"] in done.stdout


@pytest.mark.slow
@needs("busco")
@needs("hmmsearch")
def test_every_pox_proteome_is_complete(shared_data):
    proteomes = sorted((shared_data / "busco/pep").glob("*.faa.gz"))
    assert len(proteomes) == 6
    for proteins in proteomes:
        result = run_busco(proteins, shared_data / "busco/poxviridae_odb10.tar.gz", threads=2)
        assert (result["complete"], result["missing"], result["n"]) == (18, 0, 18), proteins.name


@needs("busco")
@needs("hmmsearch")
def test_lineage_folder_without_the_suffix_and_proteins_with_stars_copies_and_losses(shared_data, tmp_path):
    subprocess.run(["tar", "-xf", shared_data / "busco/poxviridae_odb10.tar.gz", "-C", tmp_path], check=True)
    lineage = (tmp_path / "poxviridae_odb10").rename(tmp_path / "pox")
    shutil.rmtree(lineage / "prfl")
    (lineage / "prfl").mkdir()  # empty, which the program may not see
    text = gzip.open(shared_data / "busco/pep/Variola_virus.faa.gz", "rt").read()
    records = [record.split("\n", 1) for record in text.split(">")[1:]]
    poly = next(index for index, (header, _) in enumerate(records) if header.startswith("NP_042127.1"))
    polymerase = records.pop(poly)
    proteins = tmp_path / "proteins.faa"
    proteins.write_text("".join(f">gi|{header}\n{sequence.strip()}*\n" for header, sequence in records))
    lost = run_busco(proteins, lineage, threads=2)
    assert (lost["lineage"], lost["n"], lost["complete"], lost["missing"]) == ("pox", 18, 17, 1)
    with proteins.open("a") as stream:
        stream.write(f">one\n{polymerase[1]}>two\n{polymerase[1]}")
    doubled = run_busco(proteins, lineage, threads=2)
    assert (doubled["complete"], doubled["single"], doubled["duplicated"], doubled["missing"]) == (18, 17, 1, 0)


@needs("busco")
@needs("hmmsearch")
def test_nothing_found_is_a_result(shared_data, tmp_path):
    proteins = shared_data / "busco/pep/Goatpox_virus.faa.gz"
    result = run_busco(proteins, shared_data / "busco/chr22_odb10.tar.gz")
    assert (result["complete"], result["missing"], result["n"]) == (0, 1, 1)
    assert result["one_line"].startswith("C:0.0%")


@needs("busco")
@needs("hmmsearch")
def test_no_predicted_protein_is_a_result_without_running_the_program(tmp_path):
    proteins = tmp_path / "none.faa"
    proteins.touch()
    result = run_busco(proteins, lineage_folder(tmp_path))
    assert set(result) == set(RESULT_FIELDS)
    assert (result["complete"], result["missing"], result["n"]) == (0, 2, 2)
    assert result["one_line"] == "C:0.0%[S:0.0%,D:0.0%],F:0.0%,M:100.0%,n:2"


@needs("busco")
@needs("hmmsearch")
def test_a_failing_search_is_one_line_and_not_a_score(repository, tmp_path):
    proteins = tmp_path / "some.faa"
    proteins.write_text(NOTHING_WRONG)
    done = run_script(
        repository, "--proteins", proteins, "--lineage", lineage_folder(tmp_path), "--output", tmp_path / "x.json"
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: busco") and done.stderr.count("\n") == 1
    assert not (tmp_path / "x.json").exists()


def test_missing_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    proteins = tmp_path / "some.faa"
    proteins.write_text(NOTHING_WRONG)
    with pytest.raises(InputError, match=r"busco: the program is not on PATH; install BUSCO"):
        run_busco(proteins, lineage_folder(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MKL\n", r"p\.faa, line 1: not protein FASTA: expected '>', found 'MKL'"),
        (">a\nMKL\n>a\nMVV\n", r"p\.faa, line 3: 'a' appears twice"),
        (">a\nMKL\n>\nMVV\n", r"p\.faa, line 3: '>' without a name"),
        (">a\n>b\nMVV\n", r"p\.faa, before line 2: protein 'a' has no residues"),
        (">a\nMK1L\n", r"p\.faa, line 2: '1' is not a residue"),
    ],
)
def test_broken_protein_files(tmp_path, text, message):
    (tmp_path / "p.faa").write_text(text)
    with pytest.raises(InputError, match=message):
        prepare_proteins(tmp_path / "p.faa", tmp_path / "out.faa")


def test_proteins_are_unpacked_and_cleaned(tmp_path):
    with gzip.open(tmp_path / "p.faa.gz", "wb") as stream:
        stream.write(b">sp|P1|X_Y some text\r\nMKL*\r\nVV*\r\n>b\nMA\n")
    assert prepare_proteins(tmp_path / "p.faa.gz", tmp_path / "out.faa") == 2
    assert (tmp_path / "out.faa").read_text() == ">sp|P1|X_Y\nMKLXVV\n>b\nMA\n"
    with pytest.raises(InputError, match="no such protein file"):
        prepare_proteins(tmp_path / "absent.faa", tmp_path / "out.faa")
    with gzip.open(tmp_path / "empty.faa.gz", "wb"):
        pass
    assert prepare_proteins(tmp_path / "empty.faa.gz", tmp_path / "out.faa") == 0
