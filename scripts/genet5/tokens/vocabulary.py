"""The names of the structure tokens: what a gene, its place and its window are written with.

The fixed ones are listed in ``resources/structure_tokens.txt``. Each clade has one. Mile-posts ``<loc_i>`` and offsets
``<off_j>`` follow from the segment and window lengths. Ids are given out by ``tokenizer.py``; here are only names and
their rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from genet5.errors import InputError
from genet5.files import resource

STRUCTURE_TOKENS_FILE = resource("structure_tokens.txt")

REQUIRED_TOKENS = (
    "<pad>",
    "<bos>",
    "<eos>",
    "<sep>",
    "<+>",
    "<->",
    "<cds>",
    "<end>",
    "<partial5>",
    "<partial3>",
    "<phase_0>",
    "<phase_1>",
    "<phase_2>",
)

_CLADE = re.compile(r"<clade:([A-Za-z0-9_.-]+)>")
_PLACE = re.compile(r"<(loc|off)_\d+>")
# A token spelt with nucleotide letters alone would be found inside raw DNA text.
_NUCLEOTIDES = re.compile(r"[ACGTUNRYSWKMBDHV]+", re.IGNORECASE)


def clade_name(token: str) -> str | None:
    """``plant`` for ``<clade:plant>``, None for any other token."""
    match = _CLADE.fullmatch(token)
    return match.group(1) if match else None


def clade_tokens(clades: Iterable[str]) -> list[str]:
    """``<clade:plant>`` for ``plant``, in alphabetical order."""
    return [f"<clade:{name}>" for name in sorted(clades)]


def location_tokens(segment_bp: int, max_window_bp: int) -> list[str]:
    """``<loc_0>`` .. ``<loc_n>`` with n = max_window_bp // segment_bp: every boundary up to max_window_bp has one."""
    return [f"<loc_{index}>" for index in range(max_window_bp // segment_bp + 1)]


def offset_tokens(segment_bp: int) -> list[str]:
    """``<off_0>`` .. ``<off_{segment_bp - 1}>``."""
    return [f"<off_{index}>" for index in range(segment_bp)]


def read_tokens(path: str | Path) -> list[str]:
    """Tokens of a text file, one a line; empty lines are left out.

    Raises ``InputError`` naming the line for a token that cannot be one (see ``check_tokens``) or stands twice.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot read the token list: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text at byte {error.start}, a token list has one token a line") from error
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        token = line.strip()
        if not token:
            continue
        if token in first_line:
            raise InputError(f"{path}:{number}: token {token!r} stands on line {first_line[token]} already")
        check_tokens([token], where=f"{path}:{number}")
        first_line[token] = number
    return list(first_line)


def check_tokens(tokens: Iterable[str], where: str = "tokens") -> None:
    """Raise ``InputError`` for an empty token, one with white space, or one that DNA text could contain."""
    for token in tokens:
        if not token or re.search(r"\s", token):
            raise InputError(f"{where}: {token!r} is not a token: it must not be empty or contain white space")
        if _NUCLEOTIDES.fullmatch(token):
            raise InputError(f"{where}: {token!r} is spelt with nucleotide letters only and would be found inside DNA")


def check_structure_tokens(tokens: Sequence[str], where: str = "structure tokens") -> None:
    """Raise ``InputError`` unless ``tokens`` name everything the codec writes, and leave out what is generated."""
    missing = [token for token in REQUIRED_TOKENS if token not in tokens]
    if missing:
        raise InputError(f"{where}: missing {' '.join(missing)}")
    if not any(clade_name(token) for token in tokens):
        raise InputError(f"{where}: no clade token, at least one like <clade:fungi> is needed")
    check_no_places(tokens, where)


def check_no_places(tokens: Iterable[str], where: str = "tokens") -> None:
    """Raise ``InputError`` for a mile-post or an offset: they are generated."""
    generated = next((token for token in tokens if _PLACE.fullmatch(token)), None)
    if generated:
        raise InputError(f"{where}: {generated} follows from the segment and window lengths, remove it from the list")


def check_lengths(segment_bp: int, max_window_bp: int) -> None:
    """Raise ``InputError`` unless a segment has bases and a window holds at least one segment."""
    if segment_bp < 1:
        raise InputError(f"segment_bp: {segment_bp}, must be at least 1")
    if max_window_bp < segment_bp:
        raise InputError(f"max_window_bp: {max_window_bp}, must be at least segment_bp ({segment_bp})")
