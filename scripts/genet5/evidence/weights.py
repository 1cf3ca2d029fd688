"""What hints weigh: learned numbers, in nats, and how they grow with the counts of a hint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from genet5.errors import InputError
from genet5.evidence.hints import HARD, SOURCES
from genet5.files import read_json, resource

#: What a hint that is forced earns, beyond all that a network may say.
HARD_NATS = 200.0
HARD_NATS_PER_BASE = 20.0
#: More than any evidence can be worth: a weight beyond it is a mistake of its file.
MOST_NATS = 1000.0
LEAST_FORCED = 0.5  # share of its strongest rival's counts from which on a hint is forced
#: What the parts of a hint weigh; names are ``{source}.{part}``. "spread" is earned over all bases of the part.
PARTS = {
    "site": "donor and acceptor of an intron, each",
    "rare": "the same, of an intron that is not GT to AG",
    "intron": "bases of an intron, spread",
    "malus": "a donor or acceptor without a hint, where introns are hinted nearby",
    "start": "a start",
    "stop": "a stop",
    "coding": "bases of a CDSpart in its frame, spread",
    "covered": "covered bases as coding, against intron, spread",
    "irpart": "bases of an irpart as neither, spread",
}


@dataclass(frozen=True)
class Weights:
    """nats: by ``{source}.{part}``. slowness: ``strength`` comes near 1 when log(1 + mult) is beyond it."""

    nats: Mapping[str, float]
    slowness: float
    hard: bool = False

    def strength(self, mult: np.ndarray, share: np.ndarray) -> np.ndarray:
        """0 to 1: 1 - exp(-log(1 + mult) / slowness), and less for a hint that stronger ones contradict.

        share: counts over those of the strongest rival; 1 keeps all, a tenth half, a hundredth nothing. Of hints
        that are forced the strongest alone counts.
        """
        if self.hard:
            return (share > LEAST_FORCED).astype(np.float64)
        with np.errstate(divide="ignore"):
            left = np.clip(1 + np.log10(share) / 2, 0, 1)
        return (1 - np.exp(-np.log1p(mult) / self.slowness)) * left


def read_weights(path: str | Path) -> Weights:
    """The weights in a file; of each source and part one. Raises ``InputError`` for a file that has other content."""
    said = read_json(path)
    nats, slowness = said.get("nats"), said.get("slowness")
    names = [f"{source}.{part}" for source in SOURCES for part in PARTS]
    if not isinstance(nats, dict) or sorted(nats) != sorted(names):
        raise InputError(f"{path}: nats: expected one number for each of {', '.join(names)}")
    for name, value in [*nats.items(), ("slowness", slowness)]:
        if type(value) not in (int, float) or not 0 <= value <= MOST_NATS or (name == "slowness" and not value):
            raise InputError(f"{path}: {name} is {str(value)[:40]!r}, expected a number from 0 to {MOST_NATS:g}")
    return Weights(MappingProxyType(dict(nats)), slowness)


@cache
def shipped_weights() -> Weights:
    """Those of ``resources/evidence/weights.json``, which ``benchmarks/evidence_weights.py`` writes."""
    return read_weights(resource("evidence") / "weights.json")


def weights_of(name: str) -> Weights:
    """``learned`` or ``hard``."""
    return replace(shipped_weights(), hard=name == HARD)
