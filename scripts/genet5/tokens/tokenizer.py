"""``GeneTokenizer``: DNA with mile-posts and gene structures as ids of one vocabulary.

Ids of the DNA vocabulary come first, then the structure tokens, mile-posts ``<loc_i>``, offsets ``<off_j>``, extra and
later tokens, each group contiguous. No operation moves an id that was given out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import AddedToken, Tokenizer

from genet5.clades import read_clades
from genet5.errors import InputError
from genet5.files import atomic_write, json_text, one_line, read_json
from genet5.tokens import dna, vocabulary, vq
from genet5.tokens.options import KINDS, KINDS_WITH_BASE

TOKENIZER_FILE = "tokenizer.json"
SETTINGS_FILE = "genet5_tokenizer.json"
FORMAT_VERSION = 1
_MOST_TOKENS = 100_000_000


class DnaTokens(NamedTuple):
    """Token ids and the bases each stands for: ``start`` .. ``end - 1`` of the window, all int32[n].

    Everything that is not DNA has an empty span: a mile-post at its base, ``<bos>`` and the clade at 0, ``<sep>`` at
    the window's length. Spans of DNA tokens tile the window.
    """

    ids: np.ndarray
    start: np.ndarray
    end: np.ndarray


def _named(token: str) -> property:
    return property(lambda self: self._structure_id(token), doc=f"Id of ``{token}``.")


class GeneTokenizer:
    """See the module. Make one with ``build``, ``base`` or ``load``.

    ``kind``: kmer, char, bpe or vq. ``k``: bases of a kmer or vq token, else None. ``dna_size``: ids below it are DNA.
    ``segment_bp``, ``max_window_bp``, ``loc_base`` (id of ``<loc_0>``), ``num_loc``, ``off_base`` (id of ``<off_0>``;
    there are ``segment_bp`` offsets) are None until the tokenizer is expanded.
    """

    pad = _named("<pad>")
    bos = _named("<bos>")
    eos = _named("<eos>")
    sep = _named("<sep>")
    plus = _named("<+>")
    minus = _named("<->")
    cds = _named("<cds>")
    end = _named("<end>")
    partial5 = _named("<partial5>")
    partial3 = _named("<partial3>")

    def __init__(
        self, tokenizer: Tokenizer, kind: str, k: int | None, dna_size: int, codes: vq.VqCodes | None = None
    ) -> None:
        self.kind = kind
        self.k = k
        self.dna_size = dna_size
        self.segment_bp: int | None = None
        self.max_window_bp: int | None = None
        self.loc_base: int | None = None
        self.num_loc: int | None = None
        self.off_base: int | None = None
        self._tokenizer = tokenizer
        self._codes = codes
        self._encoder = vq.VqEncoder(codes) if codes else dna.dna_encoder(kind, k, tokenizer)
        self._clades: dict[str, int] = {}
        self._ids: dict[str, int] = {}
        self._index_tokens()

    # Making, saving, loading

    @classmethod
    def base(cls, kind: str, k: int = 6, base: str | Path | Tokenizer | None = None) -> GeneTokenizer:
        """The DNA vocabulary alone.

        ``base``: for bpe, a ``tokenizer.json`` or what ``dna.train_bpe`` returned; for vq, a table of codes, whose k
        then counts.
        """
        if kind not in KINDS:
            raise InputError(f"kind: {kind!r}, allowed {', '.join(KINDS)}")
        if (kind in KINDS_WITH_BASE) != (base is not None):
            needed = {
                "bpe": "needs a tokenizer.json",
                "vq": "needs a table of codes (vq_table.py)",
            }
            raise InputError(f"base: kind {kind} {needed.get(kind, 'takes none')}")
        if kind == "vq":
            codes = vq.read_vq_codes(base)
            return cls(vq.vq_tokenizer(codes), kind, codes.k, len(vq.vq_vocabulary(codes)), codes)
        if kind == "char":
            tokenizer = dna.char_tokenizer()
        elif kind == "kmer":
            tokenizer = dna.kmer_tokenizer(k)
        else:
            tokenizer = dna.bpe_tokenizer(base)
        return cls(tokenizer, kind, k if kind == "kmer" else None, tokenizer.get_vocab_size())

    @classmethod
    def build(
        cls,
        kind: str,
        k: int = 6,
        base: str | Path | Tokenizer | None = None,
        *,
        segment_bp: int,
        max_window_bp: int,
        structure_tokens: Sequence[str] | None = None,
        extra: Sequence[str] = (),
    ) -> GeneTokenizer:
        """``base`` and ``expand`` in one go."""
        tokenizer = cls.base(kind, k, base)
        tokenizer.expand(structure_tokens, segment_bp=segment_bp, max_window_bp=max_window_bp, extra=extra)
        return tokenizer

    def expand(
        self,
        structure_tokens: Sequence[str] | None = None,
        *,
        segment_bp: int,
        max_window_bp: int,
        extra: Sequence[str] = (),
    ) -> None:
        """Add structure tokens, mile-posts, offsets and ``extra``, in place.

        ``structure_tokens``: names in the order of their ids, by default those of ``resources/structure_tokens.txt``
        and one for each clade that comes with GeneT5. Raises ``InputError`` if that was done before, if lengths or
        tokens do not fit, or if a token exists already.
        """
        if self.is_expanded:
            raise InputError("the tokenizer has structure tokens already: use append_tokens to add more")
        vocabulary.check_lengths(segment_bp, max_window_bp)
        if self.k and segment_bp % self.k:
            raise InputError(f"segment_bp: {segment_bp}, must be a multiple of k ({self.k}) for {self.kind} tokens")
        if structure_tokens is None:
            names = vocabulary.read_tokens(vocabulary.STRUCTURE_TOKENS_FILE)
            structure_tokens = [*names, *vocabulary.clade_tokens(read_clades())]
        vocabulary.check_structure_tokens(structure_tokens)
        vocabulary.check_no_places(extra, "extra tokens")
        locations = vocabulary.location_tokens(segment_bp, max_window_bp)
        self._add([*structure_tokens, *locations, *vocabulary.offset_tokens(segment_bp), *extra])
        self._set_lengths(segment_bp, max_window_bp)

    def append_tokens(self, tokens: Sequence[str]) -> list[int]:
        """Add ``tokens`` after all others, in place, and return their ids.

        Raises ``InputError``, with nothing added, for a token that exists, stands twice or cannot be one, and for a
        tokenizer that is not expanded yet.
        """
        self._need_expanded()
        vocabulary.check_no_places(tokens)
        return self._add(tokens)

    def dna_only(self) -> GeneTokenizer:
        """A tokenizer with the DNA vocabulary alone, as it was before ``expand``."""
        stored = json.loads(self._tokenizer.to_str())
        stored["added_tokens"] = [token for token in stored["added_tokens"] if token["id"] < self.dna_size]
        return GeneTokenizer(Tokenizer.from_str(json.dumps(stored)), self.kind, self.k, self.dna_size, self._codes)

    def save(self, folder: str | Path) -> None:
        """Write ``tokenizer.json`` (which tokenizers and transformers can read) and our settings beside it."""
        folder = Path(folder)
        settings = {
            "dna_size": self.dna_size,
            "format_version": FORMAT_VERSION,
            "k": self.k,
            "kind": self.kind,
            "max_window_bp": self.max_window_bp,
            "segment_bp": self.segment_bp,
            "size": self.size,
        }
        if self._codes:
            settings["vq"] = {"k": self._codes.k, "size": self._codes.size, "codes": self._codes.codes.tolist()}
        try:
            # Both are written before either gets its name: a full disk leaves what was there before.
            with atomic_write(folder / TOKENIZER_FILE) as stream, atomic_write(folder / SETTINGS_FILE) as beside:
                stream.write(self._tokenizer.to_str(pretty=True) + "\n")
                stream.flush()
                beside.write(json_text(settings))
        except OSError as error:
            raise InputError(f"{folder}: cannot write the tokenizer here: {error.strerror}") from error

    @classmethod
    def load(cls, folder: str | Path) -> GeneTokenizer:
        """The tokenizer that ``save`` wrote to ``folder``, with the same ids; ``InputError`` if it is not one."""
        folder = Path(folder)
        for name in (TOKENIZER_FILE, SETTINGS_FILE):
            if not (folder / name).is_file():
                raise InputError(
                    f"{folder / name}: no such file, a tokenizer folder has {TOKENIZER_FILE} and {SETTINGS_FILE}"
                )
        settings = _read_settings(folder / SETTINGS_FILE)
        try:
            stored = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        except Exception as error:  # the library raises bare Exception for whatever is wrong with the JSON
            raise InputError(f"{folder / TOKENIZER_FILE}: not a tokenizer.json ({one_line(error)})") from error
        size = stored.get_vocab_size()
        if size != settings["size"]:
            raise InputError(f"{folder / TOKENIZER_FILE}: {size} tokens, {SETTINGS_FILE} says {settings['size']}")
        if stored.get_vocab() and max(stored.get_vocab().values()) >= size:
            raise InputError(f"{folder / TOKENIZER_FILE}: its ids have gaps, or two tokens have one")
        tokenizer = cls(stored, settings["kind"], settings["k"], settings["dna_size"], settings["vq"])
        if settings["segment_bp"] is not None:
            tokenizer._set_lengths(settings["segment_bp"], settings["max_window_bp"])
        tokenizer._check_stored(folder)
        return tokenizer

    # Vocabulary

    @property
    def size(self) -> int:
        """Number of ids, DNA and structure."""
        return len(self._ids)

    @property
    def is_expanded(self) -> bool:
        return self.loc_base is not None

    @property
    def n_id(self) -> int:
        """Id of the DNA token that stands for unknown bases."""
        return self._encoder.n_id

    @property
    def clades(self) -> tuple[str, ...]:
        """Names of the clades that have a token, by id."""
        return tuple(self._clades)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def id(self, token: str) -> int:
        """Id of ``token``; ``InputError`` if there is no such token."""
        try:
            return self._ids[token]
        except KeyError:
            raise InputError(f"tokenizer: no token {token!r} among its {self.size}") from None

    def token(self, id: int) -> str:
        """Name of the token with this id; ``InputError`` if there is none."""
        if not 0 <= id < self.size:
            raise InputError(f"tokenizer: no token with id {id}, ids are 0 to {self.size - 1}")
        return self._names[id]

    def clade(self, name: str) -> int:
        """Id of ``<clade:name>``; ``InputError`` listing the clades if there is none."""
        if name not in self._clades:
            raise InputError(f"clade: {name!r}, allowed {', '.join(self._clades) or 'none (not expanded)'}")
        return self._clades[name]

    def phase(self, phase: int) -> int:
        """Id of ``<phase_0>``, ``<phase_1>`` or ``<phase_2>``."""
        return self._structure_id(f"<phase_{phase}>")

    # Places

    def boundary_ids(self, position: int) -> tuple[int, int]:
        """Ids of the mile-post and the offset of a boundary, 0 .. max_window_bp (``ValueError`` outside)."""
        self._need_expanded()
        if not 0 <= position <= self.max_window_bp:
            raise ValueError(f"position {position} is outside 0 .. {self.max_window_bp}")
        segment, offset = divmod(int(position), self.segment_bp)
        return self.loc_base + segment, self.off_base + offset

    def position(self, loc_id: int, off_id: int) -> int:
        """The boundary that a mile-post and an offset stand for; ``ValueError`` if the ids are other tokens."""
        if not (self.is_loc(loc_id) and self.is_off(off_id)):
            raise ValueError(f"ids {loc_id}, {off_id} are not a mile-post and an offset")
        return int(loc_id - self.loc_base) * self.segment_bp + int(off_id - self.off_base)

    def is_loc(self, ids: int | np.ndarray) -> bool | np.ndarray:
        """Whether each id is a mile-post."""
        self._need_expanded()
        return (ids >= self.loc_base) & (ids < self.loc_base + self.num_loc)

    def is_off(self, ids: int | np.ndarray) -> bool | np.ndarray:
        """Whether each id is an offset."""
        self._need_expanded()
        return (ids >= self.off_base) & (ids < self.off_base + self.segment_bp)

    # DNA

    def encode_dna(self, bases: bytes | str) -> DnaTokens:
        """DNA tokens of a window with ``<loc_i>`` before base i * segment_bp, and after the last base where one is due.

        So there are ``len(bases) // segment_bp + 1`` mile-posts, the first one at base 0. No DNA token crosses one.
        Raises ``ValueError`` for a window longer than ``max_window_bp``.
        """
        self._need_expanded()
        if isinstance(bases, str):
            bases = bases.encode("ascii", "replace")
        length = len(bases)
        if length > self.max_window_bp:
            raise ValueError(f"window of {length} bp is longer than max_window_bp, {self.max_window_bp}")
        dna_ids, dna_end = self._encoder(bases, self.segment_bp)
        posts = np.arange(length // self.segment_bp + 1, dtype=np.int32)
        post_at = posts * self.segment_bp
        # A mile-post stands after the DNA tokens that end at or before it, and after the mile-posts before it.
        index = np.searchsorted(dna_end, post_at, side="right") + posts
        ids = np.empty(len(dna_ids) + len(posts), dtype=np.int32)
        end = np.empty_like(ids)
        is_dna = np.ones(len(ids), dtype=bool)
        is_dna[index] = False
        ids[is_dna] = dna_ids
        end[is_dna] = dna_end
        ids[index] = self.loc_base + posts
        end[index] = post_at
        # Every token starts where the one before it ends; a mile-post's span is empty at that base.
        start = np.empty_like(end)
        start[0] = 0
        start[1:] = end[:-1]
        return DnaTokens(ids, start, end)

    def num_dna_tokens(self, window_bp: np.ndarray) -> np.ndarray | None:
        """DNA tokens of windows of these lengths, mile-posts left out; None where they depend on the bases (bpe)."""
        if self.kind == "bpe":
            return None
        return window_bp // self.k + window_bp % self.k if self.k else window_bp

    def prompt_ids(self, bases: bytes | str, clade: str) -> DnaTokens:
        """``<bos> <clade:x>``, DNA with mile-posts, ``<sep>``: what a model reads before it writes genes."""
        body = self.encode_dna(bases)
        before = np.zeros(2, dtype=np.int32)
        after = np.full(1, len(bases), dtype=np.int32)
        first = np.array([self.bos, self.clade(clade)], dtype=np.int32)
        last = np.array([self.sep], dtype=np.int32)
        return DnaTokens(
            np.concatenate([first, body.ids, last]),
            np.concatenate([before, body.start, after]),
            np.concatenate([before, body.end, after]),
        )

    # Inside

    def _add(self, tokens: Sequence[str]) -> list[int]:
        vocabulary.check_tokens(tokens)
        seen: set[str] = set()
        for token in tokens:
            if token in self._ids or token in seen:
                raise InputError(f"tokens: {token!r} exists already, a token can be added once")
            seen.add(token)
        first = self.size
        # Special and not normalised: found in text as they are spelt, before DNA is read.
        self._tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
        self._index_tokens()
        return list(range(first, self.size))

    def _index_tokens(self) -> None:
        self._ids = dict(sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1]))
        self._names = list(self._ids)
        names = ((vocabulary.clade_name(token), index) for token, index in self._ids.items())
        self._clades = {name: index for name, index in names if name is not None}

    def _check_stored(self, folder: Path) -> None:
        """Raise ``InputError`` unless ids are where the settings and the encoders expect them."""
        expected = vq.vq_vocabulary(self._codes) if self._codes else dna.fixed_vocabulary(self.kind, self.k)
        if expected is not None and self._names[: self.dna_size] != expected:
            raise InputError(
                f"{folder / TOKENIZER_FILE}: the first {self.dna_size} tokens are not those of kind {self.kind}"
            )
        if not self.is_expanded:
            return
        vocabulary.check_structure_tokens(
            self._names[self.dna_size : self.loc_base], where=str(folder / TOKENIZER_FILE)
        )
        for first, tokens in (
            (self.loc_base, vocabulary.location_tokens(self.segment_bp, self.max_window_bp)),
            (self.off_base, vocabulary.offset_tokens(self.segment_bp)),
        ):
            if self._names[first : first + len(tokens)] != tokens:
                raise InputError(f"{folder / TOKENIZER_FILE}: {tokens[0]} .. {tokens[-1]} do not follow each other")

    def _set_lengths(self, segment_bp: int, max_window_bp: int) -> None:
        self.segment_bp = segment_bp
        self.max_window_bp = max_window_bp
        self.num_loc = max_window_bp // segment_bp + 1
        self.loc_base = self.id("<loc_0>")
        self.off_base = self.id("<off_0>")

    def _structure_id(self, token: str) -> int:
        self._need_expanded()
        return self._ids[token]

    def _need_expanded(self) -> None:
        if self.loc_base is None:
            raise InputError("the tokenizer has no structure tokens yet: expand it first (expand_tokenizer.py)")


def _read_settings(path: Path) -> dict[str, Any]:
    """The settings that ``GeneTokenizer.save`` wrote; ``InputError`` naming the first key that is wrong."""
    settings = read_json(path)
    if settings.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path}: format_version {settings.get('format_version')!r}, allowed {FORMAT_VERSION}")
    if settings.get("kind") not in KINDS:
        raise InputError(f"{path}: kind {settings.get('kind')!r}, allowed {', '.join(KINDS)}")
    counts = ["dna_size", "size", *(["k"] if settings["kind"] in ("kmer", "vq") else [])]
    if settings.get("segment_bp") is not None:
        counts += ["segment_bp", "max_window_bp"]
    for key in counts:
        if type(settings.get(key)) is not int or settings[key] < 1:
            raise InputError(f"{path}: {key} {settings.get(key)!r}, must be a whole number of at least 1")
    if settings.get("segment_bp") is not None:
        places = settings["max_window_bp"] // settings["segment_bp"] + 1 + settings["segment_bp"]
        if places > settings["size"]:
            raise InputError(
                f"{path}: max_window_bp {settings['max_window_bp']} and segment_bp {settings['segment_bp']} need "
                f"{places} tokens, it has {settings['size']}"
            )
    if settings["dna_size"] > settings["size"] or settings["size"] > _MOST_TOKENS:
        raise InputError(f"{path}: dna_size {settings['dna_size']} of size {settings['size']} is not possible")
    if settings["kind"] == "kmer" and settings["k"] > dna.LARGEST_K:
        raise InputError(f"{path}: k {settings['k']}, allowed 1 to {dna.LARGEST_K}")
    codes = vq.parse_vq_codes(_section(settings.get("vq")), f"{path}, vq") if settings["kind"] == "vq" else None
    if codes and codes.k != settings["k"]:
        raise InputError(f"{path}: k {settings['k']}, its table of codes says {codes.k}")
    found = {key: settings.get(key) for key in ("kind", "k", "dna_size", "size", "segment_bp", "max_window_bp")}
    return found | {"vq": codes}


def _section(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
