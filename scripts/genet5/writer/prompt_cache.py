"""What the network remembers of prompts and of the texts that grow from them.

All texts of a prompt share one row of the key-value cache: the prompt's entries stand there once, the tokens of its
texts behind them as they come, and the mask shows each text the prompt and itself. Reading on costs memory traffic for
one prompt, not for one prompt per text; a text that forks costs a row of the mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genet5.training.precision import reading_precision
from genet5.writer.crf_scores import Bank
from genet5.writer.decisions import Decision
from genet5.writer.network import GeneT5Model
from genet5.writer.passes import PromptPass, Reading
from genet5.writer.sequences import TextWriter, choice_scores


def read_windows_apart(
    model: GeneT5Model, codes: Tensor, lengths: Tensor, sites: Tensor, precision: str = "fp32"
) -> Reading:
    """What the reader makes of a batch, on a CPU window by window.

    Convolutions of a batch are as fast there as one by one, but round otherwise in batches of other sizes; sums over
    thousands of bases make that visible in scores, and an annotation shall not depend on the batch size.
    precision: of the reader (``training/precision.py``); what it says is float32 whatever it computes in.
    """
    size = 1 if model.device.type == "cpu" else len(codes)
    with reading_precision(precision, model.device):
        parts = [model.read(*part) for part in zip(*(t.split(size) for t in (codes, lengths, sites)), strict=True)]
    tensors = (torch.cat(column).float() for column in zip(*(part[:-1] for part in parts), strict=True))
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
        self._seen = real[:, None].repeat(1, texts_per_prompt, 1)  # [prompts, texts of each, entries]
        self._prompt_lengths = length.tolist()

    def keep(self, prompts: Sequence[int]) -> None:
        """Forget all other prompts."""
        rows = torch.tensor([self.prompts.index(prompt) for prompt in prompts], device=self.hidden.device)
        self._cache.batch_select_indices(rows)
        self._seen = self._seen[rows]
        self.prompts = list(prompts)

    def fork(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Let texts go on from the history of others of their prompt; pairs: (text, its copy), none of them both.

        A copy has its ``hidden`` once it is read on: it parts from the text by the token that is read next.
        """
        if not pairs:
            return
        device = self.hidden.device
        texts, copies = (torch.tensor(column, device=device) for column in zip(*pairs, strict=True))
        row = torch.tensor([self.prompts.index(text // self.texts_per_prompt) for text, _ in pairs], device=device)
        self._seen[row, copies % self.texts_per_prompt] = self._seen[row, texts % self.texts_per_prompt]

    def weigh(
        self, writers: Sequence[TextWriter], texts: Sequence[int], decisions: Sequence[Decision]
    ) -> list[np.ndarray]:
        """Read on, and weigh the decision that each of ``texts`` stands before (``choice_scores``).

        writers: of all texts. texts: ascending by prompt; prompts without any may be forgotten.
        """
        alive = list(dict.fromkeys(text // self.texts_per_prompt for text in texts))
        if len(alive) <= len(self.prompts) // 2:  # drop finished prompts once they are the majority
            self.keep(alive)
        self.read(writers, texts)
        pairs = [(text // self.texts_per_prompt, decision) for text, decision in zip(texts, decisions, strict=True)]
        hidden = self.hidden[list(texts)]
        return choice_scores(self.model, hidden, self.reading, self.batch["lengths"], self.post_keys, pairs)

    def read(self, writers: Sequence[TextWriter], texts: Sequence[int]) -> None:
        """Let the network read what ``texts``, all of kept prompts, have not been read of; writers: of all texts."""
        of_prompt: dict[int, list[int]] = {prompt: [] for prompt in self.prompts}
        for text in texts:
            of_prompt[text // self.texts_per_prompt].append(text)
        news = [self._unread(writers, of_prompt[prompt]) for prompt in self.prompts]
        width = max(len(row[0]) for row in news)
        if width == 0:
            return
        device = self.hidden.device
        ids, places, text, position = (
            torch.from_numpy(np.array([row[field] + [fill] * (width - len(row[0])) for row in news])).to(device)
            for field, fill in enumerate((0, 0, -1, 0))
        )
        chosen = torch.tensor(self.prompts, device=device)
        lengths = self.batch["lengths"][chosen]
        embedded = self.model.embed_structure(self.reading.features[chosen], lengths, ids, places)
        before = self._seen.shape[2]
        mine = torch.arange(self.texts_per_prompt, device=device)[:, None] == text[:, None]
        self._seen = torch.cat([self._seen, mine], dim=2)
        row = torch.arange(len(chosen), device=device)[:, None]
        column = torch.arange(before + width, device=device)
        itself = column == column[before:, None]  # padding sees itself: no empty softmax
        mask = self._seen[row, text] & (column <= column[before:, None]) | itself
        states = self.model.run_backbone(embedded, mask[:, None], position, self._cache)
        last = [(row, column, text) for row, new in enumerate(news) for column, text in new[4]]
        if last:
            rows, columns, texts = (torch.tensor(values, device=device) for values in zip(*last, strict=True))
            self.hidden = self.hidden.index_copy(0, texts, states[rows, columns].to(self.hidden.dtype))

    def _unread(self, writers: Sequence[TextWriter], texts: Sequence[int]) -> tuple[list, list, list, list, list]:
        """Ids, places, texts (counted in their prompt) and positions of what is unread of a prompt's ``texts``.

        Also (column, text) of each text's last token.
        """
        ids: list[int] = []
        places: list[int] = []
        numbers: list[int] = []
        position: list[int] = []
        last: list[tuple[int, int]] = []
        for text in texts:
            writer = writers[text]
            done, size, length = writer.num_read, len(writer.ids), self._prompt_lengths[text // self.texts_per_prompt]
            if size > done:
                ids += writer.ids[done:]
                places += writer.places[done:]
                numbers += [text % self.texts_per_prompt] * (size - done)
                position += range(length + done, length + size)
                last.append((len(ids) - 1, text))
                writer.num_read = size
        return ids, places, numbers, position, last
