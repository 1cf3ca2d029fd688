"""How simulated data are told from published data: a comment of the annotation, and a sentence on training bases."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from genet5.compressed import open_input

_NOTE = "simulated-from AUGUSTUS:"


def origin_notes(augustus_name: str) -> tuple[str, ...]:
    """Notes for the head of a simulated annotation."""
    return (
        f"{_NOTE}{augustus_name}",
        "Genome and genes are not real. They were drawn from the parameters that AUGUSTUS publishes for a species.",
    )


def simulated_from(annotation: str | Path) -> str:
    """AUGUSTUS's name of the species whose parameters an annotation was drawn from; "" for any other annotation."""
    with open_input(annotation) as stream:
        for line in stream:
            if not line.startswith(b"#"):
                return ""
            text = line.decode("utf-8", "replace").rstrip()
            if text.startswith(f"#!{_NOTE}"):
                return text.removeprefix(f"#!{_NOTE}")
    return ""


def simulated_in_words(parts: Iterable[tuple[str, float]]) -> str:
    """A sentence on ``parts``: for each species AUGUSTUS's name of it, "" for a published genome, and training bases.

    "" where nothing was simulated.
    """
    parts = [(name, bases) for name, bases in parts if bases > 0]
    names = sorted({name for name, _ in parts if name})
    if not names:
        return ""
    share = sum(bases for name, bases in parts if name) / sum(bases for _, bases in parts)
    return (
        f"{share:.1%} of the training bases were simulated, drawn from AUGUSTUS's published parameters of "
        f"{', '.join(names)}."
    )
