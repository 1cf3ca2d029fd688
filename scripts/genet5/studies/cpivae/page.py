"""The study's report: one HTML page that holds its pictures and needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genet5.report.markup import Markup, tag
from genet5.report.numbers import count
from genet5.studies.cpivae.comparison import samples_text
from genet5.studies.cpivae.names import TRUTH
from genet5.studies.report_page import picture, report_page

_STYLE = """
tr.baseline td:first-child { color: var(--note); } tr.best td { font-weight: 700; }
"""
_EXPLAINED = (
    "Feature r: Pearson correlation over test samples of each predicted feature, mean over features and both "
    "directions; sample r: over features of each test sample, on scaled values. Intervals: 95 %, resampled test "
    "samples. Over the best baseline: the difference on the same resamples. Inside 90 %: share of test cells inside "
    "their 90 % predictive interval, and its mean half length in standard deviations of a feature. FOSCTTM: share of "
    "other samples that are closer in the latent space than the same sample on the other platform. Weights, scales, "
    "epochs and predictive intervals were fitted or chosen without the test samples. In a cross-validation each sample "
    "is a test sample once, predicted by the run that did not see it. Feature r is then the mean of the folds, pooled "
    "r that of all samples on the scale of their fold; curves and latent space are those of the first fold. Settings "
    "are the configuration's: "
    "those that were chosen after a look at test scores, as for the shipped real pairs, make them development scores."
)


def build_page(run: str, pairs: Mapping[str, Any], pictures: Mapping[str, Mapping[str, Path]]) -> str:
    """The page as HTML text. ``pictures``: PNG files by pair and name."""
    return report_page(
        f"cpiVAE · {run}",
        tag("p", _headline(pairs)),
        *(_section(pair, entry, pictures[pair]) for pair, entry in pairs.items()),
        tag("p", _EXPLAINED),
        footer="Values of one platform predicted from those of another, for samples that no training has seen.",
        style=_STYLE,
    )


def _headline(pairs: Mapping[str, Any]) -> str:
    judged = [entry for entry in pairs.values() if "best_model" in entry and "best_baseline" in entry]
    won = sum(entry["rows"][entry["best_model"]]["over_best_baseline"]["value"] >= 0 for entry in judged)
    return f"The best model is at least as good as the best baseline on {won} of {len(judged)} pairs of platforms."


def _section(pair: str, entry: Mapping[str, Any], pictures: Mapping[str, Path]) -> Markup:
    features = f"{count(entry['features']['a'])} features on a, {count(entry['features']['b'])} on b"
    return tag(
        "section",
        tag("h2", pair),
        tag("p", f"Samples: {samples_text(entry)}; {features}."),
        _verdict(entry),
        _table(entry),
        [tag("p", picture(path, f"{pair}: {name}")) for name, path in pictures.items()],
        id=pair,
    )


def _verdict(entry: Mapping[str, Any]) -> Markup | None:
    if "best_model" not in entry or "best_baseline" not in entry:
        return None
    rows = entry["rows"]
    model, baseline = rows[entry["best_model"]], rows[entry["best_baseline"]]
    chosen, over = rows[entry["chosen_model"]], model["over_best_baseline"]
    met = over["value"] >= 0
    return tag(
        "p",
        tag("strong", "met: " if met else "missed: ", class_="met" if met else "missed"),
        f"best model {model['name']} {_bounded(model['corr_mean'])}, best baseline {baseline['name']} "
        f"{_bounded(baseline['corr_mean'])}; difference {_bounded(over, '+')}, better on {over['splits_won']} "
        f"of {model['splits']} test splits. Validation would have chosen {chosen['name']} "
        f"({chosen['corr_mean']['value']:.3f}).",
    )


def _table(entry: Mapping[str, Any]) -> Markup:
    folds = ("pooled r",) if entry["folds"] else ()
    names = ("predictor", "feature r", *folds, "a to b", "b to a", "sample r", "RMSE", "inside 90 %", "half length")
    names += ("over best baseline", "splits won", "FOSCTTM", "parameters", "s")
    best = {entry.get("best_model"), entry.get("best_baseline")}
    lines = []
    for row in sorted(entry["rows"].values(), key=lambda row: -row["corr_mean"]["value"]):
        over = row.get("over_best_baseline")
        cells = (
            row["name"],
            _bounded(row["corr_mean"]),
            *([f"{row['pooled_corr_mean']:.3f}"] if folds else []),
            f"{row['corr_mean']['a_to_b']:.3f}",
            f"{row['corr_mean']['b_to_a']:.3f}",
            _bounded(row["sample_corr_mean"]),
            f"{row['rmse']:.3f}",
            f"{row['coverage']:.3f}",
            f"{row['half_width']:.2f}",
            _bounded(over, "+") if over else "",
            f"{over['splits_won']} of {row['splits']}" if over else "",
            "" if row["latent_foscttm"] is None else f"{row['latent_foscttm']:.3f}",
            "" if row["parameters"] is None else count(row["parameters"]),
            f"{row['training_s']:.0f}",
        )
        kind = "truth" if row["name"] == TRUTH else "model" if row["model"] else "baseline"
        lines.append(tag("tr", [tag("td", c) for c in cells], class_=f"{kind} best" if row["name"] in best else kind))
    return tag("table", tag("tr", [tag("th", name) for name in names]), lines)


def _bounded(cell: Mapping[str, Any], sign: str = "") -> str:
    bounds = cell["interval"]
    return f"{cell['value']:{sign}.3f}" + (f" [{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]" if bounds else "")
