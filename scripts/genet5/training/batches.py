"""Batches made from a plan, at any position of any epoch, with randomness that belongs to the batch."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from genet5.errors import InputError
from genet5.training.sampler import BatchPlan

MakeBatch = Callable[[np.ndarray, int, np.random.Generator], Any]


class Epoch(Protocol):
    """The batches of one epoch of all processes, by position; process r has positions r, r + processes, ..."""

    def __len__(self) -> int:
        """Number of positions."""

    def load(self, positions: range, seed: int, num_workers: int) -> Iterator[tuple[int, Any]]:
        """Pairs (position, what stands there); ``positions`` go on to the end of the epoch."""

    def parts(self, loaded: Any) -> Sequence[Any]:
        """The batches of a position, of which only a stream may have another number than one."""

    def tokens(self, batch: Any, position: int) -> int:
        """Tokens of a batch at a position, without padding."""


class Source(Protocol):
    """What a run trains on."""

    @property
    def num_samples(self) -> int:
        """Samples of all processes."""

    def num_batches(self, epoch: int, group: int) -> int:
        """Positions of an epoch, a multiple of ``group``, the batches of a step over all processes."""

    def epoch(self, epoch: int, group: int) -> Epoch:
        """The batches of an epoch."""

    def read_by(self, processes: int) -> Source:
        """The source as it is to a run that began with so many processes, however many there are now."""


@dataclass(frozen=True)
class BatchSource:
    """Samples to train or validate on.

    ``make_batch(indices, epoch, rng)`` gives the batch of the samples at ``indices`` (int64, [rows]): tensors in a
    dict, a list or a dataclass. All its randomness (crop, reverse complement) has to come from ``rng``, which
    depends on seed, epoch and position only: that makes a resumed run and any number of workers see the same batch.
    ``count_tokens(batch)`` gives its tokens without padding, for the logs; without it they are those of the plan.
    """

    plan: BatchPlan
    make_batch: MakeBatch
    count_tokens: Callable[[Any], int] | None = None

    @property
    def num_samples(self) -> int:
        return len(self.plan.lengths)

    def num_batches(self, epoch: int, group: int) -> int:
        return len(self.plan.batches(epoch, group))

    def epoch(self, epoch: int, group: int) -> PlannedEpoch:
        return PlannedEpoch(self, self.plan.batches(epoch, group), epoch)

    def read_by(self, processes: int) -> BatchSource:
        return self

    def tokens(self, batch: Any, indices: np.ndarray) -> int:
        """Tokens of the batch made of the samples at ``indices``, without padding."""
        return self.count_tokens(batch) if self.count_tokens else self.plan.tokens(indices)


@dataclass(frozen=True)
class PlannedEpoch:
    """The batches of an epoch of a `BatchSource`, whose samples are known before."""

    source: BatchSource
    batches: Sequence[np.ndarray]
    number: int

    def __len__(self) -> int:
        return len(self.batches)

    def load(self, positions: range, seed: int, num_workers: int) -> Iterator[tuple[int, Any]]:
        return load_batches(self.source, self.batches, positions, self.number, seed, num_workers)

    def parts(self, loaded: Any) -> Sequence[Any]:
        return (loaded,)

    def tokens(self, batch: Any, position: int) -> int:
        return self.source.tokens(batch, self.batches[position])


def batch_seed(seed: int, epoch: int, position: int) -> int:
    """Seed of the batch at a position: two batches share one only by accident."""
    return int(np.random.SeedSequence([seed, epoch, position]).generate_state(1, np.uint64)[0] >> 1)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch before a batch is computed.

    Every micro-batch starts from its own seed, so there is no generator state to store: dropout after a resume,
    after an evaluation or on another number of processes is what it would have been anyway.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def load_batches(
    source: BatchSource, batches: Sequence[np.ndarray], positions: range, epoch: int, seed: int, num_workers: int = 0
) -> Iterator[tuple[int, Any]]:
    """Pairs (position, batch) of an epoch's ``batches`` at ``positions``, made in ``num_workers`` processes.

    Raises:
        InputError: what ``make_batch`` raised, in a worker too.
    """

    def make(position: int) -> Any:
        rng = np.random.default_rng([seed, epoch, position])
        return source.make_batch(batches[position], epoch, rng)

    yield from zip(positions, make_in_workers(make, positions, num_workers), strict=True)


def make_in_workers(make: Callable[[Any], Any], orders: Iterable[Any], num_workers: int) -> Iterator[Any]:
    """``make(order)`` for each order, in their order, made in ``num_workers`` processes; 0: in this one.

    The orders themselves are drawn in this process, some ahead of what is made of them.

    Raises:
        InputError: what ``make`` raised, in a worker too.
    """
    dataset = _Made(make)
    if num_workers == 0:
        loaded: Any = map(dataset.__getitem__, orders)
    else:
        loaded = DataLoader(
            dataset,
            batch_size=None,
            sampler=_Drawn(orders),
            num_workers=num_workers,
            worker_init_fn=_ignore_signals,
            generator=torch.Generator(),  # its own, or opening a loader would draw from the global one
            multiprocessing_context="fork",
            collate_fn=_unchanged,
        )
    for made in loaded:
        if isinstance(made, InputError):
            raise made
        yield made


def padded(arrays: Sequence[np.ndarray], fill: int, dtype: type = np.int64) -> torch.Tensor:
    """Stack along a new first axis, padding the last axis at its end with ``fill``."""
    width = max(array.shape[-1] for array in arrays)
    stacked = np.full((len(arrays), *arrays[0].shape[:-1], width), fill, dtype=dtype)
    for row, array in enumerate(arrays):
        stacked[row, ..., : array.shape[-1]] = array
    return torch.from_numpy(stacked)


class _Made(Dataset):
    def __init__(self, make: Callable[[Any], Any]):
        self.make = make

    def __getitem__(self, order: Any) -> Any:
        if isinstance(order, InputError):
            return order
        try:
            return self.make(order)
        except InputError as error:
            return error  # raised by the reader: a worker's own traceback would bury the one line


@dataclass(frozen=True)
class _Drawn:
    """Orders whose error is the last of them, to be raised in its turn.

    A loader draws its first orders while it starts. An error there would leave its workers and pipes half started.
    """

    orders: Iterable[Any]

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self.orders
        except InputError as error:
            yield error


def _unchanged(batch: Any) -> Any:
    return batch


def _ignore_signals(_worker: int) -> None:
    """A signal to the whole group is the training process's business: it still needs the batches of its last step."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
