"""Genetic codes (NCBI translation tables) and the arithmetic of codons: translation, stops, reverse complement."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from Bio.Data.CodonTable import unambiguous_dna_by_id

from genet5.errors import InputError

Letters = TypeVar("Letters", str, bytes)

_LETTERS = b"ACGTURYSWKMBDHVNacgturyswkmbdhvn"
_COMPLEMENT = bytes.maketrans(_LETTERS, b"TGCAAYRSWMKVHDBNtgcaayrswmkvhdbn")
_COMPLEMENT_TEXT = {code: _COMPLEMENT[code] for code in _LETTERS}

# A C G T (U) in either case -> 0..3, anything else -> 4, so that a codon is a number in base 5.
_BASE_NUMBER = np.full(256, 4, dtype=np.uint8)
for _number, _bases in enumerate((b"Aa", b"Cc", b"Gg", b"TtUu")):
    _BASE_NUMBER[list(_bases)] = _number
NUM_CODONS = 125
"""Codon numbers run from 0 to 124: base 5 digits, 4 standing for any letter that is not A, C, G or T."""


def reverse_complement(sequence: Letters) -> Letters:
    """The other strand, read 5' to 3'. IUPAC letters and case are kept; other characters are left as they are."""
    if isinstance(sequence, bytes):
        return sequence.translate(_COMPLEMENT)[::-1]
    return sequence.translate(_COMPLEMENT_TEXT)[::-1]


def codon_number(codon: str) -> int:
    """The number of one codon in ``codon_numbers``' terms."""
    return int(codon_numbers(codon)[0])


def codon_numbers(sequence: str | bytes) -> np.ndarray:
    """Codons of ``sequence`` from its first base on as numbers, uint8 of shape (len // 3,); spare bases are ignored."""
    letters = np.frombuffer(sequence.encode("latin-1") if isinstance(sequence, str) else sequence, dtype=np.uint8)
    digits = _BASE_NUMBER[letters[: len(letters) // 3 * 3]].reshape(-1, 3)
    return digits[:, 0] * np.uint8(25) + digits[:, 1] * np.uint8(5) + digits[:, 2]


def genetic_codes() -> tuple[int, ...]:
    """Numbers of the NCBI translation tables that are known here, ascending."""
    return tuple(sorted(unambiguous_dna_by_id))


@dataclass(frozen=True, slots=True)
class GeneticCode:
    """One NCBI translation table.

    ``stops`` end a reading frame; ``starts`` are NCBI's initiators. In tables 27, 28 and 31 some stops also code for an
    amino acid inside a gene: ``in_frame_stops`` are those that never do (it may be empty).
    """

    table: int
    name: str
    stops: frozenset[str]
    starts: frozenset[str]
    in_frame_stops: frozenset[str]
    amino_acids: np.ndarray = field(repr=False, compare=False)
    is_in_frame_stop: np.ndarray = field(repr=False, compare=False)

    @staticmethod
    def from_table(table: int) -> GeneticCode:
        """The code of NCBI translation table ``table``; an unknown number is an InputError listing the known ones."""
        return _from_table(table)

    def translate(self, sequence: str, *, complete5: bool = True) -> str:
        """Protein of a CDS given from its first whole codon on.

        The first codon becomes M when it is a start and ``complete5``. Stops are ``*``, codons with letters other than
        A, C, G, T are ``X``, one or two spare bases at the end are ignored.
        """
        protein = self.amino_acids[codon_numbers(sequence)].tobytes().decode("ascii")
        if protein and protein[-1] != "*" and len(sequence) % 3 == 0 and _letters(sequence[-3:]) in self.stops:
            protein = protein[:-1] + "*"
        if complete5 and _letters(sequence[:3]) in self.starts:
            protein = "M" + protein[1:]
        return protein

    def has_in_frame_stop(self, sequence: str) -> bool:
        """Whether any codon of ``sequence``, read from its first base, is a stop. Leave a CDS's own stop out."""
        return bool(self.is_in_frame_stop[codon_numbers(sequence)].any())


def _letters(codon: str) -> str:
    return codon.upper().replace("U", "T")


@functools.cache
def _from_table(table: int) -> GeneticCode:
    known = unambiguous_dna_by_id.get(table)
    if known is None:
        allowed = ", ".join(str(number) for number in sorted(unambiguous_dna_by_id))
        raise InputError(f"genetic code: unknown NCBI translation table {table!r}; allowed: {allowed}")
    amino_acids = np.full(NUM_CODONS, ord("X"), dtype=np.uint8)
    for codon, amino_acid in known.forward_table.items():
        amino_acids[codon_number(codon)] = ord(amino_acid)
    only_stops = frozenset(known.stop_codons) - frozenset(known.forward_table)
    is_in_frame_stop = np.zeros(NUM_CODONS, dtype=bool)
    for codon in only_stops:
        amino_acids[codon_number(codon)] = ord("*")
        is_in_frame_stop[codon_number(codon)] = True
    for array in (amino_acids, is_in_frame_stop):
        array.setflags(write=False)
    return GeneticCode(
        table=table,
        name=known.names[0],
        stops=frozenset(known.stop_codons),
        starts=frozenset(known.start_codons),
        in_frame_stops=only_stops,
        amino_acids=amino_acids,
        is_in_frame_stop=is_in_frame_stop,
    )
