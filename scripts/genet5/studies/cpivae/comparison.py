"""The study's table: every model beside every baseline, on the same splits, over all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genet5.studies.cpivae import metrics
from genet5.studies.cpivae.evaluation import BOOTSTRAPPED, read_result
from genet5.studies.cpivae.names import BASELINES, TRUTH
from genet5.studies.cpivae.preprocessing import SPLITS

DIRECTIONS = ("a_to_b", "b_to_a")
LEVEL = "0.9"


@dataclass(frozen=True)
class Run:
    """One predictor on one pair: its results and arrays by seed."""

    pair: str
    name: str
    results: list[dict[str, Any]]
    arrays: list[dict[str, np.ndarray]]

    @property
    def is_model(self) -> bool:
        """A model of the study, not a baseline or the truth of a simulation."""
        return self.name not in (*BASELINES, TRUTH)


def read_run(pair: str, name: str, folders: Sequence[Path]) -> Run:
    """Results of a predictor, one folder a seed."""
    read = [read_result(folder) for folder in folders]
    return Run(pair, name, [result for result, _ in read], [arrays for _, arrays in read])


def summary(run: Run) -> dict[str, Any]:
    """Means over seeds and both directions, intervals over resampled test samples, spread between seeds."""
    row: dict[str, Any] = {"name": run.name, "model": run.is_model, "seeds": len(run.results)}
    row["splits"] = len(per_split(run, BOOTSTRAPPED[0]))
    for key in BOOTSTRAPPED:
        by_seed = per_seed(run, key)
        row[key] = {
            "value": float(np.mean(by_seed)),
            "interval": metrics.interval(mean_draws(run, key)),
            "by_seed": by_seed,
            **{name: float(np.mean([r["test"][name][key] for r in run.results])) for name in DIRECTIONS},
        }
    for key, cell in (("coverage", "coverage"), ("half_width", "half_width")):
        found = [r["test"][name][cell][LEVEL] for r in run.results for name in DIRECTIONS]
        row[key] = float(np.mean(found))
    row["rmse"] = float(np.mean([r["test"][name]["rmse"] for r in run.results for name in DIRECTIONS]))
    row["val_corr_mean"] = float(np.mean([r["val"][n]["corr_mean"] for r in run.results for n in DIRECTIONS]))
    pooled = [r["test"][n]["pooled_corr_mean"] for r in run.results for n in DIRECTIONS if "folds" in r]
    row["pooled_corr_mean"] = float(np.mean(pooled)) if pooled else None
    row["training_s"] = float(np.mean([r["training_s"] for r in run.results]))
    for key in ("parameters", "epochs", "latent_foscttm"):
        found = [r[key] for r in run.results if key in r]
        row[key] = float(np.mean(found)) if found else None
    return row


def per_seed(run: Run, key: str) -> list[float]:
    """Mean of both directions for each seed."""
    return [float(np.mean([r["test"][name][key] for name in DIRECTIONS])) for r in run.results]


def per_split(run: Run, key: str) -> list[float]:
    """Mean of both directions for each test split: of each seed, or of each of its folds."""
    splits = [split["test"] for r in run.results for split in r.get("folds", [r])]
    return [float(np.mean([test[name][key] for name in DIRECTIONS])) for test in splits]


def mean_draws(run: Run, key: str) -> np.ndarray:
    """Mean of both directions and all seeds for each resample; empty without resamples.

    A resample holds a sample equally often in the test samples of all seeds (``metrics.resample_counts``), so more
    seeds make the interval no narrower than another cohort allows.
    """
    parts = [a[name] for a in run.arrays for name in (f"{d}_{key}_draws" for d in DIRECTIONS) if name in a]
    return np.mean(parts, axis=0) if parts else np.zeros(0)


def difference(run: Run, reference: Run, key: str = "corr_mean") -> dict[str, Any]:
    """How much better a predictor is than another on the same resamples, and on how many test splits."""
    ours, theirs = per_seed(run, key), per_seed(reference, key)
    pairs = zip(per_split(run, key), per_split(reference, key), strict=True)
    drawn = mean_draws(run, key), mean_draws(reference, key)
    return {
        "value": float(np.mean(ours) - np.mean(theirs)),
        "interval": metrics.interval(drawn[0] - drawn[1]) if len(drawn[0]) else None,
        "splits_won": sum(a > b for a, b in pairs),
    }


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """The whole table: for each pair its rows, the best baseline, and what each row has over it.

    The best model and the best baseline are those of the best mean test score, as the rows show; beside them the ones
    that validation would have chosen, which is what a user can do.
    """
    pairs: dict[str, Any] = {}
    for pair in dict.fromkeys(run.pair for run in runs):
        of_pair = [run for run in runs if run.pair == pair]
        rows = {run.name: summary(run) for run in of_pair}
        baselines = [run for run in of_pair if run.name in BASELINES]
        models = [run for run in of_pair if run.is_model]
        samples = of_pair[0].results[0]["samples"]
        entry: dict[str, Any] = {"rows": rows, "samples": {split: samples[split] for split in SPLITS}}
        entry["features"] = of_pair[0].results[0]["features"]
        entry["folds"] = len(of_pair[0].results[0].get("folds", []))
        if baselines:
            best = max(baselines, key=lambda run: rows[run.name]["corr_mean"]["value"])
            entry["best_baseline"] = best.name
            for run in of_pair:
                rows[run.name]["over_best_baseline"] = difference(run, best)
        if models:
            entry["best_model"] = max(models, key=lambda run: rows[run.name]["corr_mean"]["value"]).name
            entry["chosen_model"] = max(models, key=lambda run: rows[run.name]["val_corr_mean"]).name
        pairs[pair] = entry
    return pairs


def table_tsv(pairs: Mapping[str, Any]) -> str:
    """One row for each predictor of each pair."""
    head = ["pair", "predictor", "seeds", "feature_r", "low", "high", "a_to_b", "b_to_a", "sample_r", "sample_low"]
    head += ["sample_high", "rmse", "coverage_90", "half_width_90", "over_best_baseline", "over_low", "over_high"]
    head += ["splits_won", "parameters", "training_s", "pooled_feature_r"]
    lines = ["\t".join(head)]
    for pair, entry in pairs.items():
        for name, row in entry["rows"].items():
            feature, sample = row["corr_mean"], row["sample_corr_mean"]
            over = row.get("over_best_baseline") or {"value": None, "interval": None, "splits_won": None}
            cells = [pair, name, row["seeds"], feature["value"], *(feature["interval"] or (None, None))]
            cells += [feature["a_to_b"], feature["b_to_a"], sample["value"], *(sample["interval"] or (None, None))]
            cells += [row["rmse"], row["coverage"], row["half_width"], over["value"]]
            cells += [*(over["interval"] or (None, None)), over["splits_won"], row["parameters"], row["training_s"]]
            cells.append(row["pooled_corr_mean"])
            lines.append("\t".join(_cell(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def table_text(pairs: Mapping[str, Any]) -> str:
    """The table for a terminal."""
    lines = []
    for pair, entry in pairs.items():
        features = entry["features"]
        lines += [f"{pair}: {samples_text(entry)}; {features['a']} and {features['b']} features", ""]
        lines.append(f"{'predictor':<20}{'feature r':<24}{'a to b':>8}{'b to a':>8}  {'sample r':<24}"
                     f"{'in 90 %':>8}{'over best baseline':>26}{'won':>7}{'time':>8}")  # fmt: skip
        for name, row in sorted(entry["rows"].items(), key=lambda item: -item[1]["corr_mean"]["value"]):
            feature, over = row["corr_mean"], row.get("over_best_baseline")
            won = f"{over['splits_won']}/{row['splits']}" if over else ""
            lines.append(
                f"{name:<20}{_bounded(feature):<24}{feature['a_to_b']:>8.4f}{feature['b_to_a']:>8.4f}  "
                f"{_bounded(row['sample_corr_mean']):<24}{row['coverage']:>8.3f}"
                f"{_bounded(over, '+') if over else '':>26}{won:>7}{row['training_s']:>7.0f}s"
            )
        lines.append("")
    return "\n".join(lines)


def samples_text(entry: Mapping[str, Any]) -> str:
    """How the samples of a pair were used, in words; of a cross-validation the means of its folds."""
    train, validation, test = (entry["samples"][split] for split in SPLITS)
    if entry["folds"]:
        return f"{test:,} samples in {entry['folds']} folds, each with {train:,} train and {validation:,} val"
    return f"{train:,} train, {validation:,} val, {test:,} test"


def _bounded(cell: Mapping[str, Any], sign: str = "") -> str:
    bounds = cell["interval"]
    text = f"{cell['value']:{sign}.4f}"
    return text + (f" [{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]" if bounds else "")


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
