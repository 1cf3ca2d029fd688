"""BUSCO: the real program on real proteomes, and one clear line for everything that can be wrong with the inputs."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tarfile

import pytest
from programs import needs

from genet5.errors import InputError
from genet5.evaluate.busco import prepare_lineage, prepare_proteins, run_busco

MODEL = "HMMER3/f [3.1b2 | February 2015]\nNAME  nothing\n//\n"
NOTHING_WRONG = ">a\nMKL\n"


def lineage_folder(folder, name="mini_odb10", markers=("1at2", "3at2"), **changed):
    """A lineage that passes all checks (its models say nothing)."""
    path = folder / name
    (path / "hmms").mkdir(parents=True)
    for marker in markers:
        (path / "hmms" / f"{marker}.hmm").write_text(MODEL)
    files = {
        "dataset.cfg": "domain=viruses\ncreation_date=2024-01-08\nnumber_of_BUSCOs=2\nnumber_of_species=39\n",
        "scores_cutoff": "1at2\t25.8\n3at2\t31.4\n",
        "lengths_cutoff": "1at2\t0\t9\t78\n3at2\t0\t25\t247\n",
    } | changed
    for file, text in files.items():
        if text is not None:
            (path / file).write_text(text)
    return path


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
    assert result == {
        "lineage": "poxviridae_odb10", "one_line": "C:100.0%[S:100.0%,D:0.0%],F:0.0%,M:0.0%,n:18",
        "n": 18, "complete": 18, "single": 18, "duplicated": 0, "fragmented": 0, "missing": 0,
    }  # fmt: skip
    assert result["one_line"] in done.stdout


@needs("busco")
@needs("hmmsearch")
def test_lineage_folder_without_the_suffix_and_proteins_with_stars_copies_and_losses(shared_data, tmp_path):
    with tarfile.open(shared_data / "busco/poxviridae_odb10.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
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


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dataset.cfg": None}, "not a BUSCO lineage: dataset.cfg is missing"),
        ({"scores_cutoff": None}, "not a BUSCO lineage: scores_cutoff is missing"),
        ({"lengths_cutoff": None}, "not a BUSCO lineage: lengths_cutoff is missing"),
        ({"dataset.cfg": "creation_date=x\n"}, "dataset.cfg has no 'domain'"),
        (
            {"dataset.cfg": "domain=a\ncreation_date=b\nnumber_of_BUSCOs=many\nnumber_of_species=1\n"},
            "dataset.cfg: number_of_BUSCOs is 'many'",
        ),
        ({"lengths_cutoff": "1at2\t0\t9\t78\n"}, r"lengths_cutoff has no line for 3at2 \(1 of 2 missing\)"),
        ({"markers": ()}, r"hmms holds no \.hmm file"),
        ({"markers": ("YBL023C",)}, r"hmms/YBL023C\.hmm: BUSCO sorts markers by names like 10at10240"),
    ],
)
def test_broken_lineages(tmp_path, changed, message):
    lineage = lineage_folder(tmp_path, **changed)
    with pytest.raises(InputError, match=f"mini_odb10: {message}"):
        prepare_lineage(lineage, tmp_path / "work")


@pytest.mark.parametrize("text", ["", "HMMER3/f [3.1b2 | February 2015]\nNAME  cut\n", "HMMER2.0\n//\n"])
def test_damaged_models_are_found_before_they_count_as_missing_markers(tmp_path, text):
    lineage = lineage_folder(tmp_path)
    (lineage / "hmms" / "3at2.hmm").write_text(text)
    with pytest.raises(InputError, match=r"hmms/3at2\.hmm is not a HMMER3 model, or cut short"):
        prepare_lineage(lineage, tmp_path / "work")


def test_lineages_that_are_not_there_or_not_tars(tmp_path):
    with pytest.raises(InputError, match="absent_odb10: no such BUSCO lineage"):
        prepare_lineage(tmp_path / "absent_odb10", tmp_path / "work")
    (tmp_path / "odd.tar.gz").write_text("not a tar")
    with pytest.raises(InputError, match=r"odd\.tar\.gz: not a readable tar"):
        prepare_lineage(tmp_path / "odd.tar.gz", tmp_path / "work2")
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        tar.add(lineage_folder(tmp_path, "x") / "hmms", "x/hmms")
    with pytest.raises(InputError, match=r"empty\.tar: not a BUSCO lineage: dataset\.cfg is missing"):
        prepare_lineage(tmp_path / "empty.tar", tmp_path / "work3")


@pytest.mark.parametrize("top", ["mini", ""])
def test_lineage_names_end_in_the_suffix_the_program_wants(tmp_path, top):
    source = lineage_folder(tmp_path, "source")
    with tarfile.open(tmp_path / "mini.tar.gz", "w:gz") as tar:
        for entry in source.iterdir():
            tar.add(entry, f"{top}/{entry.name}".lstrip("/"))
    ready, name, markers = prepare_lineage(tmp_path / "mini.tar.gz", tmp_path / "work")
    assert (ready.name, name, markers) == ("mini_odb10", "mini", 2)
    assert (ready / "hmms" / "3at2.hmm").exists() and (ready / "dataset.cfg").is_file()
