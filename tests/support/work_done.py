"""How much a function does, counted: the same on a fast machine and on a slow one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(function: Callable[[], Any]) -> int:
    """Lines of Python that a call runs, each as often as it runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Callable:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count
