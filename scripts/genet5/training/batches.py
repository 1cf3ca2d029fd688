"""Batches made from a plan, at any position of any epoch, with randomness that belongs to the batch."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from genet5.errors import InputError
from genet5.training.sampler import BatchPlan

MakeBatch = Callable[[np.ndarray, int, np.random.Generator], Any]


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

    def tokens(self, batch: Any, indices: np.ndarray) -> int:
        """Tokens of the batch made of the samples at ``indices``, without padding."""
        return self.count_tokens(batch) if self.count_tokens else self.plan.tokens(indices)


def batch_seed(seed: int, epoch: int, position: int) -> int:
    """Seed of the batch at a position: two batches share one only by accident."""
    return int(np.random.SeedSequence([seed, epoch, position]).generate_state(1, np.uint64)[0] >> 1)


def seed_everything(seed: int, device: torch.device) -> None:
    """Seed Python, NumPy and torch before a batch is computed.

    Every micro-batch starts from its own seed, so there is no generator state to store: dropout after a resume,
    after an evaluation or on another number of processes is what it would have been anyway.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


def load_batches(
    source: BatchSource, batches: Sequence[np.ndarray], positions: range, epoch: int, seed: int, num_workers: int = 0
) -> Iterator[tuple[int, Any]]:
    """Pairs (position, batch) of an epoch's ``batches`` at ``positions``, made in ``num_workers`` processes.

    Raises:
        InputError: what ``make_batch`` raised, in a worker too.
    """
    dataset = _PlannedBatches(source, batches, epoch, seed)
    if num_workers == 0:
        loaded: Any = map(dataset.__getitem__, positions)
    else:
        loaded = DataLoader(
            dataset,
            batch_size=None,
            sampler=positions,
            num_workers=num_workers,
            worker_init_fn=_ignore_signals,
            generator=torch.Generator(),  # its own, or opening a loader would draw from the global one
            multiprocessing_context="fork",
            collate_fn=_unchanged,
        )
    for position, batch in zip(positions, loaded, strict=True):
        if isinstance(batch, InputError):
            raise batch
        yield position, batch


def padded(arrays: Sequence[np.ndarray], fill: int, dtype: type = np.int64) -> torch.Tensor:
    """Stack along a new first axis, padding the last axis at its end with ``fill``."""
    width = max(array.shape[-1] for array in arrays)
    stacked = np.full((len(arrays), *arrays[0].shape[:-1], width), fill, dtype=dtype)
    for row, array in enumerate(arrays):
        stacked[row, ..., : array.shape[-1]] = array
    return torch.from_numpy(stacked)


class _PlannedBatches(Dataset):
    def __init__(self, source: BatchSource, batches: Sequence[np.ndarray], epoch: int, seed: int):
        self.source, self.batches, self.epoch, self.seed = source, batches, epoch, seed

    def __getitem__(self, position: int) -> Any:
        rng = np.random.default_rng([self.seed, self.epoch, position])
        try:
            return self.source.make_batch(self.batches[position], self.epoch, rng)
        except InputError as error:
            return error  # raised by the reader: a worker's own traceback would bury the one line


def _unchanged(batch: Any) -> Any:
    return batch


def _ignore_signals(_worker: int) -> None:
    """A signal to the whole group is the training process's business: it still needs the batches of its last step."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
