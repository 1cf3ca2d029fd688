"""DNA tokens of a learned codebook: k bases have the code that a table gives their k-mer.

The table is what the study VQ-Transformer writes (``vq_table.py``): the code its network mostly gives a k-mer.
So no network is needed where tokens are made, and equal k-mers have equal tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from genet5.errors import InputError
from genet5.files import read_json
from genet5.tokens.dna import LARGEST_K, SINGLE_TOKENS, SMALLEST_K, KmerEncoder

FORMAT_VERSION = 1
_FIRST_KMER = len(SINGLE_TOKENS)


class VqCodes(NamedTuple):
    """``codes``: the code (0 to ``size`` - 1) of each k-mer in lexicographic order, int32, [4**k]."""

    k: int
    size: int
    codes: np.ndarray


def read_vq_codes(path: str | Path) -> VqCodes:
    """The table in a file. Raises ``InputError`` for a file that is none."""
    document = read_json(path)
    if document.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path}: not a table of codes of format_version {FORMAT_VERSION} (vq_table.py)")
    return parse_vq_codes(document, str(path))


def parse_vq_codes(values: Mapping[str, Any], where: str) -> VqCodes:
    """Keys ``k``, ``size`` and ``codes`` of a document; ``where`` names it in messages."""
    k, size, codes = values.get("k"), values.get("size"), values.get("codes")
    if type(k) is not int or not SMALLEST_K <= k <= LARGEST_K:
        raise InputError(f"{where}: k {k!r}, allowed {SMALLEST_K} to {LARGEST_K}")
    if type(size) is not int or not 1 <= size <= 4**k:
        raise InputError(f"{where}: size {size!r}, allowed 1 to {4**k}, the k-mers there are")
    if not isinstance(codes, list) or len(codes) != 4**k:
        found = len(codes) if isinstance(codes, list) else type(codes).__name__
        raise InputError(f"{where}: codes {found}, expected a list of {4**k}, one for each k-mer")
    if wrong := [code for code in codes if type(code) is not int or not 0 <= code < size]:
        raise InputError(f"{where}: codes hold {wrong[0]!r}, allowed 0 to {size - 1}")
    return VqCodes(k, size, np.array(codes, dtype=np.int32))


def vq_vocabulary(codes: VqCodes) -> list[str]:
    """DNA tokens by id: the single ones, then ``<vq_0>``, ``<vq_1>``, ..."""
    return [*SINGLE_TOKENS, *(f"<vq_{code}>" for code in range(codes.size))]


def vq_tokenizer(codes: VqCodes) -> Tokenizer:
    """The vocabulary alone: it reads names of tokens between white space, not DNA, which the encoder reads."""
    vocabulary = {token: index for index, token in enumerate(vq_vocabulary(codes))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


class VqEncoder(KmerEncoder):
    """One token per k bases, as k-mers have, but that of their code; unknown and last bases as with k-mers."""

    def __init__(self, codes: VqCodes) -> None:
        super().__init__(codes.k)
        single = np.arange(_FIRST_KMER, dtype=np.int32)
        self._token = np.concatenate([single, codes.codes + np.int32(_FIRST_KMER)])

    def __call__(self, bases: bytes, segment_bp: int) -> tuple[np.ndarray, np.ndarray]:
        ids, ends = super().__call__(bases, segment_bp)
        return self._token[ids], ends
