"""Configuration mistakes become one line with the key, what was found and what is allowed."""

from __future__ import annotations

import copy
import dataclasses
import re

import pytest
import yaml
from Bio.Data import CodonTable

from genet5.configuration import (
    annotation_window,
    check_config,
    check_window,
    load_schema,
    new_genome_name,
    read_grammar,
)
from genet5.errors import InputError
from genet5.genome.sites import GeneRules
from genet5.training.options import TrainingOptions
from genet5.writer.overrides import overridable_fields


@pytest.fixture
def config(default_config, repository, monkeypatch) -> dict:
    """The shipped defaults, read from the root of the checkout."""
    monkeypatch.chdir(repository)
    return default_config


def merged(base: dict, overlay: dict) -> dict:
    """What Snakemake makes of ``--configfile``: sections merged, everything else replaced."""
    result = copy.deepcopy(base)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def message(config: dict, **overlay) -> str:
    with pytest.raises(InputError) as caught:
        check_config(merged(config, overlay))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_configurations_are_valid(config, repository):
    check_config(config)
    for name in ("demo", "real"):
        check_config(merged(config, yaml.safe_load((repository / "config" / "examples" / f"{name}.yaml").read_text())))


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"speceis": "all"}, "config key speceis is unknown; did you mean 'species'?"),
        (
            {"sft": {"learning_rte": 1}},
            "config key sft.learning_rte is unknown; known: betas, compile, early_stopping,",
        ),
        ({"sft": {"lr": "2e-4"}}, "config key sft.lr: '2e-4' is text, expected a number (write 2.0e-4)"),
        ({"sft": {"lr": "2.5e-4"}}, "config key sft.lr: '2.5e-4' is text, expected a number (write 2.5e-4)"),
        ({"sft": {"lr": "fast"}}, "config key sft.lr: 'fast' is text, expected a number"),
        ({"sft": {"epochs": "5"}}, "config key sft.epochs: '5' is text, expected a whole number (write 5)"),
        ({"sft": {"epochs": 2.0e0}}, ""),
        ({"sft": {"epochs": 1.5}}, "config key sft.epochs: 1.5 is a number, expected a whole number"),
        ({"sft": {"epochs": True}}, "config key sft.epochs: True is true or false, expected a whole number"),
        ({"sft": {"epochs": 0}}, "config key sft.epochs: 0 is out of range, expected at least 1"),
        ({"sft": {"lr": 0}}, "config key sft.lr: 0 is out of range, expected more than 0"),
        ({"sft": {"label_smoothing": 1}}, "config key sft.label_smoothing: 1 is out of range, expected less than 1"),
        ({"sft": {"lr": float("nan")}}, "config key sft.lr: nan is not a finite number"),
        (
            {"sft": {"compile": "false"}},
            "config key sft.compile: 'false' is text, expected true or false (write false in a file, False on the",
        ),
        ({"sft": None}, "config key sft: nothing stands there, expected a section of keys"),
        ({"sft": 5}, "config key sft: 5 is a number, expected a section of keys"),
        ({"run": 5}, 'config key run: 5 is a number, expected text (write "5" with quotes'),
        ({"run": "Main run"}, "config key run: 'Main run' is not allowed, expected lower-case letters"),
        ({"species": {"a": 1}}, "config key species: a section of keys stands there, expected text or a list"),
        (
            {"tokenizer": {"kind": "kmers"}},
            "config key tokenizer.kind: kmers is not allowed (allowed: kmer, char, bpe, vq); did you mean 'kmer'?",
        ),
        ({"tokenizer": {"kind": "bpe"}}, "config key tokenizer.base is empty: the bpe tokenizer needs"),
        (
            {"tokenizer": {"base": "x.json"}},
            "config key tokenizer.base: only kinds bpe and vq have a base, but kind is kmer",
        ),
        ({"clade": "mammal"}, "config key clade: mammal is not allowed (allowed: '', bacteria, fungi,"),
        ({"genetic_code": 7}, "config key genetic_code: 7 is not allowed (allowed: 0, 1, 2,"),
        (
            {"bake": {"windows": {"fungi": {"stride_bp": 20000}}}},
            "config key bake.windows.fungi.stride_bp: 20000 leaves gaps between windows, expected at most window_bp",
        ),
        ({"bake": {"windows": {"fish": {"window_bp": 100}}}}, "config key bake.windows.fish is unknown; known: bact"),
        (
            {"annotate": {"window_bp": 90000}},
            "config key annotate.window_bp: 90000 is longer than tokenizer.max_window_bp (45000)",
        ),
        ({"score": {"baselines": ["prodigal", "prodigal"]}}, "config key score.baselines: an entry stands there twice"),
        ({"grammar": "absent.yaml"}, "config key grammar: cannot read 'absent.yaml' (No such file or directory)"),
        ({"species_sheet": ""}, "config key species_sheet is empty"),
    ],
)
def test_a_mistake_names_key_value_and_remedy(config, overlay, expected):
    if expected:
        assert message(config, **overlay).startswith(expected)
    else:
        check_config(merged(config, overlay))  # a whole number written as 2.0 is a whole number


