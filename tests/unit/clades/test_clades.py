"""Clades: one file each; those that come with GeneT5 are sound, every mistake is one line, and users add their own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from genet5.clades import Clade, ShippedModel, clade_named, read_clades
from genet5.clades.clade import read_clade
from genet5.errors import InputError
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sites import GeneRules

SHIPPED = (
    "alga",
    "bacteria",
    "ciliate",
    "eukaryote",
    "filamentous_fungi",
    "fungi",
    "invertebrate",
    "kinetoplastid",
    "nematode",
    "plant",
    "plasmodium",
    "protist",
    "vertebrate",
)
MODEL = {"folder": "weights", "calibration": "curve.json", "decoder": "viterbi", "window_bp": 9000, "overlap_bp": 1000}


@pytest.fixture(scope="module")
def content(repository: Path) -> dict[str, Any]:
    """The file of a clade without a model."""
    document = yaml.safe_load((repository / "resources/clades/vertebrate.yaml").read_text())
    del document["model"]
    return document


Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a clade's file into the folder ``own``."""

    def written(document: Any, name: str = "oomycete") -> Path:
        path = tmp_path / "own" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        return path

    return written


def failure(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- those that come with GeneT5


def test_the_clades_are_the_files_of_the_folder_in_alphabetical_order(repository: Path) -> None:
    assert tuple(read_clades()) == SHIPPED
    assert sorted(path.stem for path in (repository / "resources/clades").iterdir()) == sorted(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_clade_can_be_used(name: str, repository: Path) -> None:
    clade = read_clades()[name]
    assert clade.name == name and clade.path == repository / f"resources/clades/{name}.yaml"
    rules, code = clade.gene_rules(clade.genetic_code), GeneticCode.from_table(clade.genetic_code)
    assert rules == clade.rules and rules.stops == code.stops and set(rules.starts) <= code.starts
    assert clade.description and 0 < clade.genes_per_mb[0] < clade.genes_per_mb[1]
    assert 0 < clade.stride_bp <= clade.window_bp
    if clade.model:
        assert clade.model.overlap_bp < clade.model.window_bp and clade.model.calibration.parent == clade.model.folder


def test_bacteria_and_kinetoplastids_have_no_introns_and_all_others_do() -> None:
    assert [name for name, clade in read_clades().items() if not clade.rules.splice_pairs] == [
        "bacteria",
        "kinetoplastid",
    ]


def test_what_a_run_depends_on_is_the_rules_in_one_order() -> None:
    bacteria = read_clades()["bacteria"]
    identity = bacteria.identity()
    assert identity["stops"] == ["TAA", "TAG", "TGA"] and identity["starts"] == ("ATG", "GTG", "TTG")
    assert set(identity) == {
        "starts", "splice_pairs", "min_intron_bp", "max_intron_bp", "min_exon_bp", "min_gene_bp", "max_overlap_bp",
        "stops",
    }  # fmt: skip


def test_rules_follow_the_genetic_code_and_refuse_one_that_starts_no_such_gene() -> None:
    clades = read_clades()
    assert clades["bacteria"].gene_rules(4).stops == frozenset({"TAA", "TAG"})
    found = failure(lambda: clades["bacteria"].gene_rules(1))
    path = clades["bacteria"].path
    assert found == (f"{path}, key rules.starts: GTG is no start codon of genetic code 1, allowed: ATG, CTG, TTG")
    assert "99" in failure(lambda: clades["fungi"].gene_rules(99))


def test_a_clade_that_does_not_exist_is_one_line_with_the_choices() -> None:
    clades = read_clades()
    assert failure(lambda: clade_named(clades, "lichen")) == (
        "--clade: no clade 'lichen'; known: " + ", ".join(SHIPPED)
    )
    assert failure(lambda: clade_named(clades, "plants", "clade")) == "clade: no clade 'plants'; did you mean 'plant'?"


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "key",
    [
        *("description", "genetic_code", "rules", "windows", "genes_per_mb", "windows.window_bp", "windows.stride_bp"),
        *(f"rules.{key}" for key in ("starts", "splice_pairs", "min_intron_bp", "max_intron_bp", "min_exon_bp")),
        *("rules.min_gene_bp", "rules.max_overlap_bp"),
        *(f"model.{key}" for key in MODEL),
    ],
)
def test_a_missing_key_and_one_too_many_are_named(key: str, content: dict[str, Any], write: Writer) -> None:
    document = {**copy.deepcopy(content), "model": dict(MODEL)}
    *section, last = key.split(".")
    place = document[section[0]] if section else document
    del place[last]
    path = write(document)
    assert failure(lambda: read_clade(path)) == f"{path}, key {key} is missing"
    place[last[:-1] + "x"] = 1
    path = write(document)
    unknown = ".".join([*section, last[:-1] + "x"])
    assert failure(lambda: read_clade(path)) == f"{path}, key {unknown} is unknown; did you mean '{last}'?"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("description", "", "description is empty"),
        ("description", 5, "description: 5 is a number, expected text"),
        ("genetic_code", 99, "genetic_code: 99 is not allowed (allowed: 1, 2, 3"),
        ("genetic_code", "one", "genetic_code: one is not allowed (allowed: 1, 2, 3"),
        ("rules", [], "rules: a list "),
        ("rules.starts", [], "rules.starts"),
        ("rules.starts", ["AUG"], "rules.starts[0]: 'AUG' is not allowed, expected 3 of A, C, G, T"),
        ("rules.starts", ["ATG", "AAA"], "rules.starts: AAA is no start codon of genetic code 1, allowed: ATG"),
        ("rules.starts", "ATG", "rules.starts: 'ATG' is text, expected a list"),
        ("rules.splice_pairs", ["GT", "AG"], "rules.splice_pairs[0]: 'GT' is text, expected a list"),
        ("rules.splice_pairs", [["GT"]], "rules.splice_pairs[0]: "),
        ("rules.splice_pairs", [["GT", "AG", "AC"]], "rules.splice_pairs[0]: "),
        ("rules.splice_pairs", [["GTA", "AG"]], "rules.splice_pairs[0][0]: 'GTA' is not allowed, expected 2 of A, C"),
        ("rules.min_intron_bp", -1, "rules.min_intron_bp: -1 is out of range, expected at least 0"),
        ("rules.min_intron_bp", 200_000, "rules.min_intron_bp: 200000 is more than max_intron_bp (100000)"),
        ("rules.max_intron_bp", 1.5, "rules.max_intron_bp: 1.5 is a number, expected a whole number"),
        ("rules.min_exon_bp", 0, "rules.min_exon_bp: 0 is out of range, expected at least 1"),
        ("rules.min_gene_bp", 3, "rules.min_gene_bp: 3 is out of range, expected at least 6"),
        ("rules.max_overlap_bp", None, "rules.max_overlap_bp: nothing "),
        ("windows.window_bp", 99, "windows.window_bp: 99 is out of range, expected at least 100"),
        ("windows.stride_bp", 0, "windows.stride_bp: 0 is out of range, expected at least 1"),
        ("windows.stride_bp", 45_001, "windows.stride_bp: 45001 leaves gaps between windows, expected at most"),
        ("genes_per_mb", [5], "genes_per_mb: "),
        ("general", 1, "general: 1 is a number, expected true or false"),
        ("genes_per_mb", [1, 2, 3], "genes_per_mb: "),
        ("genes_per_mb", [60, 3], "genes_per_mb: 60 is more than 3, expected [least, most]"),
        ("genes_per_mb", [-1, 3], "genes_per_mb[0]: -1 is out of range, expected at least 0"),
        ("genes_per_mb", [1, float("nan")], "genes_per_mb[1]: nan is not a finite number"),
        ("model", {}, "model.folder is missing"),
        ("model.folder", "", "model.folder is empty"),
        ("model.folder", "absent", "model.folder: {own}/absent does not exist; paths start at the clade's file"),
        ("model.calibration", "absent.json", "model.calibration: {own}/weights/absent.json does not exist"),
        ("model.folder", "weights\0", "model: a name of a file has no zero byte"),
        ("model.calibration", "\0", "model: a name of a file has no zero byte"),
        ("model.decoder", "", "model.decoder is empty"),
        ("model.window_bp", 99, "model.window_bp: 99 is out of range, expected at least 100"),
        ("model.masked_cost", -1, "model.masked_cost: -1 is out of range, expected at least 0"),
        ("model.overlap_bp", -1, "model.overlap_bp: -1 is out of range, expected at least 0"),
        ("model.overlap_bp", 9000, "model.overlap_bp: 9000 is not shorter than window_bp (9000)"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_line_that_names_file_and_key(
    key: str, value: Any, message: str, content: dict[str, Any], write: Writer
) -> None:
    document = {**copy.deepcopy(content), "model": dict(MODEL)}
    *section, last = key.split(".")
    (document[section[0]] if section else document)[last] = value
    path = write(document)
    (path.parent / "weights").mkdir()
    (path.parent / "weights/curve.json").write_text("{}")
    found = failure(lambda: read_clade(path))
    assert found.startswith(f"{path}, key {message.format(own=path.parent)}")
    assert failure(lambda: read_clades(path.parent)) == found


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "{path}: nothing "),
        ("- a\n", "{path}: a list "),
        ("a: [", "clade: '{path}' is not valid YAML ("),
    ],
)
def test_a_file_that_is_no_clade_is_one_line(document: str, message: str, write: Writer) -> None:
    path = write(document)
    assert failure(lambda: read_clade(path)).startswith(message.format(path=path))


