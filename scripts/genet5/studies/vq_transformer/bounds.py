"""What a code of DNA can reach: rate against errors (Shannon), and codes of blocks without a network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genet5.studies.vq_transformer.encodings import UNKNOWN

ROUNDS = 30


def least_rate(entropy: float, accuracy: float) -> float:
    """Bits per base below which no code lets a share ``accuracy`` of bases come back right.

    Shannon's lower bound for errors counted base by base: entropy - h(D) - D log2(3), D = 1 - accuracy, h the binary
    entropy (Berger 1971, "Rate distortion theory"). For even, independent bases (2 bits) it is the exact limit.
    """
    errors = 1 - accuracy
    if errors >= 0.75:
        return 0.0
    return max(0.0, entropy - _binary_entropy(errors) - errors * np.log2(3))


def best_accuracy(entropy: float, rate: float) -> float:
    """The largest share of bases that can come back right at ``rate`` bits per base; 1 at the entropy and above."""
    if rate >= entropy:
        return 1.0
    low, high = 0.25, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if least_rate(entropy, middle) <= rate else (low, middle)
    return low


def code_entropy(counts: np.ndarray) -> float:
    """Entropy in bits of the shares of counts; 2 ** it is the perplexity."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def _binary_entropy(share: float) -> float:
    return 0.0 if share in (0, 1) else float(-share * np.log2(share) - (1 - share) * np.log2(1 - share))


class BlockCode(NamedTuple):
    """``words``: the k-mer that each code stands for, uint8, [codes, k]. ``codes``: the code of each k-mer, [4**k]."""

    words: np.ndarray
    codes: np.ndarray


def kmer_counts(pieces: list[np.ndarray], k: int) -> np.ndarray:
    """How often each k-mer stands in slots of k bases; int64, [4**k]."""
    powers = 4 ** np.arange(k - 1, -1, -1)
    counts = np.zeros(4**k, dtype=np.int64)
    for piece in pieces:
        slots = piece[: len(piece) // k * k].reshape(-1, k)
        slots = slots[(slots < UNKNOWN).all(1)].astype(np.int64)
        counts += np.bincount(slots @ powers, minlength=len(counts))
    return counts


def fit_block_code(counts: np.ndarray, size: int, seed: int) -> BlockCode:
    """``size`` k-mers that stand for all of them with few wrong bases, by Lloyd's algorithm in Hamming distance.

    The control without a network and without context: what counting k-mers alone reaches at the same rate.
    """
    k = round(np.log2(len(counts)) / 2)
    kmers = np.array(np.unravel_index(np.arange(4**k), (4,) * k), dtype=np.uint8).T
    rng = np.random.default_rng(seed)
    present = np.flatnonzero(counts)
    first = rng.choice(present, size=min(size, len(present)), replace=False, p=counts[present] / counts.sum())
    words, best, best_error = kmers[first], None, np.inf
    for _ in range(ROUNDS):
        codes, distance = _nearest(kmers, words)
        error = float((distance * counts).sum())
        if error >= best_error:
            break
        best, best_error = BlockCode(words, codes), error
        votes = np.zeros((len(words), k, 4))
        for column in range(k):
            np.add.at(votes[:, column], (codes, kmers[:, column]), counts)
        words = votes.argmax(2).astype(np.uint8)
        # A code that stands for nothing, or for what another one stands for, moves to the costliest k-mer.
        _, keepers = np.unique(words, axis=0, return_index=True)
        idle = np.setdiff1d(np.arange(len(words)), keepers)
        words[idle] = kmers[np.argsort(-(distance * counts), kind="stable")[: len(idle)]]
    return best


def block_code_accuracy(code: BlockCode, counts: np.ndarray) -> float:
    """Share of bases that come back right from k-mers that occur ``counts`` times."""
    k = code.words.shape[1]
    kmers = np.array(np.unravel_index(np.arange(4**k), (4,) * k), dtype=np.uint8).T
    right = (code.words[code.codes] == kmers).sum(1)
    return float((right * counts).sum() / (k * counts.sum()))


def _nearest(kmers: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the word nearest to each k-mer, and how many bases differ."""
    k = kmers.shape[1]
    letters = np.eye(4, dtype=np.float32)
    books = letters[words].reshape(len(words), -1).T
    codes, distance = np.empty(len(kmers), dtype=np.int64), np.empty(len(kmers), dtype=np.int64)
    for start in range(0, len(kmers), 4096):
        same = letters[kmers[start : start + 4096]].reshape(-1, 4 * k) @ books
        codes[start : start + 4096] = same.argmax(1)
        distance[start : start + 4096] = k - same.max(1).round().astype(np.int64)
    return codes, distance
