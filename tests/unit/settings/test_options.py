"""Options: one list, checked the same from the configuration and from the command line."""

from __future__ import annotations

import argparse
import dataclasses

import pytest
import yaml

from genet5.errors import InputError
from genet5.training.options import TrainingOptions, add_option_arguments, options_from_arguments, read_options


def read(text: str) -> TrainingOptions:
    return read_options(TrainingOptions, yaml.safe_load(text), "config.yaml: sft")


def parse(*words: str) -> TrainingOptions:
    parser = argparse.ArgumentParser()
    add_option_arguments(parser, TrainingOptions)
    return options_from_arguments(TrainingOptions, parser.parse_args(words))


def test_values_of_the_configuration_arrive():
    options = read("{epochs: 4, lr: 1.0e-4, compile: true, betas: [0.9, 0.99], precision: bf16, max_grad_norm: 1}")
    assert (options.epochs, options.lr, options.compile, options.betas) == (4, 1e-4, True, (0.9, 0.99))
    assert options.precision == "bf16"
    assert isinstance(options.max_grad_norm, float)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr: 2e-4", ["sft: lr", "text '2e-4'", "a number", "2.0e-4"]),
        ("learning_rate: 0.1", ["unknown option 'learning_rate'", "allowed: epochs"]),
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
    ],
)
def test_a_bad_value_is_one_line_with_key_and_allowed(text, words):
    with pytest.raises(InputError) as caught:
        read(text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("config.yaml: sft")
    assert all(word in message for word in words), message


def test_flags_without_values_give_the_defaults():
    assert parse() == TrainingOptions()


def test_each_option_is_a_flag_in_both_spellings():
    for field in dataclasses.fields(TrainingOptions):
        flag = f"--{field.name.replace('_', '-')}"
        value = [] if field.default is True or field.default is False else [str(v) for v in _as_tuple(field.default)]
        assert parse(flag, *value) == parse(f"--{field.name}", *value)


def _as_tuple(value: object) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def test_the_recipe_parses_from_the_command_line():
    options = parse(
        *"--epochs 4 --lr 1e-4 --token_budget 63700 --max_batch_size 8 --grad_accum 64 --weight_decay 0.01".split(),
        *"--warmup_ratio 0.03 --max_grad_norm 1.0 --label_smoothing 0.1 --early_stopping 2 --save_steps 500".split(),
        *"--log_memory --empty_cache_steps 100 --memwatch".split(),
    )
    assert (options.token_budget, options.grad_accum, options.lr, options.log_memory) == (63700, 64, 1e-4, True)
    assert options.memwatch == 30.0


def test_flags_have_the_limits_of_the_configuration():
    with pytest.raises(InputError, match="command line: epochs: found 0"):
        parse("--epochs", "0")
    assert not parse("--no-compile").compile


def test_only_what_changes_the_result_is_in_the_fingerprint():
    kept = TrainingOptions(num_workers=3, save_steps=7, keep_checkpoints=9, memwatch=1.0, log_every=2)
    assert kept.fingerprint() == TrainingOptions().fingerprint()
    for change in ({"lr": 1.0}, {"seed": 1}, {"token_budget": 1}, {"eval_steps": 3}):
        assert dataclasses.replace(TrainingOptions(), **change).fingerprint() != TrainingOptions().fingerprint()
