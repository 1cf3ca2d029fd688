"""Names of genomes, YAML files, and how one configuration is laid over another."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from genet5.configuration import load_schema, merged, new_genome_name, read_grammar
from genet5.errors import InputError
from genet5.genome.sites import GrammarRules


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


def test_every_clade_has_a_grammar_of_the_known_fields(repository):
    grammar = read_grammar(repository / "resources" / "grammar.yaml")
    fields = {field.name for field in dataclasses.fields(GrammarRules)}
    assert all(set(rules) == fields for rules in grammar.values())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("starts", ["ATU"], "key fungi.starts[0]: 'ATU' is not allowed, expected a codon"),
        ("splice_pairs", [["GT"]], "key fungi.splice_pairs[0]: "),
        ("min_intron_bp", 9000, "key fungi.min_intron_bp: 9000 is more than max_intron_bp (3000)"),
        ("min_introns_bp", 1, "key fungi.min_introns_bp is unknown; did you mean 'min_intron_bp'?"),
    ],
)
def test_a_mistake_in_the_grammar_names_file_and_key(repository, tmp_path, key, value, expected):
    table = yaml.safe_load((repository / "resources" / "grammar.yaml").read_text())
    table["fungi"][key] = value
    path = tmp_path / "grammar.yaml"
    path.write_text(yaml.safe_dump(table))
    with pytest.raises(InputError) as caught:
        read_grammar(path)
    assert str(caught.value).startswith(f"{path}, {expected}")


def test_broken_yaml_is_one_line(tmp_path):
    path = tmp_path / "grammar.yaml"
    path.write_text("fungi: [1\nplant: {")
    with pytest.raises(InputError) as caught:
        read_grammar(path)
    assert "is not valid YAML" in str(caught.value) and "\n" not in str(caught.value)


def test_the_schemas_refuse_unknown_keys():
    for name in ("species", "grammar"):
        assert load_schema(name)["additionalProperties"] is False
