"""Points of the rate-distortion curve by name: ``4x256`` is one of 256 codes for 4 bases, ``8x256x2`` two for 8."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from genet5.errors import InputError

LARGEST_TABLE_K = 8
LARGEST_CODEBOOK = 2**16  # codes are written as uint16
PATTERN = re.compile(r"([1-9]\d*)x([1-9]\d*)(?:x([1-9]\d*))?")


class Point(NamedTuple):
    """Downsampling in bases, codes in a codebook, codebooks."""

    bases_per_code: int
    codebook_size: int
    groups: int = 1

    @property
    def name(self) -> str:
        return f"{self.bases_per_code}x{self.codebook_size}" + (f"x{self.groups}" if self.groups > 1 else "")

    @property
    def bits_per_base(self) -> float:
        return self.groups * math.log2(self.codebook_size) / self.bases_per_code

    @property
    def num_codes(self) -> int:
        """What a slot can be, codebooks together."""
        return self.codebook_size**self.groups

    @property
    def has_table(self) -> bool:
        """Whether the codes of all k-mers can be listed, and are not more than there are k-mers."""
        return self.bases_per_code <= LARGEST_TABLE_K and self.num_codes <= 4**self.bases_per_code


def point_named(name: str) -> Point:
    """Raises ``InputError`` for a name that is none."""
    match = PATTERN.fullmatch(name)
    if not match:
        raise InputError(f"point: found {name!r}, expected BASESxCODES or BASESxCODESxCODEBOOKS, like 4x256 or 8x256x2")
    bases, codes, groups = (int(number) for number in match.groups(default="1"))
    return Point(bases, codes, groups)


def check_points(names: Sequence[str], main: str) -> None:
    """Raises ``InputError`` for a name that is none or is spelled unusually, and when ``main`` is not among them.

    The same for a codebook that is too small or too large.
    """
    for name in names:
        # Results carry the name of the point, and are looked up by the name in the list.
        if (usual := point_named(name).name) != name:
            raise InputError(f"config key vq_transformer.points: found {name!r}, expected {usual!r}")
        if not 2 <= (size := point_named(name).codebook_size) <= LARGEST_CODEBOOK:
            raise InputError(
                f"config key vq_transformer.points: {name!r} has {size} codes, allowed: 2 to {LARGEST_CODEBOOK}"
            )
    if main not in names:
        raise InputError(
            f"config key vq_transformer.main: {main!r} is not in vq_transformer.points ({', '.join(names)})"
        )
