"""Counts of windows whose genes nobody knows: each base and site counts as what the gene finder is sure of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genet5.adapt.adaptation import Adaptation
from genet5.adapt.counting import Counts
from genet5.adapt.sampling import SampledWindow
from genet5.crf.chain_sums import strand_marginals
from genet5.crf.window_decoder import WindowDecoder


def expected_counts(decoder: WindowDecoder, windows: Sequence[SampledWindow], adaptation: Adaptation) -> Counts:
    """Of windows read with an adaptation."""
    total = Counts()
    for one in decoder.each(lambda window: _of_window(decoder, window, adaptation), windows):
        total.add(one)
    return total


def _of_window(decoder: WindowDecoder, window: SampledWindow, adaptation: Adaptation) -> Counts:
    bases, of_sites = adaptation(window.sites, window.potentials)
    counts = Counts()
    for row, codes in enumerate(window.counted_codes):
        allowed = window.sites.allowed[row]
        marginals = strand_marginals(
            bases[row].astype(np.float64),
            of_sites[row].astype(np.float64),
            allowed,
            decoder.gene_penalty,
            adaptation.introns,
        )
        counts.add_strand(codes, allowed, marginals)
    return counts
