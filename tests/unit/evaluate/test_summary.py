"""The tables of a run hold the very numbers of its JSON files, each once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from genet5.errors import InputError
from genet5.evaluate.scores import CLASS_LEVELS, LEVELS
from genet5.evaluate.summary import SPECIES_FIELDS, SUMMARY_FIELDS, species_summary, summary_table, write_table
from genet5.species_table import read_species_table

F1 = {"crf": 0.123456, "sft": 2 / 3, "orf_atg": 0.05, "prodigal": None}


def report(f1: float | None, cpu_s: float, first: int) -> dict[str, Any]:
    """A report whose counts are told apart by level: ``first``, ``first`` + 1 and so on are its true positives."""
    levels: dict[str, Any] = {}
    for number, level in enumerate(LEVELS, start=first):
        levels[level] = {
            "tp": number, "fp": 2, "fn": 3, "ignored": 4, "precision": number / (number + 2),
            "recall": number / (number + 3), "f1": f1,
        }  # fmt: skip
    for level in CLASS_LEVELS:
        levels[level] = {
            "reference": 10, "found": 7, "predicted": 8, "right": 6, "precision": 0.75, "recall": 0.7, "f1": f1,
        }  # fmt: skip
    plain = {level: {"f1": None if f1 is None else f1 / 2} for level in levels}
    bounds = {"exon": [0.1, 0.2], "gene": [None, None]}
    return levels | {
        "without_dont_care": plain, "bootstrap": {"f1": bounds}, "cpu_s": cpu_s, "kb_per_cpu_s": 100.0 / cpu_s,
    }  # fmt: skip


def document(species: str, stage: str, first: int = 1, times: float = 1.0) -> dict[str, Any]:
    systems = {f"genet5/{stage}": report(F1[stage], 3.5, first)}
    systems |= {name: report(F1[name], times, 50) for name in ("orf_atg", "prodigal")}
    shared = {"regions": None, "reference": {"genes": 9}, "genetic_code": 11, "isoforms": "all", "teacher": None}
    return {"species": species, "systems": systems} | shared


@pytest.fixture
def files(tmp_path: Path) -> dict[str, list[Path]]:
    """Scores of two stages and two species, a BUSCO result, and baked data of one species."""
    made: dict[str, list[Path]] = {"scores": [], "busco": [tmp_path / "busco/sft/A.one.json"], "stats": []}
    for stage, first in (("crf", 1), ("sft", 20)):
        for species in ("A.one", "B.two"):
            made["scores"].append(tmp_path / "score" / stage / f"{species}.json")
            write(made["scores"][-1], document(species, stage, first, times=first / 7))
    write(made["busco"][0], {"complete": 30, "n": 120, "one_line": "C:25.0%[S:20.0%,D:5.0%],F:5.0%,M:70.0%,n:120"})
    split = {"bases": 700, "genes": 6, "windows": {"kept": 5}}
    splits = {"train": split, "validation": split | {"bases": 200}, "test": split | {"genes": 1}}
    stats = {"species": "A.one", "contigs": 2, "bases": 1000, "genes": {"total": 9, "trusted": 8, "flagged": 1}}
    made["stats"].append(tmp_path / "baked/A.one/stats.json")
    write(made["stats"][0], stats | {"splits": splits})
    return made


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def table_of(folder: Path) -> Path:
    rows = [
        "species clade genetic_code split validation_regions test_regions genome annotation",
        "A.one bacteria 11 train x:1-20 x:30-40 {data_root}/a.fna a.gff",
        "B.two fungi 1 test - - b.fna b.gff",
    ]
    (folder / "species.tsv").write_text("".join("\t".join(row.split()) + "\n" for row in rows))
    return folder / "species.tsv"


def read_back(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values={}, dtype=str, na_filter=False)


@pytest.mark.parametrize("ending", [".tsv", ".parquet"])
def test_every_number_is_that_of_its_file(files: dict[str, list[Path]], tmp_path: Path, ending: str) -> None:
    write_table(tmp_path / f"x{ending}", summary_table(files["scores"], files["busco"]))
    table = read_back(tmp_path / f"x{ending}")
    assert list(table.columns) == list(SUMMARY_FIELDS)
    levels = len(LEVELS) + len(CLASS_LEVELS)
    # Two stages and two baselines of two species, and one row of BUSCO.
    assert len(table) == 2 * 4 * levels + 1
    rows = {(row.species, row.system, row.level): row for row in table.itertuples()}
    assert len(rows) == len(table)

    def same(cell: object, value: object) -> bool:
        if value is None:
            return cell == "" if ending == ".tsv" else bool(pd.isna(cell))
        return (type(value)(cell) if ending == ".tsv" else cell) == value

    compared = 0
    for path in files["scores"]:
        content = json.loads(path.read_text())
        for system, scores in content["systems"].items():
            first = path.parent.name == "crf" or system.startswith("genet5/")
            for level in (*LEVELS, *CLASS_LEVELS):
                row, entry = rows[content["species"], system, level], scores[level]
                for name in ("precision", "recall", "f1"):
                    assert same(getattr(row, name), entry[name]), (system, level, name)
                if level in LEVELS:
                    assert same(row.found, entry["tp"]) and same(row.right, entry["tp"]) and same(row.ignored, 4)
                    assert same(row.reference, entry["tp"] + 3) and same(row.predicted, entry["tp"] + 2)
                else:
                    assert [same(getattr(row, n), entry[n]) for n in ("reference", "found", "predicted", "right")]
                    assert same(row.fn, 3) and same(row.fp, 2) and same(row.ignored, None)
                low, high = scores["bootstrap"]["f1"].get(level, (None, None))
                assert same(row.f1_low, low) and same(row.f1_high, high)
                assert same(row.f1_without_dont_care, scores["without_dont_care"][level]["f1"])
                # A baseline's time is that of the first file.
                assert same(row.cpu_s, scores["cpu_s"]) == first
                assert same(row.stage, system[7:] if system.startswith("genet5/") else None)
                compared += 1
    assert compared == 4 * 3 * levels
    marker = rows["A.one", "genet5/sft", "busco"]
    assert same(marker.reference, 120) and same(marker.found, 30) and same(marker.fn, 90) and same(marker.recall, 0.25)
    assert same(marker.f1, None) and marker.one_line == "C:25.0%[S:20.0%,D:5.0%],F:5.0%,M:70.0%,n:120"
    assert marker.stage == "sft"


@pytest.mark.parametrize("ending", [".tsv", ".parquet"])
def test_species_say_what_was_baked(files: dict[str, list[Path]], tmp_path: Path, ending: str) -> None:
    table = read_species_table(table_of(tmp_path), "/data", ["bacteria", "fungi"])
    write_table(tmp_path / f"x{ending}", species_summary(table, files["stats"]))
    found = read_back(tmp_path / f"x{ending}").astype("string").fillna("").to_dict("records")
    assert [list(row) for row in found] == [list(SPECIES_FIELDS)] * 2
    assert list(found[0].values()) == [
        "A.one", "bacteria", "11", "train", "x:1-20", "x:30-40", "", "", "1000", "2", "9", "8", "1",
        "700", "200", "700", "6", "6", "1", "5", "5",
    ]  # fmt: skip
    assert list(found[1].values()) == ["B.two", "fungi", "1", "test"] + [""] * 17


def test_busco_of_published_proteins_is_no_stage(files: dict[str, list[Path]], tmp_path: Path) -> None:
    path = tmp_path / "busco/reference/A.one.json"
    write(path, {"complete": 9, "n": 9, "one_line": "C:100.0%"})
    row = summary_table(files["scores"], [path]).iloc[-1]
    assert (row["system"], row["level"], row["recall"]) == ("reference", "busco", 1.0) and pd.isna(row["stage"])


def test_the_same_numbers_give_the_same_bytes(files: dict[str, list[Path]], tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / f"{name}.parquet", summary_table(files["scores"]))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def changed(path: Path, **values: object) -> None:
    write(path, json.loads(path.read_text()) | values)


def test_mistakes_are_one_line(files: dict[str, list[Path]], tmp_path: Path) -> None:
    first = files["scores"][0]
    with pytest.raises(
        InputError, match=r"A.one.json: genet5/crf of A.one is in .*A.one.json already; give each file once"
    ):
        summary_table([first, first])
    with pytest.raises(InputError, match=r"A.one.json: not a file of genet5 score: genetic_code, .* missing"):
        summary_table(files["busco"])
    with pytest.raises(InputError, match=r"A.one.json: not a file of genet5 busco: needs one_line, and the numbers"):
        summary_table(files["scores"], [first])
    with pytest.raises(InputError, match=r"A.one.json: not the stats.json of baked data"):
        species_summary({}, [first])
    with pytest.raises(InputError, match=r"stats.json: species 'A.one' is not in the species table \(C\)"):
        species_summary({"C": None}, files["stats"])
    systems = json.loads(first.read_text())["systems"]
    systems["orf_atg"]["exon"]["tp"] += 1
    changed(first, systems=systems)
    with pytest.raises(
        InputError, match=r"sft/A.one.json: scores of orf_atg differ from those in .*crf/A.one.json; sc"
    ):
        summary_table(files["scores"])


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (["systems"], 3, "'int' object has no attribute 'items'"),
        (["systems", "genet5/crf"], "x", "no attribute .get."),
        (["systems", "genet5/crf", "gene", "tp"], None, "unsupported operand"),
        (["systems", "genet5/crf", "gene", "tp"], 0.5, r"genet5/crf, gene, reference is '3.5'"),
        (["systems", "genet5/crf", "gene", "tp"], 10**40, "genet5/crf, gene, reference is '10*'"),
        (["systems", "genet5/crf", "gene", "f1"], "much", "genet5/crf, gene, f1 is 'much'"),
        (["systems", "genet5/crf", "gene"], {}, "tp"),
        (["systems", "genet5/crf", "bootstrap"], [], "'list' object has no attribute 'get'"),
        (["systems", "genet5/crf", "cpu_s"], 10**400, "cpu_s is '10*'"),
    ],
)
def test_damaged_scores_are_one_line(tmp_path: Path, keys: list[str], value: object, said: str) -> None:
    scores = document("A.one", "crf")
    inner = scores
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path = tmp_path / "A.one.json"
    write(path, scores)
    with pytest.raises(InputError, match=rf"A.one.json: not a file of genet5 score \(.*{said}"):
        summary_table([path])


@pytest.mark.parametrize("change", [{"n": 10**40}, {"complete": 0.5}, {"complete": 121}, {"n": True}, {"complete": -1}])
def test_a_damaged_result_of_busco_is_one_line(files: dict[str, list[Path]], change: dict[str, object]) -> None:
    path = files["busco"][0]
    write(path, json.loads(path.read_text()) | change)
    with pytest.raises(InputError, match=r"A\.one\.json: not a file of genet5 busco: needs one_line"):
        summary_table([], [path])


def test_the_command(files: dict[str, list[Path]], tmp_path: Path) -> None:
    flags = [word for name, paths in files.items() for word in (f"--{name}", *map(str, paths))]
    flags += ["--species-table", str(table_of(tmp_path)), "--data-root", "/data", "--output-dir", str(tmp_path / "out")]
    command = [sys.executable, "-m", "genet5", "summary", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"73 scores of 2 species: {tmp_path / 'out/summary.tsv'}\n"
    names = ["species.parquet", "species.tsv", "summary.parquet", "summary.tsv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
