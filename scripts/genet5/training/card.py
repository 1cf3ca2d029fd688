"""The card of a trained model: README.md beside its weights, with the head that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from genet5 import __version__
from genet5.files import atomic_write

CARD_FILE = "README.md"


def write_card(
    folder: str | Path,
    title: str,
    about: str,
    species: Sequence[str],
    metrics: Mapping[str, float],
    options: Mapping[str, Any],
    simulated: str = "",
) -> None:
    """Write the card.

    about: one or two sentences on what the model is. species: it was trained on. metrics: of the exported weights on
    validation windows. options: of the training. simulated: a sentence on the simulated part of the training bases.
    """
    head = {
        "library_name": "genet5",
        "license": "mit",
        "tags": ["biology", "genomics", "gene-prediction"],
        "datasets": list(species),
        "metrics": sorted(metrics),
    }
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False).rstrip(),
        "---",
        "",
        f"# {title}",
        "",
        about,
        "",
        f"Trained with GeneT5 {__version__} on: {', '.join(species) or 'nothing'}.",
        *([simulated] if simulated else []),
        "",
        "| on validation windows | value |",
        "|---|---|",
        *(f"| {name} | {value:.4f} |" for name, value in sorted(metrics.items())),
        "",
        "| option | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in sorted(options.items())),
        "",
    ]
    with atomic_write(Path(folder) / CARD_FILE) as stream:
        stream.write("\n".join(lines))
