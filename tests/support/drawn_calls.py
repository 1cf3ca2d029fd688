"""What a picture is made of: the calls that its panels make of matplotlib, a line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MOST_VALUES = 6  # of an array that are written out


class Recorder:
    """Stands for matplotlib's Axes and whatever they return; notes each call with its arguments."""

    def __init__(self, calls: list[str], name: str) -> None:
        self._calls, self._name = calls, name

    def __getattr__(self, name: str) -> Recorder:
        return Recorder(self._calls, f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **options: Any) -> Recorder:
        words = [*map(_text, arguments), *(f"{name}={_text(value)}" for name, value in options.items())]
        self._calls.append(f"{self._name}({', '.join(words)})")
        return Recorder(self._calls, f"<{self._name}>")


def recorded(calls: list[str]) -> Callable[..., None]:
    """In place of ``studies.panels.draw``: panels draw on recorders."""

    def draw(path: Path, width: float, height: float, *drawings: Callable[[Any], None]) -> None:
        calls.append(f"{path}: {width:g} x {height:g}, {len(drawings)} panels")
        for number, drawing in enumerate(drawings, 1):
            drawing(Recorder(calls, f"panel {number}"))

    return draw


def _text(value: Any) -> str:
    if isinstance(value, Recorder):
        return value._name
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        flat = value.ravel()
        more = f" … {flat.size} values" if flat.size > MOST_VALUES else ""
        total = f", sum {_text(flat.sum())}" if more and flat.dtype.kind in "fiu" else ""
        return f"[{', '.join(_text(one) for one in flat[:MOST_VALUES].tolist())}{more}{total}]"
    if isinstance(value, (list, tuple)):
        return _text(np.array(value)) if len(value) > MOST_VALUES else f"[{', '.join(map(_text, value))}]"
    return repr(value)
