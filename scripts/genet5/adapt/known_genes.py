"""Counts of species whose genes are known, from their baked windows: one table of relatives for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from genet5.adapt.counting import Counts
from genet5.adapt.own_introns import intron_bp
from genet5.bake.crops import Window, crop
from genet5.bake.manifest import read_manifest, shard_paths
from genet5.bake.shards import ShardSet
from genet5.clades import Clade
from genet5.crf.chain_sums import Marginals
from genet5.crf.data import CrfWindows
from genet5.crf.labels import CODING, INTRON, UNSCORED_SITE, label_window
from genet5.genome.sites import WindowSites

WINDOWS = 200  # of a species, spread evenly over what is baked
_UNKNOWN = 0.5  # between sure and surely not: such a base or site counts nowhere


def count_species(manifests: Sequence[Path], clades: Mapping[str, Clade]) -> dict[str, Counts]:
    """Counts of the training windows of each manifest's species; species without any are left out.

    Raises ``InputError`` for missing or damaged manifests and shards, and for clades that do not exist.
    """
    rules = CrfWindows(clades)
    found: dict[str, Counts] = {}
    for manifest in manifests:
        paths = shard_paths(manifest, "train")
        if paths:
            name = read_manifest(manifest)["parameters"]["species"]
            counts = found.setdefault(name, Counts())
            with ShardSet(paths) as shards:
                kept = min(WINDOWS, len(shards))
                for place in range(kept):
                    sample = shards.read((2 * place + 1) * len(shards) // (2 * kept))
                    count_window(counts, crop(sample, *sample.core), rules)
    return found


def count_window(counts: Counts, window: Window, windows: CrfWindows) -> None:
    """Adds a window with its genes; where nothing is known, nothing counts."""
    sites = WindowSites(window.bases, windows.rules(window.clade, window.genetic_code))
    counts.add_introns(intron_bp(window.genes))
    labels, of_sites = label_window(sites, window.genes, window.dont_care)
    kinds = np.arange(CODING, INTRON + 1)
    known = np.where(of_sites == UNSCORED_SITE, _UNKNOWN, of_sites == 1)
    for row, codes in enumerate(sites.strand_codes):
        of_base = np.where(labels[row, :, None] < 0, _UNKNOWN, labels[row, :, None] == kinds)
        counts.add_strand(codes, sites.allowed[row], Marginals(of_base, known[row]))
