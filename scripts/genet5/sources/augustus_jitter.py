"""Parameters beside those of a species: a genome that no species has, near one that is published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genet5.sources.augustus_parameters import AugustusParameters, CompositionClass
from genet5.sources.augustus_tables import Motif, SplicePatterns


def jittered(parameters: AugustusParameters, jitter: float, rng: np.random.Generator) -> AugustusParameters:
    """The parameters, moved by random amounts that grow with ``jitter`` (0: as they are).

    Three numbers are drawn for the DNA of the whole genome: a shift of GC content, a temperature that makes all
    probabilities more or less extreme, and a shift from pyrimidines to purines in coding DNA. Splice sites and motifs
    have a temperature of their own. Introns get longer or shorter, and genes have more or fewer exons.
    """
    shift, skew = rng.normal(0, jitter, 2)
    hotter, motif_hotter = np.exp(rng.normal(0, jitter, 2) / 2)
    longer, more_exons = np.exp(rng.normal(0, jitter, 2))
    # A, C, G, T. DNA between genes is alike on both strands, so the shift to purines is for coding DNA alone.
    gc = np.exp(np.array([-shift, shift, shift, -shift]) / 2)
    purines = gc * np.exp(np.array([skew, -skew, skew, -skew]) / 4)
    classes = tuple(_moved(one, hotter, motif_hotter, gc, purines, longer) for one in parameters.classes)
    counts = parameters.exon_counts * [1 / more_exons, 1, more_exons, 1]
    return replace(
        parameters,
        classes=classes,
        exon_counts=counts,
        donors=_patterns(parameters.donors, motif_hotter),
        acceptors=_patterns(parameters.acceptors, motif_hotter),
    )


def _moved(
    one: CompositionClass,
    hotter: float,
    motif_hotter: float,
    gc: np.ndarray,
    purines: np.ndarray,
    longer: float,
) -> CompositionClass:
    composition = one.composition * gc
    return replace(
        one,
        composition=composition / composition.sum(),
        exon=_table(one.exon, hotter, purines),
        intron=_table(one.intron, hotter, gc),
        intergenic=_table(one.intergenic, hotter, gc),
        start_motif=_motif(one.start_motif, motif_hotter),
        acceptor_motif=_motif(one.acceptor_motif, motif_hotter),
        mean_extra_intron_bp=one.mean_extra_intron_bp * longer,
    )


def _table(table: np.ndarray, temperature: float, weights: np.ndarray) -> np.ndarray:
    moved = table ** (1 / temperature) * weights
    return moved / moved.sum(axis=-1, keepdims=True)


def _motif(motif: Motif | None, temperature: float) -> Motif | None:
    return None if motif is None else Motif(motif.order, _table(motif.table, temperature, np.ones(4)))


def _patterns(site: SplicePatterns, temperature: float) -> SplicePatterns:
    moved = site.probabilities ** (1 / temperature)
    return replace(site, probabilities=moved / moved.sum())
