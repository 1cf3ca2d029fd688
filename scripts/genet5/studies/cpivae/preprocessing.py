"""What happens to a table before a model sees it: missing cells are filled, values are logged and scaled.

Everything is fitted on training samples alone. Order: fill, log(x + shift), scale, as the published cpiVAE has it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from genet5.arrays import FLOATS, Wanted, read_arrays
from genet5.configuration import read_yaml
from genet5.errors import InputError
from genet5.files import atomic_write, read_json, read_text, write_json
from genet5.studies.cpivae.tables import Table

log = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")
_SHOWN = 5


def split_samples(number: int, shares: Mapping[str, float], seed: int) -> np.ndarray:
    """``train``, ``val`` or ``test`` for each of ``number`` samples, drawn at random; shares are of the key data.

    Raises:
        InputError: too few samples for one in each split, and two to train on.
    """
    held_out = [round(number * shares[f"{split}_split"]) for split in ("val", "test")]
    if min(held_out) < 1 or number - sum(held_out) < 2:
        parts = ", ".join(f"{shares[f'{split}_split']:g}" for split in SPLITS)
        raise InputError(f"{number} samples are too few for splits of {parts}")
    order = np.random.default_rng(seed).permutation(number)
    splits = np.full(number, "train", dtype="<U5")
    splits[order[: held_out[1]]] = "test"
    splits[order[held_out[1] : sum(held_out)]] = "val"
    return splits


def complete_samples(a: Table, b: Table) -> np.ndarray:
    """Which samples have every cell on both platforms (bool [samples]), for the strategy drop."""
    return ~(np.isnan(a.values).any(axis=1) | np.isnan(b.values).any(axis=1))


@dataclass
class Preprocessor:
    """Of one platform. ``fill``, ``center``, ``scale`` are [features]; ``reference`` holds training rows for knn."""

    features: list[str]
    strategy: str
    neighbors: int
    normalization: str
    fill: np.ndarray
    shift: float | None
    epsilon: float
    center: np.ndarray
    scale: np.ndarray
    reference: np.ndarray | None = None

    @classmethod
    def fit(cls, table: Table, data: Mapping[str, Any], platform: str) -> Preprocessor:
        """Fit on training samples; ``data`` is the section of the settings, ``platform`` a or b.

        A feature without any training value is left out, with a warning.
        """
        values = table.values
        seen = ~np.isnan(values).all(axis=0)
        if not seen.all():
            lost = [name for name, there in zip(table.features, seen, strict=True) if not there]
            log.warning(
                "%s: %d features have no value in training samples and are left out: %s",
                table.source, len(lost), ", ".join(lost[:_SHOWN]) + (", ..." if len(lost) > _SHOWN else ""),
            )  # fmt: skip
        if not seen.any():
            raise InputError(f"{table.source}: no feature has a value in training samples")
        values = values[:, seen]
        strategy = data["missing_value_strategy"]
        fill = np.nanmedian(values, axis=0) if strategy == "median" else np.nanmean(values, axis=0)
        options = data["log_transform"][f"platform_{platform}"]
        fitted = cls(
            features=[name for name, there in zip(table.features, seen, strict=True) if there],
            strategy=strategy,
            neighbors=data["knn_neighbors"],
            normalization=data["normalization"],
            fill=fill,
            shift=None,
            epsilon=float(options["epsilon"]),
            center=np.zeros(len(fill)),
            scale=np.ones(len(fill)),
            reference=values if strategy == "knn" else None,
        )
        filled = fitted._filled(values)
        if options["enabled"]:
            fitted.shift = max(fitted.epsilon - float(filled.min()), 0.0)
        fitted._fit_scale(fitted._logged(filled), table.source)
        return fitted

    def _fit_scale(self, values: np.ndarray, source: str) -> None:
        if self.normalization == "zscore":
            self.center, self.scale = values.mean(axis=0), values.std(axis=0)
        elif self.normalization == "minmax":
            self.center, self.scale = values.min(axis=0), np.ptp(values, axis=0)
        else:
            low, self.center, high = np.percentile(values, [25, 50, 75], axis=0)
            # Of a feature with most of its values alike, the quartiles say nothing, but the others vary.
            flat = self._constant(high - low)
            self.scale = np.where(flat, values.std(axis=0), high - low)
        constant = self._constant(self.scale)
        if constant.any():
            log.warning("%s: %d features do not vary in training samples", source, int(constant.sum()))
            self.scale = np.where(constant, 1.0, self.scale)

    def _constant(self, scale: np.ndarray) -> np.ndarray:
        """Which features differ by rounding alone: the deviation of equal values grows with their size."""
        return scale <= np.maximum(1e-12, 1e-9 * np.abs(self.center))

    def transform(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Scaled values without gaps, float32, and which cells were measured, bool; both [samples, features].

        Features are matched by name: one that is absent counts as not measured, an unknown one is left out.

        Raises:
            InputError: no feature is known.
        """
        values = self._matched(table)
        observed = ~np.isnan(values)
        scaled = (self._logged(self._filled(values)) - self.center) / self.scale
        return scaled.astype(np.float32), observed

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Scaled values back in the units of the platform, float64, same shape (features last)."""
        values = scaled.astype(np.float64) * self.scale + self.center
        return values if self.shift is None else np.exp(values) - self.shift

    def _matched(self, table: Table) -> np.ndarray:
        place = {name: column for column, name in enumerate(table.features)}
        found = [place.get(name) for name in self.features]
        absent = [name for name, column in zip(self.features, found, strict=True) if column is None]
        if len(absent) == len(self.features):
            raise InputError(f"{table.source}: has none of the {len(self.features)} features of the model")
        if absent:
            log.warning("%s: %d features of the model are absent and filled in", table.source, len(absent))
        unknown = len(table.features) - (len(self.features) - len(absent))
        if unknown:
            log.warning("%s: %d features are unknown to the model and left out", table.source, unknown)
        values = np.full((len(table.samples), len(self.features)), np.nan)
        for column, source in enumerate(found):
            if source is not None:
                values[:, column] = table.values[:, source]
        return values

    def _filled(self, values: np.ndarray) -> np.ndarray:
        missing = np.isnan(values)
        if not missing.any():
            return values
        if self.reference is not None:
            from sklearn.impute import KNNImputer  # seconds to import, and seldom asked for

            return KNNImputer(n_neighbors=self.neighbors).fit(self.reference).transform(values)
        return np.where(missing, self.fill, values)

    def _logged(self, values: np.ndarray) -> np.ndarray:
        # A new value may lie below the smallest training value.
        return values if self.shift is None else np.log(np.maximum(values + self.shift, self.epsilon))


def save_preprocessors(folder: Path, by_platform: Mapping[str, Preprocessor]) -> None:
    """Write ``scaler_{a,b}.json``, ``feature_names_{a,b}.txt``, ``log_params.yaml``; for knn ``imputer_{a,b}.npz``."""
    for platform, fitted in by_platform.items():
        numbers = {"fill": fitted.fill, "center": fitted.center, "scale": fitted.scale}
        document = {
            "missing_value_strategy": fitted.strategy,
            "knn_neighbors": fitted.neighbors,
            "normalization": fitted.normalization,
            **{name: values.tolist() for name, values in numbers.items()},
        }
        write_json(folder / f"scaler_{platform}.json", document, indent=None)
        with atomic_write(folder / f"feature_names_{platform}.txt") as stream:
            stream.writelines(f"{name}\n" for name in fitted.features)
        if fitted.reference is not None:
            with atomic_write(folder / f"imputer_{platform}.npz", "wb") as stream:
                np.savez_compressed(stream, reference=fitted.reference)
    log_params = {
        f"platform_{platform}": {"enabled": fitted.shift is not None, "epsilon": fitted.epsilon, "shift": fitted.shift}
        for platform, fitted in by_platform.items()
    }
    with atomic_write(folder / "log_params.yaml") as stream:
        yaml.safe_dump(log_params, stream, sort_keys=False)


def load_preprocessors(folder: Path, platforms: Sequence[str] = ("a", "b")) -> dict[str, Preprocessor]:
    """What ``save_preprocessors`` wrote. Raises ``InputError`` when a file is missing or broken."""
    log_params = read_yaml(folder / "log_params.yaml", "no complete preprocessing of a trained model")
    try:
        loaded = {}
        for platform in platforms:
            document = read_json(folder / f"scaler_{platform}.json")
            names = read_text(folder / f"feature_names_{platform}.txt").splitlines()
            reference = None
            if document["missing_value_strategy"] == "knn":
                wanted = {"reference": Wanted(FLOATS, 2)}
                reference = read_arrays(
                    folder / f"imputer_{platform}.npz", "no complete preprocessing", "train again", wanted
                )["reference"]
            logged = log_params[f"platform_{platform}"]
            loaded[platform] = Preprocessor(
                features=names,
                strategy=document["missing_value_strategy"],
                neighbors=document["knn_neighbors"],
                normalization=document["normalization"],
                fill=np.array(document["fill"]),
                shift=logged["shift"],
                epsilon=logged["epsilon"],
                center=np.array(document["center"]),
                scale=np.array(document["scale"]),
                reference=reference,
            )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: no complete preprocessing of a trained model ({error})") from None
    return loaded
