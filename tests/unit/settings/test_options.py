"""Options: one declaration gives the check, the flags and the defaults, and one line for every mistake."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from genet5.errors import InputError
from genet5.options import (
    REQUIRED,
    add_option_arguments,
    flags,
    option,
    options_from_arguments,
    plain,
    read_options,
    with_default,
)
from genet5.writer.options import SftOptions


@dataclass(frozen=True)
class Shape:
    width: int = option(8, "width", minimum=1)
    steps: tuple[int, ...] = option((1, 2), "steps", minimum=1, nonempty=True)
    rate: float = option(0.5, "rate", minimum=0)
    dense: bool = option(True, "dense")


@dataclass(frozen=True)
class Toy:
    most: int | None = option(None, "at most; null: all", minimum=1)
    name: str | None = option(None, "name", choices=("one", "two"))
    words: tuple[str, ...] = option((), "words", pattern=r"^\S+$", described="text without blanks", unique=True)
    kinds: tuple[str, ...] = option(("b",), "kinds", choices=("a", "b"), nonempty=True, unique=True)
    title: str = option("x", "title", nonempty=True)
    either: str | tuple[str, ...] = option("all", "a text or a list")
    fields: Mapping[str, Any] = option({}, "fields", some_of=Shape)
    sizes: Mapping[str, Mapping[str, Any]] = option({}, "sizes", some_of=Shape, of_clades=True)


FLAGGED = ("most", "name", "words", "kinds", "title", "fields")


def read(text: str) -> SftOptions:
    return read_options(SftOptions, yaml.safe_load(text), "config.yaml: sft")


def parse(cls: type, *words: str, only: tuple[str, ...] = ()) -> Any:
    parser = argparse.ArgumentParser()
    add_option_arguments(parser, cls, only=only)
    return options_from_arguments(cls, parser.parse_args(words))


def test_values_of_the_configuration_arrive():
    options = read("{epochs: 4, lr: 1.0e-4, compile: true, betas: [0.9, 0.99], precision: bf16, max_grad_norm: 1}")
    assert (options.epochs, options.lr, options.compile, options.betas) == (4, 1e-4, True, (0.9, 0.99))
    assert options.precision == "bf16"
    assert isinstance(options.max_grad_norm, float)
    toy = read_options(Toy, {"most": 3, "words": ["a"], "either": ["a", "b"], "fields": {"steps": [2]}}, "toy")
    assert (toy.most, toy.name, toy.words, toy.either, toy.fields) == (3, None, ("a",), ("a", "b"), {"steps": (2,)})
    toy = read_options(Toy, {"name": "two", "either": "a", "sizes": {"fungi": {"width": 2.0}}}, "toy")
    assert (toy.name, toy.either, toy.sizes) == ("two", "a", {"fungi": {"width": 2}})
    assert type(toy.sizes["fungi"]["width"]) is int


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr: 2e-4", ["sft: lr", "text '2e-4'", "a number", "2.0e-4"]),
        ("learning_rate: 0.1", ["unknown option 'learning_rate'", "allowed: ", "epochs, max_steps"]),
        ("token_bugdet: 100", ["unknown option 'token_bugdet'", "did you mean token_budget?"]),
        ("epochs: 1.5", ["sft: epochs", "1.5", "a whole number"]),
        ("epochs: 0", ["sft: epochs", "found 0", "at least 1"]),
        ("epochs: true", ["sft: epochs", "True", "a whole number"]),
        ("compile: 1", ["sft: compile", "true or false"]),
        ("compile: 'yes'", ["sft: compile", "text 'yes'", "true or false"]),
        ("lr: 0", ["sft: lr", "more than 0"]),
        ("lr: .nan", ["sft: lr", "nan"]),
        ("lr: null", ["sft: lr", "None", "a number"]),
        ("label_smoothing: 1.0", ["at least 0 and less than 1"]),
        ("precision: fp16", ["'fp16'", "allowed: auto, fp32, bf16"]),
        ("betas: 0.9", ["betas", "a list of 2 numbers"]),
        ("betas: [0.9, 1.0]", ["betas", "less than 1"]),
        ("betas: [0.9]", ["betas", "[0.9]", "a list of 2 numbers"]),
    ],
)
def test_a_bad_value_is_one_line_with_key_and_allowed(text, words):
    with pytest.raises(InputError) as caught:
        read(text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("config.yaml: sft")
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"most": 0}, "toy: most: found 0, allowed: at least 1"),
        ({"most": "3"}, "toy: most: found text '3', expected a whole number or null"),
        ({"name": "three"}, "toy: name: found 'three', allowed: one, two"),
        ({"words": ["a b"]}, "toy: words: found 'a b', expected text without blanks"),
        ({"words": ["a", "a"]}, "toy: words: an entry is there twice"),
        ({"words": "a"}, "toy: words: found text 'a', expected a list"),
        ({"kinds": []}, "toy: kinds: it is empty"),
        ({"kinds": ["c"]}, "toy: kinds: found 'c', allowed: a, b"),
        ({"title": ""}, "toy: title: it is empty"),
        ({"either": 3}, "toy: either: found 3, expected text or a list"),
        ({"fields": 3}, "toy: fields: found 3, expected a section of keys"),
        ({"fields": {"widht": 3}}, "toy: fields: unknown option 'widht'; did you mean width?"),
        ({"fields": {"steps": [1, 0]}}, "toy: fields.steps: found 0, allowed: at least 1"),
        ({"fields": {"steps": []}}, "toy: fields.steps: it is empty"),
        ({"sizes": {"fungi": {"width": 0}}}, "toy: sizes.fungi.width: found 0, allowed: at least 1"),
        ({"sizes": {"fungi": 3}}, "toy: sizes.fungi: found 3, expected a section of keys"),
    ],
)
def test_lists_mappings_and_optional_values_have_limits(values, expected):
    with pytest.raises(InputError) as caught:
        read_options(Toy, values, "toy")
    assert str(caught.value) == expected


def test_an_option_without_default_is_needed():
    @dataclass(frozen=True)
    class Needed:
        size: int = option(REQUIRED, "size", minimum=1)

    assert parse(Needed, "--size", "3") == Needed(3)
    with pytest.raises(InputError, match=r"^here: size is missing$"):
        read_options(Needed, {}, "here")
    with pytest.raises(SystemExit):
        parse(Needed)


def test_flags_without_values_give_the_defaults():
    assert parse(SftOptions) == SftOptions()
    assert parse(Toy, only=FLAGGED) == Toy()


def test_each_option_is_a_flag_in_both_spellings():
    for field in dataclasses.fields(SftOptions):
        flag = f"--{field.name.replace('_', '-')}"
        value = [] if field.default is True or field.default is False else [str(v) for v in _as_tuple(field.default)]
        assert parse(SftOptions, flag, *value) == parse(SftOptions, f"--{field.name}", *value)


def _as_tuple(value: object) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def test_the_recipe_parses_from_the_command_line():
    options = parse(
        SftOptions,
        *"--epochs 4 --lr 1e-4 --token_budget 63700 --max_batch_size 8".split(),
        *"--windows_per_step 1024 --weight_decay 0.01".split(),
        *"--warmup_ratio 0.03 --max_grad_norm 1.0 --label_smoothing 0.1 --early_stopping 2 --save_steps 500".split(),
        *"--log_memory --empty_cache_steps 100 --memwatch".split(),
    )
    assert (options.token_budget, options.windows_per_step, options.lr) == (63700, 1024, 1e-4) and options.log_memory
    assert options.memwatch == 30.0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--most", "0"], "--most: found 0, allowed: at least 1"),
        (["--name", "three"], "--name: found 'three', allowed: one, two"),
        (["--kinds", "a", "c"], "--kinds: found 'c', allowed: a, b"),
        (["--words", "a", "a"], "--words: an entry is there twice"),
        (["--fields", "width"], "--fields width: expected KEY=VALUE"),
        (["--fields", "width=1", "width=2"], "--fields width=2: width is set twice"),
        (["--fields", "widht=1"], "--fields: unknown option 'widht'; did you mean width?"),
        (["--fields", "width=wide"], "--fields.width: found text 'wide', expected a whole number"),
        (["--fields", "steps=1,x"], "--fields.steps: found text 'x', expected a whole number"),
        (["--fields", "rate=nan"], "--fields.rate: found nan, allowed: at least 0"),
        (["--fields", "dense=maybe"], "--fields.dense: found text 'maybe', expected true or false"),
    ],
)
def test_flags_have_the_limits_of_the_configuration(words, expected):
    with pytest.raises(InputError) as caught:
        parse(Toy, *words, only=FLAGGED)
    assert str(caught.value) == expected


def test_a_flag_of_the_script_with_the_name_of_an_option_is_not_the_option():
    parser = argparse.ArgumentParser()
    parser.add_argument("--title")
    add_option_arguments(parser, Toy, only=("most",))
    arguments = parser.parse_args(["--title", "", "--most", "3"])
    assert options_from_arguments(Toy, arguments, ("most",)) == Toy(most=3)


def test_a_switch_has_two_flags():
    with pytest.raises(InputError, match=r"^--epochs: found 0, allowed: at least 1$"):
        parse(SftOptions, "--epochs", "0")
    assert not parse(SftOptions, "--no-compile").compile and parse(SftOptions, "--compile").compile


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"most": 3, "name": "one", "words": ["a", "b"], "kinds": ["a", "b"], "title": "two words"},
        {"fields": {"width": 3, "steps": [3, 4], "rate": 1e-05, "dense": False}},
        {"fields": {"steps": [3]}, "most": 4.0},
    ],
)
def test_a_section_becomes_flags_that_give_it_back(values):
    wanted = read_options(Toy, values, "toy")
    section = {name: value for name, value in plain(wanted).items() if name in FLAGGED}
    assert parse(Toy, *flags(section), only=FLAGGED) == wanted
    assert parse(Toy, *flags(values), only=FLAGGED) == wanted


def test_what_a_shell_line_would_lose_is_left_out():
    section = {"a": "", "b": None, "c": {}, "d": [], "e_f": 2.0, "g": 2.5e-4, "h": False, "i": ["x", "y"]}
    assert flags(section) == ["--d", "--e-f", "2", "--g", "0.00025", "--no-h", "--i", "x", "y"]


def test_a_subclass_may_change_a_default_and_keeps_the_limits():
    @dataclass(frozen=True)
    class Other(Toy):
        most: int | None = with_default(Toy, "most", 5, "another help")

    assert Other().most == 5 and [f.name for f in dataclasses.fields(Other)] == [
        f.name for f in dataclasses.fields(Toy)
    ]
    with pytest.raises(InputError, match=r"^toy: most: found 0, allowed: at least 1$"):
        read_options(Other, {"most": 0}, "toy")


def test_only_what_changes_the_result_is_in_the_fingerprint():
    kept = SftOptions(num_workers=3, save_steps=7, keep_checkpoints=9, memwatch=1.0, log_every=2)
    assert kept.fingerprint() == SftOptions().fingerprint()
    for change in ({"lr": 1.0}, {"seed": 1}, {"token_budget": 1}, {"eval_steps": 3}):
        assert dataclasses.replace(SftOptions(), **change).fingerprint() != SftOptions().fingerprint()


def test_the_help_says_defaults_of_switches_in_words():
    @dataclass(frozen=True)
    class Switches:
        quick: bool = option(True, "be quick")
        loud: bool = option(False, "be loud")
        names: tuple[str, ...] = option(("a", "b"), "names")

    parser = argparse.ArgumentParser()
    add_option_arguments(parser, Switches)
    shown = " ".join(parser.format_help().split())
    for text in ("be quick (default: on)", "be loud (default: off)", "names (default: a b)"):
        assert text in shown
