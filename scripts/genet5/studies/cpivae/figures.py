"""The study's pictures, from results on disk."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from sklearn.decomposition import PCA

from genet5.studies.cpivae.comparison import DIRECTIONS, Run
from genet5.studies.cpivae.names import TRUTH
from genet5.studies.panels import draw

_MODEL, _BASELINE, _TRUTH = "#4477aa", "#bb9944", "#999999"
_LABELS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#994455", "#117733", "#88ccee", "#882255")
_MOST_LINES = 150


def performance_figure(entry: Mapping[str, Any], path: Path) -> None:
    """Feature- and sample-wise correlation of all predictors of a pair, with intervals."""
    rows = sorted(entry["rows"].values(), key=lambda row: row["corr_mean"]["value"])

    def bars(key: str, label: str) -> Callable[[Axes], None]:
        def drawing(axes: Axes) -> None:
            values = [row[key]["value"] for row in rows]
            bounds = [row[key]["interval"] or (value, value) for row, value in zip(rows, values, strict=True)]
            errors = [
                [max(value - low, 0) for value, (low, _) in zip(values, bounds, strict=True)],
                [max(high - value, 0) for value, (_, high) in zip(values, bounds, strict=True)],
            ]
            colours = [_TRUTH if row["name"] == TRUTH else _MODEL if row["model"] else _BASELINE for row in rows]
            axes.barh(range(len(rows)), values, xerr=errors, color=colours, ecolor="#222222")
            axes.set(yticks=range(len(rows)), yticklabels=[row["name"] for row in rows], xlabel=label)
            for place, value in enumerate(values):
                axes.text(max(value, 0) * 0.02, place, f"{value:.3f}", va="center", color="white", fontsize=8)

        return drawing

    draw(
        path,
        13,
        1.2 + 0.34 * len(rows),
        bars("corr_mean", "mean correlation by feature, test (blue: models, sand: baselines)"),
        bars("sample_corr_mean", "mean correlation by sample, test"),
    )


def curves_figure(histories: Mapping[str, Path], path: Path) -> None:
    """Validation loss and correlation of all models of a pair over epochs; ``histories``: history.csv by model."""
    read = {name: _history(file) for name, file in histories.items()}

    def losses(axes: Axes) -> None:
        for place, (name, rows) in enumerate(read.items()):
            colour = _LABELS[place % len(_LABELS)]
            for key, line in (("train_total_loss", ":"), ("val_total_loss", "-")):
                label = name if line == "-" else None
                axes.plot(rows["epoch"], _relative(rows[key]), line, color=colour, label=label)
        axes.set(xlabel="epoch", ylabel="loss, share of the first (dotted: training)", yscale="symlog")
        axes.legend(fontsize=7)

    def correlation(axes: Axes) -> None:
        for place, (name, rows) in enumerate(read.items()):
            axes.plot(rows["epoch"], rows["val_cross_corr_mean"], color=_LABELS[place % len(_LABELS)], label=name)
        axes.set(xlabel="epoch", ylabel="validation, mean cross-platform correlation by feature")

    draw(path, 13, 5, losses, correlation)


def latent_figure(run: Run, labels: Mapping[str, str], path: Path) -> None:
    """Test samples of both platforms in the latent space, by platform and by label: two principal components."""
    arrays = run.arrays[0]
    test = arrays["splits"] == "test"
    names = arrays["samples"][test]
    both = np.concatenate([arrays["latent_a"][test], arrays["latent_b"][test]])
    places = (
        PCA(n_components=2, random_state=0).fit_transform(both) if both.shape[1] > 1 else np.repeat(both, 2, axis=1)
    )
    of_a, of_b = places[: len(names)], places[len(names) :]

    def by_platform(axes: Axes) -> None:
        for a, b in zip(of_a[:_MOST_LINES], of_b[:_MOST_LINES], strict=True):
            axes.plot([a[0], b[0]], [a[1], b[1]], color="#cccccc", linewidth=0.7, zorder=1)
        axes.scatter(*of_a.T, s=14, color=_LABELS[0], label="platform a", zorder=2)
        axes.scatter(*of_b.T, s=14, color=_LABELS[1], label="platform b", zorder=2)
        closer = run.results[0]["latent_foscttm"]
        axes.set(xlabel="PC 1", ylabel="PC 2", title=f"{run.name}: lines join a sample; FOSCTTM {closer:.3f}")
        axes.legend(fontsize=8)

    def by_label(axes: Axes) -> None:
        found = [labels.get(str(name), "?") for name in names]
        for place, label in enumerate(sorted(set(found))):
            chosen = np.array([entry == label for entry in found])
            colour = _LABELS[place % len(_LABELS)]
            axes.scatter(*of_a[chosen].T, s=14, color=colour, marker="o", label=label)
            axes.scatter(*of_b[chosen].T, s=14, color=colour, marker="^")
        axes.set(xlabel="PC 1", ylabel="PC 2", title="by label (circles: a, triangles: b)")
        axes.legend(fontsize=8)

    draw(path, 12, 5, *([by_platform, by_label] if labels else [by_platform]))


def features_figure(model: Run, baseline: Run, path: Path) -> None:
    """Each feature's correlation by a model over that by a baseline, both directions."""

    def direction(name: str) -> Callable[[Axes], None]:
        def drawing(axes: Axes) -> None:
            x, y = (run.arrays[0][f"{name}_feature_corr"] for run in (baseline, model))
            axes.scatter(x, y, s=8, alpha=0.5, color=_MODEL, linewidths=0)
            axes.axline((0, 0), slope=1, color="#555555", linewidth=0.8)
            known = np.isfinite(x) & np.isfinite(y)
            above = f"{(y > x)[known].mean():.0%} of features above the line" if known.any() else "no feature has both"
            title = f"{name.replace('_', ' ')}: {above}"
            axes.set(xlabel=f"{baseline.name}, test r", ylabel=f"{model.name}, test r", title=title)

        return drawing

    draw(path, 11, 5, *(direction(name) for name in DIRECTIONS))


def _history(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    wanted = ("epoch", "train_total_loss", "val_total_loss", "val_cross_corr_mean")
    return {key: np.array([float(row[key]) for row in rows]) for key in wanted}


def _relative(values: Sequence[float]) -> np.ndarray:
    values = np.asarray(values)
    return values / max(abs(float(values[0])), 1e-9)
