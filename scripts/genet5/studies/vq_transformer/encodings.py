"""k-mer encodings of DNA: ``base_1k`` to ``base_5k``, one k-mer at every base (overlapping) or one every k bases.

Ids are the k-mers in lexicographic order; after the last one comes the id of a k-mer with an unknown base.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from genet5.errors import InputError

BASES = "ACGT"
UNKNOWN = 4
"""Code of a base that is not A, C, G or T."""

_CODES = np.full(256, UNKNOWN, dtype=np.uint8)
for _code, _letters in enumerate((b"Aa", b"Cc", b"Gg", b"TtUu")):
    _CODES[list(_letters)] = _code
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)


def base_codes(dna: str | bytes) -> np.ndarray:
    """0 to 3 for A, C, G, T (or U) of either case, 4 for every other letter; uint8, [bases]."""
    dna = dna.encode("ascii", "replace") if isinstance(dna, str) else dna
    return _CODES[np.frombuffer(dna, dtype=np.uint8)]


def base_letters(codes: np.ndarray) -> str:
    """The text of base codes 0 to 4; 4 is N."""
    return _LETTERS[codes].tobytes().decode("ascii")


@dataclass(frozen=True)
class KmerEncoding:
    """One token is a k-mer. ``overlapping``: a k-mer begins at every base, else at every k-th.

    The last k - 1 bases of overlapping text begin no whole k-mer: their tokens are unknown.
    """

    k: int
    overlapping: bool = False

    @property
    def name(self) -> str:
        return f"base_{self.k}k"

    @property
    def stride(self) -> int:
        """Bases from one token to the next."""
        return 1 if self.overlapping else self.k

    @property
    def unknown_id(self) -> int:
        return 4**self.k

    @property
    def vocab_size(self) -> int:
        """Ids there are, that of unknown k-mers included."""
        return 4**self.k + 1

    @property
    def vocab(self) -> dict[str, int]:
        """Id of each k-mer; ``N`` repeated k times is the unknown one."""
        kmers = ("".join(letters) for letters in itertools.product(BASES, repeat=self.k))
        return {kmer: index for index, kmer in enumerate(kmers)} | {"N" * self.k: self.unknown_id}

    def ids(self, codes: np.ndarray) -> np.ndarray:
        """Token ids of base codes, int64, [..., bases / stride]; the number of bases is a multiple of the stride."""
        if codes.shape[-1] % self.stride:
            raise ValueError(f"{codes.shape[-1]} bases are not a multiple of {self.stride}")
        padded = np.full((*codes.shape[:-1], codes.shape[-1] + self.k - 1), UNKNOWN, dtype=np.int64)
        padded[..., : codes.shape[-1]] = codes
        columns = [padded[..., i : i + codes.shape[-1] : self.stride] for i in range(self.k)]
        ids = np.zeros_like(columns[0])
        known = np.ones(ids.shape, dtype=bool)
        for column in columns:
            ids = ids * 4 + column
            known &= column < UNKNOWN
        return np.where(known, ids, self.unknown_id)

    def tokenize(self, dna: str) -> list[str]:
        """The k-mers of a text, upper case; what is left at its end is no token."""
        dna = dna.upper()
        return [dna[i : i + self.k] for i in range(0, len(dna) - self.k + 1, self.stride)]

    def detokenize(self, kmers: list[str]) -> str:
        """The text that was cut into ``kmers``."""
        return kmers[0] + "".join(kmer[self.k - self.stride :] for kmer in kmers[1:]) if kmers else ""

    def encode(self, dna: str) -> list[int]:
        """Ids of ``tokenize(dna)``."""
        whole = max(0, (len(dna) - self.k) // self.stride + 1)
        codes = base_codes(dna)[: (whole - 1) * self.stride + self.k if whole else 0]
        codes = np.pad(codes, (0, -len(codes) % self.stride), constant_values=UNKNOWN)
        return self.ids(codes)[:whole].tolist()

    def decode(self, ids: list[int]) -> str:
        """The text of ids; unknown k-mers are N. ``InputError`` for an id that is none."""
        if wrong := [index for index in ids if not 0 <= index < self.vocab_size]:
            raise InputError(f"encoding {self.name}: no token with id {wrong[0]}, ids are 0 to {self.vocab_size - 1}")
        kmers = list(self.vocab)
        return self.detokenize([kmers[index] for index in ids])


get_encodings: tuple[str, ...] = tuple(f"base_{k}k" for k in range(1, 6))
"""Names of the encodings; ``get_encodings[3]`` is ``base_4k``, k-mers of 4 bases."""


def encoding_named(name: str, overlapping: bool = False) -> KmerEncoding:
    """Raises ``InputError`` for an unknown name."""
    if name not in get_encodings:
        raise InputError(f"encoding: found {name!r}, allowed: {', '.join(get_encodings)}")
    return KmerEncoding(get_encodings.index(name) + 1, overlapping)
