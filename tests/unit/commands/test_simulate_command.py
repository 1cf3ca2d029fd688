"""``genet5 simulate``: files of each species, the list of species, and its mistakes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from augustus_folder import MadeParameters

from genet5 import cli


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """AUGUSTUS's folder with two species, and one whose introns are missing."""
    for name in ("made", "other", "broken"):
        MadeParameters(name=name).write(tmp_path / "config")
    (tmp_path / "config/species/broken/broken_intron_probs.pbl").unlink()
    return tmp_path / "config"


def simulate(*words: object) -> None:
    cli.main(["simulate", *map(str, words)])


def test_each_species_gets_a_folder(config: Path, tmp_path: Path, capsys) -> None:
    simulate("made", "other", "--augustus-config", config, "--bases", 40_000, "--seed", 3, "--output", tmp_path)
    for name in ("made", "other"):
        genome = gzip.decompress((tmp_path / name / "fna.gz").read_bytes()).decode()
        assert genome.startswith(f">{name}_1\n") and sum(map(len, genome.split("\n")[1:])) == 40_000
        lines = gzip.decompress((tmp_path / name / "gff.gz").read_bytes()).decode().splitlines()
        assert lines[:2] == ["##gff-version 3", f"#!simulated-from AUGUSTUS:{name}"]
        assert {line.split("\t")[2] for line in lines if not line.startswith("#")} == {"gene", "mRNA", "exon", "CDS"}
        assert f"simulate: {name}: 40000 bp in 1 contigs, " in capsys.readouterr().err or name == "other"
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_name_of_its_own_and_another_genetic_code(config: Path, tmp_path: Path) -> None:
    simulate(
        "made", "--name", "S.made", "--genetic-code", 12, "--augustus-config", config, "--bases", 30_000,
        "--output", tmp_path,
    )  # fmt: skip
    assert gzip.decompress((tmp_path / "S.made/fna.gz").read_bytes()).startswith(b">S.made_1\n")


def test_the_list_says_why_a_species_cannot_be_simulated(config: Path, capsys) -> None:
    simulate("--list", "--augustus-config", config)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["broken", "made", "other"]
    assert lines[0].startswith("broken\tcannot be simulated\t") and "broken_intron_probs.pbl" in lines[0]
    assert lines[1] == "made\t1 GC class, genetic code 1, 1.50 introns of 74 bp per gene"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name one or more species and --output, or give --list"),
        (("made",), "name one or more species and --output, or give --list"),
        (("made", "other", "--name", "x", "--output", "o"), "--name: one name for 2 species"),
        (("made", "--genetic-code", "7", "--output", "o"), "unknown NCBI translation table 7"),
        (("made", "--bases", "5", "--output", "o"), "simulate made: 5 bases, at least 20000 are needed"),
        (("mad", "--output", "o"), "no species 'mad'"),
        (("made", "--tandem-share", "2", "--output", "o"), "tandem"),
        (("broken", "--output", "o"), "broken_intron_probs.pbl: cannot be read"),
    ],
)
def test_mistakes_are_one_line(config: Path, tmp_path: Path, monkeypatch, words, message) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        simulate(*words, "--augustus-config", config)
    assert str(ended.value.code).startswith("error: ") and message in str(ended.value.code)
    assert "\n" not in str(ended.value.code)
    assert not Path("o").exists()
