"""Training curves: line charts of the logs of a stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genet5.report.figures import Series, legend, line_chart, smooth
from genet5.report.markup import Markup, tag
from genet5.report.numbers import count, seconds, significant
from genet5.report.results import Log

STYLES = ("s1", "s2", "s3", "s4", "s5", "s6")
SMOOTH_FROM_POINTS = 60
# These columns count or measure time. Their curves say nothing.
NOT_CURVES = frozenset(
    {"step", "epoch", "batch", "sample", "samples", "tokens", "total_steps", "elapsed_s", "eta_s", "eval_s"}
)
MAIN_TITLES = {
    "lr": "Learning rate",
    "tokens_per_s": "Tokens per second",
    "reward_mean": "Reward of sampled completions",
    "kl": "KL divergence from the fine-tuned model (nats a choice)",
    "entropy": "Entropy of a choice (nats)",
    "chain": "CRF: nats per kb for the right chain of genes",
    "base": "CRF: cross-entropy of a base (nats)",
}
FROM_ZERO = frozenset({"tokens_per_s", "mfu", "gpu_alloc_gb", "gpu_max_gb", "ram_used_gb"})
MORE_TITLES = {
    "soft_f1": "CRF: one minus the F1 of coding bases",
    "site": "CRF: cross-entropy of a possible site (nats)",
    "refused": "CRF: share of strands whose labels the rules do not allow",
    "grad_norm": "Gradient norm",
    "reward_std": "Standard deviation of rewards in a group",
    "exon_f1": "Exon F1 of sampled completions",
    "gene_f1": "Gene F1 of sampled completions",
    "nucleotide_f1": "Nucleotide F1 of sampled completions",
    "boundary_f1": "Boundary F1 of sampled completions",
    "zero_variance_groups": "Share of groups whose rewards are all equal",
    "empty_completions": "Share of completions without a gene",
    "repeated_completions": "Share of completions that repeat another one of their group",
    "truncated_completions": "Share of completions cut for their length",
    "completion_tokens": "Tokens of a completion",
    "clip_share": "Share of choices whose ratio was clipped",
    "rollout_s": "Seconds of sampling a step",
    "update_s": "Seconds of learning a step",
    "mfu": "Share of the device's peak arithmetic",
    "gpu_alloc_gb": "GPU memory in use (GB)",
    "gpu_max_gb": "GPU memory, highest (GB)",
    "ram_used_gb": "Host memory in use (GB)",
}


def training_charts(log: Log) -> Markup:
    """Charts of one training log: losses, loss parts, learning rate, speed, and whatever else was logged."""
    steps = log.numbers.get("step")
    if steps is None or not np.isfinite(steps).any():
        return tag("p", f"The {log.stage} training log has no steps.", class_="absent")
    left = {
        name: values for name, values in log.numbers.items() if name not in NOT_CURVES and np.isfinite(values).any()
    }
    figures: list[Markup] = []
    losses = _losses(steps, {name: left.pop(name) for name in ("train_loss", "val_loss") if name in left})
    figures += _figure("Loss" if log.stage == "crf" else "Loss per target token", losses, "step")
    parts = [name for name in left if name.endswith("_loss")]
    lines = [
        Series(name.removesuffix("_loss"), steps, _even(left.pop(name)), STYLES[index % len(STYLES)])
        for index, name in enumerate(parts)
    ]
    figures += _figure("Parts of the loss", lines, "step")
    folded: list[Markup] = []
    for name, values in left.items():
        where = figures if name in MAIN_TITLES else folded
        title = MAIN_TITLES.get(name) or MORE_TITLES.get(name, name)
        # A speed or a size is read against zero.
        top = float(np.nanmax(values))
        scale = (0.0, 1.06 * top) if name in FROM_ZERO and top > 0 else None
        where += _figure(title, [Series(name, steps, values, "s1")], "step", keys=False, y_range=scale)
    more = tag("details", tag("summary", "More curves"), tag("div", folded, class_="charts")) if folded else None
    return tag("div", tag("div", figures, class_="charts"), more)


def evaluation_charts(log: Log) -> Markup:
    """F1 over the steps, one chart for each species where the log names them, and the parts of the validation loss."""
    steps = log.numbers.get("step")
    curves = [name for name, values in log.numbers.items() if name not in NOT_CURVES and np.isfinite(values).any()]
    parts = [name for name in curves if name.startswith("val_") and name != "val_loss"]
    scores = [name for name in curves if name not in parts and (name.endswith("f1") or name.startswith("f1"))]
    if steps is None or not (scores or parts):
        return tag("p", f"The {log.stage} evaluation log has no F1 column.", class_="absent")
    group_column = log.words.get("species", [""] * len(log))
    figures: list[Markup] = []
    for group in sorted(set(group_column)):
        rows = np.array([value == group for value in group_column], dtype=bool)
        lines = [
            Series(_level(name), steps[rows], log.numbers[name][rows], STYLES[index % len(STYLES)], markers=True)
            for index, name in enumerate(scores)
        ]
        title = "F1 on validation windows" + (f", {group}" if group else "")
        figures += _figure(title, lines, "step", y_range=(0.0, 1.0))
    for name in parts:
        part = name.removeprefix("val_")
        title = MAIN_TITLES.get(part) or MORE_TITLES.get(part, part.replace("_", " "))
        figures += _figure(title, [Series(part, steps, log.numbers[name], "s2", markers=True)], "step", keys=False)
    return tag("div", figures, class_="charts")


def training_summary(log: Log) -> list[tuple[str, str]]:
    """A few facts of a training log for the head of the page: (what, value)."""
    facts = []
    steps = log.numbers.get("step")
    if steps is not None and np.isfinite(steps).any():
        facts.append(("steps", count(float(np.nanmax(steps)))))
    losses = log.numbers.get("val_loss")
    if losses is not None and np.isfinite(losses).any():
        facts.append(("lowest validation loss", significant(float(np.nanmin(losses)))))
    clock = log.numbers.get("elapsed_s")
    if clock is not None and np.isfinite(clock).any():
        facts.append(("training time", seconds(_clocked(clock[np.isfinite(clock)]))))
    return facts


def _clocked(clock: np.ndarray) -> float:
    """Seconds on a clock that starts anew whenever a run is resumed."""
    gained = np.diff(clock, prepend=0.0)
    return float(np.where(gained < 0, clock, gained).sum())


def _losses(steps: np.ndarray, columns: dict[str, np.ndarray]) -> list[Series]:
    lines = []
    train = columns.get("train_loss")
    if train is not None:
        good = np.isfinite(train)
        if good.sum() >= SMOOTH_FROM_POINTS:
            lines.append(Series("training", steps, train, "s1 faint"))
            lines.append(Series("training, smoothed", steps[good], smooth(train[good], max(5, good.sum() // 30)), "s1"))
        else:
            lines.append(Series("training", steps, train, "s1"))
    if "val_loss" in columns:
        lines.append(Series("validation", steps, columns["val_loss"], "s2", markers=True))
    return lines


def _even(values: np.ndarray) -> np.ndarray:
    """A noisy column smoothed where it was measured often."""
    good = np.isfinite(values)
    if good.sum() < SMOOTH_FROM_POINTS:
        return values
    out = np.full(len(values), np.nan)
    out[good] = smooth(values[good], max(5, good.sum() // 30))
    return out


def _level(name: str) -> str:
    return name.removesuffix("_f1").removeprefix("f1_").replace("_", " ") or name


def _figure(
    title: str, lines: Sequence[Series], x_label: str, *, keys: bool = True, y_range: tuple[float, float] | None = None
) -> list[Markup]:
    chart = line_chart(lines, title, x_label=x_label, y_range=y_range)
    if chart is None:
        return []
    named = [(line.name, line.style) for line in lines if "faint" not in line.style]
    return [tag("figure", tag("figcaption", title), chart, legend(named) if keys and len(named) > 1 else None)]
