"""Writing genes: cached, batched, constrained greedy decoding of windows.

Tokens that the grammar leaves no choice about are taken without asking the network and are read together with the next
chosen token, so that a bacterial gene costs the network about three steps instead of eight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genet5.annotate.reading_frames import keep_frames
from genet5.model.batch import Prompt, collate_decisions, collate_prompts, make_prompt
from genet5.model.config import GeneT5Config
from genet5.model.decisions import BOUNDARY_STEPS, DIRECT, FORWARD, KIND, LOC_STEPS, Decision, Kind, next_decision
from genet5.model.evidence import Bank
from genet5.model.network import DynamicCache, GeneT5Model, Places, Reading
from genet5.tokens.codec import WindowGene, decode_genes
from genet5.tokens.grammar import Cursor, Grammar
from genet5.tokens.sites import WindowSites

MAX_TOKENS_PER_KB = 200  # a text this dense is a runaway; real genomes stay far below


@dataclass
class WrittenWindow:
    """What the network wrote for one window.

    genes: in the order written. gene_log_probability: of each gene's tokens, given what stands before. ids and
    log_probabilities: every token of the text. truncated: True if the text was cut for its length.
    """

    genes: list[WindowGene]
    gene_log_probability: list[float]
    ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    truncated: bool = False


class _Writer:
    """The text of one window while it grows."""

    def __init__(self, grammar: Grammar, sites: WindowSites, lookahead_bp: int) -> None:
        self.tokens = grammar.tokenizer
        self.cursor: Cursor = grammar.begin(sites)
        self.lookahead_bp = lookahead_bp
        self.ids: list[int] = []
        self.log_probabilities: list[float] = []
        self.pending: list[tuple[int, int]] = []  # (id, forward place) not yet read by the network
        self.limit = 64 + sites.window_bp * MAX_TOKENS_PER_KB // 1000
        self.truncated = False
        self.reading_stop = -1  # where the frame of the start being written meets its stop

    def take(self, token: int, log_probability: float) -> None:
        place = 0
        if self.cursor.step in BOUNDARY_STEPS:
            loc = token - self.tokens.loc_base if self.cursor.step in LOC_STEPS else self.cursor.loc
            place = loc * self.tokens.segment_bp
            if self.cursor.step not in LOC_STEPS:
                place += token - self.tokens.off_base
        self.cursor.advance(token)
        self.ids.append(token)
        self.log_probabilities.append(log_probability)
        self.pending.append((token, place))

    def choice(self) -> Decision | None:
        """The next token that is a real choice; tokens before it are taken. None when the text has ended."""
        while not self.cursor.finished:
            if len(self.ids) >= self.limit:
                self.truncated = True
                return None
            decision = next_decision(self.cursor, self.tokens, self.lookahead_bp)
            if decision.structure is not None:
                if len(decision.structure) > 1:
                    return decision
                self.take(int(decision.structure[0]), 0.0)
                continue
            places = decision.table[:, FORWARD]
            units = np.unique(places if decision.is_offset else places // self.tokens.segment_bp)
            if len(units) > 1:
                return decision
            base = (
                self.tokens.off_base - decision.loc * self.tokens.segment_bp
                if decision.is_offset
                else self.tokens.loc_base
            )
            self.take(int(base + units[0]), 0.0)
        return None

    def result(self, window_bp: int) -> WrittenWindow:
        genes = decode_genes(self.ids, window_bp, self.tokens, strict=not self.truncated)
        scores: list[float] = []
        total = 0.0
        for token, log_probability in zip(self.ids, self.log_probabilities, strict=True):
            total += log_probability
            if token == self.tokens.end:
                scores.append(total)
                total = 0.0
        return WrittenWindow(genes, scores[: len(genes)], self.ids, self.log_probabilities, self.truncated)


class Choice(NamedTuple):
    """A token, its log-probability, and where the frame of a start being written meets its stop."""

    token: int
    log_probability: float
    reading_stop: int = -1


def _choose(
    model: GeneT5Model,
    hidden: Tensor,
    reading: Reading,
    lengths: Tensor,
    post_keys: Tensor,
    choices: Sequence[tuple[int, Decision]],
    reading_stops: Sequence[int],
) -> list[Choice]:
    """Greedy choices for (sample, decision) pairs; hidden: [len(choices), H]."""
    rows = [(sample, position, decision, 0) for position, (sample, decision) in enumerate(choices)]
    fields = {name: tensor.to(hidden.device) for name, tensor in collate_decisions(rows).items()}
    picked = [Choice(0, 0.0)] * len(choices)
    if len(fields["structure_sample"]):
        logits = model.structure_logits(
            hidden[fields["structure_step"]],
            fields["option_decision"],
            fields["option_id"],
            reading.bank,
            fields["option_table"],
            fields["option_owner"],
            fields["structure_sample"],
        )
        ids = fields["option_id"].tolist()
        for number, rows, values in _split(logits, fields["option_decision"]):
            best = int(values.argmax())
            where = int(fields["structure_step"][number])
            picked[where] = Choice(ids[rows[best]], float(values[best] - np.logaddexp.reduce(values)))
    if len(fields["place_sample"]):
        places = Places(*(fields[f"place_{name}"] for name in ("sample", "is_offset", "loc", "table", "owner")))
        scores = model.candidate_scores(hidden[fields["place_step"]], reading, lengths, post_keys, places)
        for number, _, values in _split(scores, places.owner):
            where = int(fields["place_step"][number])
            picked[where] = _choose_place(choices[where][1], values, model.config, reading_stops[where])
    return picked


def _split(values: Tensor, owner: Tensor) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(owner, rows, values) of each owner; rows of one owner stand together."""
    numbers = owner.cpu().numpy()
    found = values.double().cpu().numpy()
    cuts = np.flatnonzero(np.diff(numbers)) + 1
    for rows in np.split(np.arange(len(numbers)), cuts):
        yield int(numbers[rows[0]]), rows, found[rows]


