"""What the network remembers of prompts and of the sequences that grow from them.

All sequences of a prompt share one row of the cache (``growing_cache.py``): the prompt's entries stand there once, the
tokens of its sequences behind them as they come, and the mask shows each sequence the prompt and itself. Reading on
costs memory traffic for one prompt, not for one prompt per sequence; a sequence that forks costs a row of the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from genet5.writer.attention import FULL, SLIDING, Mask
from genet5.writer.batch import Prompts
from genet5.writer.decisions import Decision
from genet5.writer.growing_cache import Continuation, GrowingCache
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import PromptPass, WindowScores
from genet5.writer.sequences import SequenceWriter, choice_scores
from genet5.writer.threads import threads

LEAST_SHARED_WEIGHTS = 2**24  # of a transformer: reading 64 MB of float32 for a few tokens is work for several threads


class PromptCache:
    """Reads sequences token by token; sequence ``t`` belongs to prompt ``t // per_prompt``.

    post_keys: [B, L, D] of the mile-posts. ``hidden`` [sequences, H] is the state after the last token read of each
    sequence, at first that of its prompt.
    """

    def __init__(
        self,
        model: GeneT5Model,
        batch: Prompts,
        scores: WindowScores,
        prompts: PromptPass,
        per_prompt: int = 1,
    ) -> None:
        """``prompts``: what ``read_prompts`` made of the batch; it is used up."""
        self.model, self.batch, self.scores = model, batch, scores
        self.per_prompt = per_prompt
        self.prompts = list(range(len(batch.ids)))  # rows of the cache
        num_weights = model.backbone.num_parameters(exclude_embeddings=True)
        self._small = model.device.type == "cpu" and num_weights < LEAST_SHARED_WEIGHTS
        self._cache = GrowingCache(prompts.cache)
        length = batch.prompt_lengths
        self.post_keys = model.head.post_keys(prompts.posts)
        self.hidden = prompts.last.repeat_interleave(per_prompt, dim=0)
        real = model.real_prompt(batch)
        self._padding = None
        if not bool(real.all()):
            self._padding = torch.where(real, 0.0, -torch.inf)[:, None, None]
        # Of the tokens behind the prompts: whose they are, [prompts, sequences of each, S], and where they stand in it.
        self._seen = real.new_zeros(len(real), per_prompt, 0)
        self._place = length.new_zeros(len(real), 0)
        self._lengths, self._prompt_lengths = length, length.tolist()

    def keep(self, prompts: Sequence[int]) -> None:
        """Forget all other prompts."""
        rows = torch.tensor([self.prompts.index(prompt) for prompt in prompts], device=self.hidden.device)
        self._cache.keep(rows)
        self._seen, self._place = self._seen[rows], self._place[rows]
        self._padding = None if self._padding is None else self._padding[rows]
        self.prompts = list(prompts)

    def fork(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Let sequences go on from the history of others of their prompt; pairs: (sequence, its copy), none of them
        both.

        A copy has its ``hidden`` once it is read on: it parts from the sequence by the token that is read next.
        """
        if not pairs:
            return
        device = self.hidden.device
        sequences, copies = (torch.tensor(column, device=device) for column in zip(*pairs, strict=True))
        row = torch.tensor([self.prompts.index(sequence // self.per_prompt) for sequence, _ in pairs], device=device)
        self._seen[row, copies % self.per_prompt] = self._seen[row, sequences % self.per_prompt]

    def weigh(
        self, writers: Sequence[SequenceWriter], sequences: Sequence[int], decisions: Sequence[Decision]
    ) -> list[np.ndarray]:
        """Read on, and weigh the decision that each of ``sequences`` stands before (``choice_scores``).

        writers: of all sequences. sequences: ascending by prompt; prompts without any may be forgotten.
        """
        alive = list(dict.fromkeys(sequence // self.per_prompt for sequence in sequences))
        if len(alive) <= len(self.prompts) // 2:  # drop finished prompts once they are the majority
            self.keep(alive)
        pairs = [
            (sequence // self.per_prompt, decision) for sequence, decision in zip(sequences, decisions, strict=True)
        ]
        with threads(1) if self._small else nullcontext():
            self.read(writers, sequences)
            hidden = self.hidden[list(sequences)]
            return choice_scores(self.model, hidden, self.scores, self.batch.lengths, self.post_keys, pairs)

    def read(self, writers: Sequence[SequenceWriter], sequences: Sequence[int]) -> None:
        """Let the network read on in ``sequences``, all of kept prompts; writers: of all sequences."""
        of_prompt: dict[int, list[int]] = {prompt: [] for prompt in self.prompts}
        for sequence in sequences:
            of_prompt[sequence // self.per_prompt].append(sequence)
        news = [self._unread(writers, of_prompt[prompt]) for prompt in self.prompts]
        width = max(len(row[0]) for row in news)
        if width == 0:
            return
        device = self.hidden.device
        ids, places, sequence, position = (
            torch.from_numpy(np.array([row[field] + [fill] * (width - len(row[0])) for row in news])).to(device)
            for field, fill in enumerate((0, 0, -1, 0))
        )
        chosen = torch.tensor(self.prompts, device=device)
        tokens, features = self.model.get_input_embeddings(), self.scores.features
        embedded = self.model.embedder.structure(tokens, features, self.batch.lengths, ids, places, chosen)
        masks = self._masks(sequence, position - self._lengths[chosen][:, None])
        states = self.model.run_backbone(embedded, masks, position, self._cache)
        self._cache.advance(width)
        last = [(row, column, sequence) for row, new in enumerate(news) for column, sequence in new[4]]
        if last:
            rows, columns, sequences = (torch.tensor(values, device=device) for values in zip(*last, strict=True))
            self.hidden = self.hidden.index_copy(0, sequences, states[rows, columns].to(self.hidden.dtype))

    def _masks(self, sequence: Tensor, place: Tensor) -> dict[str, Mask]:
        """Masks of new tokens, by kind of layer.

        sequence: [prompts, T], which of its prompt's sequences a token continues, -1 for padding. place: [prompts, T],
        in its sequence.
        """
        before, width = self._seen.shape[2], sequence.shape[1]
        device = sequence.device
        mine = torch.arange(self.per_prompt, device=device)[:, None] == sequence[:, None]
        self._seen = torch.cat([self._seen, mine], dim=2)
        row = torch.arange(len(sequence), device=device)[:, None]
        column = torch.arange(before + width, device=device)
        itself = column == column[before:, None]  # padding sees itself
        own = self._seen[row, sequence] & (column <= column[before:, None]) | itself

        def mask(own: Tensor) -> Continuation:
            return Continuation(self._cache.prompt, self._padding, own[:, None, None])

        masks: dict[str, Mask] = dict.fromkeys((FULL, SLIDING), mask(own))
        if window := self.model.config.structure_window_size:
            self._place = torch.cat([self._place, place], dim=1)
            masks[SLIDING] = mask(own & (place[:, :, None] - self._place[:, None] < window) | itself)
        return masks

    def _unread(
        self, writers: Sequence[SequenceWriter], sequences: Sequence[int]
    ) -> tuple[list, list, list, list, list]:
        """Ids, places, sequences (counted in their prompt) and positions of what is unread of a prompt's ``sequences``.

        Also (column, sequence) of each sequence's last token.
        """
        ids: list[int] = []
        places: list[int] = []
        numbers: list[int] = []
        position: list[int] = []
        last: list[tuple[int, int]] = []
        for sequence in sequences:
            writer = writers[sequence]
            done, size, length = (
                writer.num_read,
                len(writer.ids),
                self._prompt_lengths[sequence // self.per_prompt],
            )
            if size > done:
                ids += writer.ids[done:]
                places += writer.places[done:]
                numbers += [sequence % self.per_prompt] * (size - done)
                position += range(length + done, length + size)
                last.append((len(ids) - 1, sequence))
                writer.num_read = size
        return ids, places, numbers, position, last
