"""Baked windows as labelled batches of the gene finder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from genet5.bake.crops import Window, crop, random_crop
from genet5.bake.shards import ShardReader, ShardSet
from genet5.clades import Clade, clade_named
from genet5.crf.hexamer_counts import HexamerCounts
from genet5.crf.labels import IGNORED, NOT_A_SITE, NUM_CLASSES, PADDING, chain_labels, label_window
from genet5.genome.sites import GeneRules, WindowSites
from genet5.training.batches import padded


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


class CrfData:
    """Samples of shards as batches; a plan counts their bases."""

    def __init__(self, shards: ShardReader | ShardSet, clades: Mapping[str, Clade], random_crops: bool = True) -> None:
        self.shards = shards
        self.clades = clades
        self.random_crops = random_crops
        self._rules: dict[tuple[str, int], GeneRules] = {}
        metas = [shards.meta(index) for index in range(len(shards))]
        self.species = [meta["species"] for meta in metas]
        self.lengths = shards.sizes_bp() - np.array([m["flank5"] + m["flank3"] for m in metas], dtype=np.int64)

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

    def training_batch(self, indices: np.ndarray, epoch: int, rng: np.random.Generator) -> CrfBatch:
        if not self.random_crops:
            return self.validation_batch(indices, epoch, rng)
        return self.batch([random_crop(self.shards.read(int(index)), rng) for index in indices])

    def validation_batch(self, indices: np.ndarray, _epoch: int, _rng: np.random.Generator) -> CrfBatch:
        samples = [self.shards.read(int(index)) for index in indices]
        return self.batch([crop(sample, *sample.core) for sample in samples])

    def count_hexamers(self, number: int, seed: int) -> HexamerCounts:
        """Counts over ``number`` windows drawn at random, or all if there are fewer."""
        counts = HexamerCounts(NUM_CLASSES)
        order = np.random.default_rng([seed, 0xC0DE]).permutation(len(self.shards))[:number]
        for index in sorted(order.tolist()):
            sample = self.shards.read(index)
            codes, labels, *_ = self.labelled(crop(sample, *sample.core))
            counts.add(codes, labels)
        return counts
