"""Training of the reader alone, on random crops of baked windows: classes of bases, sites, whole chains of genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genet5.bake.shards import ShardReader, ShardSet
from genet5.bake.training_inputs import find_inputs
from genet5.crf.chains import chain_loss
from genet5.crf.hexamer_counts import HexamerCounts, begin_from_counts
from genet5.crf.labels import IGNORED, NUM_CLASSES, PADDING
from genet5.crf.network import Reader
from genet5.crf.options import CrfOptions
from genet5.errors import InputError
from genet5.tokens.grammars import Grammars
from genet5.training.batches import BatchSource
from genet5.training.loop import fit
from genet5.training.processes import say, start_fabric
from genet5.training.runs import export_best, export_finished
from genet5.training.sampler import BatchPlan, balanced_repeats
from genet5.writer.batch import NOT_A_SITE, Prompt, chain_labels, label_bases, padded, site_labels
from genet5.writer.building import load_model, save_model
from genet5.writer.losses import base_losses
from genet5.writer.windows import Window, crop, random_crop


@dataclass
class CrfBatch:
    """Windows with their labels, in strand coordinates; see ``Prompt`` and ``Example``."""

    codes: Tensor  # uint8 [B, 2, W]
    lengths: Tensor  # int64 [B]
    labels: Tensor  # int8 [B, 2, W]
    chains: Tensor  # int8 [B, 2, W], labels that the field can follow
    sites: Tensor  # int8 [B, 2, 4, W + 1]

    def to(self, device: torch.device | str) -> CrfBatch:
        return CrfBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class CrfData:
    """Samples of shards as batches of the reader; a plan counts their bases."""

    def __init__(self, shards: ShardReader | ShardSet, grammars: Grammars, random_crops: bool = True) -> None:
        self.shards = shards
        self.random_crops = random_crops
        self.grammars = grammars
        metas = [shards.meta(index) for index in range(len(shards))]
        self.species = [meta["species"] for meta in metas]
        self.lengths = shards.sizes_bp() - np.array([m["flank5"] + m["flank3"] for m in metas], dtype=np.int64)

    def labelled(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes [2, W], labels [2, W], labels of chains [2, W] and sites [2, 4, W + 1] of a window."""
        sites = self.grammars.of(window.clade, window.genetic_code).sites(window.bases)
        nothing = np.empty(0, np.int32)
        codes = np.stack([sites.plus.codes, sites.minus.codes])
        prompt = Prompt(codes, nothing, nothing, nothing, nothing, site_labels(sites))
        labels = label_bases(prompt, window.genes, window.dont_care)
        return prompt.codes, labels, chain_labels(prompt, window.genes, labels), prompt.sites

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


class CrfTraining(nn.Module):
    """The reader with its losses, as the training loop wants a model."""

    label_smoothing: float = 0.0

    def __init__(self, reader: Reader, options: CrfOptions) -> None:
        super().__init__()
        self.reader = reader
        self.options = options

    def training_losses(self, batch: CrfBatch) -> dict[str, Tensor]:
        """Losses summed over bases; ``refused`` is the share of strands whose labels are no chain of the field."""
        read, options = self.reader(batch.codes), self.options
        parts = base_losses(read.class_logits, read.site_logits, batch.labels, batch.sites)
        chains = chain_loss(
            read.potentials.flatten(0, 1),
            read.site_potentials.flatten(0, 1),
            self.reader.gene_penalty,
            (batch.sites > NOT_A_SITE).flatten(0, 1),
            batch.chains.flatten(0, 1),
            batch.lengths.repeat_interleave(2),
        )
        weight = batch.lengths.sum()
        chain = chains.loss.sum()
        loss = (
            options.base_weight * parts["base"]
            + options.soft_f1_weight * parts["soft_f1"]
            + options.site_weight * parts["site"]
        )
        losses = {"sum": loss * weight + options.chain_weight * chain, "weight": weight}
        losses |= {name: value * weight for name, value in parts.items()}
        return losses | {"chain": chain * 1000, "refused": chains.refused.float().mean() * weight}


def run_crf_training(
    model_dir: Path,
    manifests: Sequence[Path],
    validation: Path,
    grammar_table: Mapping[str, Mapping[str, Any]],
    options: CrfOptions,
    output_dir: Path,
    restart: bool = False,
) -> None:
    """Train, and export the best weights as ``output_dir``'s own model; a finished run is only exported again.

    Raises:
        InputError: missing or damaged input, no training windows, another run's folder; see ``training.loop.fit``.
    """
    if not validation.is_file():
        raise InputError(f"{validation}: no such file; run merge_validation first")
    inputs = find_inputs(model_dir, manifests, validation, grammar_table)
    if export_finished(output_dir, options, inputs.fingerprint, restart):
        return
    windows = inputs.windows()
    torch.manual_seed(options.seed)
    model, tokenizer = load_model(model_dir)
    if model.config.num_readers > 1:
        raise InputError(
            f"{model_dir}: {model.config.num_readers} joined readers; train each by itself, and join again"
        )
    grammars = Grammars(tokenizer, grammar_table)
    train = CrfData(windows, grammars, options.random_crops)
    valid = CrfData(ShardReader(validation), grammars)
    if options.hexamer_windows and not model.config.reader_trained:
        begin_from_counts(model.reader, train.count_hexamers(options.hexamer_windows, options.seed).log_odds())
    model.config.reader_trained = True
    repeats = balanced_repeats(train.species, options.species_balance) if options.species_balance < 1 else None
    rows = options.max_batch_size
    fabric = start_fabric(options)
    say(fabric, f"{len(train.lengths)} training windows, {len(valid.lengths)} for validation")

    def source(data: CrfData, **details: Any) -> BatchPlan:
        budget = rows * int(data.lengths.max())
        return BatchPlan(data.lengths, budget, rows, **details)

    result = fit(
        CrfTraining(model.reader, options),
        BatchSource(source(train, seed=options.seed, repeats=repeats), train.training_batch),
        options,
        output_dir,
        fingerprint=inputs.fingerprint,
        save_model=lambda folder: save_model(model, tokenizer, folder),
        validation=BatchSource(source(valid, shuffle=False), valid.validation_batch) if len(valid.lengths) else None,
        restart=restart,
        fabric=fabric,
    )
    export_best(fabric, result, output_dir)
