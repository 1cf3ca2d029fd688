"""Pictures of the studies: panels side by side in one PNG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genet5.files import atomic_write


def draw(path: Path, width: float, height: float, *drawings: Callable[[Axes], None]) -> None:
    """Write a PNG with one panel for each drawing, side by side; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    for axes, drawing in zip(figure.subplots(1, len(drawings), squeeze=False)[0], drawings, strict=True):
        drawing(axes)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=120)
