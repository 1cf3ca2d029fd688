"""Windows as tensors: from bases and genes to the arrays the network trains on, and how examples are collated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genet5.crf.labels import CODING, IGNORED, INTRON, NEITHER, NUM_SITES, PADDING
from genet5.genome.sites import WindowSites
from genet5.tokens.codec import WindowGene, encode_genes
from genet5.tokens.grammar import Grammar
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.decisions import BOUNDARY_STEPS, COLUMNS, FORWARD, LOC_STEPS, next_decision

NOT_A_SITE, UNSCORED_SITE = -2, -1
FOLLOWED_OVERLAPS_BP = (1, 4)  # of TAATG and ATGA


@dataclass
class Prompt:
    """What the network reads of a window; all arrays in strand coordinates unless said.

    codes: uint8 [2, W]. ids/start/end: int32 [P], tokens and their forward spans. posts: int32, where the mile-posts
    stand among the tokens. sites: int8 [2, 4, W + 1], ``NOT_A_SITE``, ``UNSCORED_SITE``, 0 or 1.
    """

    codes: np.ndarray
    ids: np.ndarray
    start: np.ndarray
    end: np.ndarray
    posts: np.ndarray
    sites: np.ndarray

    @property
    def window_bp(self) -> int:
        return self.codes.shape[1]


@dataclass
class Example:
    """A prompt with its genes.

    target_ids: int32 [T]. base_labels: int8 [2, W] per-base classes, ``IGNORED`` in don't-care regions.
    steps: per target token (step, decision, right choice): the index of the legal id, or the forward position.
    num_violations: tokens outside the rules.
    """

    prompt: Prompt
    target_ids: np.ndarray
    base_labels: np.ndarray
    steps: list[Any]
    num_violations: int

    @property
    def num_tokens(self) -> int:
        return len(self.prompt.ids) + len(self.target_ids)


def site_labels(sites: WindowSites) -> np.ndarray:
    """Sites of both strands, all unscored; int8 [2, 4, W + 1]."""
    found = np.full((2, NUM_SITES, sites.window_bp + 1), NOT_A_SITE, dtype=np.int8)
    for row, strand in enumerate((sites.plus, sites.minus)):
        for column, mask in enumerate((strand.start, strand.stop_here, strand.any_donor, strand.any_acceptor)):
            found[row, column, mask] = UNSCORED_SITE
    return found


def make_prompt(sites: WindowSites, bases: str | bytes, clade: str, tokenizer: GeneTokenizer) -> Prompt:
    tokens = tokenizer.prompt_ids(bases, clade)
    return Prompt(
        codes=np.stack([sites.plus.codes, sites.minus.codes]),
        ids=tokens.ids,
        start=tokens.start,
        end=tokens.end,
        posts=np.flatnonzero(tokenizer.is_loc(tokens.ids)).astype(np.int32),
        sites=site_labels(sites),
    )


def _strand_segments(gene: WindowGene, window_bp: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """CDS segments and introns 5' to 3' in strand coordinates; an intron the window cuts reaches its edge."""
    segments = [(start, end) for start, end in gene.cds]
    if gene.strand == "-":
        segments = [(window_bp - end, window_bp - start) for start, end in reversed(gene.cds)]
    introns = [(left[1], right[0]) for left, right in pairwise(segments)]
    if gene.partial5 and segments[0][0] > 0:
        introns.insert(0, (0, segments[0][0]))
    if gene.partial3 and segments[-1][1] < window_bp:
        introns.append((segments[-1][1], window_bp))
    return segments, introns


def label_bases(prompt: Prompt, genes: Sequence[WindowGene], dont_care: Sequence[tuple[int, int, str]]) -> np.ndarray:
    """Per-base classes; marks the true sites in ``prompt.sites`` and all others as false ones, outside don't care."""
    window_bp = prompt.window_bp
    labels = np.full((2, window_bp), NEITHER, dtype=np.int8)
    sites = prompt.sites
    sites[sites == UNSCORED_SITE] = 0
    unscored = np.zeros((2, window_bp + 1), dtype=bool)
    for start, end, strand in dont_care:
        if strand in "+.":
            labels[0, start:end] = IGNORED
            unscored[0, start : end + 1] = True
        if strand in "-.":
            labels[1, window_bp - end : window_bp - start] = IGNORED
            unscored[1, window_bp - end : window_bp - start + 1] = True
    sites[(sites == 0) & unscored[:, None, :]] = UNSCORED_SITE
    shown = [(int(gene.strand == "-"), *_strand_segments(gene, window_bp), gene) for gene in genes]
    # Introns first: a gene within another one's intron keeps its label. Then 5' to 3', so that bases which two genes of
    # a strand share get the same label whichever strand of the window is shown.
    true: list[tuple[int, int, int]] = []
    for row, segments, introns, gene in shown:
        for start, end in introns:
            labels[row, start:end] = INTRON
            true += [(row, 2, start)] * (start > 0) + [(row, 3, end)] * (end < window_bp)
        true += [(row, 0, segments[0][0])] * (not gene.partial5) + [(row, 1, segments[-1][1])] * (not gene.partial3)
    for place in true:
        if sites[place] != NOT_A_SITE:  # what the rules refuse is none, as where no labels are known
            sites[place] = 1
    for row, segments, _, gene in sorted(shown, key=lambda entry: entry[1]):
        codon_position = (3 - gene.phase) % 3
        for start, end in segments:
            labels[row, start:end] = CODING + (codon_position + np.arange(end - start)) % 3
            codon_position = (codon_position + end - start) % 3
    return labels


