"""An option is declared once: config.yaml, the schema, the flags of the scripts and docs/config.md say the same."""

from __future__ import annotations

import argparse
import dataclasses
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import get_args, get_origin, get_type_hints
from unittest import mock

import pytest
import yaml
from Bio.Data import CodonTable

from genet5.annotate.options import DECODERS
from genet5.errors import InputError
from genet5.evaluate.baselines import BASELINES
from genet5.evaluate.options import BASELINE_NAMES
from genet5.files import shipped
from genet5.options import add_option_arguments, alternatives, default_of, flags, option, options_from_arguments, plain
from genet5.settings.config_page import allowed, config_page
from genet5.settings.schema import section_schema
from genet5.settings.sections import SECTIONS, STUDIES, GeneralOptions, defaults, schema, with_defaults
from genet5.species_table import GENETIC_CODES
from genet5.training.options import RunOptions

CLADES = ("fungi", "plant")


def test_the_configuration_file_has_every_default(repository):
    written = yaml.safe_load((repository / "config" / "config.yaml").read_text())
    assert written == defaults()
    assert {name: list(section) for name, section in written.items() if isinstance(section, dict)}.keys() == set(
        SECTIONS
    )


def test_a_configuration_that_names_what_differs_is_completed(default_config):
    assert with_defaults({}) == default_config
    found = with_defaults({"sft": {"lr": 1.0}, "stages": ["crf"], "bake": {"windows": {"fungi": {"window_bp": 100}}}})
    assert (found["sft"]["lr"], found["sft"]["epochs"], found["stages"]) == (1.0, 4, ["crf"])
    assert found["bake"]["windows"] == {"fungi": {"window_bp": 100}} and set(STUDIES) <= set(found)
    assert with_defaults({}) == default_config, "defaults are not changed in place"
    for nothing in (None, "", 3, ["a.tsv"]):  # what is no file is left for the check of the whole
        assert with_defaults({"species_sheet": nothing})["species_sheet"] == nothing
    assert with_defaults({"tokenizer": nothing})["tokenizer"] == nothing


def test_a_file_that_the_repository_has_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sheet, tokens = "config/species.tsv", "resources/structure_tokens.txt"
    found = with_defaults({"species_sheet": sheet, "tokenizer": {"structure_tokens": tokens}})
    assert Path(found["species_sheet"]).is_absolute() and Path(found["species_sheet"]).samefile(shipped(sheet))
    assert Path(found["tokenizer"]["structure_tokens"]).samefile(shipped(tokens))
    (tmp_path / "resources").mkdir()
    (tmp_path / tokens).touch()
    here = with_defaults({"tokenizer": {"structure_tokens": tokens}})
    assert here["tokenizer"]["structure_tokens"] == tokens, "one that lies here comes first"


@pytest.mark.parametrize("name", ["general", *SECTIONS])
def test_the_schema_has_the_limits_of_the_options(name):
    cls = SECTIONS[name].options if name in SECTIONS else GeneralOptions
    found, hints = section_schema(cls, CLADES), get_type_hints(cls)
    assert found["required"] == list(found["properties"]) == [field.name for field in dataclasses.fields(cls)]
    limits = {"minimum": "minimum", "above": "exclusiveMinimum", "maximum": "maximum", "below": "exclusiveMaximum"}
    for field in dataclasses.fields(cls):
        rule, kinds = found["properties"][field.name], alternatives(hints[field.name])
        assert ("null" in rule.get("type", ()) or None in rule.get("enum", ())) == (NoneType in kinds), field.name
        rule = rule.get("items", rule) if get_origin(kinds[0]) is tuple else rule
        assert {key: rule.get(key) for key in limits.values()} == {
            key: field.metadata[ours] for ours, key in limits.items()
        }, field.name
        if field.metadata["choices"]:
            assert tuple(choice for choice in rule["enum"] if choice is not None) == field.metadata["choices"]


