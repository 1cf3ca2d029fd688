"""How many tokens windows take: known, counted or measured for plans, and counted in batches for logs.

A plan is made before the windows are cut, so the tokens of a random crop are known only where every base costs the
same. Those of byte pairs depend on the bases: they are measured, and no crop may take more than was planned for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from genet5.bake.samples import SampleGene
from genet5.tokens.codec import sequence_tokens
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.batch import Batch, Prompt

FRAME_TOKENS = 3  # <bos>, the clade, <sep>


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of prompts and batches, without padding.

    added: tokens that the model gives to each prompt beside those of the tokenizer. All counts go through here.
    """

    tokenizer: GeneTokenizer
    added: int = 0

    def prompts(self, dna_tokens: int | np.ndarray, window_bp: int | np.ndarray) -> int | np.ndarray:
        """Tokens of prompts with so many DNA tokens: mile-posts and what stands around them are added."""
        return dna_tokens + window_bp // self.tokenizer.segment_bp + 1 + FRAME_TOKENS + self.added

    def prompt(self, prompt: Prompt) -> int:
        return len(prompt.ids) + self.added

    def bases(self, bases: str) -> int:
        """Tokens of the prompt for a window, counted."""
        return len(self.tokenizer.encode_dna(bases).ids) + FRAME_TOKENS + self.added

    def batch(self, batch: Batch) -> int:
        """Tokens of all prompts and structure sequences of a batch."""
        lengths = batch.prompts.prompt_lengths
        return int(lengths.sum() + batch.sequences.lengths.sum()) + len(lengths) * self.added

    def fitting_bp(self, prompt: Prompt, tokens: int) -> int:
        """Bases of the longest part of a window, from its first base to a mile-post, that takes at most ``tokens``.

        At least one segment: what is not longer stays whole.
        """
        posts = prompt.posts[1:]  # a part that ends at a mile-post has it, and <sep>
        if not len(posts):
            return prompt.window_bp
        fitting = int(np.searchsorted(posts + 2 + self.added, tokens, side="right"))
        return max(fitting, 1) * self.tokenizer.segment_bp


@dataclass(frozen=True)
class DnaRate:
    """DNA tokens of crops of one species: ``mean`` per base, and ``spread`` x the square root of the bases above it."""

    mean: float
    spread: float

    @classmethod
    def measured(cls, tokens: Sequence[int], window_bp: Sequence[int]) -> DnaRate:
        """The rate that no crop exceeds of those measured.

        Over a window chance deviations add up as the square root of its length, so that short and long windows share
        one spread.
        """
        mean = sum(tokens) / sum(window_bp)
        above = [(count - mean * bases) / math.sqrt(bases) for count, bases in zip(tokens, window_bp, strict=True)]
        return cls(mean, max(above))

    def tokens(self, window_bp: np.ndarray) -> np.ndarray:
        """DNA tokens to plan for windows of these lengths; no base takes more than one."""
        planned = np.ceil(self.mean * window_bp + self.spread * np.sqrt(window_bp))
        return np.minimum(planned, window_bp).astype(np.int64)


def longest_sequence(genes: Iterable[SampleGene], low: int, high: int, window_bp: int) -> int:
    """Tokens of the structure sequence, at most, of any crop of ``window_bp`` within ``low`` .. ``high`` of a sample.

    Counted is every CDS segment that a crop could show, and as partial every gene that the edge of one could cut.
    """
    last_start, first_end = high - window_bp, low + window_bp
    whole = segments = partial = 0
    for gene in genes:
        shown = sum(left < high and right > low for left, right in gene.cds)
        if shown:
            whole, segments = whole + 1, segments + shown
            partial += gene.start < last_start or gene.end > first_end or not (gene.complete5 and gene.complete3)
    return sequence_tokens(whole, segments, partial, partial)