def chain_labels(prompt: Prompt, genes: Sequence[WindowGene], labels: np.ndarray) -> np.ndarray:
    """Labels as the field of chains of genes (``chains.py``) can follow them; int8 [2, W].

    Of two genes of a strand that share bases, other than the 1 or 4 of a stop and a start codon, the field knows no
    chain: the second one's bases are then left open.
    """
    labels = labels.copy()
    window_bp = prompt.window_bp
    ends = [(-1, np.zeros(0, np.int8))] * 2  # of the gene before: its end, the labels of its last bases
    shown = [(int(gene.strand == "-"), *_strand_segments(gene, window_bp)[:1], gene) for gene in genes]
    for row, segments, gene in sorted(shown, key=lambda entry: entry[1]):
        begin, end = segments[0][0], segments[-1][1]
        last, tail = ends[row]
        shared = last - begin
        if shared > 0 and not (shared in FOLLOWED_OVERLAPS_BP and not gene.partial5):
            labels[row, begin:end] = IGNORED
            labels[row, max(begin, last - len(tail)) : last] = tail[-shared:]
        if end > last:
            first, stop = segments[-1]
            length = sum(high - low for low, high in segments)
            position = (3 - gene.phase) % 3 + length - (stop - first)
            ends[row] = end, (CODING + (position + np.arange(stop - first)) % 3).astype(np.int8)
    return labels


def make_example(
    bases: str | bytes,
    clade: str,
    genes: Sequence[WindowGene],
    dont_care: Sequence[tuple[int, int, str]],
    grammar: Grammar,
) -> Example:
    """A training example.

    genes: what the network shall write. dont_care: (start, end, strand) in window coordinates: no base or site loss
    there.
    """
    tokenizer = grammar.tokenizer
    sites = grammar.sites(bases)
    prompt = make_prompt(sites, bases, clade, tokenizer)
    labels = label_bases(prompt, genes, dont_care)
    target_ids = encode_genes(genes, sites.window_bp, tokenizer)
    cursor = grammar.begin(sites)
    steps = []
    ids = target_ids.tolist()
    for index, token in enumerate(ids):
        forward = None
        if cursor.step in BOUNDARY_STEPS:
            loc = index if cursor.step in LOC_STEPS else index - 1
            forward = tokenizer.position(ids[loc], ids[loc + 1])
        decision = next_decision(cursor, tokenizer, token, forward)
        if decision.structure is None:
            steps.append((index, decision, forward))
        else:
            steps.append((index, decision, int(np.flatnonzero(decision.structure == token)[0])))
        cursor.advance(token, force=True)
    return Example(prompt, target_ids, labels, steps, cursor.violations)


@dataclass
class Batch:
    """Tensors of B windows. P prompt tokens at most, T target tokens at most; see ``Prompt`` and ``Example``.

    decision_*: one entry per target token that is a real choice. For structure tokens: ``option_*`` rows list the legal
    ids. For boundaries: ``place_*``. ``table`` rows are candidates; ``table_owner`` is the option (structure) or the
    boundary decision they belong to.
    """

    codes: Tensor  # uint8 [B, 2, W], PADDING beyond the window
    lengths: Tensor  # int64 [B], window lengths
    ids: Tensor  # int64 [B, P]
    start: Tensor  # int64 [B, P]
    end: Tensor  # int64 [B, P]
    prompt_lengths: Tensor  # int64 [B]
    posts: Tensor  # int64 [B, L], 0 where there are fewer mile-posts
    num_posts: Tensor  # int64 [B]
    sites: Tensor  # int8 [B, 2, 4, W + 1]
    target_ids: Tensor  # int64 [B, T], 0 beyond the end
    target_forward: Tensor  # int64 [B, T], the place a mile-post or offset token stands for, else 0
    target_lengths: Tensor  # int64 [B]
    base_labels: Tensor  # int8 [B, 2, W]
    structure_sample: Tensor  # int64 [S], rows of structure decisions
    structure_step: Tensor  # int64 [S]
    structure_target: Tensor  # int64 [S], index of the right option
    option_decision: Tensor  # int64 [O], the structure decision an option belongs to
    option_id: Tensor  # int64 [O]
    option_table: Tensor  # int32 [N1, 10]
    option_owner: Tensor  # int64 [N1], the option a candidate supports
    place_sample: Tensor  # int64 [Q], rows of boundary decisions
    place_step: Tensor  # int64 [Q]
    place_is_offset: Tensor  # bool [Q]
    place_loc: Tensor  # int64 [Q], segment of an offset decision
    place_target: Tensor  # int64 [Q], forward position
    place_table: Tensor  # int32 [N2, 10]
    place_owner: Tensor  # int64 [N2], the boundary decision

    @property
    def num_target_tokens(self) -> Tensor:
        return self.target_lengths.sum()

    def to(self, device: torch.device | str) -> Batch:
        return Batch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def padded(arrays: Sequence[np.ndarray], fill: int, dtype: type = np.int64) -> Tensor:
    """Stack along a new first axis, padding the last axis at its end."""
    width = max(array.shape[-1] for array in arrays)
    stacked = np.full((len(arrays), *arrays[0].shape[:-1], width), fill, dtype=dtype)
    for row, array in enumerate(arrays):
        stacked[row, ..., : array.shape[-1]] = array
    return torch.from_numpy(stacked)


