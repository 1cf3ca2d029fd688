"""Two aligned platforms, split and scaled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.studies.cpivae.folds import fold_splits, labels_in_order
from genet5.studies.cpivae.preprocessing import SPLITS, Preprocessor, complete_samples, split_samples
from genet5.studies.cpivae.tables import Table, align, read_table

log = logging.getLogger(__name__)
PLATFORMS = ("a", "b")

#: Samples -> label of each that has one.
Labels = Callable[[Sequence[str]], Mapping[str, str]]


def other(platform: str) -> str:
    """The other one of a and b."""
    return "b" if platform == "a" else "a"


@dataclass(frozen=True)
class Part:
    """One split. ``values``: float32 [samples, features] without gaps; ``observed``: bool, cells that were measured."""

    samples: list[str]
    values: dict[str, np.ndarray]
    observed: dict[str, np.ndarray]


@dataclass(frozen=True)
class PairedData:
    """Both platforms: raw tables of the samples in use, their splits, and what was fitted on the training split."""

    tables: dict[str, Table]
    splits: np.ndarray
    preprocessors: dict[str, Preprocessor]
    parts: dict[str, Part]

    @classmethod
    def prepare(cls, a: Table, b: Table, data: Mapping[str, Any], labels: Labels | None = None) -> PairedData:
        """Align, split, fit on the training split, transform; ``data`` is that section of the settings.

        ``labels``: by which folds of a cross-validation are stratified, if the settings ask for it.

        Raises:
            InputError: no shared sample, too few of them, labels without ``data.cross_validation.stratify`` or the
                other way round.
        """
        a, b = align(a, b)
        if data["missing_value_strategy"] == "drop":
            kept = [name for name, whole in zip(a.samples, complete_samples(a, b), strict=True) if whole]
            lost = len(a.samples) - len(kept)
            if lost:
                log.warning(
                    "%s, %s: %d of %d samples have an empty cell and are left out (data.missing_value_strategy: drop)",
                    a.source, b.source, lost, len(a.samples),
                )  # fmt: skip
            a, b = a.rows(kept), b.rows(kept)
        splits = _splits(a.samples, data, labels)
        tables = {"a": a, "b": b}
        names = {split: [a.samples[row] for row in np.flatnonzero(splits == split)] for split in SPLITS}
        fitted = {p: Preprocessor.fit(table.rows(names["train"]), data, p) for p, table in tables.items()}
        parts = {}
        for split, samples in names.items():
            done = {p: fitted[p].transform(table.rows(samples)) for p, table in tables.items()}
            parts[split] = Part(samples, {p: d[0] for p, d in done.items()}, {p: d[1] for p, d in done.items()})
        return cls(tables, splits, fitted, parts)

    @classmethod
    def read(
        cls, platform_a: Path, platform_b: Path, data: Mapping[str, Any], labels: Labels | None = None
    ) -> PairedData:
        """The same from two files."""
        return cls.prepare(read_table(platform_a), read_table(platform_b), data, labels)

    @property
    def widths(self) -> dict[str, int]:
        """Number of features of each platform."""
        return {platform: len(fitted.features) for platform, fitted in self.preprocessors.items()}

    def write_split(self, path: Path) -> None:
        """Each sample and its split, tab-separated."""
        with atomic_write(path) as stream:
            stream.write("sample\tsplit\n")
            for name, split in zip(self.tables["a"].samples, self.splits, strict=True):
                stream.write(f"{name}\t{split}\n")


def _splits(samples: Sequence[str], data: Mapping[str, Any], labels: Labels | None) -> np.ndarray:
    """The split of each sample: drawn at random, or a fold of a cross-validation."""
    options = data["cross_validation"]
    if options["stratify"] != (labels is not None):
        what = "true, but no labels are given" if options["stratify"] else "false, but labels are given"
        raise InputError(f"data.cross_validation.stratify: {what}")
    if not options["folds"]:
        return split_samples(len(samples), data, data["random_seed"])
    return fold_splits(len(samples), data, labels_in_order(samples, labels(samples)) if labels else None)
