"""All chains of genes of a short strand, one by one: what the sums, the samples and the decoders are held against."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from genet5.crf.labels import NEITHER, NOT_A_SITE, site_labels
from genet5.genome.genes import Interval
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import WindowGene

STOPS = frozenset({"TAA", "TAG", "TGA"})
RULES = GeneRules(splice_pairs=(("GT", "AG"),), min_intron_bp=4, min_gene_bp=0, min_exon_bp=3, max_overlap_bp=0)
PENALTY = 1.5
#: an intron in each phase, an overlap of one base (TAATG) and of four (ATGA), genes that abut, nothing at all
WINDOWS = (
    "ATGAAGTCAGTAA",
    "ATGGTTAGTTGAC",
    "CATGTAATGCTAGA",
    "ATGATGATGACTGA",
    "ATGTAAATGTGA",
    "CCCCCC",
    "A",
    "ATGTAGGTAGAT",
)


class Case(NamedTuple):
    potentials: torch.Tensor
    site: torch.Tensor
    allowed: torch.Tensor


def case(bases: str, seed: int = 0, scale: float = 1.0) -> Case:
    rng = np.random.default_rng([seed, len(bases)])
    allowed = site_labels(WindowSites(bases, RULES).allowed)[:1] > NOT_A_SITE
    return Case(
        torch.from_numpy(rng.normal(0, scale, (1, len(bases), 4))),
        torch.from_numpy(rng.normal(0, 2 * scale, (1, 4, len(bases) + 1))),
        torch.from_numpy(allowed),
    )


class Path(NamedTuple):
    """States of all bases (0 neither, 1 - 3 coding, 4 - 6 intron), what they are worth, starts of genes."""

    states: tuple[int, ...]
    score: float
    starts: tuple[int, ...]


def all_paths(given: Case) -> list[Path]:
    """Every chain of genes, by following every way to go on; nothing here is shared with the code under test."""
    potentials, site, allowed = given.potentials[0].numpy(), given.site[0].numpy(), given.allowed[0].numpy()
    size = len(potentials)

    def worth(state: int, at: int) -> float:
        return 0.0 if state == NEITHER else float(potentials[at, min(state, 4) - 1])

    def ways(state: int, at: int) -> Iterator[tuple[int, float, bool]]:
        """(state of base ``at``, score of the step, whether a gene starts) after a base in ``state``."""
        start, stop, donor, acceptor = (bool(allowed[kind, at]) for kind in range(4))
        begin = float(site[0, at]) - PENALTY
        if state == NEITHER:
            yield NEITHER, 0.0, False
            if start:
                yield 1, begin, True
        elif state <= 3:
            if state == 3 and stop:
                yield NEITHER, float(site[1, at]), False
                if start:
                    yield 1, float(site[1, at]) + begin, True
            else:
                yield state % 3 + 1, 0.0, False
                if donor:
                    yield 4 + state % 3, float(site[2, at]), False
            if state == 2 and start:  # the gene shares its last bases with one that starts here
                for shared in (1, 4):
                    if at + shared <= size and allowed[1, at + shared]:
                        yield 1, float(site[1, at + shared]) + begin, True
        else:
            yield state, 0.0, False
            if acceptor:
                yield state - 3, float(site[3, at]), False

    paths = [Path((state,), worth(state, 0) - PENALTY * (state > 0), ()) for state in range(7)]
    if allowed[0, 0]:
        paths.append(Path((1,), worth(1, 0) - PENALTY + float(site[0, 0]), (0,)))
    for at in range(1, size):
        paths = [
            Path((*path.states, new), path.score + gain + worth(new, at), (*path.starts, at) if opens else path.starts)
            for path in paths
            for new, gain, opens in ways(path.states[-1], at)
        ]
    return paths


def with_lengths(paths: Sequence[Path], introns: np.ndarray) -> list[Path]:
    """The same chains, each whole intron adding what its length is worth."""
    found = []
    for path in paths:
        states, more = path.states, 0.0
        for begin in range(1, len(states)):
            if states[begin] > 3 >= states[begin - 1]:
                end = next((at for at in range(begin, len(states)) if states[at] <= 3), None)
                if end is not None and end - begin < len(introns):
                    more += float(introns[end - begin])
        found.append(path._replace(score=path.score + more))
    return found


def log_sum(scores: Sequence[float] | np.ndarray) -> float:
    return float(np.logaddexp.reduce(scores)) if len(scores) else -math.inf


def genes_of(path: Path, allowed: np.ndarray) -> list[WindowGene]:
    """The genes of a path, read off its states; those without a coding base are none.

    Not where two stop codons in one frame could be shared with the next gene: states do not tell which of them was.
    """
    size, states = len(path.states), path.states
    genes = []
    at = 0
    while at < size:
        if states[at] == NEITHER:
            at += 1
            continue
        begin, whole = at, at in path.starts
        phase = (4 - states[at]) % 3 if states[at] <= 3 else (7 - states[at]) % 3
        at += 1
        while at < size and states[at] != NEITHER and at not in path.starts:
            at += 1
        end = at
        if end < size and states[end - 1] == 2:  # shares its stop codon with the gene that starts here
            (end,) = (end + shared for shared in (1, 4) if end + shared <= size and allowed[1, end + shared])
        cut = at == size and not (states[-1] == 3 and allowed[1, size])
        coding = {base for base in range(begin, end) if base >= at or states[base] <= 3}
        bounds = sorted(coding - {base + 1 for base in coding}), sorted(coding - {base - 1 for base in coding})
        cds = tuple(Interval(first, last + 1) for first, last in zip(*bounds, strict=True))
        if cds:
            genes.append(WindowGene("+", cds, not whole, cut, 0 if whole else phase))
    return genes
