"""The study's table, from what pretraining and fine-tuning left on disk: nothing is trained here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genet5.studies.dna_llm.augmentation import SITE_BP
from genet5.studies.dna_llm.binding_windows import BindingWindows
from genet5.studies.dna_llm.metrics import METRICS, STRETCH_BP, interval, pearson_r, resampled, score
from genet5.studies.dna_llm.results import HELD_OUT, Result

REFERENCE = "baseline"
_NOTHING = {"value": "", "interval": None}


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
        result.name: resampled(result.predictions["test"], test.scores, stretches, resamples, seed)
        for result in results
        if resamples
    }
    values = {result.name: pearson_r(result.predictions["test"], test.scores) for result in results}
    table = {}
    for result in results:
        predicted = result.predictions["test"]
        row: dict[str, Any] = {
            "validation": score(result.predictions["validation"], truth["validation"].scores),
            "test": score(predicted, test.scores, draws.get(result.name, {})),
            "interior_r": pearson_r(predicted[:, : 1 - SITE_BP], test.scores[:, : 1 - SITE_BP]),
        }
        if REFERENCE in values:
            difference = draws[result.name]["pearson_r"] - draws[REFERENCE]["pearson_r"] if draws else None
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
    columns += [f"test_{metric}{end}" for metric in (*METRICS, "r_difference") for end in ("", "_low", "_high")]
    columns.append("test_interior_r")
    lines = ["\t".join(columns)]
    for name, row in document["predictors"].items():
        cells: list[Any] = [name, row["about"], row["parameters"], row["trained"], row["elapsed_time"]]
        cells.append(row["validation"]["pearson_r"]["value"])
        for found in (*(row["test"][metric] for metric in METRICS), row.get("r_difference", _NOTHING)):
            cells += [found["value"], *(found["interval"] or ("", ""))]
        cells.append(row["interior_r"])
        lines.append("\t".join(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def pretraining_tsv(losses: Sequence[dict[str, Any]]) -> str:
    """One row for each alphabet: its GPT, and what counting the same training DNA says of the same held-out bases."""
    columns = ["alphabet", "tokens", "parameters", "best_step", "seconds", "loss", "bits_per_base"]
    columns += ["markov_order", "markov_bits_per_base", "mixture_order", "mixture_bits_per_base"]
    keys = {"tokens": "vocab_size", "best_step": "best_iteration", "seconds": "total_time_s", "loss": "best_val_loss"}
    keys["bits_per_base"] = "best_bits_per_base"
    rows = [[entry[keys.get(column, column)] for column in columns] for entry in losses]
    lines = ["\t".join(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row) for row in rows]
    return "\n".join(["\t".join(columns), *lines]) + "\n"


def comparison_text(document: dict[str, Any]) -> str:
    """The table for a terminal."""
    counts = ", ".join(f"{number} {split}" for split, number in document["windows"].items())
    lines = [f"windows: {counts}", f"test MSE of predicting 0: {document['predict_zero_mse']:.3f}", ""]
    headings = ("predictor", "trained", "time", "valid r", "  test r", "over the CNN", "AUPRC", "MSE", "inner r")
    form = "{:<32}{:>11}{:>8}{:>9}{:<28}{:<28}{:<26}{:<28}{}"
    lines.append(form.format(*headings))
    for name, row in document["predictors"].items():
        r, auprc, mse = (_with_interval(row["test"][metric]) for metric in METRICS)
        gain = _with_interval(row["r_difference"], "+.4f") if "r_difference" in row else ""
        numbers = (
            f"{row['trained']:,}",
            f"{row['elapsed_time']:.0f}s",
            f"{row['validation']['pearson_r']['value']:.4f}",
        )
        lines.append(form.format(name, *numbers, f"  {r}", gain, auprc, mse, f"{row['interior_r']:.4f}"))
    for alphabet, entry in document["pretraining"].items():
        lines.append(
            f"pretraining {alphabet}: {entry['best_bits_per_base']:.4f} bits per base, Markov chain of order "
            f"{entry['markov_order']} {entry['markov_bits_per_base']:.4f}, mixture of orders 0 to "
            f"{entry['mixture_order']} {entry['mixture_bits_per_base']:.4f}; loss {entry['best_val_loss']:.4f}, "
            f"{entry['total_time_s']:.0f} s"
        )
    return "\n".join(lines) + "\n"


def _with_interval(metric: dict[str, Any], form: str = ".4f") -> str:
    bounds = metric["interval"]
    return f"{metric['value']:{form}}" + (f" [{bounds[0]:{form}}, {bounds[1]:{form}}]" if bounds else "")
