"""Labels of bases and boundaries: the numbers that stand for what they are, and how genes turn into them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genet5.genome.sites import (
    ACCEPTOR_SITE,
    DONOR_SITE,
    SHARED_STOP_BP,
    START_SITE,
    STOP_SITE,
    WindowSites,
)
from genet5.genome.window_genes import WindowGene

PADDING = 5  # base code beyond the end of a window; 0..3 are A, C, G, T, 4 is unknown

NEITHER, CODING, INTRON = 0, 1, 4  # classes of a base; 1, 2, 3 are codon positions 0, 1, 2
NUM_CLASSES = 5
IGNORED = -100  # label of a base that nothing is known of: it may be anything

NOT_A_SITE, UNSCORED_SITE = -2, -1  # the bases allow no site here; they do, but nothing is known of it


def site_labels(allowed: np.ndarray) -> np.ndarray:
    """Labels of sites of which nothing is known; int8, the shape of ``allowed`` (``WindowSites.allowed``)."""
    return np.where(allowed, UNSCORED_SITE, NOT_A_SITE).astype(np.int8)


def label_window(
    sites: WindowSites, genes: Sequence[WindowGene], dont_care: Sequence[tuple[int, int, str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of bases, int8 [2, W], and of sites, int8 [2, 4, W + 1], in strand coordinates.

    dont_care: (start, end, strand) in forward coordinates; bases there are ``IGNORED`` and sites ``UNSCORED_SITE``.
    Other sites that the bases allow are 1 where a gene has them, else 0.
    """
    window_bp = sites.window_bp
    labels = np.full((2, window_bp), NEITHER, dtype=np.int8)
    unscored = np.zeros((2, window_bp + 1), dtype=bool)
    for start, end, strand in dont_care:
        if strand in "+.":
            labels[0, start:end] = IGNORED
            unscored[0, start : end + 1] = True
        if strand in "-.":
            labels[1, window_bp - end : window_bp - start] = IGNORED
            unscored[1, window_bp - end : window_bp - start + 1] = True
    allowed = sites.allowed
    found = np.where(allowed, np.where(unscored[:, None, :], UNSCORED_SITE, 0), NOT_A_SITE).astype(np.int8)
    shown = [(int(gene.strand == "-"), gene.on_strand(window_bp), gene) for gene in genes]
    # Introns first: a gene within another one's intron keeps its label.
    for row, _, gene in shown:
        for start, end in gene.introns_on_strand(window_bp):
            labels[row, start:end] = INTRON
    for row, segments, gene in shown:
        for kind, position in _true_sites(gene, segments, window_bp):
            if allowed[row, kind, position]:  # what the rules refuse is no site, as where no labels are known
                found[row, kind, position] = 1
    # 5' to 3', so that bases which two genes of a strand share get the same label whichever strand is shown.
    for row, segments, gene in sorted(shown, key=lambda entry: entry[1]):
        codon_position = (3 - gene.phase) % 3
        for start, end in segments:
            labels[row, start:end] = CODING + (codon_position + np.arange(end - start)) % 3
            codon_position = (codon_position + end - start) % 3
    return labels, found


def _true_sites(gene: WindowGene, segments: Sequence[tuple[int, int]], window_bp: int) -> list[tuple[int, int]]:
    """(kind, position) of the gene's sites, in strand coordinates."""
    true = []
    for start, end in gene.introns_on_strand(window_bp):
        true += [(DONOR_SITE, start)] * (start > 0) + [(ACCEPTOR_SITE, end)] * (end < window_bp)
    true += [(START_SITE, segments[0][0])] * (not gene.partial5)
    return true + [(STOP_SITE, segments[-1][1])] * (not gene.partial3)


def chain_labels(labels: np.ndarray, genes: Sequence[WindowGene]) -> np.ndarray:
    """Labels as a chain of genes (``chain_sums.py``) can follow them; int8 [2, W].

    Of two genes of a strand that share bases, other than ``SHARED_STOP_BP`` of a stop and a start codon, there is no
    chain: the second one's bases are then left open.
    """
    labels = labels.copy()
    window_bp = labels.shape[1]
    ends = [(-1, np.zeros(0, np.int8))] * 2  # of the gene before: its end, the labels of its last bases
    shown = [(int(gene.strand == "-"), gene.on_strand(window_bp), gene) for gene in genes]
    for row, segments, gene in sorted(shown, key=lambda entry: entry[1]):
        begin, end = segments[0][0], segments[-1][1]
        last, tail = ends[row]
        shared = last - begin
        if shared > 0 and not (shared in SHARED_STOP_BP and not gene.partial5):
            labels[row, begin:end] = IGNORED
            labels[row, max(begin, last - len(tail)) : last] = tail[-shared:]
        if end > last:
            first, stop = segments[-1]
            length = sum(high - low for low, high in segments)
            position = (3 - gene.phase) % 3 + length - (stop - first)
            ends[row] = end, (CODING + (position + np.arange(stop - first)) % 3).astype(np.int8)
    return labels
