"""How well each decoder of each stage did on validation DNA, which chose the one that annotates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from genet5.errors import InputError
from genet5.files import read_json
from genet5.report.markup import Markup, tag
from genet5.report.numbers import is_number
from genet5.report.shell import card

LEVELS = (("exon_f1", "Exon F1"), ("gene_f1", "Gene F1"))


class DecoderScore(NamedTuple):
    """F1 of a decoder on the validation DNA of a species; None where there is nothing to find."""

    stage: str
    species: str
    decoder: str
    exon_f1: float | None
    gene_f1: float | None

    @property
    def mean(self) -> float:
        """What decoders are compared by."""
        return ((self.exon_f1 or 0.0) + (self.gene_f1 or 0.0)) / 2


def read_decoder_scores(path: str | Path) -> list[DecoderScore]:
    """The scores in a calibration.json; none where it was made without validation DNA. Raises ``InputError``."""
    found = []
    for decoder, by_species in _mapping(read_json(path), "scores", path).items():
        for species, values in by_species.items():
            if not isinstance(values, Mapping):
                raise InputError(f"{path}, key scores.{decoder}.{species}: expected F1 by level, found {values!r:.40}")
            for level, _ in LEVELS:
                if values.get(level) is not None and not is_number(values[level]):
                    raise InputError(f"{path}, key scores.{decoder}.{species}.{level}: {values[level]!r} is no number")
            found.append(
                DecoderScore(Path(path).parent.name, species, decoder, *(values.get(level) for level, _ in LEVELS))
            )
    return found


def decoder_card(scores: Sequence[DecoderScore]) -> Markup | None:
    """A table of stages, species and decoders; the best of each stage and species is marked."""
    if not scores:
        return None
    places = dict.fromkeys((one.stage, one.species) for one in scores)
    rows = []
    for stage, species in places:
        rivals = [one for one in scores if (one.stage, one.species) == (stage, species)]
        best = max(rivals, key=lambda one: one.mean)
        for one in rivals:
            cells = [stage, species, one.decoder, *(_number(getattr(one, level)) for level, _ in LEVELS)]
            marked = "best" if one is best and len(rivals) > 1 else ""
            rows.append(tag("tr", *(tag("td", cell) for cell in (*cells, marked))))
    head = tag(
        "tr", *(tag("th", name, scope="col") for name in ("Stage", "Species", "Decoder", "Exon F1", "Gene F1", ""))
    )
    note = (
        "No other score on this page is of validation DNA. Unless the configuration names a decoder, the one that is "
        "best on the species of a clade annotates that clade."
    )
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return card("Decoders", "on validation DNA", tag("p", note, class_="note"), tag("div", table, class_="scroll"))


def _mapping(document: object, key: str, path: str | Path) -> Mapping:
    found = document.get(key, {}) if isinstance(document, Mapping) else None
    if not isinstance(found, Mapping) or not all(isinstance(value, Mapping) for value in found.values()):
        raise InputError(f"{path}, key {key}: expected scores by decoder and species, as calibrate.py writes them")
    return found


def _number(f1: float | None) -> str:
    return "" if f1 is None else f"{f1:.3f}"
