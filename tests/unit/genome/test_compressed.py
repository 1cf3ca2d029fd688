"""Files that may be gzipped, and lines that never end."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from genet5.compressed import lines_of, open_input
from genet5.errors import InputError


def test_lines_keep_their_ends_and_one_that_is_too_long_is_named() -> None:
    text = b"first\nsecond!\r\nlast"
    assert list(lines_of("a.txt", io.BytesIO(text), 9)) == [b"first\n", b"second!\r\n", b"last"]
    with pytest.raises(InputError, match=r"^a\.txt, line 2: over 8 bytes, a line of text has fewer; is the file damag"):
        list(lines_of("a.txt", io.BytesIO(text), 8))


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_what_a_file_holds_decides_and_not_its_name(packed, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(packed(b"ACGT\n"))
    with open_input(path) as stream:
        assert stream.read() == b"ACGT\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"BZh91AY", "packed with bzip2; allowed: plain text or gzip"),
        (gzip.compress(b"ACGT\n" * 99, mtime=0)[:-9], "truncated gzip: the end of the file is missing"),
        (gzip.compress(b"ACGT\n", mtime=0)[:10] + b"\xff" * 20, "damaged gzip"),
    ],
    ids=["empty", "bzip2", "cut short", "damaged"],
)
def test_a_damaged_file_is_one_line(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught, open_input(path) as stream:
        stream.read()
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