def _choose_place(decision: Decision, scores: np.ndarray, config: GeneT5Config, reading_stop: int) -> Choice:
    """The best mile-post or offset.

    Alternative starts of one gene share its probability, and by themselves each may lose against the sole start of a
    gene further on. So a start is chosen in two steps: first the stop, whose starts together are most probable, then
    the best of its starts.
    """
    table = decision.table
    unit = table[:, FORWARD] if decision.is_offset else table[:, FORWARD] // config.segment_bp
    allowed = np.ones(len(table), dtype=bool)
    is_start = table[:, KIND] == Kind.START
    if is_start.all():
        if not decision.is_offset:
            stops, group = np.unique(table[:, DIRECT], return_inverse=True)
            mass = np.full(len(stops), -np.inf)
            np.logaddexp.at(mass, group, scores)
            reading_stop = int(stops[mass.argmax()])
        if (table[:, DIRECT] == reading_stop).any():
            allowed = table[:, DIRECT] == reading_stop
    units, group = np.unique(unit, return_inverse=True)
    total = np.full(len(units), -np.inf)
    np.logaddexp.at(total, group, scores)
    inside = np.full(len(units), -np.inf)
    np.logaddexp.at(inside, group[allowed], scores[allowed])
    best = int(inside.argmax())
    log_probability = float(total[best] - np.logaddexp.reduce(scores))
    base = config.off_base - decision.loc * config.segment_bp if decision.is_offset else config.loc_base
    return Choice(int(base + units[best]), log_probability, reading_stop)


def read_windows_apart(model: GeneT5Model, codes: Tensor, lengths: Tensor, sites: Tensor) -> Reading:
    """Stem and base head of a batch, on a CPU window by window.

    Convolutions of a batch are as fast there as one by one, but round otherwise in batches of other sizes; sums over
    thousands of bases make that visible in scores, and an annotation shall not depend on the batch size.
    """
    if model.device.type != "cpu":
        return model.read(codes, lengths, sites)
    parts = [model.read(*(tensor[row : row + 1] for tensor in (codes, lengths, sites))) for row in range(len(codes))]
    features, class_logits, site_logits = (torch.cat([part[field] for part in parts]) for field in range(3))
    bank = Bank(*(torch.cat(sums) for sums in zip(*(part.bank for part in parts), strict=True)))
    return Reading(features, class_logits, site_logits, bank)


