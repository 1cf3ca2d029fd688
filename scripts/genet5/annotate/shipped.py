"""Models that come with GeneT5, by clade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genet5.annotate.calibration import Calibration
from genet5.annotate.calibration_file import load_calibration
from genet5.annotate.decoders import DECODERS
from genet5.annotate.models import Model, load_annotator
from genet5.clades import Clade, ShippedModel, clade_named
from genet5.crf.folder import WEIGHTS_FILE
from genet5.errors import InputError


@dataclass
class Shipped:
    """A shipped model in memory. clade: it is for. calibration: of its scores in that clade."""

    model: Model
    clade: Clade
    calibration: Calibration


def shipped_model(clade: Clade, where: str = "--clade", clades: Mapping[str, Clade] | None = None) -> ShippedModel:
    """Where the clade's model is. Raises ``InputError``, with the clades that have one, if there is none.

    Also for a decoder that does not exist.
    """
    if clade.model is None:
        known = ", ".join(name for name, one in (clades or {}).items() if one.model) or "none"
        raise InputError(
            f"{where}: no model comes with GeneT5 for '{clade.name}'; clades with a model: {known}; a model that you "
            "trained is named by its folder (--model)"
        )
    if clade.model.decoder not in DECODERS:
        raise InputError(f"{clade.path}, key model.decoder: {clade.model.decoder}, allowed: {', '.join(DECODERS)}")
    return clade.model


def is_shipped(clade: Clade, folder: Path) -> bool:
    """Whether a folder is that of the clade's shipped model."""
    return clade.model is not None and clade.model.folder == folder.resolve()


def load_shipped(clades: Mapping[str, Clade], name: str, where: str = "--clade") -> Shipped:
    """The model for a clade, on the CPU, with its calibration. Raises ``InputError`` if there is none."""
    clade = clade_named(clades, name, where)
    place = shipped_model(clade, where, clades)
    calibration = load_calibration(place.calibration, place.folder / WEIGHTS_FILE, place.decoder)
    return Shipped(load_annotator(place.folder), clade, calibration)
