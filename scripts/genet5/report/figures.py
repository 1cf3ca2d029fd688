"""Charts as inline SVG: lines over steps, stacked bars, intervals on one scale, histograms.

Every function returns one ``<svg role="img">`` with a title and a description in words. Colours are classes of the
style sheet, so a figure follows the page's light or dark theme. Lengths are pixels of the drawing's own coordinates.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genet5.report.markup import Markup, coordinate, tag
from genet5.report.numbers import significant, size

LINE_POINTS = 320
CHARACTER_PX = 6.2


@dataclass(frozen=True, slots=True)
class Series:
    """One line: ``x`` and ``y`` of equal length, NaN where nothing was measured; ``style`` is a style-sheet class."""

    name: str
    x: np.ndarray
    y: np.ndarray
    style: str
    markers: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a stacked bar."""

    name: str
    value: float
    style: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A value between 0 and 1 with its interval (None when unknown)."""

    name: str
    value: float
    interval: tuple[float, float] | None
    style: str


def picture(
    width: float, height: float, title: str, description: str, *children: object, **attributes: object
) -> Markup:
    """An ``<svg>`` that scales with the page and is read aloud as its title and description."""
    return tag(
        "svg",
        *children,
        role="img",
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        width=coordinate(width),
        height=coordinate(height),
        aria_label=f"{title}. {description}".strip(),
        **attributes,
    )


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten) inside ``low`` .. ``high``."""
    if not high > low:
        return [low]
    raw = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def thin(x: np.ndarray, y: np.ndarray, limit: int = LINE_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most about ``limit`` points of a line; every stretch keeps its lowest and highest value, so spikes stay."""
    if len(x) <= limit:
        return x, y
    kept: list[int] = [0]
    for chunk in np.array_split(np.arange(len(x)), limit // 2):
        kept.extend(sorted({int(chunk[np.argmin(y[chunk])]), int(chunk[np.argmax(y[chunk])])}))
    kept.append(len(x) - 1)
    chosen = np.unique(kept)
    return x[chosen], y[chosen]


def smooth(y: np.ndarray, span: int) -> np.ndarray:
    """Exponential moving average over about ``span`` values, without the pull towards the first one."""
    weight = 2.0 / (span + 1.0)
    out = np.empty(len(y))
    total = norm = 0.0
    for index, value in enumerate(y):
        total = (1 - weight) * total + weight * value
        norm = (1 - weight) * norm + weight
        out[index] = total / norm
    return out


def line_chart(
    series: Sequence[Series],
    title: str,
    *,
    x_label: str,
    width: float = 520,
    height: float = 230,
    y_range: tuple[float, float] | None = None,
) -> Markup | None:
    """Lines over a common axis; None when no series has a finite point."""
    drawn = []
    for line in series:
        good = np.isfinite(line.x) & np.isfinite(line.y)
        if good.any():
            x, y = thin(line.x[good], line.y[good])
            drawn.append((line, x, y))
    if not drawn:
        return None
    x_low, x_high = _span([x for _, x, _ in drawn])
    y_low, y_high = y_range or _span([y for _, _, y in drawn], margin=0.06)
    left, right, top, bottom = 52.0, 14.0, 12.0, 34.0
    x_px = (left, width - right)
    y_px = (height - bottom, top)

    def across(value: np.ndarray | float) -> np.ndarray:
        return x_px[0] + (np.asarray(value) - x_low) / (x_high - x_low) * (x_px[1] - x_px[0])

    def up(value: np.ndarray | float) -> np.ndarray:
        return y_px[0] + (np.clip(value, y_low, y_high) - y_low) / (y_high - y_low) * (y_px[1] - y_px[0])

    frame = []
    for value in ticks(y_low, y_high, 4):
        y = float(up(value))
        frame.append(tag("line", x1=left, x2=width - right, y1=y, y2=y, class_="grid"))
        frame.append(tag("text", significant(value), x=left - 8, y=y + 3.5, class_="tick end"))
    for value in ticks(x_low, x_high, 5):
        frame.append(tag("text", size(value), x=float(across(value)), y=height - bottom + 16, class_="tick middle"))
    frame.append(tag("text", x_label, x=width - right, y=height - 4, class_="tick end"))
    frame.append(tag("line", x1=left, x2=width - right, y1=y_px[0], y2=y_px[0], class_="axis"))
    lines = []
    for line, x, y in drawn:
        points = list(zip(across(x), up(y), strict=True))
        path = " ".join(f"{coordinate(a)},{coordinate(b)}" for a, b in points)
        lines.append(tag("polyline", points=path, class_=f"line {line.style}", data_name=line.name))
        if line.markers or len(points) == 1:
            lines.extend(tag("circle", cx=float(a), cy=float(b), r=2.6, class_=f"dot {line.style}") for a, b in points)
    said = "; ".join(
        f"{line.name} from {significant(y[0].item())} to {significant(y[-1].item())}, lowest {significant(min(y))}"
        for line, _, y in drawn
    )
    plot = json.dumps({"x": [x_low, x_high, *x_px], "y": [y_low, y_high, *y_px]})
    return picture(width, height, title, said, frame, lines, class_="chart lines", data_plot=plot, data_x=x_label)


def _span(values: Sequence[np.ndarray], margin: float = 0.0) -> tuple[float, float]:
    low = min(float(part.min()) for part in values)
    high = max(float(part.max()) for part in values)
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    return low - margin * (high - low), high + margin * (high - low)


def stacked_bar(parts: Sequence[Part], title: str, *, width: float = 520, height: float = 18) -> Markup:
    """One horizontal bar cut in proportion to the parts; a part of nothing is left out."""
    shown = [part for part in parts if part.value > 0]
    total = sum(part.value for part in shown)
    if total <= 0:
        return picture(width, height, title, "nothing to show", tag("rect", width=width, height=height, class_="empty"))
    pieces = []
    left = 0.0
    for part in shown:
        share = part.value / total
        body = [tag("title", f"{part.name}: {significant(part.value, 6)} ({100 * share:.1f} %)")]
        # A gap of one pixel parts the pieces; a sliver still gets a pixel so that it can be seen and hovered.
        body.append(tag("rect", x=left, width=max(share * width - 1.0, 1.0), height=height, class_=part.style))
        pieces.append(tag("g", body, class_="tip"))
        left += share * width
    said = ", ".join(f"{part.name} {100 * part.value / total:.1f} %" for part in shown)
    return picture(width, height, title, said, pieces, class_="bar", preserveAspectRatio="none")


def interval_chart(
    rows: Sequence[tuple[str, Sequence[Mark]]], title: str, *, width: float = 520, left: float = 104
) -> Markup:
    """Rows of marks on a scale from 0 to 1: one row for each level, one mark for each system."""
    right, top, step = 20.0, 22.0, 30.0
    height = top + step * len(rows) + 6
    inner = width - left - right
    frame = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + value * inner
        frame.append(tag("line", x1=x, x2=x, y1=top - 4, y2=height - 6, class_="grid"))
        frame.append(tag("text", f"{value:g}", x=x, y=top - 10, class_="tick middle"))
    said = []
    for index, (name, marks) in enumerate(rows):
        middle = top + step * (index + 0.5)
        frame.append(tag("text", name, x=left - 12, y=middle + 4, class_="row-label end"))
        frame.append(tag("line", x1=left, x2=left + inner, y1=middle, y2=middle, class_="rail"))
        # The first mark is ours: drawn last, on top.
        for mark in reversed(marks):
            body = []
            label = f"{mark.name}, {name}: {mark.value:.3f}"
            if mark.interval is not None:
                low, high = mark.interval
                label += f" (95 % interval {low:.3f} to {high:.3f})"
                x1, x2 = left + low * inner, left + high * inner
                body.append(tag("line", x1=x1, x2=x2, y1=middle, y2=middle, class_=f"whisker {mark.style}"))
            body.append(tag("title", label))
            body.append(tag("circle", cx=left + mark.value * inner, cy=middle, r=5.5, class_=f"mark {mark.style}"))
            frame.append(tag("g", body, class_="tip"))
        said.append(f"{name}: " + ", ".join(f"{mark.name} {mark.value:.3f}" for mark in marks))
    return picture(width, height, title, "; ".join(said), frame, class_="chart")


def histogram(
    bars: Sequence[tuple[str, float]], title: str, *, width: float = 520, height: float = 160, style: str = "s1"
) -> Markup:
    """Upright bars with their names below, on two rows when one is too short for them, and their counts above."""
    left, top = 8.0, 16.0
    step = (width - 2 * left) / max(len(bars), 1)
    rows = 2 if max((len(name) for name, _ in bars), default=0) * CHARACTER_PX > step else 1
    bottom = 8.0 + 14.0 * rows
    highest = max((value for _, value in bars), default=0) or 1.0
    base = height - bottom
    body = []
    for index, (name, value) in enumerate(bars):
        tall = (base - top) * value / highest
        x = left + index * step
        middle = x + step / 2
        piece = [
            tag("title", f"{name}: {significant(value, 6)}"),
            tag("rect", x=x + 1, y=base - tall, width=max(step - 2, 1.0), height=tall, class_=style),
        ]
        body.append(tag("g", piece, class_="tip"))
        body.append(tag("text", name, x=middle, y=base + 15 + 14 * (index % rows), class_="tick middle"))
        if value and len(size(value)) * CHARACTER_PX < step:
            body.append(tag("text", size(value), x=middle, y=base - tall - 4, class_="tick middle"))
    body.append(tag("line", x1=left, x2=width - left, y1=base, y2=base, class_="axis"))
    said = ", ".join(f"{name} {significant(value, 6)}" for name, value in bars)
    return picture(width, height, title, said, body, class_="chart")


def legend(items: Sequence[tuple[str, str]]) -> Markup:
    """Names beside their colour: pairs of (name, style class)."""
    keys = [
        tag(
            "li",
            tag("svg", tag("rect", width=12, height=12, rx=3, class_=style), width=12, height=12, aria_hidden="true"),
            name,
        )
        for name, style in itertools.chain(items)
    ]
    return tag("ul", keys, class_="legend")
