"""Damage: one file's bytes in, other bytes out, all drawn from the generator that is given."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from random import Random
from typing import Any

NUMBERS = ("0", "-1", "1", "9" * 30, "1e999", ".inf", "NaN", "1_807", "+5", "٣", "0.5", "2147483648", "", "null")
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**12, 10**40, 0.5, 1e308, "", "x" * 1000, "../../x", [], {}, [[]], "\0"
)  # fmt: skip


def flip_bits(data: bytes, draw: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8, 50))):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(data: bytes, draw: Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def splice(data: bytes, draw: Random) -> bytes:
    left, right, at = (draw.randrange(len(data) + 1) for _ in range(3))
    return data[:at] + data[min(left, right) : max(left, right)][:20_000] + data[at:]


def repeat_block(data: bytes, draw: Random) -> bytes:
    at, size = draw.randrange(len(data) + 1), draw.choice((1, 10, 200))
    return data[:at] + data[at : at + size] * draw.choice((2, 50, 1000)) + data[at:]


def random_block(data: bytes, draw: Random) -> bytes:
    at, size = draw.randrange(len(data) + 1), draw.choice((1, 4, 64))
    return data[:at] + draw.randbytes(size) + data[at + size :]


def deep(data: bytes, draw: Random) -> bytes:
    opening = draw.choice((b"[", b'{"a":', b"- "))
    return opening * draw.choice((200, 2000, 100_000))


def other_cell(data: bytes, draw: Random) -> bytes:
    """Another value in one cell of a table; the separator is the commonest one."""
    lines = data.split(b"\n")
    separator = max((b"\t", b",", b" "), key=data.count)
    at = draw.randrange(len(lines))
    cells = lines[at].split(separator)
    texts = (*NUMBERS, "x" * 200_000, "<script>", "../../x", "ID=a;Parent=a", "\0", "é")
    cells[draw.randrange(len(cells))] = draw.choice(texts).encode()
    lines[at] = separator.join(cells)
    return b"\n".join(lines)


def lines_moved(data: bytes, draw: Random) -> bytes:
    lines = data.split(b"\n")
    for _ in range(draw.choice((1, 5))):
        lines.insert(draw.randrange(len(lines) + 1), lines.pop(draw.randrange(len(lines))))
    return b"\n".join(lines)


def other_field(data: bytes, draw: Random) -> bytes:
    """Another value at one place of a JSON document, or a place that is gone."""
    document = json.loads(data)
    places = list(_places(document))
    if not places:
        return b"[]"
    holder, key = draw.choice(places)
    if isinstance(holder, dict) and draw.random() < 0.25:
        del holder[key]
    else:
        holder[key] = draw.choice(_VALUES)
    return json.dumps(document).encode()


def _places(value: Any):
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(min(len(value), 50)):
            yield value, key
            yield from _places(value[key])


def packed(data: bytes, draw: Random) -> bytes:
    return flip_bits(gzip.compress(data, 1, mtime=0), draw) if draw.random() < 0.7 else gzip.compress(data, 1)[:-9]


BYTES = (flip_bits, cut, splice, repeat_block, random_block)
TEXT = (*BYTES, other_cell, other_cell, other_cell, lines_moved, packed)
JSON = (*BYTES, deep, other_field, other_field, other_field)
YAML = (*BYTES, deep, other_cell, other_cell)
Mutator = Callable[[bytes, Random], bytes]
