"""The species table: what it says, and one line with row and column for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from genet5.errors import InputError
from genet5.species_table import (
    COLUMNS,
    parse_region,
    read_species_table,
    require_evaluation,
    require_training,
    select_species,
    shared_by_training,
)

CLADES = ("bacteria", "eukaryote", "fungi", "invertebrate", "plant", "protist", "vertebrate")
YEAST = {
    "species": "S.cerevisiae",
    "clade": "fungi",
    "genetic_code": "1",
    "split": "train",
    "validation_regions": "chrI",
    "test_regions": "chrII:1-500000,chrIII",
    "genome": "{data_root}/S.cerevisiae/fna.gz",
    "annotation": "https://example.org/yeast.gff.gz",
    "genome_sha256": "0123456789abcdef" * 4,
}
FLY = {
    "species": "D.melanogaster.chr2L",
    "clade": "invertebrate",
    "genetic_code": "1",
    "split": "test",
    "genome": "package:flies/data/2L.fna.gz",
    "annotation": "prodigal",
}


@pytest.fixture
def write(tmp_path):
    """Writes rows (dictionaries) to a table and gives its path."""

    def to_file(*rows: dict, columns=COLUMNS) -> Path:
        lines = ["\t".join(columns)] + ["\t".join(row.get(column, "-") for column in columns) for row in rows]
        path = tmp_path / "species.tsv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return to_file


def message(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_species_table(path, "sources", CLADES)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_cells_are_read_and_data_root_is_put_in(write):
    table = read_species_table(write(YEAST, FLY), "sources/", CLADES)
    assert list(table) == ["S.cerevisiae", "D.melanogaster.chr2L"]
    yeast, fly = table.values()
    assert yeast.genome == "sources/S.cerevisiae/fna.gz" and yeast.genetic_code == 1
    assert yeast.annotation_sha256 == "" and not yeast.labelled and yeast.evaluated and yeast.validates
    assert fly.labelled and fly.evaluated and not fly.validates and fly.test_regions == ""


def test_columns_may_be_absent_in_any_order_and_lines_commented(tmp_path):
    path = tmp_path / "species.tsv"
    path.write_text(
        "# genomes\nannotation\tspecies\tsplit\tgenetic_code\tclade\tgenome\n\n"
        "#x\nprodigal\tE.coli\ttrain\t11\tbacteria\tcoli.fna\r\n"
    )
    (coli,) = read_species_table(path, "", CLADES).values()
    assert (coli.species, coli.genetic_code, coli.genome, coli.busco_lineage) == ("E.coli", 11, "coli.fna", "")


@pytest.mark.parametrize("name", ["fungi_odb10", "fungi_odb12", "fungi_odb12.2", "alpha_beta_odb12"])
def test_a_busco_lineage_may_be_named_as_busco_names_it(write, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    by_name, by_path = read_species_table(
        write({**YEAST, "busco_lineage": name}, {**FLY, "busco_lineage": f"{{data_root}}/{name}"}),
        str(tmp_path),
        CLADES,
    ).values()
    assert (by_name.busco_lineage, by_name.lineage_to_fetch) == (name, name)
    assert (by_path.busco_lineage, by_path.lineage_to_fetch) == (str(folder), "")


@pytest.mark.parametrize(
    "name", ["S.cerevisiae", "S.cerevisiae.ensembl", "P.falciparum.chr3-12", "E.coli.K12_MG1655", f"S.{'x' * 34}"]
)
def test_names_of_strains_and_parts_are_allowed(write, name):
    assert list(read_species_table(write({**YEAST, "species": name}), "", CLADES)) == [name]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"species": "yeast"}, "line 2 (yeast), column species: 'yeast' is not allowed, expected a name like S.cere"),
        ({"species": "../S.x"}, "line 2 (../S.x), column species: '../S.x' is not allowed"),
        ({"species": f"S.{'x' * 35}"}, f"column species: 'S.{'x' * 35}' is not allowed, expected a name like S.cere"),
        ({"species": "-"}, "line 2, column species is missing"),
        (
            {"clade": "fungus"},
            "(S.cerevisiae), column clade: fungus is not allowed (allowed: bacteria, eukaryote, fungi,",
        ),
        ({"genetic_code": "8"}, "column genetic_code: 8 is not allowed (allowed: 1, 2, 3,"),
        (
            {"split": "training"},
            "column split: training is not allowed (allowed: train, validation, test); did you mean",
        ),
        ({"genome": "-"}, "column genome is missing"),
        ({"genome": "s3://bucket/x"}, "column genome: 's3://bucket/x' is not allowed, expected https://, http://,"),
        ({"genome": "my genome.fa"}, "column genome: 'my genome.fa' is not allowed"),
        ({"genome_sha256": "A" * 64}, "column genome_sha256: 'AAAA"),
        ({"test_regions": "chrI:5-9"}, "column test_regions: 'chrI:5-9' overlaps 'chrI' of column validation_regions"),
        ({"test_regions": "chrV:9-5"}, "column test_regions: 'chrV:9-5' is empty, expected 1 <= START <= END"),
        ({"test_regions": "chrV:0-5"}, "column test_regions: 'chrV:0-5' is empty, expected 1 <= START <= END"),
        ({"test_regions": "chrV, chrVI"}, "column test_regions: 'chrV, chrVI' is not allowed, expected sequence names"),
        (
            {"excluded_regions": "chrII:500000-600000"},
            "column excluded_regions: 'chrII:500000-600000' overlaps 'chrII:1-500000' of column test_regions",
        ),
        ({"split": "test", "test_regions": "-"}, "column test_regions is missing: where a part of a test species"),
        (
            {"busco_lineage": "lineages/fungi_odb10"},
            "column busco_lineage: 'lineages/fungi_odb10' does not exist, expected the name of a BUSCO lineage (like "
            "fungi_odb12), or the path",
        ),
        ({"busco_lineage": "Fungi_odb12"}, "column busco_lineage: 'Fungi_odb12' does not exist, expected the name"),
        (
            {"annotation": "prodigal", "annotation_sha256": "0" * 64},
            "column annotation_sha256: the annotation is made here by Prodigal",
        ),
    ],
)
def test_a_mistake_names_row_and_column(write, changes, expected):
    text = message(write({**YEAST, **changes}))
    assert "species.tsv line 2" in text
    assert expected in text


def test_neighbouring_regions_do_not_overlap(write):
    rows = read_species_table(
        write({**YEAST, "validation_regions": "chrII:500001-600000", "excluded_regions": "chrII:600001-700000"}),
        "",
        CLADES,
    )
    assert rows["S.cerevisiae"].validation_regions == "chrII:500001-600000"


def test_a_name_stands_once_whatever_its_case(write):
    assert (
        "line 4, column species: 's.Cerevisiae'".lower()
        in message(write(YEAST, FLY, {**YEAST, "species": "S.Cerevisiae"})).lower()
    )


def test_broken_tables(tmp_path, write):
    path = tmp_path / "other.tsv"
    assert message(path) == f"{path}: cannot be read: No such file or directory"
    path.write_text("")
    assert message(path) == f"{path} holds no species"
    path.write_text("species clade split\n")
    assert message(path) == f"{path} line 1: columns are separated by blanks, expected tabs"
    path.write_text("species\tclades\n")
    assert message(path) == f"{path} line 1: column 'clades' is unknown; did you mean 'clade'?"
    path.write_text("species\tspecies\n")
    assert message(path) == f"{path} line 1: column 'species' is there twice"
    path.write_text("species\tclade\nS.pombe\n")
    assert message(path).startswith(f"{path} line 2: 1 cells, expected 2")
    path.write_bytes(b"\xff\xfe\x00")
    assert message(path) == f"{path}: not UTF-8 text at byte 0"


def test_region_text():
    assert parse_region("chrII:1-500") == ("chrII", 1, 500)
    assert parse_region("NC_000913.3") == ("NC_000913.3", 1, float("inf"))
    assert parse_region("HLA:A*01:5-9") == ("HLA:A*01", 5, 9)


def test_selection(write):
    table = read_species_table(write(YEAST, FLY), "", CLADES)
    both = ["S.cerevisiae", "D.melanogaster.chr2L"]
    assert select_species("all", table, "t") == both
    assert select_species(" D.melanogaster.chr2L ,S.cerevisiae, S.cerevisiae", table, "t") == both[::-1]
    assert select_species(["S.cerevisiae"], table, "t") == both[:1]
    with pytest.raises(InputError, match=r"^config key species: 'X\.nobody' is not in t; known: S\.cerevisiae, D\."):
        select_species("S.cerevisiae,X.nobody", table, "t")
    with pytest.raises(InputError, match=r"'S\.cerevisae' is not in t; did you mean 'S\.cerevisiae'\?"):
        select_species("S.cerevisae", table, "t")
    with pytest.raises(InputError, match="config key species is empty"):
        select_species(" , ", table, "t")


def test_empty_splits_are_refused_where_they_are_needed(write):
    both = read_species_table(write(YEAST, FLY), "", CLADES)
    require_training(both, "t")
    assert require_evaluation(both, "t") == ["S.cerevisiae", "D.melanogaster.chr2L"]
    fly = read_species_table(write(FLY), "", CLADES)
    with pytest.raises(InputError, match=r"^t: no species has the split train"):
        require_training(fly, "t")
    bare = read_species_table(write({**YEAST, "validation_regions": "-", "test_regions": "-"}), "", CLADES)
    with pytest.raises(InputError, match=r"^t: nothing is held out for validation"):
        require_training(bare, "t")
    with pytest.raises(InputError, match=r"^t: nothing is held out for testing"):
        require_evaluation(bare, "t")


def test_a_new_genome_takes_what_all_training_species_share(write):
    human = {**YEAST, "species": "H.sapiens", "clade": "vertebrate"}
    table = read_species_table(write(YEAST, human, {**FLY, "genetic_code": "11"}), "", CLADES)
    assert shared_by_training(table, "genetic_code", "genetic_code") == 1
    with pytest.raises(InputError, match=r"config key clade is needed .* have fungi, vertebrate; add clade="):
        shared_by_training(table, "clade", "clade")


@pytest.mark.parametrize(
    "name", ["species", "examples/demo.species", "examples/real.species", "examples/recipe_small.species"]
)
def test_the_shipped_tables_are_valid_and_complete(repository, name):
    path = repository / "config" / f"{name}.tsv"
    table = read_species_table(path, "../shared/data", CLADES)
    require_training(table, str(path))
    assert require_evaluation(table, str(path))
    assert any(row.split == "train" for row in table.values())
    assert {row.clade for row in table.values()} <= set(CLADES)


@pytest.mark.parametrize("column", ["rnaseq", "proteins"])
def test_files_of_evidence_must_be_there(write, tmp_path, column):
    (tmp_path / "there.gff").touch()
    good = FLY | {column: str(tmp_path / "there.gff")}
    (row,) = read_species_table(write(good), "sources", CLADES).values()
    assert getattr(row, column) == good[column]
    missing = good | {column: f"{good[column]},nothing.gff"}
    assert f"column {column}: 'nothing.gff' does not exist, expected files" in message(write(missing))


def test_a_condensed_genome_is_trained_on_and_nothing_else(write):
    short = {**YEAST, "species": "S.cerevisiae.short", "exon_flank_bp": "350"}
    held_out = {"validation_regions": "-", "test_regions": "-", "excluded_regions": "chrI"}
    table = read_species_table(write(YEAST, {**short, **held_out}), "sources", CLADES)
    assert [row.exon_flank_bp for row in table.values()] == [0, 350]
    said = message(write({**short, "test_regions": "-"}))
    assert "line 2 (S.cerevisiae.short), column exon_flank_bp: a condensed genome is for training alone" in said
    assert "for training alone" in message(write({**short, "validation_regions": "-"}))
    assert "for training alone" in message(write({**FLY, "exon_flank_bp": "350"}))
    assert "'20' is not allowed, expected a number of bases from 100 to 99999" in message(
        write({**short, **held_out, "exon_flank_bp": "20"})
    )
