"""k-fold cross-validation: which samples a fold tests, and how the others are divided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genet5.errors import InputError
from genet5.studies.cpivae.preprocessing import SPLITS

#: Stands for a sample that has no label.
_NO_LABEL = ""
_LEAST_SAMPLES = 3


def assign_folds(number: int, folds: int, seed: int, labels: Sequence[str] | None = None) -> np.ndarray:
    """The fold that tests each sample, int [number]: each sample is in one fold, and sizes differ by one at most.

    With ``labels`` (one for each sample), the samples of each label are spread alike: their numbers in two folds differ
    by one at most.
    """
    order = np.random.default_rng(seed).permutation(number)
    if labels is not None:
        # Samples of a label stand side by side and are dealt out in turn, as all of them are without labels.
        order = order[np.argsort(np.asarray(labels, dtype=object)[order].astype(str), kind="stable")]
    dealt = np.empty(number, dtype=np.int64)
    dealt[order] = np.arange(number) % folds
    return dealt


def fold_splits(number: int, data: Mapping[str, Any], labels: Sequence[str] | None = None) -> np.ndarray:
    """``train``, ``val`` or ``test`` for each of ``number`` samples; ``data`` is that section of the settings.

    The fold ``data.cross_validation.fold`` is tested. The others are divided as train_split to val_split.

    Raises:
        InputError: too few samples: a fold needs three, for a correlation, two to train on, and one for validation.
    """
    options, seed = data["cross_validation"], data["random_seed"]
    folds, fold = options["folds"], options["fold"]
    if number // folds < _LEAST_SAMPLES:
        raise InputError(
            f"data.cross_validation.folds: {folds}, but {number} samples allow at most {number // _LEAST_SAMPLES} "
            f"(at least {_LEAST_SAMPLES} samples in a fold)"
        )
    tested = assign_folds(number, folds, seed, labels) == fold
    others = np.flatnonzero(~tested)
    share = data["val_split"] / (data["train_split"] + data["val_split"])
    held_out = max(round(len(others) * share), 1)
    if len(others) - held_out < 2:
        raise InputError(f"{number} samples are too few for {folds} folds with training and validation samples each")
    splits = np.where(tested, SPLITS[2], SPLITS[0]).astype("<U5")
    splits[np.random.default_rng([seed, fold]).permutation(others)[:held_out]] = SPLITS[1]
    return splits


def labels_in_order(samples: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    """The label of each sample; samples without one are a group of their own. ``InputError`` when none has one."""
    if not any(name in labels for name in samples):
        raise InputError(f"none of the {len(samples)} samples has a label (first one: {samples[0]})")
    return [labels.get(name, _NO_LABEL) for name in samples]


def pattern_labels(samples: Sequence[str], pattern: str) -> dict[str, str]:
    """Sample id -> label, which is the first group of a regular expression in the id; without those it is not found in.

    Raises:
        InputError: no regular expression, or one without a group.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"'{pattern}': not a regular expression ({error})") from None
    if not compiled.groups:
        raise InputError(f"'{pattern}': expected a group in brackets, which is the label")
    found = {name: compiled.search(name) for name in samples}
    return {name: match[1] or _NO_LABEL for name, match in found.items() if match}
