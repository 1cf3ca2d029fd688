"""Tables of codes: which ones are read, and the tokens that they give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genet5.errors import InputError
from genet5.tokens.vq import parse_vq_codes, read_vq_codes, vq_tokenizer, vq_vocabulary


def test_a_table_is_read_as_written(tmp_path: Path) -> None:
    codes = [0, 1, 2] * 5 + [2]
    path = tmp_path / "codes.json"
    path.write_text(json.dumps({"format_version": 1, "k": 2, "size": 3, "codes": codes}))
    table = read_vq_codes(path)
    assert (table.k, table.size, table.codes.tolist(), table.codes.dtype) == (2, 3, codes, np.int32)
    tokens = ["<unk>", "N", "A", "C", "G", "T", "<vq_0>", "<vq_1>", "<vq_2>"]
    assert vq_vocabulary(table) == tokens
    tokenizer = vq_tokenizer(table)
    assert tokenizer.get_vocab() == dict(zip(tokens, range(9), strict=True))
    assert tokenizer.encode("<vq_2> A\n<vq_9>").ids == [8, 2, 0]


@pytest.mark.parametrize("version", [0, 2, None])
def test_a_table_of_another_format_is_refused(version: int | None, tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    path.write_text(json.dumps({"format_version": version, "k": 2, "size": 1, "codes": [0] * 16}))
    with pytest.raises(InputError) as caught:
        read_vq_codes(path)
    assert str(caught.value) == f"{path}: not a table of codes of format_version 1 (vq_table.py)"


@pytest.mark.parametrize(("k", "size"), [(2, 16), (8, 4**8)])
def test_the_least_and_the_most_are_allowed(k: int, size: int) -> None:
    """As many codes as there are k-mers, from k 2 to k 8."""
    table = parse_vq_codes({"k": k, "size": size, "codes": list(range(size))}, "x")
    assert (table.k, table.size, table.codes[-1]) == (k, size, size - 1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"k": 1}, "x: k 1, allowed 2 to 8"),
        ({"k": 9}, "x: k 9, allowed 2 to 8"),
        ({"k": 2.0}, "x: k 2.0, allowed 2 to 8"),
        ({"size": 0}, "x: size 0, allowed 1 to 16, the k-mers there are"),
        ({"size": 17}, "x: size 17, allowed 1 to 16, the k-mers there are"),
        ({"size": True}, "x: size True, allowed 1 to 16, the k-mers there are"),
        ({"codes": [0] * 17}, "x: codes 17, expected a list of 16, one for each k-mer"),
        ({"codes": "0123456789abcdef"}, "x: codes str, expected a list of 16, one for each k-mer"),
        ({"codes": [0] * 15 + [3]}, "x: codes hold 3, allowed 0 to 2"),
        ({"codes": [0] * 15 + [-1]}, "x: codes hold -1, allowed 0 to 2"),
        ({"codes": [0] * 15 + [True]}, "x: codes hold True, allowed 0 to 2"),
    ],
)
def test_what_is_no_table_is_named(changed: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_vq_codes({"k": 2, "size": 3, "codes": [0] * 16} | changed, "x")
    assert str(caught.value) == said
