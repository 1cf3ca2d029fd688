"""Vocabularies of DNA: what is learnt from pieces, and the lengths of k-mers."""

from __future__ import annotations

import pytest

from genet5.errors import InputError
from genet5.tokens import dna

BASES = {"<unk>": 0, "A": 1, "C": 2, "G": 3, "T": 4}


@pytest.mark.parametrize(
    ("piece_bp", "learnt"),
    [(1, []), (2, ["AC"]), (4, ["AC", "ACAC"]), (256, ["AC", "ACAC", "ACACACAC"])],
)
def test_no_word_is_longer_than_a_piece(piece_bp: int, learnt: list[str]) -> None:
    """The same from text and bytes, in either case; unknown bases end a piece."""
    expected = BASES | {word: number for number, word in enumerate(learnt, start=5)}
    sequences = ["ACACACAC", b"acacacac", "NACACACACNNACACACAC"]
    assert dna.train_bpe(sequences, 100, piece_bp).get_vocab() == expected


def test_the_smallest_vocabulary_has_one_merge() -> None:
    assert dna.train_bpe(["ACACACAC"] * 2, vocab_size=6).get_vocab() == BASES | {"AC": 5}


def test_kmers_have_two_to_eight_bases() -> None:
    assert [dna.kmer_tokenizer(k).get_vocab_size() for k in (2, 8)] == [6 + 4**2, 6 + 4**8]
    said = []
    for k in (1, 9):
        with pytest.raises(InputError) as caught:
            dna.kmer_tokenizer(k)
        said.append(str(caught.value))
    assert said == [f"k: {k}, allowed 2 to 8 (for single bases use kind char)" for k in (1, 9)]
