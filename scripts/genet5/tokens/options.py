"""Options of the tokenizer: the section tokenizer of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genet5.options import option
from genet5.sources.hub import is_hub_id

#: DNA tokens: k bases a token, one base, byte pairs, codes of the study VQ-Transformer.
KINDS = ("kmer", "char", "bpe", "vq")
KINDS_WITH_BASE = ("bpe", "vq")
BASE_FILE = "tokenizer.json"


@dataclass(frozen=True)
class TokenizerOptions:
    """The tokenizer of the writer."""

    kind: str = option(
        "kmer",
        "DNA tokens: kmer has k bases in a token, and char has one; bpe has the byte pairs, and vq the codes, of the "
        "file base",
        choices=KINDS,
    )
    k: int = option(6, "number of bases in a token of kind kmer", minimum=1, maximum=8)
    base: str = option(
        "",
        "bpe: a tokenizer.json, its folder, or a hub id (owner/name or owner/name@revision); vq: a table of codes "
        "(data/studies/vq_transformer/{run}/tokens/*.json); other kinds have none",
    )
    segment_bp: int = option(
        96,
        "bases between two mile-posts; a coordinate is a mile-post and an offset, and a multiple of k wastes no tokens",
        minimum=8,
    )
    max_window_bp: int = option(45_000, "bases of the longest window that the writer can read", minimum=100)
    structure_tokens: str = option("", "file with one structure token a line; empty: the list that GeneT5 ships")
    extra_tokens: tuple[str, ...] = option(
        (), "more tokens to append, for later stages", pattern=r"^\S+$", described="text without blanks"
    )


def local_base(kind: str, base: str) -> Path | None:
    """The file on this machine that ``base`` means, whether it is there or not; None for a hub id."""
    if kind == "bpe" and is_hub_id(base):
        return None
    return Path(base) / BASE_FILE if Path(base).is_dir() else Path(base)
