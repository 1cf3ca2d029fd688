"""Small networks and DNA for the tests of the study VQ-Transformer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from genet5.genome.genes import Region
from genet5.studies.vq_transformer.corpus import Corpus
from genet5.studies.vq_transformer.network import VqConfig, VqTransformer

SMALL = VqConfig(
    block_size=16, bases_per_code=2, codebook_size=16, width=16, layers=1, heads=2, feed_forward=32, code_width=8
)


def random_dna(length: int, seed: int = 0) -> np.ndarray:
    """Base codes 0 to 3."""
    return np.random.default_rng(seed).integers(0, 4, size=length, dtype=np.uint8)


def toy_corpus(length: int = 4000, block_bp: int = 200, seed: int = 0, held_out: Sequence[Region] = ()) -> Corpus:
    """One sequence of random bases, ``chr1``, split by block."""
    return Corpus.split({"chr1": random_dna(length, seed)}, held_out, 0.25, block_bp, seed=1)


def toy_network(config: VqConfig = SMALL, seed: int = 0) -> VqTransformer:
    torch.manual_seed(seed)
    return VqTransformer(config)


def toy_batch(config: VqConfig = SMALL, rows: int = 8, seed: int = 0) -> dict[str, torch.Tensor]:
    bases = random_dna(rows * config.block_size, seed).reshape(rows, -1)
    return {
        "tokens": torch.from_numpy(config.kmers.ids(bases)),
        "bases": torch.from_numpy(bases.astype(np.int64)),
    }
