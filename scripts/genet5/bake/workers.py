"""A function over many tasks in order, on one core or on several."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Set in a worker when it starts: what all tasks share, and the function.
_shared: tuple[Any, Callable[[Any, Any], Any]]


def map_in_order(
    function: Callable[[Any, Any], Any], shared: Any, tasks: Sequence[Any], threads: int = 1
) -> Iterator[Any]:
    """``function(shared, task)`` for each of ``tasks``, in their order.

    With more than one thread, that many processes work ahead, two tasks each: results do not pile up. ``shared`` is
    theirs as it stands (they are forks of this one), tasks and results are pickled.
    """
    threads = min(threads, len(tasks))
    if threads <= 1:
        for task in tasks:
            yield function(shared, task)
        return
    context = multiprocessing.get_context("fork")
    with context.Pool(threads, initializer=_start, initargs=(shared, function)) as pool:
        waiting: deque = deque()
        for task in tasks:
            waiting.append(pool.apply_async(_work, (task,)))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().get()
        while waiting:
            yield waiting.popleft().get()


def _start(shared: Any, function: Callable[[Any, Any], Any]) -> None:
    global _shared
    _shared = shared, function


def _work(task: Any) -> Any:
    shared, function = _shared
    return function(shared, task)