@torch.inference_mode()
def write_genes(
    model: GeneT5Model,
    grammar: Grammar,
    windows: Sequence[str],
    clade: str,
    frames: Sequence[Sequence[WindowGene]] | None = None,
) -> list[WrittenWindow]:
    """Decode a batch of windows (upper-case bases). The model's weights decide the device.

    frames: of each window, genes whose reading frames alone may be used (``reading_frames.py``); None allows all.
    """
    tokenizer = grammar.tokenizer
    sites = [grammar.sites(window) for window in windows]
    for site, genes in zip(sites, frames or (), strict=False):
        keep_frames(site, genes)
    prompts: list[Prompt] = [
        make_prompt(site, window, clade, tokenizer) for site, window in zip(sites, windows, strict=True)
    ]
    writers = [_Writer(grammar, site, model.config.lookahead_bp) for site in sites]
    device = model.device
    batch = {name: tensor.to(device) for name, tensor in collate_prompts(prompts).items()}
    reading = read_windows_apart(model, batch["codes"], batch["lengths"], batch["sites"])
    cache = DynamicCache()  # given the configuration it would drop mile-posts out of a layer's window
    hidden, post_keys, real, position = _read_prompts(model, batch, reading, cache)
    alive = list(range(len(windows)))  # rows of the cache -> windows
    while True:
        decisions = [(window, writers[window].choice()) for window in alive]
        open_rows = [row for row, (_, decision) in enumerate(decisions) if decision is not None]
        if not open_rows:
            break
        if len(open_rows) <= len(alive) // 2:  # drop finished windows from the cache once they are the majority
            keep = torch.tensor(open_rows, device=device)
            cache.batch_select_indices(keep)
            hidden, real, position = hidden[keep], real[keep], position[keep]
            alive = [alive[row] for row in open_rows]
            decisions = [decisions[row] for row in open_rows]
        hidden, real, position = _read_pending(
            model, [writers[window] for window in alive], alive, batch, reading, cache, hidden, real, position
        )
        rows = [row for row, (_, decision) in enumerate(decisions) if decision is not None]
        chosen = _choose(
            model,
            hidden[rows],
            reading,
            batch["lengths"],
            post_keys,
            [(alive[row], decisions[row][1]) for row in rows],
            [writers[alive[row]].reading_stop for row in rows],
        )
        for row, choice in zip(rows, chosen, strict=True):
            writers[alive[row]].reading_stop = choice.reading_stop
            writers[alive[row]].take(choice.token, choice.log_probability)
    return [writer.result(len(window)) for writer, window in zip(writers, windows, strict=True)]


def _read_prompts(
    model: GeneT5Model, batch: dict[str, Tensor], reading: Reading, cache: DynamicCache
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden state after <sep> [B, H], mile-post keys [B, L, D], real cache slots [B, P], next positions [B]."""
    embedded = model.embed_prompt(
        batch["lengths"],
        reading.features,
        model._shared_prompt_ids(batch["ids"]),
        batch["start"],
        batch["end"],
    )
    length = batch["prompt_lengths"]
    at = torch.arange(embedded.shape[1], device=embedded.device)
    real = at < length[:, None]
    mask = real[:, None, :] | torch.eye(len(at), dtype=torch.bool, device=real.device)
    local = model.is_local(batch["ids"])
    states = model.run_backbone(embedded, mask[:, None], at.expand(len(embedded), -1), cache, local)
    row = torch.arange(len(states), device=states.device)
    return states[row, length - 1], model.post_key(states[row[:, None], batch["posts"]]), real, length


def _read_pending(
    model: GeneT5Model,
    writers: Sequence[_Writer],
    windows: Sequence[int],
    batch: dict[str, Tensor],
    reading: Reading,
    cache: DynamicCache,
    hidden: Tensor,
    real: Tensor,
    position: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Let the network read the tokens taken since the last call; the state after each text's last token."""
    counts = [len(writer.pending) for writer in writers]
    width = max(counts)
    if width == 0:
        return hidden, real, position
    ids = np.zeros((len(writers), width), dtype=np.int64)
    place = np.zeros_like(ids)
    for row, writer in enumerate(writers):
        for column, (token, where) in enumerate(writer.pending):
            ids[row, column], place[row, column] = token, where
        writer.pending.clear()
    device = hidden.device
    chosen = torch.tensor(windows, device=device)
    count = torch.tensor(counts, device=device)
    features = reading.features[chosen]
    embedded = model.embed_structure(
        features, batch["lengths"][chosen], torch.from_numpy(ids).to(device), torch.from_numpy(place).to(device)
    )
    column = torch.arange(width, device=device)
    new = column < count[:, None]
    causal = column[None, :] <= column[:, None]
    eye = torch.eye(width, dtype=torch.bool, device=device)
    mask = torch.cat([real[:, None, :].expand(-1, width, -1), (new[:, None, :] & causal[None]) | eye[None]], dim=-1)
    states = model.run_backbone(embedded, mask[:, None], position[:, None] + column, cache)
    row = torch.arange(len(writers), device=device)
    last = states[row, (count - 1).clamp(min=0)]
    hidden = torch.where((count > 0)[:, None], last, hidden)
    return hidden, torch.cat([real, new], dim=1), position + count
