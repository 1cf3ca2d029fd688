"""An adaptation: what the DNA of one genome adds to the potentials of a gene finder, and its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numba
import numpy as np

from genet5.adapt.counting import AROUND_BP, BEFORE_BP, Counts, hexamers_before
from genet5.adapt.intron_lengths import TOLD_BP, IntronLengths
from genet5.arrays import FLOATS, TEXT, Wanted, read_arrays
from genet5.crf.annotating_network import WindowPotentials
from genet5.crf.chain_sums import NO_LENGTHS
from genet5.crf.hexamer_loops import HEXAMERS
from genet5.crf.labels import NUM_CLASSES
from genet5.errors import InputError
from genet5.files import atomic_write, json_value, one_line
from genet5.genome.sites import DONOR_SITE, NUM_SITES, WindowSites

FORMAT = 3
HEXAMER_SHARE = 0.5  # of the strength, for hexamers: the networks have read the codons, and sites decide
_NUMBERS = ("strength", "intron_cost", "intron_bp")
_SHAPES = {"hexamers": (NUM_CLASSES - 1, HEXAMERS), "sites": (NUM_SITES, AROUND_BP, 5)}


@dataclass(frozen=True)
class Adaptation:
    """Log-odds of hexamers and sites (``Counts``), float32, and the share of them that is added.

    hexamers: [4, HEXAMERS], of the base at which the hexamer ends. sites: [4, AROUND_BP, 5]. strength: share of the
    log-odds of sites; hexamers have ``HEXAMER_SHARE`` of it; 0 adds nothing. intron_cost: taken off at each donor, in
    nats; log-odds of real sites are above 0, so without it there would be more introns. about: what it was made from,
    and how; JSON values. lengths: of introns; None: all are alike.
    """

    hexamers: np.ndarray
    sites: np.ndarray
    strength: float
    intron_cost: float = 0.0
    about: Mapping[str, Any] = field(default_factory=dict)
    lengths: IntronLengths | None = None

    @classmethod
    def of(cls, counts: Counts, strength: float) -> Adaptation:
        return cls(counts.hexamer_log_odds(), counts.site_log_odds(), strength)

    @classmethod
    def neutral(cls) -> Adaptation:
        """One that changes nothing."""
        return cls(*(np.zeros(shape, np.float32) for shape in _SHAPES.values()), 0.0)

    @property
    def introns(self) -> np.ndarray:
        """What an intron of each length adds; longer ones nothing."""
        return NO_LENGTHS if self.lengths is None else self.lengths.log_odds

    def __call__(self, sites: WindowSites, potentials: WindowPotentials) -> WindowPotentials:
        """The potentials of a window and what is added to them; the arrays that come in stay as they are."""
        if not self.strength and not self.intron_cost:
            return potentials
        bases, of_sites = potentials.bases.copy(), potentials.sites.copy()
        for row, codes in enumerate(sites.strand_codes):
            allowed, strength = sites.allowed[row], np.float32(self.strength)
            _add(codes, allowed, self.hexamers, self.sites, strength, bases[row], of_sites[row])
        of_sites[:, DONOR_SITE] -= np.float32(self.intron_cost)
        return WindowPotentials(bases, of_sites)


@numba.njit(cache=True, nogil=True)
def _add(codes, allowed, hexamers, around, strength, bases, sites):
    """Adds to bases [W, 4] and, at sites that the bases allow, to sites [4, W + 1]."""
    ids = hexamers_before(codes)
    for at in range(len(codes)):
        for kind in range(bases.shape[1]):
            bases[at, kind] += strength * np.float32(HEXAMER_SHARE) * hexamers[kind, ids[at]]
    for kind in range(len(allowed)):
        for at in range(allowed.shape[1]):
            if allowed[kind, at]:
                total = np.float32(0)
                for place in range(AROUND_BP):
                    base = at - BEFORE_BP + place
                    if 0 <= base < len(codes):
                        total += around[kind, place, min(codes[base], 4)]
                sites[kind, at] += strength * total


def adaptation_line(about: Mapping[str, Any]) -> str:
    """What was done, in one line."""
    if "near" in about:
        return f"codons, sites and introns of the nearest relatives join the network: {', '.join(about['near'])}"
    if not about["adapted"]:
        return f"not adapted to this genome: {about['reason']}"
    start, end = about["start"], [row for row in about["tried"] if row["taken"]][-1]
    saved = start["bits_per_kb"] - end["bits_per_kb"]
    first = f"begun with codons of {about['relative']}, " if about.get("relative") else ""
    return (
        f"adapted to this genome without labels: {first}strength {about['strength']:g} after {about['rounds']} rounds, "
        f"an intron costs {about['intron_cost']:g} more; "
        f"held-back DNA takes {saved:.2f} bits per kb less"
    )


def save_adaptation(path: str | Path, adaptation: Adaptation) -> None:
    """Write a NumPy archive that ``load_adaptation`` reads."""
    lengths = adaptation.lengths
    shares = np.zeros(0) if lengths is None else lengths.shares
    numbers = {"strength": adaptation.strength, "intron_cost": adaptation.intron_cost}
    numbers["intron_bp"] = 0.0 if lengths is None else lengths.mean_bp
    about = {"format": FORMAT, **numbers, "about": dict(adaptation.about)}
    text = np.array(json.dumps(about, sort_keys=True))
    tables = {"hexamers": adaptation.hexamers, "sites": adaptation.sites, "introns": shares}
    with atomic_write(path, "wb") as stream:
        np.savez_compressed(stream, adaptation=text, **tables)


def load_adaptation(path: str | Path) -> Adaptation:
    """Raises ``InputError`` for a file that is none, is cut short or damaged, or has another format."""
    path = Path(path)
    what, remedy = "no adaptation of a gene finder", "make it with genet5 adapt"
    said = json_value(str(read_arrays(path, what, remedy, {"adaptation": Wanted(TEXT, 0)})["adaptation"]), str(path))
    try:
        found, about = said["format"], dict(said["about"])
        numbers = {name: float(said[name]) for name in _NUMBERS} if found == FORMAT else {}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: {what} ({one_line(error)}); {remedy}") from error
    if found != FORMAT:
        raise InputError(f"{path}: format {found!r}, allowed: {FORMAT}; make the adaptation again")
    arrays = read_arrays(path, what, remedy, {name: Wanted(FLOATS) for name in (*_SHAPES, "introns")})
    for name, shape in _SHAPES.items():
        if arrays[name].shape != shape or arrays[name].dtype != np.float32:
            raise InputError(
                f"{path}: {name} is {arrays[name].dtype} {list(arrays[name].shape)}, allowed: float32 {list(shape)}"
            )
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"{path}: {name} holds values that are not finite")
    for name, number in numbers.items():
        if not 0 <= number < np.inf:
            raise InputError(f"{path}: {name} is {number:g}, allowed: 0 or more")
    shares, mean_bp = arrays.pop("introns"), numbers.pop("intron_bp")
    if shares.shape not in ((0,), (TOLD_BP + 1,)) or not (np.isfinite(shares) & (shares >= 0)).all():
        raise InputError(f"{path}: introns is {list(shares.shape)}, allowed: shares [0] or [{TOLD_BP + 1}], 0 or more")
    lengths = IntronLengths(shares.astype(float), mean_bp) if len(shares) else None
    return Adaptation(**arrays, **numbers, about=about, lengths=lengths)