def test_the_schema_refuses_unknown_keys_in_every_section_and_needs_all_known_ones():
    def objects(part: dict) -> Iterator[dict]:
        if part.get("type") == "object":
            yield part
        for inner in part.get("properties", {}).values():
            yield from objects(inner)

    general = section_schema(GeneralOptions, CLADES)
    for part in objects(general | {"properties": {name: schema(CLADES)["properties"][name] for name in SECTIONS}}):
        assert part["additionalProperties"] is False
    whole = schema(CLADES)
    assert set(whole["required"]) == {*defaults(), *STUDIES}
    assert set(whole["properties"]["bake"]["properties"]["windows"]["properties"]) == set(CLADES)
    assert whole["properties"]["clade"] == {"enum": ["", "auto", *CLADES]}


def test_genetic_codes_are_those_that_exist():
    known = sorted(CodonTable.unambiguous_dna_by_id)
    assert schema(CLADES)["properties"]["genetic_code"]["enum"] == [0, "auto", *known] == [0, "auto", *GENETIC_CODES]


def test_names_in_options_are_those_of_the_library():
    assert tuple(BASELINES) == BASELINE_NAMES
    assert set(DECODERS) == {"viterbi", "expected", "reranked", "lm", "joint"}


# -------------------------------------------------------------------- flags


class _Parsed(Exception):
    """A script has declared its flags."""


def parser_of(script: Path) -> argparse.ArgumentParser:
    """The parser that a script makes."""
    found = []

    def parse(parser: argparse.ArgumentParser, *_: object) -> None:
        found.append(parser)
        raise _Parsed

    names = runpy.run_path(str(script))
    with mock.patch.object(argparse.ArgumentParser, "parse_args", parse), pytest.raises(_Parsed):
        names["main"]()
    return found[0]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_script_does_what_the_rule_does(name, repository):
    """Each key is a flag of the section's scripts, with the same default."""
    section, flagged = SECTIONS[name], set()
    hints = get_type_hints(section.options)
    for script in section.scripts:
        actions = {action.dest: action for action in parser_of(repository / "scripts" / script)._actions}
        for field in dataclasses.fields(section.options):
            action = actions.get(field.name)
            # calibrate.py takes a decoder and a window for each of several species, so these are lists there.
            several = script == "calibrate.py" and field.name in ("decoder", "window_bp")
            if action is None or several or field.name in section.without_flag:
                continue
            flagged.add(field.name)
            assert action.default == default_of(field), field.name
            kinds = [kind for kind in alternatives(hints[field.name]) if kind is not NoneType]
            if kinds[0] in (int, float, str):
                assert action.type is kinds[0] and all(choice in action.metavar for choice in field.metadata["choices"])
    assert flagged == {field.name for field in dataclasses.fields(section.options)} - set(section.without_flag)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_becomes_flags_that_give_it_back(name):
    cls = SECTIONS[name].options
    only = tuple(f.name for f in dataclasses.fields(cls) if not f.metadata["of_clades"])
    parser = argparse.ArgumentParser()
    add_option_arguments(parser, cls, only=only)
    section = {key: value for key, value in plain(cls()).items() if key in only}
    assert options_from_arguments(cls, parser.parse_args(flags(section))) == cls()


def test_an_empty_text_is_always_a_default():
    """The flags of a section leave out empty texts, since a shell line loses an empty word."""
    for name, section in SECTIONS.items():
        for field in dataclasses.fields(section.options):
            if str in alternatives(get_type_hints(section.options)[field.name]) and default_of(field):
                limited = field.metadata["nonempty"] or field.metadata["choices"] or field.metadata["pattern"]
                assert limited, f"{name}.{field.name}"


def test_lists_have_entries_of_one_type():
    hints = [hint for section in SECTIONS.values() for hint in get_type_hints(section.options).values()]
    lists = [kind for hint in hints for kind in alternatives(hint) if get_origin(kind) is tuple]
    assert len(lists) > 3
    assert {len({*get_args(kind)} - {Ellipsis}) for kind in lists} == {1}


