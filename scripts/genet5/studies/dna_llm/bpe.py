"""The alphabet ``bpe32``: 32 tokens of one or more bases, by byte pair encoding (Sennrich, Haddow and Birch 2016).

Four tokens are the bases. The others are merges of two tokens, learnt from the training DNA of a corpus, the most
frequent pair first. The first base of a window is always a token of its own. So a network that reads tokens predicts
the same bases of a window as one that reads bases: all but the first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer, models

from genet5.errors import InputError
from genet5.studies.dna_llm.alphabets import BASES, Alphabet
from genet5.tokens.dna import train_bpe

TOKENS = 32
LEARNT_BASES = 4_000_000
PAD = -1
_PIECE_BP = 256
_LETTERS = np.frombuffer(BASES.encode(), dtype=np.uint8)
_COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")


def learn_merges(stretches: Sequence[np.ndarray], tokens: int = TOKENS) -> tuple[str, ...]:
    """Merges, as ``A C``, in the order in which they were learnt, from base ids of stretches of DNA.

    At most 4 million bases are read, in pieces evenly spread, each from both strands, so that a token and its reverse
    complement are as frequent.

    Raises:
        InputError: too little DNA for so many tokens.
    """
    pieces = [part[start : start + _PIECE_BP] for part in stretches for start in range(0, len(part), _PIECE_BP)]
    step = -(-len(pieces) * _PIECE_BP // LEARNT_BASES)
    texts = [_LETTERS[piece].tobytes() for piece in pieces[:: max(1, step)]]
    both = [strand for text in texts for strand in (text, text.translate(_COMPLEMENT)[::-1])]
    learnt = json.loads(train_bpe(both, tokens + 1, _PIECE_BP).to_str())["model"]["merges"]  # and one for N, unused
    if len(learnt) != tokens - len(BASES):
        raise InputError(f"alphabet bpe{tokens}: {len(learnt)} merges in the training DNA, needs {tokens - len(BASES)}")
    return tuple(" ".join(pair) for pair in learnt)


class TokenReader:
    """Reads windows of letters as the tokens of an alphabet."""

    def __init__(self, alphabet: Alphabet):
        self._tokenizer = None
        if alphabet.merges:
            numbers = {token: number for number, token in enumerate(alphabet.tokens)}
            self._tokenizer = Tokenizer(models.BPE(numbers, [tuple(pair.split()) for pair in alphabet.merges]))
            self._lengths = alphabet.token_lengths()

    def __call__(self, letters: np.ndarray) -> np.ndarray:
        """Token ids, int64, [windows, tokens], of letter ids [windows, length]; ``PAD`` behind the last token."""
        if self._tokenizer is None:
            return letters.astype(np.int64)
        texts = [_LETTERS[row].tobytes().decode() for row in letters]
        rows = [self._tokenizer.encode(text[0]).ids + found.ids for text, found in zip(
            texts, self._tokenizer.encode_batch([text[1:] for text in texts]), strict=True)]  # fmt: skip
        ids = np.full((len(rows), max(map(len, rows))), PAD, dtype=np.int64)
        for row, found in zip(ids, rows, strict=True):
            row[: len(found)] = found
        return ids

    def owners(self, ids: np.ndarray, length: int) -> np.ndarray:
        """Which token of its window each of ``length`` letters belongs to, int64, [windows, length]."""
        if self._tokenizer is None:
            return np.broadcast_to(np.arange(length), (len(ids), length))
        counts = np.where(ids == PAD, 0, self._lengths[ids])
        return np.stack([np.repeat(np.arange(len(row)), row) for row in counts])
