"""The grammar of each clade: the rules of ``resources/grammar.yaml`` with the stop codons of a genetic code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genet5.errors import InputError
from genet5.genome.genetic_code import GeneticCode
from genet5.genome.sites import GrammarRules
from genet5.tokens.grammar import Grammar
from genet5.tokens.tokenizer import GeneTokenizer


class Grammars:
    """One grammar per clade and genetic code, made when first asked for."""

    def __init__(self, tokenizer: GeneTokenizer, table: Mapping[str, Mapping[str, Any]]) -> None:
        self.tokenizer = tokenizer
        self.table = table
        self._made: dict[tuple[str, int], Grammar] = {}

    def of(self, clade: str, genetic_code: int) -> Grammar:
        if clade not in self.table:
            raise InputError(f"clade {clade!r} is not in the grammar table, allowed: {', '.join(sorted(self.table))}")
        key = (clade, genetic_code)
        if key not in self._made:
            rules = dict(self.table[clade])
            rules["starts"] = tuple(rules["starts"])
            rules["splice_pairs"] = tuple(tuple(pair) for pair in rules["splice_pairs"])
            code = GeneticCode.from_table(genetic_code)
            if wrong := sorted(set(rules["starts"]) - code.starts):
                raise InputError(
                    f"clade {clade!r} of the grammar table starts genes with {', '.join(wrong)}, which genetic code "
                    f"{genetic_code} does not; its own: {', '.join(sorted(code.starts))}"
                )
            self._made[key] = Grammar(self.tokenizer, GrammarRules(**rules), code.stops)
        return self._made[key]
