"""Parts of an annotation: which batches of tiles each of several jobs decodes."""

from __future__ import annotations

import re
from typing import NamedTuple

from genet5.errors import InputError


class Part(NamedTuple):
    """Part ``number`` (from 1) of ``of``."""

    number: int
    of: int

    def takes(self, batch: int) -> bool:
        """Whether this part decodes batch number ``batch`` (from 0): batches are dealt to the parts in turn."""
        return batch % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE = Part(1, 1)


def part_from_text(text: str, flag: str = "--part") -> Part:
    """``2/3``: the second of three parts. Raises ``InputError`` for any other text."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text)
    if not found or int(found[1]) > int(found[2]):
        raise InputError(f"{flag}: found {text!r}, allowed: K/N with K from 1 to N, such as 1/2")
    return Part(int(found[1]), int(found[2]))
