"""The study's pictures, from its results on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from genet5.studies.panels import draw


def loss_figure(losses: dict[str, Any], path: Path) -> None:
    """Pretraining loss over steps, and bits per base beside those of counting."""
    steps = losses["iterations"]

    def nats(axes: Axes) -> None:
        axes.plot(steps, losses["train_losses"], label="training")
        axes.plot(steps, losses["val_losses"], label="validation")
        axes.set(xlabel="step", ylabel="loss (nats per token)", title=f"alphabet {losses['alphabet']}")
        axes.legend()

    def bits(axes: Axes) -> None:
        axes.plot(steps, losses["val_bits_per_base"], label="GPT, validation")
        order = f"Markov chain, order {losses['markov_order']}"
        axes.axhline(losses["markov_bits_per_base"], color="grey", linestyle="--", label=order)
        orders = f"mixture, orders 0 to {losses['mixture_order']}"
        axes.axhline(losses["mixture_bits_per_base"], color="grey", linestyle=":", label=orders)
        axes.set(xlabel="step", ylabel="bits per base", title=f"{losses['parameters']:,} parameters")
        axes.legend()

    draw(path, 10, 4, nats, bits)


def bits_figure(losses: Sequence[dict[str, Any]], path: Path) -> None:
    """Held-out bits per base of the GPT of each alphabet, and of counting the same training DNA."""
    bars = [(f"GPT, {entry['alphabet']}", entry["best_bits_per_base"]) for entry in losses]
    # Alphabets differ in the letters that training reads (N, case), so counts do, too: one bar for each count.
    for entry in losses:
        bars += [
            (f"order {entry['markov_order']}, letters of {entry['alphabet']}", entry["markov_bits_per_base"]),
            (f"orders 0 to {entry['mixture_order']}, letters of {entry['alphabet']}", entry["mixture_bits_per_base"]),
        ]
    names, values = zip(*bars, strict=True)
    draw(path, 9, _height(names), _bars(names, values, "bits per base (2: nothing known)", "{:.4f}"))


def training_time_figure(losses: Sequence[dict[str, Any]], path: Path) -> None:
    """Seconds of pretraining for each alphabet, and validation bits per base over time."""
    names = [entry["alphabet"] for entry in losses]

    def curves(axes: Axes) -> None:
        for entry in losses:
            axes.plot(entry["elapsed_time"], entry["val_bits_per_base"], label=entry["alphabet"])
        axes.set(xlabel="seconds", ylabel="validation bits per base")
        axes.legend()

    times = [entry["total_time_s"] for entry in losses]
    draw(path, 10, 4, _bars(names, times, "pretraining (s)", "{:.0f} s"), curves)


def training_curves_figure(facts: dict[str, Any], path: Path) -> None:
    """Loss and correlation of a predictor over the steps of its training."""
    history, best = facts["history"], facts["best_step"]

    def loss(axes: Axes) -> None:
        axes.plot(history["step"], history["train_loss"], label="training (augmented)")
        axes.plot(history["step"], history["val_loss"], label="validation")
        axes.axvline(best, color="grey", linestyle=":", label="best")
        axes.set(xlabel="step", ylabel="mean squared error", yscale="log", title=facts["about"])
        for axis_labels in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis_labels("{x:g}")
        axes.legend()

    def correlation(axes: Axes) -> None:
        axes.plot(history["step"], history["val_r"])
        axes.axvline(best, color="grey", linestyle=":")
        axes.set(xlabel="step", ylabel="validation Pearson r", title=f"{facts['trained']:,} trained parameters")

    draw(path, 10, 4, loss, correlation)


def finetuning_time_figure(facts: Sequence[dict[str, Any]], path: Path) -> None:
    """Seconds of training of each predictor."""
    names = [entry["name"] for entry in facts]
    draw(path, 9, _height(names), _bars(names, [f["elapsed_time"] for f in facts], "training (s)", "{:.0f} s"))


def performance_figure(predictors: dict[str, dict[str, Any]], path: Path) -> None:
    """Test r and average precision of each predictor with their intervals."""
    names = list(predictors)
    panels = []
    for metric, label in (("pearson_r", "test Pearson r"), ("auprc", "test average precision of site bases")):
        cells = [row["test"][metric] for row in predictors.values()]
        bounds = [cell["interval"] or (cell["value"], cell["value"]) for cell in cells]
        errors = [
            [max(cell["value"] - low, 0) for cell, (low, _) in zip(cells, bounds, strict=True)],
            [max(high - cell["value"], 0) for cell, (_, high) in zip(cells, bounds, strict=True)],
        ]
        panels.append(_bars(names, [cell["value"] for cell in cells], label, "{:.4f}", errors))
    draw(path, 14, _height(names), *panels)


def _height(names: Sequence[str]) -> float:
    return 1.2 + 0.4 * len(names)


def _bars(
    names: Sequence[str], values: Sequence[float], label: str, text: str, errors: list[list[float]] | None = None
) -> Callable[[Axes], None]:
    def bars(axes: Axes) -> None:
        drawn = axes.barh(range(len(names)), values, xerr=errors, color="#4477aa", ecolor="#222222")
        axes.bar_label(drawn, [text.format(value) for value in values], padding=6)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(max(len(names), 3) - 0.5, -0.5)  # the first on top, and one alone is no wall
        axes.margins(x=0.22)
        axes.set(xlabel=label)

    return bars
