"""Counts of a genome's own DNA, by what the gene finder takes its bases and sites for, and log-odds made of them.

A base counts in the class that it has with a probability of ``SURE`` at least, with the five bases before it: a hexamer
of the Markov model of fifth order that GeneMark and AUGUSTUS use. A site counts with the bases around it, and so does a
place that looks like a site and surely is none.
"""

from __future__ import annotations

from collections.abc import Iterable

import numba
import numpy as np

from genet5.adapt.intron_lengths import TOLD_BP, count_lengths
from genet5.crf.chain_sums import Marginals
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.crf.labels import NUM_CLASSES
from genet5.genome.sites import ACCEPTOR_SITE, DONOR_SITE, NUM_SITES, START_SITE, STOP_SITE

SURE = 0.95  # counts that take less for certain feed on their own errors (docs/decisions.md)
BEFORE_BP, AFTER_BP = 20, 10  # bases around a site
AROUND_BP = BEFORE_BP + AFTER_BP
#: Of each kind of site, the bases before and after it that say something.
REACHES = {START_SITE: (9, 6), STOP_SITE: (9, 6), DONOR_SITE: (6, 10), ACCEPTOR_SITE: (20, 6)}
OTHER, REAL = 0, 1  # of counts of sites
ORDER_PRIORS = (30.0, 20.0, 10.0, 10.0, 10.0, 10.0)  # bases added to each context as shorter contexts have them
SITE_PRIOR = 20.0  # sites added, as the places that are none
_BASES = 5  # A, C, G, T, unknown


class Counts:
    """Of bases, float64 [5, HEXAMERS], by class and by the hexamer that ends at the base; of sites, float64 [2, 4,
    AROUND_BP, 5], none or real, by kind, place and base. Both strands. introns: by length (``count_lengths``), and
    intron_bp, the sum of their lengths; only of genes that are known.
    """

    def __init__(self) -> None:
        self.bases = np.zeros((NUM_CLASSES, HEXAMERS))
        self.sites = np.zeros((2, NUM_SITES, AROUND_BP, _BASES))
        self.introns, self.intron_bp = np.zeros(TOLD_BP + 1), 0.0

    def add(self, other: Counts) -> None:
        self.bases += other.bases
        self.sites += other.sites
        self.introns += other.introns
        self.intron_bp += other.intron_bp

    def add_strand(self, codes: np.ndarray, allowed: np.ndarray, marginals: Marginals, sure: float = SURE) -> None:
        """codes: uint8 [W], 0..3, 4 unknown. allowed: bool [4, W + 1], as in ``StrandSites``."""
        count_bases(codes, marginals.of_base, sure, self.bases)
        count_sites(codes, allowed, marginals.of_site, sure, self.sites)

    def add_introns(self, lengths: Iterable[int]) -> None:
        introns, bases = count_lengths(lengths)
        self.introns += introns
        self.intron_bp += bases

    def hexamer_log_odds(self) -> np.ndarray:
        """log P(base | five before it, class) / P(base | five before it, neither); float32 [4, HEXAMERS].

        Of coding at codon position 0, 1, 2 and intron. Hexamers with an unknown base say nothing: 0.
        """
        found = np.stack([np.log(base_probabilities(of_class)).reshape(-1) for of_class in self.bases])
        return np.pad(found[1:] - found[:1], ((0, 0), (0, 1))).astype(np.float32)

    def site_log_odds(self) -> np.ndarray:
        """log P(base | real site) / P(base | none) of each place; float32 [4, AROUND_BP, 5], 0 out of reach."""
        counts = self.sites[..., :4]
        none = (counts[OTHER] + 1) / (counts[OTHER] + 1).sum(-1, keepdims=True)
        real = (counts[REAL] + SITE_PRIOR * none) / (counts[REAL].sum(-1, keepdims=True) + SITE_PRIOR)
        odds = np.pad(np.log(real / none), ((0, 0), (0, 0), (0, 1))).astype(np.float32)
        for kind, (before, after) in REACHES.items():
            odds[kind, : BEFORE_BP - before] = 0
            odds[kind, BEFORE_BP + after :] = 0
        return odds


def base_probabilities(counts: np.ndarray) -> np.ndarray:
    """P(base | five before it) from counts of hexamers [HEXAMERS]; float64 [4**5, 4].

    Each context is smoothed towards the one that is a base shorter, down to a quarter for each base.
    """
    found = np.full((1, 4), 0.25)
    for order, prior in enumerate(ORDER_PRIORS):
        seen = counts[:-1].reshape(4 ** (5 - order), 4**order, 4).sum(0)
        shorter = np.tile(found, (len(seen) // len(found), 1))
        found = (seen + prior * shorter) / (seen.sum(1, keepdims=True) + prior)
    return found


@numba.njit(cache=True, nogil=True)
def hexamers_before(codes):
    """Id of the hexamer that ends at each base, int32 [W]; the last id where a base is unknown or lies outside."""
    ids = np.full(len(codes), HEXAMERS - 1, np.int32)
    known, hexamer = 0, 0
    for at in range(len(codes)):
        code = codes[at]
        known = known + 1 if code < 4 else 0
        hexamer = (hexamer * 4 + min(code, 3)) % (HEXAMERS - 1)
        if known >= 6:
            ids[at] = hexamer
    return ids


@numba.njit(cache=True, nogil=True)
def count_bases(codes, of_base, sure, counts):
    """Adds to counts [5, HEXAMERS]; of_base: [W, 4] as in ``Marginals``."""
    ids = hexamers_before(codes)
    for at in range(len(codes)):
        neither = 1.0
        for kind in range(of_base.shape[1]):
            share = of_base[at, kind]
            neither -= share
            if share >= sure:
                counts[kind + 1, ids[at]] += share
        if neither >= sure:
            counts[0, ids[at]] += neither


@numba.njit(cache=True, nogil=True)
def count_sites(codes, allowed, of_site, sure, counts):
    """Adds to counts [2, 4, AROUND_BP, 5]; of_site: [4, W + 1] as in ``Marginals``."""
    for kind in range(len(allowed)):
        for at in range(allowed.shape[1]):
            if allowed[kind, at]:
                share = min(max(of_site[kind, at], 0.0), 1.0)
                real = share >= sure
                if real or 1.0 - share >= sure:
                    weight = share if real else 1.0 - share
                    for place in range(AROUND_BP):
                        base = at - BEFORE_BP + place
                        code = codes[base] if 0 <= base < len(codes) else 4
                        counts[int(real), kind, place, min(code, 4)] += weight
