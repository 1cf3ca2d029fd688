"""The calibration of a model: one curve per decoder and the scores of decoders, in a file beside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genet5.annotate.calibration import Calibration
from genet5.annotate.choosing import Scores, ValidationScore, preferred_decoder
from genet5.clades import Clade
from genet5.configuration import check_against_schema, dotted
from genet5.crf.folder import WEIGHTS_FILE
from genet5.files import file_sha256, read_json, write_json

CALIBRATION_FILE = "calibration.json"

_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["weights", "decoders", "regions"],
    "properties": {
        "weights": {"type": "string"},
        "regions": {"type": "object"},
        # Files of models that were made before decoders were compared have no scores.
        "scores": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["clade", "exon_f1", "gene_f1"],
                    "properties": {
                        "clade": {"type": "string"},
                        "exon_f1": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                        "gene_f1": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                    },
                },
            },
        },
        "decoders": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["slope", "intercept", "genes", "exact", "error_before", "error_after", "reason"],
                "properties": {
                    "slope": {"type": "number", "minimum": 0},
                    "intercept": {"type": "number"},
                    "genes": {"type": "integer", "minimum": 0},
                    "exact": {"type": "integer", "minimum": 0},
                    "error_before": {"type": ["number", "null"]},
                    "error_after": {"type": ["number", "null"]},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}


def write_calibration(
    path: str | Path,
    weights: str | Path,
    decoders: Mapping[str, Calibration],
    regions: Mapping[str, Sequence[str]],
    scores: Scores,
) -> None:
    """decoders: curves by decoder. regions: what they were measured on, by species, as text. weights: the model's."""
    content = {
        "weights": file_sha256(weights),
        "decoders": {name: asdict(one) for name, one in decoders.items()},
        "regions": {name: list(texts) for name, texts in regions.items()},
        "scores": {
            decoder: {species: score._asdict() for species, score in by_species.items()}
            for decoder, by_species in scores.items()
        },
    }
    write_json(path, content)


def load_calibration(path: str | Path, weights: str | Path, decoder: str) -> Calibration:
    """The curve in a calibration file for ``decoder`` and these weights; one with a reason where there is none.

    Raises InputError for a file that is none.
    """
    path = Path(path)
    if not path.is_file():
        return Calibration(reason=f"{path}: no such file; calibrate.py writes it")
    content = _read(path)
    if content["weights"] != file_sha256(weights):
        return Calibration(reason=f"{path}: made for other weights")
    if decoder not in content["decoders"]:
        known = ", ".join(sorted(content["decoders"])) or "no decoder"
        return Calibration(reason=f"{path}: made for {known}, not for {decoder}")
    found = Calibration(**content["decoders"][decoder])
    return found if found.calibrated else Calibration(**(asdict(found) | {"reason": f"{path}: {found.reason}"}))


def decoder_by_validation(path: str | Path, weights: str | Path, clade: Clade, has_writer: bool) -> str | None:
    """The decoder that did best on validation DNA, by a calibration file; none where it does not say so."""
    path = Path(path)
    content = _read(path) if path.is_file() else {}
    if content.get("weights") != file_sha256(weights):
        return None
    scores = {
        decoder: {species: ValidationScore(**one) for species, one in by_species.items()}
        for decoder, by_species in content.get("scores", {}).items()
    }
    return preferred_decoder(scores, clade, has_writer)


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    check_against_schema(content, _SCHEMA, lambda place: f"{path}, key {dotted(place)}" if place else str(path))
    return content


def calibration_beside(folder: str | Path, decoder: str) -> Calibration:
    """The curve in the file beside a model's weights."""
    folder = Path(folder)
    return load_calibration(folder / CALIBRATION_FILE, folder / WEIGHTS_FILE, decoder)
