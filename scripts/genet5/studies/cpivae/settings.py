"""How a model is trained: the shipped defaults, what a file or the workflow changes of them, and the check of both."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from genet5.configuration import check_against_schema, dotted, load_schema, merged, read_yaml
from genet5.errors import InputError
from genet5.files import atomic_write, shipped

DEFAULTS_FILE = shipped("config") / "studies/cpivae_training.yaml"

Settings = dict[str, Any]


def default_settings() -> Settings:
    """The shipped settings, unchecked."""
    return copy.deepcopy(_defaults())


@functools.cache
def _defaults() -> Settings:
    return read_yaml(DEFAULTS_FILE, "the defaults of the study cpiVAE")


@functools.cache
def _schema() -> dict[str, Any]:
    return load_schema("cpivae_training")


def read_settings(path: Path) -> Settings:
    """A YAML file laid over the shipped defaults, checked.

    Raises:
        InputError: not YAML, an unknown key, a value of the wrong type or out of range.
    """
    changes = read_yaml(path, "--config")
    if not isinstance(changes, Mapping):
        raise InputError(f"{path}: expected sections of keys (model, training, ...)")
    settings = merged(default_settings(), changes)
    check_settings(settings, str(path))
    return settings


def check_settings(settings: Mapping[str, Any], source: str) -> None:
    """Check complete settings; ``source`` says in messages where they come from. Raises ``InputError``."""

    def subject(path: Sequence[str | int]) -> str:
        return f"{source}, key {dotted(path)}" if path else source

    check_against_schema(dict(settings), _schema(), subject)
    data, model, training = settings["data"], settings["model"], settings["training"]
    total = data["train_split"] + data["val_split"] + data["test_split"]
    if abs(total - 1) > 1e-6:
        raise InputError(f"{subject(['data'])}: train_split, val_split and test_split sum to {total:g}, expected 1")
    options = data["cross_validation"]
    key = subject(["data", "cross_validation"])
    if options["folds"] == 1:
        raise InputError(f"{key}.folds: 1 is not allowed (0: no cross-validation; at least 2 folds)")
    if options["fold"] >= max(options["folds"], 1):
        allowed = f"0 to {options['folds'] - 1}" if options["folds"] else "0 without folds"
        raise InputError(f"{key}.fold: {options['fold']} is not allowed ({allowed})")
    if options["stratify"] and not options["folds"]:
        raise InputError(f"{key}.stratify: true is for cross-validation alone (folds: 2 or more)")
    if model["latent_dim"] % model["num_codebooks"] and model["model_type"] == "JointVQ":
        raise InputError(
            f"{subject(['model', 'num_codebooks'])}: {model['num_codebooks']} does not divide latent_dim "
            f"({model['latent_dim']})"
        )
    if training["min_beta"] > training["max_beta"]:
        raise InputError(
            f"{subject(['training', 'min_beta'])}: {training['min_beta']} is more than max_beta "
            f"({training['max_beta']})"
        )


def write_settings(settings: Mapping[str, Any], path: Path) -> None:
    """Write settings as YAML, in the order of their keys."""
    with atomic_write(path) as stream:
        yaml.safe_dump(dict(settings), stream, sort_keys=False)


def checkpoint_monitor(settings: Mapping[str, Any]) -> tuple[str, str, int]:
    """Name, mode (min or max) and number of checkpoints kept."""
    own, shared = settings["callbacks"]["model_checkpoint"], settings["logging"]
    return own["monitor"] or shared["monitor"], own["mode"] or shared["mode"], own["save_top_k"] or shared["save_top_k"]


def stopping_monitor(settings: Mapping[str, Any]) -> tuple[str, str, int, float]:
    """Name, mode, patience in epochs (0: never stop) and least improvement."""
    own, shared = settings["callbacks"]["early_stopping"], settings["logging"]
    patience = own["patience"] or settings["training"]["early_stopping_patience"]
    return own["monitor"] or shared["monitor"], own["mode"] or shared["mode"], patience, own["min_delta"]