def test_one_letter_describes_a_clade(content: dict[str, Any], write: Writer) -> None:
    clade = read_clade(write({**content, "description": "x"}))
    assert (clade.description, clade.general, clade.subclades) == ("x", False, ())


def test_the_least_that_a_file_may_say_is_read(write: Writer) -> None:
    rules = {"starts": ["ATG"], "splice_pairs": [["GT", "AG"]], "min_intron_bp": 0, "max_intron_bp": 0}
    rules |= {"min_exon_bp": 1, "min_gene_bp": 6, "max_overlap_bp": 0}
    document = {"description": "x", "genetic_code": 1, "rules": rules, "genes_per_mb": [0, 0], "subclades": ["a"]}
    document["general"] = True
    document["windows"] = {"window_bp": 100, "stride_bp": 100}
    document["model"] = {"folder": "w", "calibration": "c", "decoder": "d", "window_bp": 100, "overlap_bp": 0}
    path = write(document)
    weights = path.parent / "w"
    weights.mkdir()
    (weights / "c").write_text("{}")
    starts_and_stops = {"starts": ("ATG",), "stops": frozenset({"TAA", "TAG", "TGA"})}
    model = ShippedModel(weights, weights / "c", "d", 100, 0, 0.0)
    expected = Clade(
        "oomycete", "x", 1, GeneRules(**{**rules, **starts_and_stops, "splice_pairs": (("GT", "AG"),)}), 100, 100,
        (0.0, 0.0), model, path, ("a",), True,
    )  # fmt: skip
    assert read_clade(path) == expected and ShippedModel(weights, weights / "c", "d", 100, 0) == model


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "oomycete.yaml").mkdir()
    assert (
        failure(lambda: read_clades(tmp_path)) == f"clade: cannot read '{tmp_path / 'oomycete.yaml'}' (Is a directory)"
    )


