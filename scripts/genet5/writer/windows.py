"""Windows of baked shards as batches of the writer, and the F1 of what it writes for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from genet5.bake.crops import Window, crop, random_crop
from genet5.bake.shards import ShardReader, ShardSet
from genet5.errors import InputError
from genet5.evaluate.window_scores import window_f1
from genet5.tokens.grammars import Grammars
from genet5.writer.batch import Batch, Example, collate, make_example
from genet5.writer.decoding import write_genes
from genet5.writer.network import GeneT5Model

TOKENS_PER_GENE = 24  # of the structure sequence, generously: a plan only needs to know about how long a sample is


class WindowData:
    """Samples of shards as batches of the network."""

    def __init__(self, shards: ShardReader | ShardSet, grammars: Grammars) -> None:
        self.shards = shards
        self.grammars = grammars
        tokenizer = grammars.tokenizer
        metas = [shards.meta(index) for index in range(len(shards))]
        self.species = [meta["species"] for meta in metas]
        core_bp = shards.sizes_bp() - np.array([meta["flank5"] + meta["flank3"] for meta in metas], dtype=np.int64)
        longest = int(core_bp.max(initial=0))
        if longest > tokenizer.max_window_bp:
            raise InputError(
                f"a window of {longest} bp is longer than max_window_bp {tokenizer.max_window_bp} of the tokenizer: "
                "raise tokenizer.max_window_bp or lower bake.windows"
            )
        genes = np.array([meta["num_genes"] + meta["num_introns"] for meta in metas], dtype=np.int64)
        per_base = 1 / (tokenizer.k or 1) + 1 / tokenizer.segment_bp
        self.prompt_tokens = np.ceil(core_bp * per_base).astype(np.int64) + 8
        self.sequence_tokens = TOKENS_PER_GENE * genes
        self.lengths = self.prompt_tokens + self.sequence_tokens

    def example(self, window: Window) -> Example:
        grammar = self.grammars.of(window.clade, window.genetic_code)
        return make_example(window.bases, window.clade, window.genes, grammar)

    def training_batch(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> Batch:
        return collate([self.example(random_crop(self.shards.read(int(index)), rng)) for index in indices])

    def validation_batch(self, indices: np.ndarray, _epoch: int, _rng: np.random.Generator) -> Batch:
        samples = [self.shards.read(int(index)) for index in indices]
        return collate([self.example(crop(sample, *sample.core)) for sample in samples])


class WindowScorer:
    """Mean scores of greedy constrained decoding on fixed windows.

    score(reference genes, written genes, don't-care spans) -> named tuple of numbers, by default three kinds of F1.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        grammars: Grammars,
        batch_size: int = 8,
        score: Callable[..., NamedTuple] | None = None,
    ) -> None:
        self.windows = windows
        self.grammars = grammars
        self.batch_size = batch_size
        self.score = score or window_f1

    def __call__(self, model: GeneT5Model) -> dict[str, float]:
        groups: dict[tuple[str, int], list[Window]] = {}
        for window in self.windows:
            groups.setdefault((window.clade, window.genetic_code), []).append(window)
        scores = []
        for (clade, code), windows in groups.items():
            grammar = self.grammars.of(clade, code)
            for first in range(0, len(windows), self.batch_size):
                part = windows[first : first + self.batch_size]
                written = write_genes(model, grammar, [window.bases for window in part], clade)
                scores += [
                    self.score(window.genes, result.genes, window.dont_care)
                    for window, result in zip(part, written, strict=True)
                ]
        means = np.mean(np.array(scores, dtype=np.float64), axis=0)
        return dict(zip(scores[0]._fields, means.tolist(), strict=True))