# -------------------------------------------------------------------- documentation


def test_the_page_of_all_keys_is_up_to_date(repository):
    """``python -m genet5.settings.config_page docs/config.md`` writes it."""
    assert (repository / "docs" / "config.md").read_text() == config_page()


@pytest.mark.parametrize(("number", "listed"), [(8, 8), (9, 5)])
def test_a_long_list_of_choices_is_described_by_its_ends(number, listed):
    @dataclasses.dataclass
    class Choosing:
        one: str = option("c0", "x", choices=tuple(f"c{place}" for place in range(number)))

    (field,) = dataclasses.fields(Choosing)
    words = allowed(str, field.metadata).split(", ")
    assert len(words) == listed and (words[0], words[-1]) == ("`c0`", f"`c{number - 1}`")
    assert ("..." in words) == (number > listed)


def test_the_page_is_written_by_its_command(tmp_path, repository, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["config_page", str(tmp_path / "config.md")])
    runpy.run_path(str(repository / "scripts/genet5/settings/config_page.py"), run_name="__main__")
    assert (tmp_path / "config.md").read_text() == config_page()


def test_a_list_of_numbers_has_the_limits_of_its_entries():
    @dataclasses.dataclass
    class Lists:
        pair: tuple[int, float] = option((1, 1.0), "x", minimum=1, below=9)
        many: tuple[int, ...] = option((1,), "x", minimum=1, nonempty=True)

    rules = section_schema(Lists, CLADES)["properties"]
    assert rules["many"]["items"] == {"type": "integer", "minimum": 1} and rules["many"]["minItems"] == 1
    assert rules["pair"]["items"]["minimum"] == 1 and rules["pair"]["items"]["exclusiveMaximum"] == 9


def test_a_list_is_told_with_the_limits_of_its_entries():
    @dataclasses.dataclass
    class Lists:
        free: tuple[int, ...] = option((1,), "x")
        limited: tuple[int, ...] = option((1,), "x", minimum=1)
        named: tuple[str, ...] = option(("a",), "x")

    told = {field.name: field.metadata for field in dataclasses.fields(Lists)}
    hints = get_type_hints(Lists, localns={"Lists": Lists})
    assert [allowed(hints[name], told[name]) for name in hints] == [
        "a list of whole numbers",
        "a list of whole numbers, each at least 1",
        "a list of texts",
    ]


def test_the_page_names_every_key_with_its_meaning():
    page = config_page()
    for cls in (GeneralOptions, *(section.options for section in SECTIONS.values())):
        for field in dataclasses.fields(cls):
            assert f"| `{field.name}` | " in page and f" | {field.metadata['help']} |" in page
            assert "|" not in field.metadata["help"] and not field.metadata["help"].endswith(".")


def test_the_configuration_is_read_without_heavy_libraries(repository):
    """Snakemake reads it for every job."""
    heavy = ("torch", "transformers", "lightning", "numpy", "numba", "tokenizers")
    code = f"import sys, genet5.settings.checks; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_trainings_differ_in_defaults_alone():
    shared = {field.name: field.metadata for field in dataclasses.fields(RunOptions)}
    for name in ("crf", "sft", "grpo"):
        for field in dataclasses.fields(SECTIONS[name].options):
            if field.name in shared and field.name != "monitor":
                same = {**field.metadata, "help": ""}
                assert same == {**shared[field.name], "help": ""}, f"{name}.{field.name}"


def test_a_configuration_that_is_nested_too_deep_is_one_line() -> None:
    nested: object = "a"
    for _ in range(101):
        nested = [nested]
    with pytest.raises(InputError, match=r"^the configuration: nested too deep, allowed: 100 levels$"):
        with_defaults({"bake": nested})
