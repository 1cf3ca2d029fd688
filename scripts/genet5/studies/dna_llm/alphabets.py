"""The two alphabets of the study: every character of a FASTA file (``full``), and the four bases (``vocab4``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genet5.errors import InputError

BASES = "ACGT"
PAIRS = {"A": "T", "C": "G", "G": "C", "T": "A"}


@dataclass(frozen=True)
class Alphabet:
    """Letters in the order of their ids."""

    name: str
    letters: str

    def __len__(self) -> int:
        return len(self.letters)

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
ALPHABETS = {alphabet.name: alphabet for alphabet in (FULL, VOCAB4)}


def alphabet_named(name: str) -> Alphabet:
    """Raises ``InputError`` for an unknown name."""
    if name not in ALPHABETS:
        raise InputError(f"alphabet: found {name!r}, allowed: {', '.join(ALPHABETS)}")
    return ALPHABETS[name]
