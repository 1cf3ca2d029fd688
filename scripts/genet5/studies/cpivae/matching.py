"""Which assays of two platforms measure the same protein, and how much they agree."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.studies.cpivae.assay_tables import AssayTable
from genet5.studies.cpivae.tables import Table

_COLUMNS = ("uniprot", "olink", "somascan", "samples", "spearman")


@dataclass(frozen=True)
class Match:
    """An assay of each platform with a UniProt accession in common; how they correlate (nan: fewer than 3 samples)."""

    proteins: frozenset[str]
    olink: str
    somascan: str
    samples: int
    spearman: float


def match(olink: AssayTable, somascan: AssayTable) -> list[Match]:
    """All pairs of assays that share an accession; both tables have the same samples in the same order.

    Several aptamers of a protein make several pairs, as several Olink assays of it do.
    """
    by_protein: dict[str, list[str]] = {}
    for name in somascan.table.features:
        for protein in somascan.proteins.get(name, ()):
            by_protein.setdefault(protein, []).append(name)
    left, right = olink.table, somascan.table
    at_left, at_right = ({name: at for at, name in enumerate(table.features)} for table in (left, right))
    found = []
    for name in left.features:
        own = olink.proteins.get(name, frozenset())
        partners = dict.fromkeys(partner for protein in sorted(own) for partner in by_protein.get(protein, ()))
        for partner in partners:
            x, y = left.values[:, at_left[name]], right.values[:, at_right[partner]]
            shared = own & somascan.proteins[partner]
            found.append(Match(shared, name, partner, *_agreement(x, y)))
    return found


def _agreement(x: np.ndarray, y: np.ndarray) -> tuple[int, float]:
    """Number of samples with both values, and Spearman's correlation over them."""
    both = ~(np.isnan(x) | np.isnan(y))
    if both.sum() < 3:
        return int(both.sum()), float("nan")
    a, b = (pd.Series(values[both]).rank().to_numpy() for values in (x, y))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return int(both.sum()), float("nan")
    return int(both.sum()), float(np.corrcoef(a, b)[0, 1])


def matched_only(read: AssayTable, names: Sequence[str]) -> Table:
    """The features that have a partner, in the order of the table. ``InputError`` when none has."""
    if not names:
        raise InputError(
            f"{read.table.source}: no protein is on both platforms by its UniProt accession (features: matched needs "
            "accessions in both files, or a list of proteins)"
        )
    wanted = set(names)
    columns = [at for at, name in enumerate(read.table.features) if name in wanted]
    table = read.table
    return Table(table.source, table.samples, [table.features[at] for at in columns], table.values[:, columns])


def write_matches(matches: Sequence[Match], path: Path) -> None:
    """Write the pairs, tab-separated, one a row."""
    with atomic_write(path) as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(_COLUMNS)
        for pair in matches:
            r = "" if np.isnan(pair.spearman) else f"{pair.spearman:.6f}"
            writer.writerow([" ".join(sorted(pair.proteins)), pair.olink, pair.somascan, pair.samples, r])


def describe(matches: Sequence[Match]) -> str:
    """How many there are, and the distribution of their correlations, in words."""
    known = [pair.spearman for pair in matches if np.isfinite(pair.spearman)]
    if not known:
        return "matched: no protein by its UniProt accession"
    olink, aptamers = len({pair.olink for pair in matches}), len({pair.somascan for pair in matches})
    numbers = " ".join(f"{value:.2f}" for value in np.quantile(known, np.linspace(0, 1, 5)))
    return (
        f"matched: {len(matches):,} pairs of {olink:,} Olink assays and {aptamers:,} aptamers; Spearman's correlation "
        f"(least, quartiles, largest): {numbers}"
    )
