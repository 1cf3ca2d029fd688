"""The entropy of held-out DNA as compressors measure it: what any code without errors has to pay."""

from __future__ import annotations

from typing import Any

import numpy as np
import zstandard

from genet5.studies.vq_transformer.corpus import Corpus, known_bases
from genet5.studies.vq_transformer.encodings import base_letters
from genet5.studies.vq_transformer.entropy import (
    CountModel,
    arithmetic_encode,
    code_length,
    mixture_bits,
    order_counts,
    static_bits,
)

ZSTD_LEVEL = 19
BLIND_BITS = 2.0


def measure_limits(corpus: Corpus, orders: list[int], mixture: bool) -> dict[str, Any]:
    """Bits per known base of the test split: packed, zstd, models of each order, arithmetic coding, the mixture.

    ``learned`` figures have read the training and validation DNA, as the network has; the others the test DNA alone.
    ``held_out``: whether the test DNA is not the validation DNA, which then teaches nothing.
    ``mixture``: also measure the mixture of models, which takes a minute for 10 Mb.
    """
    pieces, before = corpus.pieces("test"), corpus.pieces("train")
    if corpus.held_out:
        before += corpus.pieces("val")
    test = np.concatenate([known_bases(piece) for piece in pieces])
    number = len(test)
    text, packed = base_letters(test).encode(), pack(test)
    compress = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress
    adaptive = {order: code_length(test, CountModel(4, order)) / number for order in orders}
    learned = {}
    for order in orders:
        bits, counted = static_bits(order_counts(before, order), pieces, order)
        learned[order] = bits / counted
    best = min(adaptive, key=adaptive.__getitem__)
    figures = {
        "packed": 8 * len(packed) / number,
        "zstd_text": 8 * len(compress(text)) / number,
        "zstd_packed": 8 * len(compress(packed)) / number,
        "arithmetic_coder": 8 * len(arithmetic_encode(test, CountModel(4, best))) / number,
    }
    if mixture:
        known = np.concatenate([known_bases(piece) for piece in before])
        figures["mixture"] = mixture_bits(known[:0], test) / number
        figures["mixture_learned"] = mixture_bits(known, test) / number
    return {
        "test_bases": number,
        "held_out": corpus.held_out,
        "figures": figures,
        "arithmetic_coder_order": best,
        "adaptive": {str(order): bits for order, bits in adaptive.items()},
        "learned": {str(order): bits for order, bits in learned.items()},
        "entropy": min(figures.get("mixture_learned", BLIND_BITS), *learned.values(), *adaptive.values()),
        "order_0": adaptive[0],
    }


def pack(bases: np.ndarray) -> bytes:
    """Four bases (0 to 3) a byte."""
    padded = np.pad(bases, (0, -len(bases) % 4)).reshape(-1, 4).astype(np.uint8)
    return (padded << np.array([6, 4, 2, 0], dtype=np.uint8)).sum(1, dtype=np.uint8).tobytes()
