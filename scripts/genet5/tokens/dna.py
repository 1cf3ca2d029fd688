"""DNA vocabularies and the encoding of bases: single bases, k-mers without overlap, byte-pair encoding.

A letter other than A, C, G, T (either case) is an unknown base. Every vocabulary is stored as a
``tokenizers.Tokenizer`` that gives the same ids for text; the encoders here are the fast way and give spans too.
Codes of k-mers stand in ``vq.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from genet5.errors import InputError
from genet5.sources.hub import hub_folder
from genet5.tokens.options import BASE_FILE, local_base

SMALLEST_K, LARGEST_K = 2, 8
SINGLE_TOKENS = ("<unk>", "N", "A", "C", "G", "T")
_N_ID, _BASE_ID, _KMER_ID = 1, 2, len(SINGLE_TOKENS)

# A, C, G, T -> 0, 1, 2, 3 in either case; everything else -> _UNKNOWN.
_UNKNOWN = 4
_CODES = bytes(
    {65: 0, 67: 1, 71: 2, 84: 3}.get(letter & ~32 if letter > 96 else letter, _UNKNOWN) for letter in range(256)
)
_CANONICAL = bytes(b"ACGTN"[code] for code in _CODES)


class DnaEncoder(Protocol):
    """Bases to DNA token ids, no token crossing a multiple of ``segment_bp``."""

    n_id: int

    def __call__(self, bases: bytes, segment_bp: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids int32[n] and where each token ends, int32[n] ascending; a token starts where the one before it ends."""


class CharEncoder:
    """One token per base; unknown bases are ``N``."""

    n_id = _N_ID

    def __init__(self) -> None:
        self._ids = np.array([*range(_BASE_ID, _BASE_ID + 4), _N_ID], dtype=np.int32)

    def __call__(self, bases: bytes, segment_bp: int) -> tuple[np.ndarray, np.ndarray]:
        codes = np.frombuffer(bases.translate(_CODES), dtype=np.uint8)
        return self._ids[codes], np.arange(1, len(bases) + 1, dtype=np.int32)