def test_a_missing_key_is_named(config):
    del config["sft"]["lr"]
    assert message(config) == "config key sft.lr is missing"


def test_an_unknown_key_is_reported_before_the_key_it_stands_for(config):
    config["sft"]["learning_rate"] = config["sft"].pop("lr")
    assert message(config).startswith("config key sft.learning_rate is unknown")


def test_windows_must_fit_the_tokenizer_and_exceed_the_overlap(config):
    config["tokenizer"]["max_window_bp"] = 12000
    check_window(config, "bacteria")
    with pytest.raises(InputError, match=r"bake\.windows\.fungi\.window_bp: 15000 is longer than .* \(12000\)"):
        check_window(config, "fungi")
    config["annotate"]["overlap_bp"] = 10000
    with pytest.raises(InputError, match=r"annotate\.overlap_bp: 10000 is not shorter than the window of bacteria"):
        check_window(config, "bacteria")


def test_tiles_are_as_long_as_training_windows_unless_said_otherwise(config):
    assert annotation_window(config, "plant") == 30000
    config["annotate"]["window_bp"] = 8000
    assert annotation_window(config, "plant") == 8000


@pytest.mark.parametrize(
    ("path", "name"),
    [("my.fa", "my"), ("dir/My-genome.v2.fna.gz", "My-genome.v2"), ("x.FASTA", "x"), ("assembly", "assembly")],
)
def test_a_new_genome_is_named_after_its_file(path, name):
    assert new_genome_name(path) == name


def test_a_genome_file_without_a_usable_name_is_refused():
    with pytest.raises(InputError, match=r"config key genome: 'my genome\.fa' needs a plain file name"):
        new_genome_name("my genome.fa")


def test_every_training_option_is_a_key_with_the_same_limits(config):
    options = {field.name: field for field in dataclasses.fields(TrainingOptions)}
    properties = load_schema("config")["properties"]["sft"]["properties"]
    assert set(config["sft"]) == set(properties) == set(options)
    limits = {"minimum": "minimum", "above": "exclusiveMinimum", "maximum": "maximum", "below": "exclusiveMaximum"}
    for name, option in options.items():
        schema = properties[name].get("items", properties[name])
        schema = load_schema("config")["$defs"]["seed"] if "$ref" in schema else schema
        assert {key: schema.get(key) for key in limits.values()} == {
            key: option.metadata[ours] for ours, key in limits.items()
        }, name
        assert tuple(schema.get("enum", ())) == tuple(option.metadata["choices"]), name


def test_every_clade_has_windows_and_a_grammar_of_the_known_fields(config, repository):
    grammar = read_grammar(repository / "resources" / "grammar.yaml")
    assert set(grammar) == set(config["bake"]["windows"])
    fields = {field.name for field in dataclasses.fields(GeneRules)}
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


def test_schemas_list_exactly_the_genetic_codes_that_exist():
    known = sorted(CodonTable.unambiguous_dna_by_id)
    assert load_schema("config")["properties"]["genetic_code"]["enum"] == [0, *known]
    assert load_schema("species")["properties"]["genetic_code"]["enum"] == [str(code) for code in known]


def test_the_schema_refuses_unknown_keys_in_every_section():
    def sections(schema: dict):
        if schema.get("type") == "object":
            yield schema
        for part in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()):
            yield from sections(part)

    for name in ("config", "species", "grammar"):
        for section in sections(load_schema(name)):
            assert section["additionalProperties"] is False
            if name != "species" and "hidden_size" not in section["properties"]:  # overrides name what differs
                assert set(section["required"]) == set(section["properties"])


def test_every_field_of_the_model_can_be_overridden(repository):
    schema = load_schema("config")["properties"]["model"]["properties"]["overrides"]["properties"]
    fields = overridable_fields()
    assert schema.keys() == fields.keys()
    types = {bool: "boolean", int: "integer", float: "number", tuple: "array"}
    assert {name: rule["type"] for name, rule in schema.items()} == {
        name: types[type(default)] for name, default in fields.items()
    }
    explained = set(re.findall(r"`(\w+)`", (repository / "config" / "README.md").read_text()))
    assert fields.keys() <= explained


def test_a_wrong_override_names_the_field(config):
    found = message(config, model={"overrides": {"hiden_size": 8}})
    assert found == "config key model.overrides.hiden_size is unknown; did you mean 'hidden_size'?"
    found = message(config, model={"overrides": {"stem_dilations": [1, 0]}})
    assert found == "config key model.overrides.stem_dilations[1]: 0 is out of range, expected at least 1"