# ---------------------------------------------------------------- a folder of one's own


def test_a_clade_of_ones_own_is_added_in_alphabetical_order(content: dict[str, Any], write: Writer) -> None:
    path = write({**content, "description": "Green and red."})
    for folder in (path.parent, str(path.parent)):
        clades = read_clades(folder)
        assert list(clades) == sorted([*SHIPPED, "oomycete"])
        assert clades["oomycete"].description == "Green and red." and clades["oomycete"].path == path
        assert {name: clades[name] for name in SHIPPED} == read_clades()


def test_subclades_are_clades_and_a_name_that_is_none_is_one_line(content: dict[str, Any], write: Writer) -> None:
    folder = write(content | {"subclades": ["fungi", "own"]}, "own").parent
    assert read_clades(folder)["own"].subclades == ("fungi", "own") and read_clades()["bacteria"].subclades == ()
    write(content | {"subclades": ["fungy"]}, "own")
    with pytest.raises(InputError, match=r"own\.yaml, key subclades: no clade 'fungy'; did you mean 'fungi'\?$"):
        read_clades(folder)
    write(content | {"subclades": ["fungi", "fungi"]}, "own")
    with pytest.raises(InputError, match=r"own\.yaml, key subclades"):
        read_clades(folder)


def test_a_clade_of_ones_own_replaces_the_shipped_one_of_its_name(content: dict[str, Any], write: Writer) -> None:
    document = copy.deepcopy(content)
    document["rules"]["max_intron_bp"] = 500
    path = write(document, "fungi")
    clades = read_clades(path.parent)
    assert tuple(clades) == SHIPPED
    assert clades["fungi"].rules.max_intron_bp == 500 and clades["fungi"].model is None
    assert read_clades()["fungi"].rules.max_intron_bp == 3000


@pytest.mark.parametrize("name", ["Oomycete", "red-oomycete", "3oomycete", "red oomycete"])
def test_a_name_that_cannot_be_a_clades_is_one_line(name: str, content: dict[str, Any], write: Writer) -> None:
    path = write(content, name)
    assert failure(lambda: read_clades(path.parent)) == (
        f"{path}: a clade's name has lower-case letters, digits and _, and begins with a letter"
    )


def test_a_folder_without_clades_is_one_line(tmp_path: Path) -> None:
    expected = ": no clade here, expected files like oomycete.yaml (clade_folder, --clade-folder)"
    (tmp_path / "notes.txt").write_text("")
    assert failure(lambda: read_clades(tmp_path)) == f"{tmp_path}{expected}"
    assert failure(lambda: read_clades(tmp_path / "absent")) == f"{tmp_path / 'absent'}{expected}"


@pytest.mark.parametrize("absolute", [True, False])
def test_paths_of_a_model_start_at_the_clades_file(
    absolute: bool, content: dict[str, Any], write: Writer, tmp_path: Path, monkeypatch
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "curve.json").write_text("{}")
    path = write({**content, "model": {**MODEL, "folder": str(weights) if absolute else "../weights"}})
    monkeypatch.chdir(path.parent)
    model = read_clade(Path(path.name) if not absolute else path).model
    assert (model.folder, model.calibration) == (weights, weights / "curve.json")
    assert (model.decoder, model.window_bp, model.overlap_bp, model.masked_cost) == ("viterbi", 9000, 1000, 0.0)
    costly = write({**content, "model": {**MODEL, "folder": str(weights), "masked_cost": 0.25}})
    assert read_clade(costly).model.masked_cost == 0.25


def test_clades_are_equal_if_their_files_say_the_same(content: dict[str, Any], write: Writer) -> None:
    path = write(content)
    first: Clade = read_clade(path)
    assert first == read_clade(write(content)) != read_clade(write({**content, "genes_per_mb": [1, 2]}))
