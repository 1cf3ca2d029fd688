"""A polite end: SIGTERM (a scheduler's preemption) and Ctrl-C let the step finish and a checkpoint be written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")


class Interrupted(BaseException):
    """A signal arrived during work that may be dropped; not an error, so that nobody catches it by accident."""


class StopRequest:
    """Within ``with StopRequest() as stop``, a first SIGTERM or SIGINT only sets ``stop.signal``.

    A second Ctrl-C ends the program at once. Outside the main thread signals are left alone.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._droppable = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
        if self._droppable:
            raise Interrupted

    def droppable(self, work: Callable[[], Result]) -> Result | None:
        """The result of ``work`` (an evaluation, minutes long), or None when a signal came before its end."""
        try:
            try:
                self._droppable = True
                return None if self.signal else work()
            finally:
                self._droppable = False
        except Interrupted:
            self._droppable = False
            return None
