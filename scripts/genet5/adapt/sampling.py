"""The DNA that an adaptation is learnt from: windows spread evenly over a genome, with their potentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from genet5.crf.annotating_network import WindowPotentials
from genet5.crf.window_decoder import WindowDecoder
from genet5.genome.fasta import Genome
from genet5.genome.genes import Region
from genet5.genome.kmers import canonical_kmers
from genet5.genome.sites import GeneRules, WindowSites

WINDOW_BP = 24_000
SHORTEST_BP = 3_000  # of windows: less shows no gene whole
REPEAT_BP, REPEAT_TIMES = 20, 5  # a word of the sample that stands there so often is a repeat


@dataclass(frozen=True)
class SampledWindow:
    """A window. potentials: of the networks, with what evidence adds. repeats: bool [W], forward coordinates."""

    sites: WindowSites
    potentials: WindowPotentials
    repeats: np.ndarray

    @cached_property
    def counted_codes(self) -> np.ndarray:
        """Base codes of both strands, repeats unknown; uint8 [2, W]."""
        codes = self.sites.strand_codes.copy()
        codes[0][self.repeats] = 4
        codes[1][self.repeats[::-1]] = 4
        return codes


def read_sample(decoder: WindowDecoder, genome: Genome, regions: Sequence[Region], most_bp: int) -> list[SampledWindow]:
    """Windows of ``most_bp`` bases of ``regions``, as the decoder reads them, with its evidence."""
    chosen = sampled_regions(regions, most_bp)
    if not chosen:
        return []
    sites = window_sites(genome, chosen, decoder.rules)
    read = [decoder.completed(*row) for row in zip(sites, decoder.read_windows(sites), chosen, strict=True)]
    return [SampledWindow(*row) for row in zip(sites, read, find_repeats(sites), strict=True)]


def sampled_regions(regions: Sequence[Region], most_bp: int) -> list[Region]:
    """Windows of ``WINDOW_BP`` at most, side by side; of more than ``most_bp`` bases, evenly spread ones."""
    windows = []
    for seqid, start, end in regions:
        number = -(-(end - start) // WINDOW_BP)
        edges = [start + (end - start) * part // number for part in range(number + 1)]
        windows += [Region(seqid, low, high) for low, high in pairwise(edges)]
    windows = [window for window in windows if window.end - window.start >= SHORTEST_BP]
    total = sum(window.end - window.start for window in windows)
    kept = min(len(windows), len(windows) * most_bp // total) if windows else 0
    return [windows[(2 * number + 1) * len(windows) // (2 * kept)] for number in range(kept)]


def window_sites(genome: Genome, regions: Sequence[Region], rules: GeneRules) -> list[WindowSites]:
    return [WindowSites(genome.sequence(*region, keep_case=True), rules) for region in regions]


def find_repeats(sites: Sequence[WindowSites]) -> list[np.ndarray]:
    """Per window, bool [W]: bases in words of ``REPEAT_BP`` that the windows hold ``REPEAT_TIMES`` times at least."""
    letters = np.frombuffer(b"ACGTN", np.uint8)
    found = [canonical_kmers(letters[np.minimum(one.codes, 4)].tobytes(), REPEAT_BP) for one in sites]
    words, times = np.unique(np.concatenate([hashes for _, hashes in found]), return_counts=True)
    often = words[times >= REPEAT_TIMES]
    masks = []
    for one, (at, hashes) in zip(sites, found, strict=True):
        changes = np.zeros(one.window_bp + 1, np.int64)
        starts = at[np.isin(hashes, often)]
        np.add.at(changes, starts, 1)
        np.add.at(changes, starts + REPEAT_BP, -1)
        masks.append(np.cumsum(changes)[:-1] > 0)
    return masks
