"""What a predictor leaves on disk: facts (result.json) and predictions for held-out windows (predictions.npz)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genet5.arrays import FLOATS, Wanted, read_arrays
from genet5.errors import InputError
from genet5.files import atomic_write, read_json, write_json
from genet5.studies.dna_llm.binding_windows import BindingWindows

HELD_OUT = ("validation", "test")


@dataclass(frozen=True)
class Result:
    """A predictor's result.json and its predictions, [windows, bp] for each held-out split."""

    facts: dict[str, Any]
    predictions: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        return self.facts["name"]


def read_result(folder: Path, windows: BindingWindows) -> Result:
    """Raises ``InputError`` when the folder holds no result, or one of other windows."""
    facts = read_json(folder / "result.json")
    wanted = {split: Wanted(FLOATS, 2) for split in HELD_OUT}
    predictions = read_arrays(folder / "predictions.npz", "no result of a predictor", "predict again", wanted)
    for split in HELD_OUT:
        expected = windows.part(split).bases.shape
        if predictions[split].shape != expected:
            raise InputError(f"{folder}: predictions of {predictions[split].shape} {split} bases, expected {expected}")
    return Result(facts, predictions)


def write_predictions(predictions: dict[str, np.ndarray], facts: dict[str, Any], output_dir: Path) -> None:
    """Write ``predictions.npz`` (float32, [windows, bp] for each split) and ``result.json``."""
    with atomic_write(output_dir / "predictions.npz", "wb") as stream:
        np.savez_compressed(stream, **predictions)
    write_json(output_dir / "result.json", facts)
