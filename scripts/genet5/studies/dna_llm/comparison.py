"""The study's table, from what pretraining and fine-tuning left on disk: nothing is trained here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .augmentation import SITE_BP
from .binding_windows import BindingWindows
from .metrics import METRICS, STRETCH_BP, interval, pearson_r, resampled, score
from .results import HELD_OUT, Result

REFERENCE = "baseline"


def compare_results(
    results: Sequence[Result], windows: BindingWindows, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """For each predictor its metrics on validation and test windows, with intervals for test.

    ``interior_r`` leaves out the last 9 bases of a window: sites that are labelled there reach beyond what a predictor
    sees. ``r_difference`` is against the CNN on the same resampled stretches.
    """
    truth = {split: windows.part(split) for split in HELD_OUT}
    test = truth["test"]
    stretches = np.array([f"{s}:{p}" for s, p in zip(test.seqids, test.starts // STRETCH_BP, strict=True)])
    draws = {
        result.name: resampled(result.predictions["test"], test.scores, stretches, resamples, seed)["pearson_r"]
        for result in results
        if resamples
    }
    values = {result.name: pearson_r(result.predictions["test"], test.scores) for result in results}
    table = {}
    for result in results:
        predicted = result.predictions["test"]
        row: dict[str, Any] = {
            "validation": score(result.predictions["validation"], truth["validation"].scores, np.zeros(0)),
            "test": score(predicted, test.scores, stretches, resamples, seed),
            "interior_r": pearson_r(predicted[:, : 1 - SITE_BP], test.scores[:, : 1 - SITE_BP]),
        }
        if REFERENCE in values:
            difference = draws[result.name] - draws[REFERENCE] if draws else None
            gain = values[result.name] - values[REFERENCE]
            row["r_difference"] = {"value": gain, "interval": interval(difference)}
        table[result.name] = row
    return table


def comparison_document(
    results: Sequence[Result],
    table: dict[str, dict[str, Any]],
    losses: Sequence[dict[str, Any]],
    windows: BindingWindows,
) -> dict[str, Any]:
    """Everything the study found, for comparison.json."""
    test = windows.part("test")
    return {
        "windows": {split: int((windows.splits == split).sum()) for split in ("train", *HELD_OUT)},
        "predict_zero_mse": float(np.mean(test.scores.astype(np.float64) ** 2)),
        "site_share": float((test.scores > 0).mean()),
        "pretraining": {entry["alphabet"]: entry for entry in losses},
        "predictors": {
            result.name: {key: value for key, value in result.facts.items() if key != "history"} | table[result.name]
            for result in results
        },
    }


def comparison_tsv(document: dict[str, Any]) -> str:
    """One row for each predictor; bounds of the test intervals beside their values."""
    columns = ["predictor", "about", "parameters", "trained", "seconds", "validation_r"]
    columns += [f"test_{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")] + ["test_interior_r"]
    lines = ["\t".join(columns)]
    for name, row in document["predictors"].items():
        cells: list[Any] = [name, row["about"], row["parameters"], row["trained"], row["elapsed_time"]]
        cells.append(row["validation"]["pearson_r"]["value"])
        for metric in METRICS:
            cells += [row["test"][metric]["value"], *(row["test"][metric]["interval"] or ("", ""))]
        cells.append(row["interior_r"])
        lines.append("\t".join(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def comparison_text(document: dict[str, Any]) -> str:
    """The table for a terminal."""
    counts = ", ".join(f"{number} {split}" for split, number in document["windows"].items())
    lines = [f"windows: {counts}", f"test MSE of predicting 0: {document['predict_zero_mse']:.3f}", ""]
    lines.append(
        f"{'predictor':<32}{'trained':>11}{'time':>8}{'valid r':>9}  {'test r':<26}{'AUPRC':<26}{'MSE':<28}inner r"
    )
    for name, row in document["predictors"].items():
        widths = zip(METRICS, (26, 26, 28), strict=True)
        cells = "".join(f"{_with_interval(row['test'][metric]):<{width}}" for metric, width in widths)
        lines.append(
            f"{name:<32}{row['trained']:>11,}{row['elapsed_time']:>7.0f}s{row['validation']['pearson_r']['value']:>9.4f}"
            f"  {cells}{row['interior_r']:.4f}"
        )
    for alphabet, entry in document["pretraining"].items():
        lines.append(
            f"pretraining {alphabet}: {entry['best_bits_per_base']:.4f} bits per base, Markov chain of order "
            f"{entry['markov_order']} {entry['markov_bits_per_base']:.4f}; loss {entry['best_val_loss']:.4f}, "
            f"{entry['total_time_s']:.0f} s"
        )
    return "\n".join(lines) + "\n"


def _with_interval(metric: dict[str, Any]) -> str:
    bounds = metric["interval"]
    return f"{metric['value']:.4f}" + (f" [{bounds[0]:.4f}, {bounds[1]:.4f}]" if bounds else "")
