"""Pictures of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from genet5.studies.panels import draw
from genet5.studies.vq_transformer.bounds import best_accuracy
from genet5.studies.vq_transformer.corpus import CLASSES, NO_CLASS

COLOURS = {"intergenic": "#999999", "intron": "#ee7733", "coding": "#0077bb"}
_NETWORK, _CONTROL = "#0077bb", "#ee7733"


def rate_distortion_figure(results: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], path: Path) -> None:
    """Base accuracy over the bits per base of the codes, beside what is possible and what k-mers alone reach."""
    rates = np.linspace(0, 2.4, 200)

    def curve(axes: Axes, low: float, view: tuple[float, float]) -> None:
        for entropy, label, line in (
            (2.0, "limit for even, independent bases", ":"),
            (limits["entropy"], f"lower bound at {limits['entropy']:.3f} bits (mixture of models)", "-"),
        ):
            axes.plot(rates, [best_accuracy(entropy, rate) for rate in rates], line, color="#555555", label=label)
        axes.axvline(2.0, color="#bbbbbb", linewidth=0.8)
        codes = [row for row in results if row["block_code_accuracy"] is not None]
        axes.plot(
            [row["nominal_bits"] for row in codes],
            [row["block_code_accuracy"] for row in codes],
            "s",
            mfc="none",
            color=_CONTROL,
            label="k-mers alone (Lloyd, no network)",
        )
        for kind, marker, filled in (("nominal_bits", "o", True), ("entropy_bits", "o", False)):
            axes.plot(
                [row[kind] for row in results],
                [row["base_accuracy"] for row in results],
                marker,
                color=_NETWORK,
                mfc=_NETWORK if filled else "none",
                label="VQ-Transformer, " + ("log2 of its codes" if filled else "entropy of its codes"),
            )
        for row in results:
            place = (row["nominal_bits"], row["base_accuracy"])
            if place[1] >= low and view[0] <= place[0] <= view[1]:
                axes.annotate(row["point"], place, textcoords="offset points", xytext=(6, -11), fontsize=8)
        axes.set(xlabel="bits per base", xlim=view, ylim=(low, 1 + (1 - low) * 0.03))

    lowest = min([0.9, *(row["base_accuracy"] for row in results)])

    def whole(axes: Axes) -> None:
        curve(axes, max(0.0, lowest - 0.08), (0.2, 2.4))
        axes.set(ylabel="share of held-out bases that come back")

    def near(axes: Axes) -> None:
        curve(axes, 0.98, (1.75, 2.1))
        axes.set(title="the end of the curve")
        axes.legend(fontsize=8, loc="lower right")

    draw(path, 12, 5, whole, near)


def lossless_figure(results: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], path: Path) -> None:
    """Bits per base without any error: codes and their corrections, beside compressors."""
    figures = limits["figures"]
    rows = [("2 bits a base", 2.0, 0.0), ("zstd, packed", figures["zstd_packed"], 0.0)]
    order = limits["arithmetic_coder_order"]
    rows.append((f"order {order}, arithmetic coder", figures["arithmetic_coder"], 0.0))
    best = min(limits["learned"], key=limits["learned"].__getitem__)
    rows.append((f"order {best}, learned before", limits["learned"][best], 0.0))
    rows += [
        (name, figures[key], 0.0)
        for key, name in (("mixture", "mixture of models"), ("mixture_learned", "mixture, learned before"))
        if key in figures
    ]
    rows += [(f"codec {row['point']}", row["coded_bits"], row["correction_bits"]) for row in results]

    def bars(axes: Axes) -> None:
        names, codes, corrections = zip(*rows, strict=True)
        places = np.arange(len(rows))
        colours = [_NETWORK if name.startswith("codec") else "#777777" for name in names]
        axes.barh(places, codes, color=colours)
        axes.barh(places, corrections, left=codes, color="#99ccee")
        for place, total in zip(places, np.add(codes, corrections), strict=True):
            axes.text(total + 0.01, place, f"{total:.3f}", va="center", fontsize=8)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set(xlabel="bits per base without error (light: correction of the decoder's errors)")
        axes.set_xlim(0, max(np.add(codes, corrections)) * 1.08)

    draw(path, 9, 1.2 + 0.32 * len(rows), bars)


def training_figure(histories: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Losses of both splits, and how the codebook is used, over the steps of each training."""

    def panel(column: str, label: str) -> Callable[[Axes], None]:
        def lines(axes: Axes) -> None:
            for index, (name, history) in enumerate(histories.items()):
                found = history["evaluations"]
                axes.plot(found["step"], found[column], color=f"C{index}", label=name)
                if column == "val_loss":
                    axes.plot(found["step"], found["train_loss"], ":", color=f"C{index}")
            axes.set(xlabel="step", title=label)
            if column == "val_loss":
                axes.set_yscale("log")

        return lines

    def named(axes: Axes) -> None:
        panel("val_accuracy", "base accuracy, validation")(axes)
        axes.legend(fontsize=8)

    draw(
        path,
        14,
        4,
        panel("val_loss", "loss (dotted: training DNA)"),
        named,
        panel("val_usage", "share of codes in use, validation"),
    )


def codes_figure(picture: Mapping[str, np.ndarray], name: str, path: Path) -> None:
    """Principal components: slots of held-out DNA by what they are, and codes by where they occur."""
    first, second = picture["explained"]

    def slots(axes: Axes) -> None:
        rng = np.random.default_rng(0)
        order = rng.permutation(len(picture["slots"]))
        # Equal texts lie on one point: scattered a little, so that all classes of it show.
        spread = 0.012 * np.ptp(picture["slots"], axis=0) * rng.standard_normal(picture["slots"].shape)
        palette = np.array([*(COLOURS[each] for each in CLASSES), "#333333"])
        axes.scatter(
            *(picture["slots"] + spread)[order].T, s=5, c=palette[picture["labels"][order]], alpha=0.6, linewidths=0
        )
        for index, each in enumerate(CLASSES):
            if (picture["labels"] == index).any():
                axes.scatter([], [], c=COLOURS[each], s=20, label=each)
        if (picture["labels"] == NO_CLASS).any():
            axes.scatter([], [], c="#333333", s=20, label="not annotated")
        axes.legend(fontsize=8)
        axes.set(title=f"{name}: slots of held-out DNA, before quantisation")
        axes.set(xlabel=f"component 1 ({first:.0%})", ylabel=f"component 2 ({second:.0%})")

    def codes(axes: Axes) -> None:
        counts, shares = picture["counts"], picture["shares"].astype(np.float64)
        used = counts > 0
        size = 8 + 160 * counts[used] / max(1, counts.max())
        axes.set(title="codes in use (size: how often)", xlabel="component 1", ylabel="component 2")
        if not shares.any():
            axes.scatter(*picture["codes"][used].T, s=size, c="#333333")
            return
        frequency = (shares + 1) / (shares + 1).sum(0)
        coding, other = CLASSES.index("coding"), CLASSES.index("intergenic")
        enrichment = np.log2(frequency[:, coding] / frequency[:, other])
        limit = max(0.5, float(np.abs(enrichment[used]).max(initial=0.5)))
        drawn = axes.scatter(
            *picture["codes"][used].T, s=size, c=enrichment[used], cmap="PuOr_r", vmin=-limit, vmax=limit
        )
        axes.figure.colorbar(drawn, ax=axes, label="log2 of its share in coding / in intergenic DNA")

    draw(path, 13, 5.5, slots, codes)
