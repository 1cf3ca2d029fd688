"""Rounds of expectation-maximisation: the gene finder reads a sample, its certain bases and sites are counted, and the
counts join the potentials of the next round.

It begins with a small share of the counts and goes on with larger ones (``STRENGTHS``). The guard takes the first one
that no other beats: its genes must explain held-back DNA better, and their codons must be seen there, too. Dropping
genes that are none also saves bits, but there is nothing to learn from what is left. As the guard judges, each half of
the windows is read with counts of the other half. What is kept at last is counted from all windows.

Where tables of relatives are there, rounds begin with what is typical (``typical.py``). The nearest ones are also tried
as they are, and rounds begin a second time with the one of fewest bits. A relative was not counted from this genome, so
it needs no halves. Of both ends, the one of fewer bits is kept. Log-odds of splice sites make introns cheap, so each of
these is read with several costs of an intron (``INTRON_COSTS``), and bits choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from genet5.adapt.adaptation import Adaptation
from genet5.adapt.expected_counts import expected_counts
from genet5.adapt.guard import FOLDS, Bits, gain, window_bits
from genet5.adapt.own_introns import genes_of, with_own_introns
from genet5.adapt.relatives import Relatives
from genet5.adapt.sampling import SampledWindow, read_sample
from genet5.adapt.typical import typical_of_windows
from genet5.crf.window_decoder import WindowDecoder
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.window_genes import WindowGene

STRENGTHS = (0.15, 0.3, 0.5, 0.7, 1.0, 1.5)
ROUNDS = 2  # of each strength
LEAST_ERRORS = 2.0  # standard errors that a gain must exceed
LEAST_BITS = 1.0  # per kb, that counts of the genome itself must save: known genes of a relative are surer than guesses
LEAST_WINDOWS = 8  # with fewer, there is nothing to hold back
RELATIVES, RELATIVE_STRENGTH = 3, 0.3  # tables that are tried, and their share
INTRON_COSTS = (0.0, 1.0, 2.0, 3.0, 4.0)  # nats


def adapt(
    decoder: WindowDecoder,
    genome: Genome,
    regions: Sequence[Region],
    most_bp: int,
    relatives: Relatives | None = None,
) -> Adaptation:
    """An adaptation to ``most_bp`` bases of ``regions``; what is typical of the relatives where the guard sees no gain.

    decoder: of the gene finder as it is. Its evidence counts like what the networks say: genes that hints make certain
    teach the others. relatives: tables of species near the genome or far from it. ``about`` of what is returned says
    what was tried, and why it ended.
    """
    windows = read_sample(decoder, genome, regions, most_bp)
    said: dict[str, Any] = {"bases": sum(one.sites.window_bp for one in windows), "windows": len(windows)}
    said["evidence"] = decoder.evidence is not None
    if len(windows) < LEAST_WINDOWS:
        reason = f"{len(windows)} windows of DNA are too few, at least {LEAST_WINDOWS} are needed"
        return _kept(_start(decoder, windows, relatives), said | {"tried": []}, reason)
    return adapt_to_windows(decoder, windows, said, relatives)


def adapt_to_windows(
    decoder: WindowDecoder,
    windows: Sequence[SampledWindow],
    said: dict[str, Any],
    relatives: Relatives | None = None,
) -> Adaptation:
    """The same, of windows that are read."""
    trial = _Trial(decoder, windows)
    start = _start(decoder, windows, relatives)
    first = trial.read([start] * FOLDS)
    ends = [_climb(trial, _End(start, first.bits))]
    if relatives is not None and (nearest := _nearest(trial, relatives, _End(start, first.bits))):
        ends.append(_climb(trial, nearest))
    end = min(ends, key=lambda one: one.bits.total.sum())
    rows = [row | {"taken": number in end.rows} for number, row in enumerate(trial.rows)]
    said = said | {"start": first.shape, "tried": rows, "relative": end.relative}
    if not end.rows:
        return _kept(start, said, "none explains held-back DNA better by codons that hold there, too")
    found = end.start
    for strength, cost in end.steps:
        found = replace(_learnt(decoder, windows, found, strength), intron_cost=cost)
    about = said | {"adapted": True, "reason": "it explains held-back DNA better", "rounds": ROUNDS * len(end.steps)}
    return replace(found, about=about | {"strength": found.strength, "intron_cost": found.intron_cost})


@dataclass(frozen=True)
class _End:
    """Where rounds begin, and how far the guard lets them go. bits: of what it takes. steps: strength and cost of an
    intron of each learning from the genome itself. rows: those of the trial that it took. relative: the species it
    began with.
    """

    start: Adaptation
    bits: Bits
    steps: tuple[tuple[float, float], ...] = ()
    rows: tuple[int, ...] = ()
    relative: str | None = None


class _Read(NamedTuple):
    """Windows with an adaptation. shape: what people see of it."""

    bits: Bits
    shape: dict[str, Any]


class _Trial:
    """What is tried on windows, and a row of ``about`` for each."""

    def __init__(self, decoder: WindowDecoder, windows: Sequence[SampledWindow]) -> None:
        self.decoder, self.windows = decoder, windows
        self.bases = np.array([window.sites.window_bp for window in windows], float)
        self.rows: list[dict[str, Any]] = []

    def read(self, halves: Sequence[Adaptation]) -> _Read:
        """Each window with the adaptation of its fold."""
        genes = _genes(self.decoder, self.windows, halves)
        bits = window_bits(self.windows, genes)
        return _Read(bits, _shape(genes, bits, self.bases))

    def saved(self, read: _Read, bits: Bits) -> float:
        """Bits per kb."""
        return gain(bits.total - read.bits.total, self.bases).bits_per_kb

    def compare(self, read: _Read, best: Bits, about: dict[str, Any]) -> bool:
        """Whether the guard prefers what was read; adds a row."""
        found, coding = gain(best.total - read.bits.total, self.bases), gain(read.bits.coding, self.bases)
        row = about | {"gain_bits_per_kb": round(found.bits_per_kb, 3), "error": round(found.error, 3)}
        row |= {"coding_bits_per_kb": round(coding.bits_per_kb, 3), "coding_error": round(coding.error, 3)}
        self.rows.append(row | read.shape)
        return found.exceeds(LEAST_ERRORS) and coding.exceeds(LEAST_ERRORS)


def _climb(trial: _Trial, end: _End) -> _End:
    """Rounds with larger and larger shares; what is taken is the first that no other beats."""
    halves, steps, begun = [end.start] * FOLDS, [], end.bits
    for strength in STRENGTHS:
        for fold in range(FOLDS):
            others = [window for number, window in enumerate(trial.windows) if number % FOLDS != fold]
            halves[fold] = _learnt(trial.decoder, others, halves[fold], strength)
        halves, read = _with_best_cost(trial, halves)
        cost = halves[0].intron_cost
        steps.append((strength, cost))
        better = trial.compare(read, end.bits, {"begun_with": end.relative, "strength": strength, "intron_cost": cost})
        if better and trial.saved(read, begun) >= LEAST_BITS:
            end = replace(end, bits=read.bits, steps=tuple(steps), rows=(*end.rows, len(trial.rows) - 1))
    return end


def _with_best_cost(trial: _Trial, halves: Sequence[Adaptation]) -> tuple[list[Adaptation], _Read]:
    """The cost of an intron next to that of ``halves``, or further in one direction, that takes the fewest bits."""
    tried: dict[float, _Read] = {}

    def bits(place: int) -> float:
        cost = costs[place]
        if cost not in tried:
            tried[cost] = trial.read([replace(half, intron_cost=cost) for half in halves])
        return float(tried[cost].bits.total.sum())

    costs = sorted({*INTRON_COSTS, halves[0].intron_cost})
    place = costs.index(halves[0].intron_cost)
    for step in (1, -1):
        while 0 <= place + step < len(costs) and bits(place + step) < bits(place):
            place += step
    cost = costs[place]
    return [replace(half, intron_cost=cost) for half in halves], tried[cost]


def _nearest(trial: _Trial, relatives: Relatives, start: _End) -> _End | None:
    """The relative whose genes take the fewest bits, if that beats the start."""
    counts = expected_counts(trial.decoder, trial.windows, start.start)
    found: list[_End] = []
    # Where the networks see no gene, none is near, and some are tried as they come.
    for name in relatives.nearest(counts, RELATIVES) or relatives.names[:RELATIVES]:
        (one, *_), read = _with_best_cost(trial, [relatives.adaptation(name, RELATIVE_STRENGTH)] * FOLDS)
        about = {"relative": name, "strength": RELATIVE_STRENGTH, "intron_cost": one.intron_cost}
        if trial.compare(read, start.bits, about):
            found.append(_End(one, read.bits, rows=(len(trial.rows) - 1,), relative=name))
    return min(found, key=lambda one: one.bits.total.sum(), default=None)


def _start(decoder: WindowDecoder, windows: Sequence[SampledWindow], relatives: Relatives | None) -> Adaptation:
    return Adaptation.neutral() if relatives is None else typical_of_windows(relatives, decoder, windows)


def _kept(start: Adaptation, said: dict[str, Any], reason: str) -> Adaptation:
    """The start, where nothing better was found."""
    numbers = {"strength": start.strength, "intron_cost": start.intron_cost}
    return replace(start, about=said | {"adapted": False, "reason": reason, "rounds": 0} | numbers)


def _learnt(decoder: WindowDecoder, windows: Sequence[SampledWindow], start: Adaptation, strength: float) -> Adaptation:
    """``ROUNDS`` rounds, the first one read with ``start``; all with its cost of an intron, and then own lengths."""
    found = start
    for _ in range(ROUNDS):
        counted = Adaptation.of(expected_counts(decoder, windows, found), strength)
        found = replace(counted, intron_cost=start.intron_cost, lengths=found.lengths)
    return with_own_introns(decoder, windows, found, start.lengths)


def _genes(
    decoder: WindowDecoder, windows: Sequence[SampledWindow], halves: Sequence[Adaptation]
) -> list[list[WindowGene]]:
    """Genes of all windows, each read with the adaptation of its fold."""

    return list(
        decoder.each(lambda number: genes_of(decoder, windows[number], halves[number % FOLDS]), range(len(windows)))
    )


def _shape(genes: Sequence[Sequence[WindowGene]], bits: Bits, bases: np.ndarray) -> dict[str, Any]:
    """What a gene set looks like, for people to see."""
    found = [gene for window in genes for gene in window]
    multi = sum(len(gene.cds) > 1 for gene in found)
    return {
        "bits_per_kb": round(float(1000 * bits.total.sum() / bases.sum()), 3),
        "genes": len(found),
        "multi_exon_genes": multi,
        "introns": sum(len(gene.cds) - 1 for gene in found),
    }
