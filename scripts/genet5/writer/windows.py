"""Windows of baked shards as batches of the writer, and the F1 of what it writes for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from genet5.bake.crops import Window, crop, random_crop, random_place
from genet5.bake.samples import Sample
from genet5.bake.shards import ShardReader, ShardSet
from genet5.errors import InputError
from genet5.evaluate.window_scores import window_f1
from genet5.tokens.grammars import Grammars
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.batch import Batch, Example, collate, make_example
from genet5.writer.decoding import write_genes
from genet5.writer.network import GeneT5Model
from genet5.writer.token_counts import DnaRate, TokenCounts, longest_sequence

MEASURED_CROPS = 256  # of each species: of 257 crops, one on average takes more tokens than all that were measured


class WindowData:
    """Samples of shards as batches of the network.

    random_crops: batches show random crops, and else the windows themselves. added_tokens: what the model adds to each
    prompt. prompt_tokens: int64 [samples], no prompt of a batch has more. It depends on the samples and the tokenizer
    alone, so that every process and every resumed run plans the same batches.
    """

    def __init__(
        self, shards: ShardReader | ShardSet, grammars: Grammars, random_crops: bool = True, added_tokens: int = 0
    ) -> None:
        self.shards = shards
        self.grammars = grammars
        self.random_crops = random_crops
        tokenizer = grammars.tokenizer
        self.counts = TokenCounts(tokenizer, added_tokens)
        metas = [shards.meta(index) for index in range(len(shards))]
        self.species = [meta["species"] for meta in metas]
        self.flank5 = np.array([meta["flank5"] for meta in metas], dtype=np.int64)
        self.sizes_bp = shards.sizes_bp()
        self.core_bp = self.sizes_bp - self.flank5 - np.array([meta["flank3"] for meta in metas], dtype=np.int64)
        check_window(int(self.core_bp.max(initial=0)), tokenizer)
        self.prompt_tokens = self._prompt_tokens()

    # ---------------------------------------------------------------- lengths for plans

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of prompts and of structure sequences, at most, int64 [samples, 2]: the two are padded apart."""
        return np.stack([self.prompt_tokens, self.sequence_tokens], axis=1)

    @cached_property
    def sequence_tokens(self) -> np.ndarray:
        """Tokens of structure sequences, at most, int64 [samples]."""
        low, high = self.flank5, self.flank5 + self.core_bp
        if self.random_crops:
            low, high = np.zeros_like(self.sizes_bp), self.sizes_bp
        places = zip(low.tolist(), high.tolist(), self.core_bp.tolist(), strict=True)
        longest = [longest_sequence(self.shards.genes(index), *place) for index, place in enumerate(places)]
        return np.array(longest, dtype=np.int64)

    def _prompt_tokens(self) -> np.ndarray:
        dna_tokens = self.grammars.tokenizer.num_dna_tokens(self.core_bp)
        if dna_tokens is None and not self.random_crops:
            counted = [max(map(self.counts.bases, self._shown(index))) for index in range(len(self.shards))]
            return np.array(counted, dtype=np.int64)
        return self.counts.prompts(self._planned_dna_tokens() if dna_tokens is None else dna_tokens, self.core_bp)

    def _shown(self, index: int) -> list[str]:
        """Bases of every window that batches could show of a sample, where they show no random crops."""
        sample = self.shards.read(index)
        return [crop(sample, *sample.core).bases]

    def _planned_dna_tokens(self) -> np.ndarray:
        """DNA tokens to plan for random crops, from some of every species."""
        planned, species = np.zeros_like(self.core_bp), np.array(self.species)
        for name in sorted(set(self.species)):
            of_species = np.flatnonzero(species == name)
            planned[of_species] = self._measured_rate(of_species).tokens(self.core_bp[of_species])
        return planned

    def _measured_rate(self, indices: np.ndarray) -> DnaRate:
        """From crops that are spread evenly over the samples at ``indices``."""
        places = np.linspace(0, len(indices) - 1, MEASURED_CROPS).round().astype(np.int64)
        return measured_rate((self.shards.read(int(index)) for index in indices[places]), self.counts)

    # ---------------------------------------------------------------- batches

    def example(self, window: Window) -> Example:
        return window_example(window, self.grammars)

    def training_batch(self, indices: np.ndarray, _epoch: int, rng: np.random.Generator) -> Batch:
        return collate([self._cropped(int(index), rng) for index in indices])

    def validation_batch(self, indices: np.ndarray, _epoch: int, _rng: np.random.Generator) -> Batch:
        samples = [self.shards.read(int(index)) for index in indices]
        return collate([self.example(crop(sample, *sample.core)) for sample in samples])

    def _cropped(self, index: int, rng: np.random.Generator) -> Example:
        sample, planned = self.shards.read(index), int(self.prompt_tokens[index])
        return cropped_example(sample, planned, self.grammars, self.counts, rng)


def check_window(window_bp: int, tokenizer: GeneTokenizer) -> None:
    """Raise ``InputError`` for a window that the tokenizer has no mile-posts for."""
    if window_bp > tokenizer.max_window_bp:
        raise InputError(
            f"a window of {window_bp} bp is longer than max_window_bp {tokenizer.max_window_bp} of the tokenizer: "
            "raise tokenizer.max_window_bp or lower bake.windows"
        )


def measured_rate(samples: Iterable[Sample], counts: TokenCounts) -> DnaRate:
    """DNA tokens of one random crop of each sample."""
    tokens, window_bp = [], []
    for number, sample in enumerate(samples):
        window = random_crop(sample, np.random.default_rng([0x70C5, number]))
        window_bp.append(len(window.bases))
        tokens.append(counts.bases(window.bases) - counts.prompts(0, window_bp[-1]))
    return DnaRate.measured(tokens, window_bp)


def window_example(window: Window, grammars: Grammars) -> Example:
    """A window as the network is taught it."""
    grammar = grammars.of(window.clade, window.genetic_code)
    return make_example(window.bases, window.clade, window.genes, grammar)


def cropped_example(
    sample: Sample, planned: int, grammars: Grammars, counts: TokenCounts, rng: np.random.Generator
) -> Example:
    """A random crop; what takes more prompt tokens than planned is cut at a mile-post, so that the batch fits."""
    place = random_place(sample, rng)
    example = window_example(crop(sample, *place), grammars)
    if counts.prompt(example.prompt) <= planned:
        return example
    return window_example(crop(sample, *place.first(counts.fitting_bp(example.prompt, planned))), grammars)


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
