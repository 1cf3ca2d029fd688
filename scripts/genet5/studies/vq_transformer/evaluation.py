"""What a trained codec does on held-out DNA: errors, use of its codes, bits, and what the codes know of genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from genet5.studies.vq_transformer.bounds import block_code_accuracy, code_entropy, fit_block_code, kmer_counts
from genet5.studies.vq_transformer.codec import CodedDna, VqTokenizer, kmer_table, table_accuracy
from genet5.studies.vq_transformer.corpus import CLASSES, Corpus
from genet5.studies.vq_transformer.encodings import UNKNOWN
from genet5.studies.vq_transformer.entropy import CountModel, arithmetic_encode

CODE_STEP = 16  # of the adaptive model of codes: a code seen once is likelier than 256 never seen ones
LARGEST_BLOCK_CODES = 4096


def evaluate_codec(tokenizer: VqTokenizer, corpus: Corpus, seed: int) -> dict[str, Any]:
    """Metrics on the test split. Bits are per base.

    ``base_accuracy``: share of known bases that come back. ``nominal_bits``: log2 of the codes there are.
    ``entropy_bits``: of the codes as often as they occur. ``coded_bits``: bytes of an arithmetic coder over the codes.
    ``correction_bits``: cross-entropy of the bases given the codes, what an arithmetic coder would need to put every
    error right; ``lossless_bits``: coded and correction bits together, to compare with the entropy of the DNA.
    """
    pieces = corpus.pieces("test")
    classes = [corpus.classes[start:end] for start, end in corpus.spans["test"]]
    coded = [tokenizer.encode_bases(piece) for piece in pieces]
    tally = Tally()
    for piece, labels, one in zip(pieces, classes, coded, strict=True):
        tally.add(piece, tokenizer.log_chances(one), labels)
    config = tokenizer.config
    codes = np.concatenate([one.codes for one in coded])
    use = code_use(codes, config.codebook_size)
    bases = tally.number
    bits = sum(8 * len(arithmetic_encode(column, CountModel(config.codebook_size, 0, CODE_STEP))) for column in codes.T)
    result = {
        "bases_per_code": config.bases_per_code,
        "codebook_size": config.codebook_size,
        "groups": config.groups,
        "test_bases": bases,
        **tally.result(),
        **use,
        "nominal_bits": config.bits_per_base,
        "entropy_bits": use["entropy"] / config.bases_per_code,
        "coded_bits": bits / bases,
    }
    result["lossless_bits"] = result["coded_bits"] + result["correction_bits"]
    result["information_bits"] = code_information(codes, classes, pieces, config.bases_per_code)
    result |= _controls(tokenizer, corpus, coded, seed)
    return result


class Tally:
    """Right bases and log-probabilities, summed over stretches of DNA."""

    def __init__(self) -> None:
        self.number, self.right, self.nats = 0, 0, 0.0
        self.by_class = np.zeros((len(CLASSES), 2), dtype=np.int64)

    def add(self, bases: np.ndarray, log_chances: np.ndarray, labels: np.ndarray) -> None:
        """``bases`` and class ``labels`` of the bases, [bases]; ``log_chances`` (nats), [bases, 4]."""
        known = bases != UNKNOWN
        wanted = bases[known].astype(np.int64)
        right = log_chances[known].argmax(1) == wanted
        self.number += len(wanted)
        self.right += int(right.sum())
        self.nats -= float(np.take_along_axis(log_chances[known], wanted[:, None], 1).sum(dtype=np.float64))
        for index in range(len(CLASSES)):
            here = labels[known] == index
            self.by_class[index] += int(here.sum()), int(right[here].sum())

    def result(self) -> dict[str, Any]:
        return {
            "base_accuracy": self.right / self.number,
            "class_accuracy": {
                name: right / number if number else None
                for name, (number, right) in zip(CLASSES, self.by_class.tolist(), strict=True)
            },
            "correction_bits": self.nats / self.number / np.log(2),
        }


def code_use(codes: np.ndarray, size: int) -> dict[str, float]:
    """Of codes [n, groups]: share of the codebook that occurs, perplexity (mean over groups), entropy (sum, bits)."""
    counts = [np.bincount(column, minlength=size) for column in codes.T]
    entropy = [code_entropy(row) for row in counts]
    return {
        "usage": float(np.mean([(row > 0).mean() for row in counts])),
        "perplexity": float(2 ** np.mean(entropy)),
        "entropy": float(sum(entropy)),
    }


def code_information(
    codes: np.ndarray, classes: Sequence[np.ndarray], pieces: Sequence[np.ndarray], bases_per_code: int
) -> float | None:
    """Mutual information in bits of a code (of the first group) and the class of its bases, where they have one class.

    Counted from the same codes, so it is a little too high when codes are rare. None where nothing is annotated.
    """
    labels = np.concatenate([slot_classes(row, bases_per_code) for row in classes])
    whole = np.concatenate([np.arange(-(-len(piece) // bases_per_code)) < len(piece) // bases_per_code
                            for piece in pieces])  # fmt: skip
    column = codes[whole, 0].astype(np.int64)
    known = labels < len(CLASSES)
    joint = np.zeros((int(codes.max()) + 1, len(CLASSES)))
    np.add.at(joint, (column[known], labels[known]), 1)
    if not joint.sum():
        return None
    joint /= joint.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log2(joint[there] / apart[there])).sum())


def slot_classes(labels: np.ndarray, bases_per_code: int) -> np.ndarray:
    """Class of each whole slot whose bases all have one, else one more than the last class; int64, [slots]."""
    slots = labels[: len(labels) // bases_per_code * bases_per_code].reshape(-1, bases_per_code)
    one = (slots == slots[:, :1]).all(1)
    return np.where(one, slots[:, 0], len(CLASSES)).astype(np.int64)


@torch.no_grad()
def code_picture(tokenizer: VqTokenizer, corpus: Corpus, most: int, seed: int) -> dict[str, np.ndarray]:
    """Two principal components of what is quantised, of at most ``most`` slots of each class, and of the codebook.

    ``slots`` [n, 2], ``labels`` [n], ``codes`` [codes, 2] of the first group, ``counts`` [codes]: how often a code
    occurs, ``shares`` [codes, classes]: how often in each class; ``explained`` [2]: share of variance.
    """
    config, k = tokenizer.config, tokenizer.config.bases_per_code
    rng = np.random.default_rng(seed)
    starts = np.concatenate(
        [np.arange(start, end - config.block_size + 1, config.block_size) for start, end in corpus.spans["test"]]
    )
    starts = rng.permutation(starts)[: max(1, 400 * 256 // config.block_size)]
    bases = corpus.windows(starts, config.block_size)
    labels = corpus.classes[starts[:, None] + np.arange(config.block_size)]
    tokens = torch.from_numpy(config.kmers.ids(bases))
    part = config.code_width // config.groups
    vectors = torch.cat([tokenizer.network.encode(rows) for rows in tokens.split(64)])[..., :part].flatten(0, 1)
    codes = torch.cat([tokenizer.network.codes(rows) for rows in tokens.split(64)])[..., 0].flatten().numpy()
    classes = np.concatenate([slot_classes(row, k) for row in labels])
    shares = np.zeros((config.codebook_size, len(CLASSES)), dtype=np.int64)
    np.add.at(shares, (codes[classes < len(CLASSES)], classes[classes < len(CLASSES)]), 1)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(classes == index))[:most] for index in range(len(CLASSES))])
    points = vectors.numpy()[chosen] if len(chosen) else vectors.numpy()
    mean = points.mean(0)
    _, scale, axes = np.linalg.svd(points - mean, full_matrices=False)
    book = tokenizer.network.quantiser.codebook[0].numpy()
    return {
        "slots": (points - mean) @ axes[:2].T,
        "labels": classes[chosen] if len(chosen) else np.full(len(points), len(CLASSES)),
        "codes": (book - mean) @ axes[:2].T,
        "counts": np.bincount(codes, minlength=config.codebook_size),
        "shares": shares,
        "explained": scale[:2] ** 2 / (scale**2).sum(),
    }


def _controls(tokenizer: VqTokenizer, corpus: Corpus, coded: Sequence[CodedDna], seed: int) -> dict[str, Any]:
    """The table of k-mers beside the network, and the best code of k-mers without one; None where there is none."""
    config, k, size = tokenizer.config, tokenizer.config.bases_per_code, tokenizer.vocab_size
    pieces = corpus.pieces("test")
    found: dict[str, Any] = {"table_accuracy": None, "table_agreement": None, "block_code_accuracy": None}
    if not tokenizer.point.has_table:
        return found
    table = kmer_table(tokenizer, [corpus.windows(corpus.even_starts("train", config.block_size, 2000),
                                                  config.block_size).reshape(-1)])  # fmt: skip
    found["table_accuracy"] = table_accuracy(table, pieces)
    found["table_agreement"] = _agreement(table, pieces, coded, config.codebook_size)
    if size <= LARGEST_BLOCK_CODES:
        code = fit_block_code(kmer_counts(corpus.pieces("train"), k), size, seed)
        found["block_code_accuracy"] = block_code_accuracy(code, kmer_counts(pieces, k))
    return found


def _agreement(table: np.ndarray, pieces: Sequence[np.ndarray], coded: Sequence[CodedDna], size: int) -> float:
    """Share of slots whose code is the table's."""
    k = round(np.log2(len(table)) / 2)
    powers = 4 ** np.arange(k - 1, -1, -1)
    same, number = 0, 0
    for piece, one in zip(pieces, coded, strict=True):
        slots = piece[: len(piece) // k * k].reshape(-1, k)
        known = (slots < UNKNOWN).all(1)
        codes = one.codes[: len(slots)].astype(np.int64) @ size ** np.arange(one.codes.shape[1] - 1, -1, -1)
        same += int((table[slots[known].astype(np.int64) @ powers] == codes[known]).sum())
        number += int(known.sum())
    return same / number
