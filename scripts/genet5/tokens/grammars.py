"""The grammar of each clade under each genetic code."""

from __future__ import annotations

from collections.abc import Mapping

from genet5.clades import Clade, clade_named
from genet5.tokens.grammar import Grammar
from genet5.tokens.tokenizer import GeneTokenizer


class Grammars:
    """One grammar per clade and genetic code, made when first asked for."""

    def __init__(self, tokenizer: GeneTokenizer, clades: Mapping[str, Clade]) -> None:
        self.tokenizer = tokenizer
        self.clades = clades
        self._made: dict[tuple[str, int], Grammar] = {}

    def of(self, clade: str, genetic_code: int) -> Grammar:
        """Raises ``InputError`` for a clade that does not exist, and a genetic code that cannot be its."""
        key = (clade, genetic_code)
        if key not in self._made:
            rules = clade_named(self.clades, clade, "clade").gene_rules(genetic_code)
            self._made[key] = Grammar(self.tokenizer, rules)
        return self._made[key]
