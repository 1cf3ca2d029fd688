"""Which decoder annotates: the one whose genes were right most often on validation DNA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from genet5.annotate.decoders import DECODERS
from genet5.clades import Clade


class ValidationScore(NamedTuple):
    """F1 of exact exons and of exact genes on the validation DNA of a species; None where there are none to find."""

    clade: str
    exon_f1: float | None
    gene_f1: float | None

    @property
    def mean(self) -> float:
        """What decoders are compared by: the mean of both. A decoder that finds nothing has 0."""
        return ((self.exon_f1 or 0.0) + (self.gene_f1 or 0.0)) / 2

    @property
    def text(self) -> str:
        """For the log."""
        exon, gene = ("none to find" if f1 is None else f"{f1:.3f}" for f1 in (self.exon_f1, self.gene_f1))
        return f"exon F1 {exon}, gene F1 {gene}"


#: By decoder and species.
Scores = Mapping[str, Mapping[str, ValidationScore]]


def decoders_for(clade: Clade, has_writer: bool) -> list[str]:
    """Decoders that work with a model of this kind in a clade."""
    return [
        name
        for name, kind in DECODERS.items()
        if (has_writer or not kind.needs_writer) and (kind.spliced or not clade.rules.splice_pairs)
    ]


def preferred_decoder(scores: Scores, clade: Clade, has_writer: bool) -> str | None:
    """The decoder with the highest mean score over validation species; none where nothing was measured.

    Species of the clade alone are asked where there are some, else all of them. A decoder that was not measured on each
    of these does not take part. Of equals the first in ``DECODERS`` wins, which is also the fastest.
    """
    measured = {species: one.clade for by_species in scores.values() for species, one in by_species.items()}
    asked = [species for species, of in measured.items() if of == clade.name] or list(measured)
    means = {
        name: sum(scores[name][species].mean for species in asked) / len(asked)
        for name in decoders_for(clade, has_writer)
        if asked and all(species in scores.get(name, {}) for species in asked)
    }
    return max(means, key=means.__getitem__) if means else None