def collate_prompts(prompts: Sequence[Prompt]) -> dict[str, Tensor]:
    """The fields of a batch that decoding needs too."""
    return {
        "codes": padded([prompt.codes for prompt in prompts], PADDING, np.uint8),
        "lengths": torch.tensor([prompt.window_bp for prompt in prompts]),
        "ids": padded([prompt.ids for prompt in prompts], 0),
        "start": padded([prompt.start for prompt in prompts], 0),
        "end": padded([prompt.end for prompt in prompts], 0),
        "prompt_lengths": torch.tensor([len(prompt.ids) for prompt in prompts]),
        "posts": padded([prompt.posts for prompt in prompts], 0),
        "num_posts": torch.tensor([len(prompt.posts) for prompt in prompts]),
        "sites": padded([prompt.sites for prompt in prompts], NOT_A_SITE, np.int8),
    }


def collate_decisions(rows: Sequence[tuple[int, int, Any, int]]) -> dict[str, Tensor]:
    """Decisions as (sample, step, decision, target) rows -> the structure_*, option_* and place_* fields."""
    structure: list[tuple[int, int, int]] = []
    option_decision: list[int] = []
    option_id: list[np.ndarray] = []
    option_tables, option_owners = [np.empty((0, COLUMNS), np.int32)], [np.empty(0, np.int64)]
    places: list[tuple[int, int, bool, int, int]] = []
    place_tables, place_owners = [np.empty((0, COLUMNS), np.int32)], [np.empty(0, np.int64)]
    num_options = 0
    for sample, step, decision, target in rows:
        if decision.structure is None:
            place_tables.append(decision.table)
            place_owners.append(np.full(len(decision.table), len(places), dtype=np.int64))
            places.append((sample, step, decision.is_offset, decision.loc, target))
            continue
        option_tables.append(decision.table)
        option_owners.append(num_options + decision.groups.astype(np.int64))
        option_decision += [len(structure)] * len(decision.structure)
        option_id.append(decision.structure)
        num_options += len(decision.structure)
        structure.append((sample, step, target))
    structure_columns = np.array(structure, dtype=np.int64).reshape(-1, 3).T
    place_columns = np.array(places, dtype=np.int64).reshape(-1, 5).T
    ids = np.concatenate(option_id) if option_id else np.empty(0)
    return {
        "structure_sample": torch.from_numpy(structure_columns[0].copy()),
        "structure_step": torch.from_numpy(structure_columns[1].copy()),
        "structure_target": torch.from_numpy(structure_columns[2].copy()),
        "option_decision": torch.tensor(option_decision, dtype=torch.int64),
        "option_id": torch.from_numpy(ids.astype(np.int64)),
        "option_table": torch.from_numpy(np.concatenate(option_tables)),
        "option_owner": torch.from_numpy(np.concatenate(option_owners)),
        "place_sample": torch.from_numpy(place_columns[0].copy()),
        "place_step": torch.from_numpy(place_columns[1].copy()),
        "place_is_offset": torch.from_numpy(place_columns[2].astype(bool)),
        "place_loc": torch.from_numpy(place_columns[3].copy()),
        "place_target": torch.from_numpy(place_columns[4].copy()),
        "place_table": torch.from_numpy(np.concatenate(place_tables)),
        "place_owner": torch.from_numpy(np.concatenate(place_owners)),
    }


def collate(examples: Sequence[Example]) -> Batch:
    """Examples -> batch, shorter windows padded at their end."""
    rows = []
    forwards = []
    for sample, example in enumerate(examples):
        forward = np.zeros(len(example.target_ids), dtype=np.int64)
        for step, decision, target in example.steps:
            if decision.structure is None:
                forward[step] = target
            if decision.structure is None or len(decision.structure) > 1:
                rows.append((sample, step, decision, target))
        forwards.append(forward)
    return Batch(
        **collate_prompts([example.prompt for example in examples]),
        **collate_decisions(rows),
        target_ids=padded([example.target_ids for example in examples], 0),
        target_forward=padded(forwards, 0),
        target_lengths=torch.tensor([len(example.target_ids) for example in examples]),
        base_labels=padded([example.base_labels for example in examples], IGNORED, np.int8),
    )


__all__ = ["FORWARD", "Batch", "Example", "Prompt", "collate", "collate_prompts", "make_example", "make_prompt"]
