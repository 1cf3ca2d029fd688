"""What the network remembers of prompts and of the texts that grow from them.

All texts of a prompt share one row of the key-value cache: the prompt's entries stand there once, the tokens of its
texts behind them as they come, and the mask shows each text the prompt and itself. Reading on costs memory traffic for
one prompt, not for one prompt per text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genet5.annotate.texts import TextWriter
from genet5.model.evidence import Bank
from genet5.model.network import GeneT5Model
from genet5.model.passes import PromptPass, Reading

PROMPT, NOBODY = -1, -2  # owners of cache entries that are no text's


def read_windows_apart(model: GeneT5Model, codes: Tensor, lengths: Tensor, sites: Tensor) -> Reading:
    """What the reader makes of a batch, on a CPU window by window.

    Convolutions of a batch are as fast there as one by one, but round otherwise in batches of other sizes; sums over
    thousands of bases make that visible in scores, and an annotation shall not depend on the batch size.
    """
    if model.device.type != "cpu":
        return model.read(codes, lengths, sites)
    parts = [model.read(*(tensor[row : row + 1] for tensor in (codes, lengths, sites))) for row in range(len(codes))]
    tensors = (torch.cat(column) for column in zip(*(part[:-1] for part in parts), strict=True))
    bank = Bank(*(torch.cat(sums) for sums in zip(*(part.bank for part in parts), strict=True)))
    return Reading(*tensors, bank)


class PromptCache:
    """Reads texts token by token; text ``t`` belongs to prompt ``t // texts_per_prompt``.

    post_keys: [B, L, D] of the mile-posts. ``hidden`` [texts, H] is the state after the last token read of each text,
    at first that of its prompt.
    """

    def __init__(
        self,
        model: GeneT5Model,
        batch: dict[str, Tensor],
        reading: Reading,
        prompts: PromptPass,
        texts_per_prompt: int = 1,
    ) -> None:
        """``prompts``: what ``read_prompts`` made of the batch; it is used up."""
        self.model, self.batch, self.reading = model, batch, reading
        self.texts_per_prompt = texts_per_prompt
        self.prompts = list(range(len(batch["ids"])))  # rows of the cache
        self._cache = prompts.cache
        length = batch["prompt_lengths"]
        row = torch.arange(len(length), device=length.device)
        self.post_keys = model.post_keys(prompts.states[row[:, None], batch["posts"]])
        self.hidden = prompts.states[row, length - 1].repeat_interleave(texts_per_prompt, dim=0)
        real = torch.arange(batch["ids"].shape[1], device=length.device) < length[:, None]
        self._owner = torch.where(real, PROMPT, NOBODY)
        self._prompt_lengths = length.tolist()

    def keep(self, prompts: Sequence[int]) -> None:
        """Forget all other prompts."""
        rows = torch.tensor([self.prompts.index(prompt) for prompt in prompts], device=self.hidden.device)
        self._cache.batch_select_indices(rows)
        self._owner = self._owner[rows]
        self.prompts = list(prompts)

    def read(self, writers: Sequence[TextWriter]) -> None:
        """Let the network read what the texts of the kept prompts have not been read of; writers: of all texts."""
        news = [self._unread(writers, prompt) for prompt in self.prompts]
        width = max(len(row[0]) for row in news)
        if width == 0:
            return
        device = self.hidden.device
        ids, places, owner, position = (
            torch.from_numpy(np.array([row[field] + [fill] * (width - len(row[0])) for row in news])).to(device)
            for field, fill in enumerate((0, 0, NOBODY, 0))
        )
        chosen = torch.tensor(self.prompts, device=device)
        lengths = self.batch["lengths"][chosen]
        embedded = self.model.embed_structure(self.reading.features[chosen], lengths, ids, places)
        before = self._owner.shape[1]
        self._owner = torch.cat([self._owner, owner], dim=1)
        column = torch.arange(before + width, device=device)
        mine = (self._owner[:, None, :] == owner[:, :, None]) & (column <= column[before:, None])
        itself = column == column[before:, None]  # padding sees itself: no empty softmax
        mask = (self._owner == PROMPT)[:, None] | mine | itself
        states = self.model.run_backbone(embedded, mask[:, None], position, self._cache)
        last = [(row, column, text) for row, new in enumerate(news) for column, text in new[4]]
        if last:
            rows, columns, texts = (torch.tensor(values, device=device) for values in zip(*last, strict=True))
            self.hidden = self.hidden.index_copy(0, texts, states[rows, columns].to(self.hidden.dtype))

    def _unread(self, writers: Sequence[TextWriter], prompt: int) -> tuple[list, list, list, list, list]:
        """Ids, places, texts, positions of a prompt's unread tokens, and (column, text) of each text's last one."""
        ids: list[int] = []
        places: list[int] = []
        owner: list[int] = []
        position: list[int] = []
        last: list[tuple[int, int]] = []
        first = prompt * self.texts_per_prompt
        for text in range(first, first + self.texts_per_prompt):
            writer = writers[text]
            if writer.finished:
                continue
            done, size = writer.num_read, len(writer.ids)
            if size > done:
                ids += writer.ids[done:]
                places += writer.places[done:]
                owner += [text] * (size - done)
                position += range(self._prompt_lengths[prompt] + done, self._prompt_lengths[prompt] + size)
                last.append((len(ids) - 1, text))
                writer.num_read = size
        return ids, places, owner, position, last
