"""Cross-validation, put together: each sample predicted by the run that did not see it, and the scores of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genet5.arrays import BOOLEANS, FLOATS, TEXT, Wanted, read_arrays
from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.studies.cpivae import metrics
from genet5.studies.cpivae.evaluation import BOOTSTRAPPED, Predictor, direction, read_result, write_result
from genet5.studies.cpivae.intervals import LEVELS
from genet5.studies.cpivae.names import FOLDS_FILE, PREDICTIONS_FILE
from genet5.studies.cpivae.paired_data import PLATFORMS, PairedData, other
from genet5.studies.cpivae.preprocessing import SPLITS
from genet5.studies.cpivae.tables import write_table


@dataclass(frozen=True)
class Predicted:
    """Predictions of one platform for some samples, all [samples, features].

    ``scaled`` and ``truth`` stand on the scale of the preprocessing, which is that of each sample's fold: a value is
    its distance from the mean of the training samples. ``observed``: which
    cells were measured and predicted. ``units``: the predictions in the units of the platform.
    """

    features: list[str]
    scaled: np.ndarray
    truth: np.ndarray
    observed: np.ndarray
    units: np.ndarray


@dataclass(frozen=True)
class FoldRun:
    """A run on one fold: its scores, its test samples, and their predictions by target."""

    folder: Path
    result: Mapping[str, Any]
    samples: list[str]
    targets: Mapping[str, Predicted]

    @property
    def fold(self) -> int:
        """Number of the fold."""
        return int(self.result["cross_validation"]["fold"])


def write_predictions(predictor: Predictor, data: PairedData, folder: Path) -> None:
    """Write ``predictions.npz``: what a predictor says of the test samples, in both directions."""
    test = data.parts["test"]
    arrays: dict[str, np.ndarray] = {"samples": np.array(test.samples)}
    for target in PLATFORMS:
        scaled, _ = predictor(test, other(target), target)
        fitted = data.preprocessors[target]
        arrays |= {
            f"features_{target}": np.array(fitted.features),
            f"scaled_{target}": scaled.astype(np.float32),
            f"truth_{target}": test.values[target],
            f"observed_{target}": test.observed[target],
            f"units_{target}": fitted.inverse(scaled).astype(np.float32),
        }
    with atomic_write(folder / PREDICTIONS_FILE, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_fold(folder: Path) -> FoldRun:
    """A run on one fold. Raises ``InputError`` when it is none, or not finished."""
    result, _ = read_result(folder)
    if not result.get("cross_validation", {}).get("folds"):
        raise InputError(f"{folder}: not a run of a cross-validation (data.cross_validation.folds, or --folds)")
    kinds = {"scaled": FLOATS, "truth": FLOATS, "observed": BOOLEANS + FLOATS, "units": FLOATS}
    wanted = {"samples": Wanted(TEXT, 1), **{f"features_{target}": Wanted(TEXT, 1) for target in PLATFORMS}}
    wanted |= {f"{kind}_{target}": Wanted(values, 2) for kind, values in kinds.items() for target in PLATFORMS}
    stored = read_arrays(folder / PREDICTIONS_FILE, "no predictions of a fold", "train the fold again", wanted)
    targets = {
        target: Predicted(stored[f"features_{target}"].tolist(), *(stored[f"{kind}_{target}"] for kind in kinds))
        for target in PLATFORMS
    }
    samples = stored["samples"].tolist()
    return FoldRun(folder, result, samples, targets)


def gather(folders: Sequence[Path], output: Path, resamples: int, seed: int) -> dict[str, Any]:
    """Put the folds of one cross-validation together; returns what ``result.json`` then holds.

    Writes ``result.json`` and ``evaluation.npz`` as one run does, with all samples as test samples;
    ``out_of_fold_{a,b}.csv.gz`` (predictions in the units of the platform) and ``folds.tsv``.

    Raises:
        InputError: the runs are not the folds of one cross-validation: a fold is missing or there twice, a sample is
            tested twice or never, or they differ in model, seed or number of folds.
    """
    runs = sorted((read_fold(folder) for folder in folders), key=lambda run: run.fold)
    _one_partition(runs)
    samples = sorted(name for run in runs for name in run.samples)
    joined = {target: _joined([(run.samples, run.targets[target]) for run in runs], samples) for target in PLATFORMS}
    result, arrays = _scores(runs, samples, joined, resamples, seed)
    output.mkdir(parents=True, exist_ok=True)
    for target, predicted in joined.items():
        write_table(output / f"out_of_fold_{target}.csv.gz", "SampleID", samples, predicted.features, predicted.units)
    fold_of = {name: run.fold for run in runs for name in run.samples}
    with atomic_write(output / FOLDS_FILE) as stream:
        stream.write("sample\tfold\n")
        stream.writelines(f"{name}\t{fold_of[name]}\n" for name in samples)
    arrays["folds"] = np.array([fold_of[name] for name in samples])
    write_result(output, result, arrays)
    return result


def _one_partition(runs: Sequence[FoldRun]) -> None:
    first = runs[0]
    expected = first.result["cross_validation"]["folds"]
    for run in runs:
        for key in ("model_type", "random_seed"):
            if run.result[key] != first.result[key]:
                raise InputError(f"{run.folder}: {key} {run.result[key]}, but {first.result[key]} in {first.folder}")
        if run.result["cross_validation"]["folds"] != expected:
            found = run.result["cross_validation"]["folds"]
            raise InputError(f"{run.folder}: one of {found} folds, but {first.folder} is one of {expected}")
    if [run.fold for run in runs] != list(range(expected)):
        found = ", ".join(str(run.fold) for run in runs)
        raise InputError(f"{first.folder} and others: found folds {found}, expected each of 0 to {expected - 1} once")
    tested: dict[str, FoldRun] = {}
    in_all = sum(len(run.samples) for run in runs)
    for run in runs:
        for name in run.samples:
            if name in tested:
                raise InputError(f"{run.folder}: sample '{name}' is also tested in {tested[name].folder}")
            tested[name] = run
        number = sum(run.result["samples"].values())
        if number != in_all:
            raise InputError(f"{run.folder}: has {number} samples, but the folds test {in_all} in all")


def _joined(parts: Sequence[tuple[Sequence[str], Predicted]], samples: Sequence[str]) -> Predicted:
    """One table of all samples. A feature that a fold left out (no training sample had it) is not predicted there."""
    features = list(dict.fromkeys(name for _, predicted in parts for name in predicted.features))
    row, column = ({name: place for place, name in enumerate(names)} for names in (samples, features))
    shape = len(samples), len(features)
    scaled, truth, observed = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, bool)
    units = np.full(shape, np.nan, np.float32)
    for names, predicted in parts:
        places = np.ix_([row[name] for name in names], [column[name] for name in predicted.features])
        for whole, part in (
            (scaled, predicted.scaled),
            (truth, predicted.truth),
            (observed, predicted.observed),
            (units, predicted.units),
        ):
            whole[places] = part
    return Predicted(features, scaled, truth, observed, units)


def _scores(
    runs: Sequence[FoldRun], samples: Sequence[str], joined: Mapping[str, Predicted], resamples: int, seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The result of a run whose test samples are all samples, and its arrays; beside it the scores of each fold.

    Correlations by feature are means of those within folds: what was chosen in a fold (a penalty, an epoch) makes its
    predictions spread more or less, and a correlation over all samples would take that for error. It is there as
    ``pooled_corr_mean``. Resamples are of all samples.
    """
    results = [run.result for run in runs]
    drawn = dict(zip(samples, metrics.resample_counts(samples, resamples, seed).T, strict=True))
    arrays: dict[str, np.ndarray] = {"samples": np.array(samples)}
    test: dict[str, Any] = {}
    for target in (other(source) for source in PLATFORMS):  # in the order of a run
        name, predicted = direction(target), joined[target]
        cells = predicted.scaled, predicted.truth, predicted.observed
        row: dict[str, Any] = metrics.scores(*cells)
        row["pooled_corr_mean"] = row["corr_mean"]
        for key in ("corr_mean", "corr_median"):
            row[key] = float(np.mean([r["test"][name][key] for r in results]))
        # Shares of cells: a fold counts by the cells that it has.
        weights = [int(run.targets[target].observed.sum()) for run in runs]
        for key in ("coverage", "half_width"):
            row[key] = {
                str(level): float(np.average([r["test"][name][key][str(level)] for r in results], weights=weights))
                for level in LEVELS
            }
        draws = _draws(runs, target, cells, samples, drawn, row["corr_mean"]) if resamples else {}
        row["intervals"] = {key: metrics.interval(draws[key]) if draws else None for key in BOOTSTRAPPED}
        test[name] = row
        arrays[f"{name}_feature_corr"] = _feature_correlations(runs, target, predicted.features)
        arrays[f"{name}_sample_corr"] = metrics.sample_correlations(*cells)
        arrays |= {f"{name}_{key}_draws": values for key, values in draws.items()}
    directions = list(test)
    result: dict[str, Any] = {
        "model_type": results[0]["model_type"],
        "random_seed": results[0]["random_seed"],
        "cross_validation": {**results[0]["cross_validation"], "fold": None},
        "training_s": float(sum(r["training_s"] for r in results)),
        "samples": {split: round(np.mean([r["samples"][split] for r in results])) for split in SPLITS[:2]},
        "features": {target: len(predicted.features) for target, predicted in joined.items()},
        "val": {
            name: {"corr_mean": float(np.mean([r["val"][name]["corr_mean"] for r in results]))} for name in directions
        },
        "test": test,
        "folds": [{"fold": run.fold, "samples": len(run.samples), "test": run.result["test"]} for run in runs],
    }
    result["samples"][SPLITS[2]] = len(samples)
    for key in ("parameters", "epochs", "latent_foscttm"):
        if key in results[0]:
            result[key] = float(np.mean([r[key] for r in results]))
    return result, arrays


