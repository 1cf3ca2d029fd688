"""Names of genomes, YAML files, and how one configuration is laid over another."""

from __future__ import annotations

import pytest

from genet5.configuration import load_schema, merged, new_genome_name, read_yaml
from genet5.errors import InputError


@pytest.mark.parametrize(
    ("path", "name"),
    [("my.fa", "my"), ("dir/My-genome.v2.fna.gz", "My-genome.v2"), ("x.FASTA", "x"), ("assembly", "assembly")],
)
def test_a_new_genome_is_named_after_its_file(path, name):
    assert new_genome_name(path) == name


def test_a_genome_file_without_a_usable_name_is_refused():
    with pytest.raises(InputError, match=r"config key genome: 'my genome\.fa' needs a plain file name"):
        new_genome_name("my genome.fa")


def test_sections_are_merged_and_everything_else_is_replaced():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert merged(base, {"a": {"c": [3]}}, {"d": {"e": 4}, "f": 5}) == {"a": {"b": 1, "c": [3]}, "d": {"e": 4}, "f": 5}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 3}


def test_broken_yaml_is_one_line(tmp_path):
    path = tmp_path / "clade.yaml"
    path.write_text("fungi: [1\nplant: {")
    with pytest.raises(InputError) as caught:
        read_yaml(path, "clade")
    assert str(caught.value).startswith(f"clade: '{path}' is not valid YAML") and "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"^clade: cannot read '.*absent.yaml' \(No such file or directory\)$"):
        read_yaml(tmp_path / "absent.yaml", "clade")


def test_the_schema_of_the_species_table_refuses_unknown_columns():
    assert load_schema("species")["additionalProperties"] is False