class KmerEncoder:
    """One token per ``k`` bases; a k-mer with an unknown base is ``N`` (its span is still k bases).

    The last ``length % k`` bases of a window are single-base tokens. ``segment_bp`` is a multiple of k.
    """

    n_id = _N_ID

    def __init__(self, k: int) -> None:
        self.k = k
        self._dtype = np.uint16  # 4**8 - 1 fits
        self._char = CharEncoder()

    def __call__(self, bases: bytes, segment_bp: int) -> tuple[np.ndarray, np.ndarray]:
        k = self.k
        slots, rest = divmod(len(bases), k)
        codes = np.frombuffer(bases.translate(_CODES), dtype=np.uint8)
        slot_codes = codes[: slots * k].reshape(slots, k)
        index = slot_codes[:, 0].astype(self._dtype)
        for column in range(1, k):
            index <<= 2
            index |= slot_codes[:, column]
        ids = np.empty(slots + rest, dtype=np.int32)
        np.add(index, np.int32(_KMER_ID), out=ids[:slots], dtype=np.int32)
        unknown = np.flatnonzero(codes[: slots * k] == _UNKNOWN)
        ids[unknown // k] = _N_ID
        ends = np.arange(1, slots + rest + 1, dtype=np.int32)
        ends[:slots] *= k
        if rest:
            ids[slots:] = self._char(bases[slots * k :], segment_bp)[0]
            ends[slots:] = np.arange(slots * k + 1, len(bases) + 1, dtype=np.int32)
        return ids, ends


class BpeEncoder:
    """Byte-pair encoding of each segment on its own; a run of unknown bases within a segment is one unknown token."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # The model alone is four times as fast as the whole tokenizer, and starts no threads.
        self._model = tokenizer.model
        self.n_id = tokenizer.token_to_id(self._model.unk_token)
        size = tokenizer.get_vocab_size(with_added_tokens=False)
        self._lengths = np.array([len(tokenizer.id_to_token(index)) for index in range(size)], dtype=np.int32)

    def __call__(self, bases: bytes, segment_bp: int) -> tuple[np.ndarray, np.ndarray]:
        text = bases.translate(_CANONICAL).decode("ascii")
        tokenize = self._model.tokenize
        tokens: list[int] = []
        unknown: list[tuple[int, int]] = []  # index and length of each unknown token: its name does not tell
        for start in range(0, len(text), segment_bp):
            segment = text[start : start + segment_bp]
            found = tokenize(segment)
            if "N" in segment:
                spans = ((index, token) for index, token in enumerate(found, len(tokens)) if token.id == self.n_id)
                unknown += [(index, token.offsets[1] - token.offsets[0]) for index, token in spans]
            tokens += [token.id for token in found]
        ids = np.array(tokens, dtype=np.int32)
        lengths = self._lengths[ids]
        if unknown:
            index, length = np.array(unknown).T
            lengths[index] = length
        return ids, np.cumsum(lengths, dtype=np.int32)


def fixed_vocabulary(kind: str, k: int | None = None) -> list[str] | None:
    """DNA tokens by id, None for bpe, whose vocabulary is learnt."""
    if kind == "bpe":
        return None
    kmers = ["".join(letters) for letters in itertools.product("ACGT", repeat=k)] if kind == "kmer" else []
    return [*SINGLE_TOKENS, *kmers]


def char_tokenizer() -> Tokenizer:
    """``<unk> N A C G T``."""
    return _word_level(fixed_vocabulary("char"), r"[A-Za-z]")


def kmer_tokenizer(k: int) -> Tokenizer:
    """``<unk> N A C G T``, then the 4**k k-mers in lexicographic order. ``k`` outside 2..8 -> ``InputError``."""
    if not SMALLEST_K <= k <= LARGEST_K:
        raise InputError(f"k: {k}, allowed {SMALLEST_K} to {LARGEST_K} (for single bases use kind char)")
    return _word_level(fixed_vocabulary("kmer", k), rf"[A-Za-z]{{{k}}}|[A-Za-z]")


def bpe_tokenizer(base: str | Path | Tokenizer) -> Tokenizer:
    """A BPE ``tokenizer.json`` (or the folder it lies in, a hub id, or a copy of a tokenizer) made fit for windows.

    Ids of words of A, C, G, T stay the same. Truncation, padding and the post-processor (which would add [CLS] and
    [SEP]) go; runs of unknown letters become one unknown token; lower case reads as upper case. Raises ``InputError``
    for a file that is not such a tokenizer.
    """
    if isinstance(base, Tokenizer):
        where, tokenizer = "base", Tokenizer.from_str(base.to_str())
    else:
        where, tokenizer = _read_tokenizer(str(base))
    if not isinstance(tokenizer.model, models.BPE):
        raise InputError(f"{where}: the model is {type(tokenizer.model).__name__}, must be BPE")
    allowed = (pre_tokenizers.Whitespace, pre_tokenizers.WhitespaceSplit)
    if tokenizer.pre_tokenizer is not None and not isinstance(tokenizer.pre_tokenizer, allowed):
        found = type(tokenizer.pre_tokenizer).__name__
        raise InputError(f"{where}: pre-tokenizer {found}, allowed none, Whitespace and WhitespaceSplit")
    model = tokenizer.model
    for option in ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "dropout"):
        if getattr(model, option):
            raise InputError(f"{where}: {option} is set; tokens must be spelt with the bases they stand for")
    if not model.unk_token or tokenizer.token_to_id(model.unk_token) is None:
        raise InputError(f"{where}: no unknown token in the model, unknown bases need one")
    if sorted(tokenizer.get_vocab().values()) != list(range(tokenizer.get_vocab_size())):
        raise InputError(f"{where}: ids have gaps or doubles, must be 0 to {tokenizer.get_vocab_size() - 1}")
    missing = [letter for letter in "ACGT" if tokenizer.token_to_id(letter) is None]
    if missing:
        raise InputError(f"{where}: no token for base {' '.join(missing)}")
    return _fit_bpe(tokenizer)


def train_bpe(sequences: Iterable[bytes | str], vocab_size: int, piece_bp: int = 256) -> Tokenizer:
    """A BPE vocabulary of ``vocab_size`` tokens learnt from DNA: ``<unk> A C G T``, then merges by frequency.

    Sequences are cut into pieces of ``piece_bp``; unknown bases are left out. Raises ``InputError`` if ``vocab_size``
    is below 6 or the sequences have no known base.
    """
    if vocab_size < 6:
        raise InputError(f"vocab_size: {vocab_size}, must be at least 6 (an unknown token, four bases and one merge)")
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=["<unk>"], initial_alphabet=list("ACGT"), show_progress=False
    )
    pieces = _pieces(sequences, piece_bp)
    first = next(pieces, None)
    if first is None:
        raise InputError("training sequences of the bpe vocabulary: no A, C, G or T in them")
    tokenizer.train_from_iterator(itertools.chain([first], pieces), trainer)
    return _fit_bpe(tokenizer)


def dna_encoder(kind: str, k: int | None, tokenizer: Tokenizer) -> DnaEncoder:
    """The encoder whose ids are those of ``tokenizer``."""
    if kind == "char":
        return CharEncoder()
    if kind == "kmer":
        return KmerEncoder(k)
    return BpeEncoder(tokenizer)


def _word_level(vocabulary: list[str], pattern: str) -> Tokenizer:
    # The unknown word is N, so that text with an odd letter gets the same ids as the encoders give.
    tokenizer = Tokenizer(models.WordLevel({token: index for index, token in enumerate(vocabulary)}, unk_token="N"))
    tokenizer.normalizer = _upper_case()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return tokenizer


def _read_tokenizer(base: str) -> tuple[Path, Tokenizer]:
    path = local_base("bpe", base) or hub_folder(base, "tokenizer.base", [(BASE_FILE,)]) / BASE_FILE
    if not path.is_file():
        raise InputError(f"{path}: no such file (the base of a bpe tokenizer is a {BASE_FILE}, a folder or a hub id)")
    try:
        return path, Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for whatever is wrong with the JSON
        raise InputError(f"{path}: not a tokenizer.json ({error})") from error


def _upper_case() -> normalizers.Normalizer:
    return normalizers.Sequence([normalizers.Replace(base.lower(), base) for base in "ACGT"])


def _fit_bpe(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.post_processor = None
    tokenizer.normalizer = _upper_case()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.model.fuse_unk = True
    return tokenizer


def _pieces(sequences: Iterable[bytes | str], piece_bp: int) -> Iterator[str]:
    for sequence in sequences:
        bases = sequence if isinstance(sequence, bytes) else sequence.encode("ascii", "replace")
        for known in bases.translate(_CANONICAL).decode("ascii").split("N"):
            for start in range(0, len(known), piece_bp):
                yield known[start : start + piece_bp]