def _draws(
    runs: Sequence[FoldRun],
    target: str,
    cells: tuple[np.ndarray, np.ndarray, np.ndarray],
    samples: Sequence[str],
    drawn: Mapping[str, np.ndarray],
    estimate: float,
) -> dict[str, np.ndarray]:
    """The scores of each resample of all samples, [resamples]; ``drawn``: how often each resample holds a sample;
    ``estimate``: the mean of the folds without resampling."""
    within = []
    for run in runs:
        own = run.targets[target]
        counts = np.stack([drawn[name] for name in run.samples], axis=1)
        within.append(metrics.bootstrap(own.scaled, own.truth, own.observed, counts)["corr_mean"])
    over_all = metrics.bootstrap(*cells, np.stack([drawn[name] for name in samples], axis=1))
    return {"corr_mean": centred(np.mean(within, axis=0), estimate), "sample_corr_mean": over_all["sample_corr_mean"]}


def centred(draws: np.ndarray, estimate: float) -> np.ndarray:
    """Resampled correlations, moved so that their mean is the estimate.

    A resample of few samples holds fewer distinct ones and correlates less, in every fold alike: of the mean of the
    folds, the spread gets smaller with their number, and this bias does not.
    """
    known = draws[np.isfinite(draws)]
    return np.clip(draws + (estimate - known.mean()), -1, 1) if known.size else draws


def _feature_correlations(runs: Sequence[FoldRun], target: str, features: Sequence[str]) -> np.ndarray:
    """Mean over folds of the correlation of each feature; nan for one without any."""
    place = {name: column for column, name in enumerate(features)}
    found = np.full((len(runs), len(features)), np.nan)
    for row, run in enumerate(runs):
        own = run.targets[target]
        columns = [place[name] for name in own.features]
        found[row, columns] = metrics.feature_correlations(own.scaled, own.truth, own.observed)
    known = np.isfinite(found)
    with np.errstate(invalid="ignore"):
        return np.where(known, found, 0.0).sum(axis=0) / known.sum(axis=0)
