"""What the network remembers of prompts and of the sequences that grow from them.

All sequences of a prompt share one row of the key-value cache: the prompt's entries stand there once, the tokens of its
sequences behind them as they come, and the mask shows each sequence the prompt and itself. Reading on costs memory
traffic for one prompt, not for one prompt per sequence; a sequence that forks costs a row of the mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from genet5.writer.attention import FULL, SLIDING
from genet5.writer.batch import Prompts
from genet5.writer.decisions import Decision
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import PromptPass, WindowScores
from genet5.writer.sequences import SequenceWriter, choice_scores

_NEVER_FAR = 2**40  # place of prompt tokens, which windows of structure tokens do not shut out


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
        self._cache = prompts.cache
        length = batch.prompt_lengths
        row = torch.arange(len(length), device=length.device)
        self.post_keys = model.head.post_keys(prompts.states[row[:, None], batch.posts])
        self.hidden = prompts.states[row, length - 1].repeat_interleave(per_prompt, dim=0)
        real = model.real_prompt(batch)
        self._seen = real[:, None].repeat(1, per_prompt, 1)  # [prompts, sequences of each, entries]
        self._place = torch.full_like(real, _NEVER_FAR, dtype=torch.int64)  # [prompts, entries]
        self._lengths, self._prompt_lengths = length, length.tolist()

    def keep(self, prompts: Sequence[int]) -> None:
        """Forget all other prompts."""
        rows = torch.tensor([self.prompts.index(prompt) for prompt in prompts], device=self.hidden.device)
        self._cache.batch_select_indices(rows)
        self._seen, self._place = self._seen[rows], self._place[rows]
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
        self.read(writers, sequences)
        pairs = [
            (sequence // self.per_prompt, decision) for sequence, decision in zip(sequences, decisions, strict=True)
        ]
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
        lengths = self.batch.lengths[chosen]
        features = self.scores.features[chosen]
        tokens = self.model.get_input_embeddings()
        embedded = self.model.embedder.structure(tokens, features, lengths, ids, places)
        before = self._seen.shape[2]
        mine = torch.arange(self.per_prompt, device=device)[:, None] == sequence[:, None]
        self._seen = torch.cat([self._seen, mine], dim=2)
        row = torch.arange(len(chosen), device=device)[:, None]
        column = torch.arange(before + width, device=device)
        itself = column == column[before:, None]  # padding sees itself: no empty softmax
        mask = self._seen[row, sequence] & (column <= column[before:, None]) | itself
        masks = {FULL: mask[:, None], SLIDING: mask[:, None]}
        if window := self.model.config.structure_window_size:
            place = position - self._lengths[chosen][:, None]
            self._place = torch.cat([self._place, place], dim=1)
            near = place[:, :, None] - self._place[:, None] < window
            masks[SLIDING] = (mask & near | itself)[:, None]
        states = self.model.run_backbone(embedded, masks, position, self._cache)
        last = [(row, column, sequence) for row, new in enumerate(news) for column, sequence in new[4]]
        if last:
            rows, columns, sequences = (torch.tensor(values, device=device) for values in zip(*last, strict=True))
            self.hidden = self.hidden.index_copy(0, sequences, states[rows, columns].to(self.hidden.dtype))

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
