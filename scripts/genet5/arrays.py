"""NumPy files that somebody else may have written: read whole and checked, or refused in one line.

Nothing in them is run (``allow_pickle=False``). What a header claims is compared with what the file has before memory
is taken for it.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from genet5.errors import InputError
from genet5.files import one_line

INTEGERS, FLOATS, TEXT, BOOLEANS = "iu", "f", "U", "b"
"""Kinds of values, as NumPy abbreviates them."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Wanted(NamedTuple):
    """What an array must be: kinds of values (``INTEGERS``, ..., several may be joined) and dimensions, where fixed."""

    kinds: str
    dimensions: int | None = None


def read_arrays(
    path: str | Path, what: str, remedy: str, wanted: Mapping[str, Wanted] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz`` file: those that are wanted, by default all.

    what, remedy: for messages, as "no adaptation of a gene finder" and "make it with genet5 adapt". Raises
    ``InputError`` for a file that is missing, cut short, damaged or of another kind, and for wanted arrays that are
    missing or of other values.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    _check_claim(stream, member.file_size)
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files if wanted is None or name in wanted}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    # zipfile, zlib, tokenize and NumPy have a dozen kinds of errors for a damaged archive, and none in common.
    except Exception as error:
        raise InputError(f"{path}: {what} ({one_line(error)}); {remedy}") from error
    for name, one in (wanted or {}).items():
        if name not in found:
            raise InputError(f"{path}: {what} (no array {name}); {remedy}")
        array = found[name]
        if array.dtype.kind not in one.kinds or one.dimensions not in (None, array.ndim):
            raise InputError(f"{path}: {what} ({name} is {array.dtype} {list(array.shape)}); {remedy}")
    return found


def read_array(path: str | Path, what: str, remedy: str) -> np.ndarray:
    """The array of a ``.npy`` file; as ``read_arrays``."""
    path = Path(path)
    try:
        with path.open("rb") as stream:
            _check_claim(stream, path.stat().st_size)
            stream.seek(0)
            return np.lib.format.read_array(stream, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise InputError(f"{path}: {what} ({one_line(error)}); {remedy}") from error


def _check_claim(stream: IO[bytes], size: int) -> None:
    """ValueError where the header of an array claims more values than ``size`` bytes can hold."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"an array of NumPy's format {version}")
    shape, _, dtype = _HEADERS[version](stream)
    count = math.prod(shape)
    if any(extent < 0 for extent in shape) or count * max(dtype.itemsize, 1) > size:
        raise ValueError(f"an array claims {count} values of {dtype}, but {size} bytes are there")
