"""The language model among the reading frames that the evidence decoder takes: the decoder ``joint``.

The reader with dynamic programming is good at telling which open reading frames code, the language model at telling
where a gene begins. In clades without introns the two questions part cleanly: the frames of the evidence decoder's
genes are kept, every other start codon is struck out, and the language model writes with what is left.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from genet5.genome.sites import NO_STOP, WindowSites
from genet5.tokens.codec import WindowGene


def keep_frames(sites: WindowSites, genes: Iterable[WindowGene]) -> None:
    """Strike out, in place, the start codons of ``sites`` whose reading frame none of ``genes`` uses."""
    stops: dict[str, list[int]] = {"+": [], "-": []}
    open_frames: dict[str, list[int]] = {"+": [], "-": []}
    for gene in genes:
        begin, end = gene.start, gene.end
        if gene.strand == "-":
            begin, end = sites.window_bp - gene.end, sites.window_bp - gene.start
        if gene.partial3:
            open_frames[gene.strand].append((begin + gene.phase) % 3)
        else:
            stops[gene.strand].append(end)
    for strand in "+-":
        strand_sites = sites.strand(strand)
        positions = np.arange(sites.window_bp + 1)
        stop = strand_sites.stop_end[: sites.window_bp + 1]
        kept = np.isin(stop, stops[strand])
        kept |= (stop == NO_STOP) & np.isin(positions % 3, open_frames[strand])
        strand_sites.restrict_starts(kept)
