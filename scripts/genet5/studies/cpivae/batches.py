"""Paired data as batches for Lightning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from genet5.studies.cpivae.paired_data import PLATFORMS, PairedData, Part


class PartDataset(Dataset):
    """Rows of a part; indexed by a whole batch."""

    def __init__(self, part: Part) -> None:
        self.values = {p: torch.from_numpy(part.values[p]) for p in PLATFORMS}
        self.observed = {p: torch.from_numpy(part.observed[p]) for p in PLATFORMS}

    def __len__(self) -> int:
        return len(self.values["a"])

    def __getitem__(self, rows: list[int]) -> dict[str, torch.Tensor]:
        index = torch.as_tensor(rows)
        values = {p: self.values[p][index] for p in PLATFORMS}
        return {**values, **{f"observed_{p}": self.observed[p][index] for p in PLATFORMS}}


class EpochBatches(Sampler):
    """Lists of rows. Each epoch is a new order that seed and epoch decide, so that a resumed run sees the same ones.

    With several processes each takes every ``processes``-th batch; rows are repeated so that all get the same number.
    A last batch of one row joins the one before it: batch norm cannot learn from one sample.
    """

    def __init__(self, rows: int, batch_size: int, seed: int, shuffle: bool, rank: int = 0, processes: int = 1) -> None:
        self.rows, self.batch_size, self.seed, self.shuffle = rows, batch_size, seed, shuffle
        self.rank, self.processes, self.epoch = rank, processes, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def _batches(self) -> list[list[int]]:
        order = np.arange(self.rows)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.rows)
        starts = range(0, self.rows, self.batch_size)
        batches = [order[first : first + self.batch_size].tolist() for first in starts]
        if len(batches) > 1 and len(batches[-1]) == 1:
            last = batches.pop()
            batches[-1] += last
        while len(batches) % self.processes:
            batches.append(batches[len(batches) % self.processes - 1])
        return batches

    def __iter__(self) -> Iterator[list[int]]:
        # Not before the first batch is asked for: on a resume Lightning makes the iterator and then sets the epoch.
        yield from self._batches()[self.rank :: self.processes]

    def __len__(self) -> int:
        return len(self._batches()) // self.processes


class PairedDataModule(lightning.LightningDataModule):
    """Loaders of the three splits."""

    def __init__(self, data: PairedData, batch_size: int, options: Mapping[str, Any]) -> None:
        """``options``: the section data of the settings."""
        super().__init__()
        self.data, self.batch_size = data, batch_size
        self.seed, self.num_workers = options["random_seed"], options["num_workers"]

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", shuffle=False)

    def test_dataloader(self) -> DataLoader:
        return self._loader("test", shuffle=False)

    def _loader(self, split: str, shuffle: bool) -> DataLoader:
        dataset = PartDataset(self.data.parts[split])
        # Held-out rows are scored by every process, so that no score depends on their number.
        rank, processes = (self.trainer.global_rank, self.trainer.world_size) if shuffle and self.trainer else (0, 1)
        batches = EpochBatches(len(dataset), self.batch_size, self.seed, shuffle, rank, processes)
        return DataLoader(
            dataset,
            sampler=batches,
            batch_size=None,
            # Of its own: an iterator draws a number when it is made, which on a resume is at another moment.
            generator=torch.Generator(),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )
