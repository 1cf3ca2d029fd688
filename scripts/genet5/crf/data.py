"""Baked windows as labelled batches of the gene finder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from genet5.bake.crops import Window, crop, random_crop
from genet5.bake.samples import Sample
from genet5.bake.shards import ShardReader, ShardSet
from genet5.bake.streamed_shards import StreamedShard, core_bp, decode, first_of_species, stream_shard
from genet5.clades import Clade, clade_named
from genet5.crf.hexamer_counts import HexamerCounts
from genet5.crf.labels import IGNORED, NOT_A_SITE, NUM_CLASSES, PADDING, chain_labels, label_window
from genet5.genome.sites import GeneRules, WindowSites
from genet5.training.batches import padded
from genet5.training.stream_plan import StreamPlan
from genet5.training.streaming import StreamSource


@dataclass
class CrfBatch:
    """Windows with their labels, in strand coordinates; see ``labels.py``."""

    codes: Tensor  # uint8 [B, 2, W], PADDING beyond the window
    lengths: Tensor  # int64 [B]
    labels: Tensor  # int8 [B, 2, W]
    chains: Tensor  # int8 [B, 2, W], labels that a chain of genes can follow
    sites: Tensor  # int8 [B, 2, 4, W + 1]

    def to(self, device: torch.device | str) -> CrfBatch:
        return CrfBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class CrfWindows:
    """Windows with the labels that their genes give them."""

    def __init__(self, clades: Mapping[str, Clade], random_crops: bool = True) -> None:
        self.clades = clades
        self.random_crops = random_crops
        self._rules: dict[tuple[str, int], GeneRules] = {}

    def rules(self, clade: str, genetic_code: int) -> GeneRules:
        """Rules of genes, made once."""
        key = (clade, genetic_code)
        if key not in self._rules:
            self._rules[key] = clade_named(self.clades, clade, "clade").gene_rules(genetic_code)
        return self._rules[key]

    def labelled(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes [2, W], labels [2, W], labels of chains [2, W] and sites [2, 4, W + 1] of a window."""
        sites = WindowSites(window.bases, self.rules(window.clade, window.genetic_code))
        labels, of_sites = label_window(sites, window.genes, window.dont_care)
        return sites.strand_codes, labels, chain_labels(labels, window.genes), of_sites

    def batch(self, windows: Sequence[Window]) -> CrfBatch:
        codes, labels, chains, sites = zip(*map(self.labelled, windows), strict=True)
        return CrfBatch(
            codes=padded(codes, PADDING, np.uint8),
            lengths=torch.tensor([code.shape[1] for code in codes]),
            labels=padded(labels, IGNORED, np.int8),
            chains=padded(chains, IGNORED, np.int8),
            sites=padded(sites, NOT_A_SITE, np.int8),
        )

    def shown(self, samples: Sequence[Sample], rng: np.random.Generator) -> CrfBatch:
        """Random crops of samples, or their windows."""
        if self.random_crops:
            return self.batch([random_crop(sample, rng) for sample in samples])
        return self.batch([crop(sample, *sample.core) for sample in samples])

    def hexamers(self, samples: Iterable[Sample]) -> HexamerCounts:
        """Counts over the windows of samples."""
        counts = HexamerCounts(NUM_CLASSES)
        for sample in samples:
            codes, labels, *_ = self.labelled(crop(sample, *sample.core))
            counts.add(codes, labels)
        return counts


class CrfData(CrfWindows):
    """Samples of shards as batches; a plan counts their bases."""

    def __init__(self, shards: ShardReader | ShardSet, clades: Mapping[str, Clade], random_crops: bool = True) -> None:
        super().__init__(clades, random_crops)
        self.shards = shards
        metas = [shards.meta(index) for index in range(len(shards))]
        self.species = [meta["species"] for meta in metas]
        self.lengths = shards.sizes_bp() - np.array([m["flank5"] + m["flank3"] for m in metas], dtype=np.int64)

    def training_batch(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> CrfBatch:
        return self.shown(self._read(indices), rng)

    def validation_batch(self, indices: np.ndarray, _epoch: int, _rng: np.random.Generator) -> CrfBatch:
        return self.batch([crop(sample, *sample.core) for sample in self._read(indices)])

    def _read(self, indices: np.ndarray) -> list[Sample]:
        return [self.shards.read(int(index)) for index in indices]

    def count_hexamers(self, number: int, seed: int) -> HexamerCounts:
        """Counts over ``number`` windows drawn at random, or all if there are fewer."""
        order = np.random.default_rng([seed, 0xC0DE]).permutation(len(self.shards))[:number]
        return self.hexamers(map(self.shards.read, sorted(order.tolist())))


class StreamedCrfData(CrfWindows):
    """Samples of streamed shards as batches; a plan counts their bases."""

    def __init__(self, shards: Sequence[StreamedShard], clades: Mapping[str, Clade], random_crops: bool = True) -> None:
        super().__init__(clades, random_crops)
        self.shards = shards

    def source(self, plan: StreamPlan, max_batch_size: int) -> StreamSource:
        """The batches of all epochs."""
        return StreamSource(
            plan,
            lambda shard, first: stream_shard(self.shards[shard], first),
            lambda members: (core_bp(members),),
            lambda raws, rng: self.shown([decode(members) for members in raws], rng),
            lambda batch: int(batch.lengths.sum()),
            token_budget=0,
            max_batch_size=max_batch_size,
        )

    def count_hexamers(self, number: int) -> HexamerCounts:
        """Counts over about ``number`` windows: the first of each species, in proportion to its windows."""
        return self.hexamers(first_of_species(self.shards, number))
