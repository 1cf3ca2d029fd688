"""Streamed samples as batches of the network: planned by what the first samples of each species take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import cycle, islice

import numpy as np

from genet5.bake.samples import Sample
from genet5.bake.streamed_shards import Members, StreamedShard, by_species, decode, first_samples, stream_shard
from genet5.tokens.grammars import Grammars
from genet5.training.stream_plan import StreamPlan
from genet5.training.streaming import StreamSource
from genet5.writer.batch import Batch, collate
from genet5.writer.token_counts import DnaRate, TokenCounts, longest_sequence
from genet5.writer.windows import MEASURED_CROPS, check_window, cropped_example, measured_rate


class StreamedWindowData:
    """Random crops of streamed samples as batches of the network.

    added_tokens: what the model adds to each prompt. Of each species the first ``MEASURED_CROPS`` samples are read at
    the start: their tokens say how many samples make a batch, and for byte pairs how many tokens a crop may take. They
    are the same for every process and every resumed run.
    """

    def __init__(self, shards: Sequence[StreamedShard], grammars: Grammars, added_tokens: int = 0) -> None:
        self.shards = shards
        self.grammars = grammars
        self.counts = TokenCounts(grammars.tokenizer, added_tokens)
        self.rates: dict[str, DnaRate] = {}
        self.species = by_species(shards)
        self._totals: dict[str, float] = {}
        for name, of_species in self.species.items():
            samples = list(first_samples(of_species, MEASURED_CROPS))
            if grammars.tokenizer.num_dna_tokens(np.zeros(1, dtype=np.int64)) is None:
                self.rates[name] = measured_rate(islice(cycle(samples), MEASURED_CROPS), self.counts)
            self._totals[name] = float(np.mean([sum(self.sample_tokens(sample)) for sample in samples]))

    @cached_property
    def mean_tokens(self) -> float:
        """Tokens of a sample, prompt and structure sequence, on average."""
        windows = [sum(shard.samples for shard in of_species) for of_species in self.species.values()]
        return float(np.average(list(self._totals.values()), weights=windows))

    def prompt_tokens(self, sample: Sample) -> int:
        """Tokens of the prompt of any crop that a batch shows of a sample, at most."""
        window_bp = np.array([sample.core.length], dtype=np.int64)
        check_window(sample.core.length, self.grammars.tokenizer)
        tokens = self.grammars.tokenizer.num_dna_tokens(window_bp)
        if tokens is None:
            tokens = self.rates[sample.meta["species"]].tokens(window_bp)
        return int(self.counts.prompts(tokens, window_bp)[0])

    def sample_tokens(self, sample: Sample) -> tuple[int, int]:
        """Tokens of the prompt and of the structure sequence, at most: the two are padded apart."""
        sequence = longest_sequence(sample.genes, 0, len(sample.bases), sample.core.length)
        return self.prompt_tokens(sample), sequence

    def source(self, plan: StreamPlan, token_budget: int, max_batch_size: int) -> StreamSource:
        """The batches of all epochs."""
        return StreamSource(
            plan,
            lambda shard, first: stream_shard(self.shards[shard], first),
            lambda members: self.sample_tokens(decode(members)),
            self.batch,
            self.counts.batch,
            token_budget,
            max_batch_size,
        )

    def batch(self, raws: Sequence[Members], rng: np.random.Generator) -> Batch:
        """Random crops of streamed samples."""
        samples = map(decode, raws)
        return collate(
            [cropped_example(sample, self.prompt_tokens(sample), self.grammars, self.counts, rng) for sample in samples]
        )
