"""The study's section of the configuration: the defaults and limits of the commands, said once."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from genet5.configuration import load_schema
from genet5.settings.checks import check_config
from genet5.studies.dna_llm.binding_windows import SplitOptions
from genet5.studies.dna_llm.corpus import CorpusOptions
from genet5.studies.dna_llm.finetuning import FinetuneOptions
from genet5.studies.dna_llm.gpt import GptConfig
from genet5.studies.dna_llm.pretraining import PretrainOptions
from genet5.studies.dna_llm.variants import VARIANTS

SECTIONS = {
    "windows": SplitOptions,
    "corpus": CorpusOptions,
    "network": GptConfig,
    "pretrain": PretrainOptions,
    "finetune": FinetuneOptions,
}
OWN_KEYS = {"sequences", "scores"}  # paths of the windows, which no command has a default for
LIMITS = {"minimum": "minimum", "above": "exclusiveMinimum", "maximum": "maximum", "below": "exclusiveMaximum"}


@pytest.fixture
def config(default_config, repository, monkeypatch) -> dict:
    monkeypatch.chdir(repository)
    return default_config


@pytest.mark.parametrize("section", SECTIONS)
def test_the_configuration_says_the_defaults_of_the_commands(config, section):
    defaults = {field.name: field.default for field in dataclasses.fields(SECTIONS[section])}
    if section == "network":
        defaults["network_dropout"] = defaults.pop("dropout")
    said = {key: value for key, value in config["dna_llm"][section].items() if key not in OWN_KEYS}
    assert said == {key: defaults[key] for key in said}


@pytest.mark.parametrize("section", ["pretrain", "finetune"])
def test_the_schema_has_the_limits_of_the_options(section):
    properties = load_schema("studies/dna_llm")["properties"][section]["properties"]
    options = {field.name: field for field in dataclasses.fields(SECTIONS[section])}
    assert properties
    for name, schema in properties.items():
        limits = {key: options[name].metadata[ours] for ours, key in LIMITS.items()}
        assert {key: schema.get(key) for key in LIMITS.values()} == limits, name
        assert tuple(schema.get("enum", ())) == tuple(options[name].metadata["choices"]), name


def test_every_predictor_can_be_chosen_and_is(config):
    schema = load_schema("studies/dna_llm")["properties"]["predictors"]
    assert sorted(schema["items"]["enum"]) == sorted(VARIANTS)
    assert sorted(config["dna_llm"]["predictors"]) == sorted(VARIANTS)
    assert len({variant.folder for variant in VARIANTS.values()}) == len(VARIANTS)


def test_the_studys_configurations_are_valid(config, repository):
    paths = sorted((repository / "config" / "studies").glob("dna_llm*.yaml"))
    assert len(paths) >= 2
    for path in paths:
        overlay = yaml.safe_load(path.read_text())
        study = config["dna_llm"]
        merged = {
            key: {**study[key], **value} if isinstance(value, dict) else value
            for key, value in overlay["dna_llm"].items()
        }
        check_config({**config, **overlay, "dna_llm": {**study, **merged}}, {})
