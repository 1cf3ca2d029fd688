"""Arguments of the commands that train: settings, the tables of two platforms, and a fold of a cross-validation."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

from genet5.errors import InputError
from genet5.studies.cpivae.folds import pattern_labels
from genet5.studies.cpivae.paired_data import Labels
from genet5.studies.cpivae.settings import Settings, check_settings, merged, read_settings
from genet5.studies.cpivae.tables import read_labels


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """``--config``, ``--platform-a`` and ``--platform-b``."""
    parser.add_argument(
        "--config", type=Path, required=True, help="YAML: what differs from config/studies/cpivae_training.yaml"
    )
    parser.add_argument("--platform-a", type=Path, required=True, help="table: sample ids, then features")
    parser.add_argument("--platform-b", type=Path, required=True, help="the same of the other platform")


def add_fold_arguments(parser: argparse.ArgumentParser) -> None:
    """``--folds`` and ``--fold``, which win over the settings, and labels to stratify by."""
    parser.add_argument(
        "--folds", type=int, help="folds of a cross-validation (default: data.cross_validation.folds of --config)"
    )
    parser.add_argument("--fold", type=int, help="the fold to test, from 0 on (default: that of --config)")
    parser.add_argument("--labels", type=Path, help="table of sample ids and labels; folds are stratified by label")
    parser.add_argument(
        "--label-pattern", metavar="REGEX", help="the same with the first group in a sample id as its label"
    )


def fold_settings(arguments: argparse.Namespace) -> tuple[Settings, Labels | None]:
    """The settings of ``--config`` with the fold that the arguments name, and the labels to stratify by.

    Raises:
        InputError: settings or arguments that are not allowed.
    """
    settings = read_settings(arguments.config)
    if arguments.labels and arguments.label_pattern:
        raise InputError("--labels, --label-pattern: give one of them")
    changes = {key: value for key in ("folds", "fold") if (value := getattr(arguments, key)) is not None}
    labels = _labels(arguments.labels, arguments.label_pattern)
    if labels:
        changes["stratify"] = True
    if changes:
        settings = merged(settings, {"data": {"cross_validation": changes}})
        check_settings(settings, "--folds, --fold, --labels")
    return settings, labels


def _labels(table: Path | None, pattern: str | None) -> Labels | None:
    """How labels are found: in a table, by a pattern, or not at all."""
    if table:
        found = read_labels(table)
        return lambda _samples: found
    return functools.partial(pattern_labels, pattern=pattern) if pattern else None
