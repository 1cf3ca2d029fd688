"""Threads of PyTorch on a CPU: few for small work, and one for each window instead of all for each matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch uses ``count`` threads for what this thread asks of it, afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_threads(call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``call`` of each item without gradients, in their order, on as many threads as PyTorch has; one for each call.

    Autocast is what it is around this. Results may be used where gradients are taken, but none flow into them.

    Threads that share a matrix wait for each other at its end, many thousand times in a pass, and burn time of the
    processor while they wait.
    """
    count = min(torch.get_num_threads(), len(items))
    precision = torch.autocast("cpu", torch.get_autocast_dtype("cpu"), enabled=torch.is_autocast_enabled("cpu"))

    def alone(item: Item) -> Result:
        with threads(1), torch.no_grad(), precision:
            return call(item)

    if count <= 1:
        with torch.no_grad():
            return [call(item) for item in items]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(alone, items))
