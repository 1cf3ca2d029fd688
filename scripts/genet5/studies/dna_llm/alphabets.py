"""The alphabets of the study: characters of a FASTA file (``full``), four bases (``vocab4``), 32 tokens (``bpe32``).

A corpus holds letters, whatever the alphabet. With ``bpe32`` the network reads them as tokens of one or more (`bpe`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genet5.errors import InputError

BASES = "ACGT"
PAIRS = {"A": "T", "C": "G", "G": "C", "T": "A"}


@dataclass(frozen=True)
class Alphabet:
    """Letters in the order of their ids; ``merges`` of two tokens make a new one of them, as ``A C``."""

    name: str
    letters: str
    merges: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def tokens(self) -> tuple[str, ...]:
        """What the network reads, in the order of ids: letters, then merges."""
        return (*self.letters, *(pair.replace(" ", "") for pair in self.merges))

    def token_lengths(self) -> np.ndarray:
        """Letters of each token, int64, [tokens]."""
        return np.array([len(token) for token in self.tokens], dtype=np.int64)

    def ids(self, text: str) -> np.ndarray:
        """Ids of the letters of ``text``, uint8, shape [letters]; every letter must be in the alphabet."""
        return np.array([self.letters.index(letter) for letter in text], dtype=np.uint8)

    def id_table(self) -> np.ndarray:
        """Id of each byte of a sequence, uint8, [256]; 255 where the alphabet has none.

        Case is kept where the alphabet has it and folded where not; a letter of IUPAC's other than A, C, G, T is an N.
        """
        table = np.full(256, 255, dtype=np.uint8)
        for letter in "ACGTNUacgtnuRYSWKMBDHVryswkmbdhv":
            meant = {"U": "T", "u": "t"}.get(letter, letter)
            meant = meant if meant in "ACGTNacgtn" else "N" if letter.isupper() else "n"
            meant = meant if meant in self.letters else meant.upper()
            if meant in self.letters:
                table[ord(letter)] = self.letters.index(meant)
        return table

    def complement(self) -> np.ndarray:
        """Id of the base that pairs with each letter (same case), uint8, [letters]; other letters stay."""
        pairs = PAIRS | {a.lower(): b.lower() for a, b in PAIRS.items()}
        return self.ids("".join(pairs.get(letter, letter) for letter in self.letters))

    def base_codes(self) -> np.ndarray:
        """0 to 3 for A, C, G, T of either case, 4 for every other letter; int64, [letters]."""
        return np.array([BASES.find(letter.upper()) % 5 for letter in self.letters], dtype=np.int64)


#: The characters of the text of hg38.fa: line ends, letters of sequences in both cases, letters and digits of contig
#: names. A corpus has only A, C, G, T, N of both cases of them: the others keep the size of the published embedding.
FULL = Alphabet("full", "\n0123456789>ABCGHIJKLMNTUXY_acdghlmnortv")
VOCAB4 = Alphabet("vocab4", BASES)
BPE32 = Alphabet("bpe32", BASES)  # a corpus adds the merges that it has learnt
ALPHABETS = {alphabet.name: alphabet for alphabet in (FULL, VOCAB4, BPE32)}


def alphabet_named(name: str, merges: Sequence[str] = ()) -> Alphabet:
    """The alphabet, with these merges if it has some.

    Raises:
        InputError: an unknown name, merges of an alphabet that has none, ``bpe32`` without merges.
    """
    if name not in ALPHABETS:
        raise InputError(f"alphabet: found {name!r}, allowed: {', '.join(ALPHABETS)}")
    if bool(merges) != (name == BPE32.name):
        raise InputError(f"alphabet {name}: found {len(merges)} merges, {'needs some' if not merges else 'has none'}")
    return dataclasses.replace(ALPHABETS[name], merges=tuple(merges))
