"""The language model among the reading frames that the CRF takes: the decoder ``joint``.

The CRF with dynamic programming is good at telling which open reading frames code, the language model at telling where
a gene begins. In clades without introns the two questions part cleanly: the frames of the CRF's genes are kept, every
other start codon is struck out, and the language model writes with what is left.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from genet5.genome.sites import NO_STOP, WindowSites
from genet5.genome.window_genes import WindowGene


def keep_frames(sites: WindowSites, genes: Iterable[WindowGene]) -> None:
    """Strike out, in place, the start codons of ``sites`` whose reading frame none of ``genes`` uses."""
    stops: dict[str, list[int]] = {"+": [], "-": []}
    open_frames: dict[str, list[int]] = {"+": [], "-": []}
    for gene in genes:
        segments = gene.on_strand(sites.window_bp)
        if gene.partial3:
            open_frames[gene.strand].append((segments[0].start + gene.phase) % 3)
        else:
            stops[gene.strand].append(segments[-1].end)
    for strand in "+-":
        strand_sites = sites.strand(strand)
        positions = np.arange(sites.window_bp + 1)
        stop = strand_sites.stop_end[: sites.window_bp + 1]
        kept = np.isin(stop, stops[strand])
        kept |= (stop == NO_STOP) & np.isin(positions % 3, open_frames[strand])
        strand_sites.restrict_starts(kept)
