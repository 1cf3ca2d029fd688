"""Damage: one file's bytes in, other bytes out, all drawn from the generator that is given."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

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


def other_array(data: bytes, draw: Random) -> bytes:
    """A NumPy archive in which one array is gone, or has other values, another type, shape or length."""
    try:
        with np.load(io.BytesIO(data)) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # of zipfile and NumPy, of a dozen kinds
        raise ValueError("no archive any more") from error
    if not arrays:
        raise ValueError("no array any more")
    name = draw.choice(list(arrays))
    array = arrays[name]
    if array.dtype.kind == "U" and array.ndim == 0 and draw.random() < 0.8:
        arrays[name] = np.array(other_field(str(array).encode(), draw).decode())
    elif draw.random() < 0.15:
        del arrays[name]
    else:
        arrays[name] = draw.choice(_ARRAYS)(array, draw)
    written = io.BytesIO()
    np.savez(written, **arrays)
    return written.getvalue()


def _one_value(array: np.ndarray, draw: Random) -> np.ndarray:
    changed = array.copy()
    if changed.size:
        value = draw.choice((-1, 0, 1, 5, 127, 2**62, np.nan, np.inf))
        with np.errstate(all="ignore"):
            changed.reshape(-1)[draw.randrange(changed.size)] = np.array(value).astype(changed.dtype)
    return changed


_ARRAYS: tuple[Callable[[np.ndarray, Random], np.ndarray], ...] = (
    _one_value,
    _one_value,
    _one_value,
    lambda array, draw: array[: draw.randrange(len(array) + 1)] if array.ndim else array[None],
    lambda array, draw: np.concatenate([array, array]) if array.ndim else array,
    lambda array, draw: array.astype(draw.choice(("S", "U", "f8", "c8"))) if array.dtype.kind != "U" else array,
    lambda array, draw: array.reshape(-1, 1),
    lambda array, draw: np.zeros(draw.choice((0, (0, 2), (3, 0), (1, 1, 1), 7)), dtype=array.dtype),
)

BYTES = (flip_bits, cut, splice, repeat_block, random_block)
TEXT = (*BYTES, other_cell, other_cell, other_cell, lines_moved, packed)
JSON = (*BYTES, deep, other_field, other_field, other_field)
YAML = (*BYTES, deep, other_cell, other_cell)
ARRAYS = (*BYTES, other_array, other_array, other_array, other_array)
Mutator = Callable[[bytes, Random], bytes]
