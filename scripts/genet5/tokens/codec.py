"""Genes of a window as token ids, and back: two exact inverses.

A gene reads ``<+>`` or ``<->``, [``<partial5> <phase_p>``], then for each CDS segment in transcript order ``<cds>`` and
its 5' and 3' boundary (mile-post and offset each, forward-strand coordinates), [``<partial3>``], ``<end>``. The list of
genes is in the order of ``gene_order_key`` and ends with ``<eos>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from genet5.genome.genes import Interval
from genet5.genome.window_genes import WindowGene, gene_order_key, transcript_order
from genet5.tokens.tokenizer import GeneTokenizer


class GrammarError(ValueError):
    """Ids that do not spell genes. ``position``: index of the id that cannot stand where it stands."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"token {position}: {message}")
        self.position = position
        self.message = message


def encode_genes(genes: Iterable[WindowGene], window_bp: int, tokenizer: GeneTokenizer) -> np.ndarray:
    """Ids, int32[n], of ``genes`` in any order; no genes give ``<eos>`` alone.

    Raises ``ValueError`` for a gene that the format cannot say: empty or overlapping segments, segments outside the
    window, a phase on a gene that is complete at its 5' end.
    """
    _check_window(window_bp, tokenizer)
    strands = {"+": tokenizer.plus, "-": tokenizer.minus}
    ids: list[int] = []
    checked = [_checked(gene, window_bp) for gene in genes]
    for gene in sorted(checked, key=gene_order_key):
        ids.append(strands[gene.strand])
        if gene.partial5:
            ids += (tokenizer.partial5, tokenizer.phase(gene.phase))
        for five, three in transcript_order(gene):
            ids += (tokenizer.cds, *tokenizer.boundary_ids(five), *tokenizer.boundary_ids(three))
        if gene.partial3:
            ids.append(tokenizer.partial3)
        ids.append(tokenizer.end)
    ids.append(tokenizer.eos)
    return np.array(ids, dtype=np.int32)


def sequence_tokens(genes: int, segments: int, partial5: int, partial3: int) -> int:
    """Tokens that ``encode_genes`` gives for so many genes with so many CDS segments, of them partial ones."""
    return 2 * genes + 5 * segments + 2 * partial5 + partial3 + 1


def decode_genes(
    ids: Sequence[int] | np.ndarray, window_bp: int, tokenizer: GeneTokenizer, *, strict: bool = True
) -> list[WindowGene]:
    """The genes that ``ids`` spell, in their order.

    ``strict``: raise ``GrammarError`` for anything that ``encode_genes`` would not have written, also for a missing
    ``<eos>`` and ids after it. Otherwise return the genes before the first one that is malformed, and ignore what
    follows ``<eos>``.
    """
    _check_window(window_bp, tokenizer)
    reader = _Reader(np.asarray(ids).tolist(), window_bp, tokenizer)
    genes: list[WindowGene] = []
    try:
        while not reader.take_if(tokenizer.eos):
            first = reader.at
            gene = reader.gene()
            if genes and gene_order_key(gene) < gene_order_key(genes[-1]):
                raise GrammarError(first, f"the gene starting at {transcript_order(gene)[0][0]} is out of order")
            genes.append(gene)
        if reader.at != len(reader.ids):
            raise GrammarError(reader.at, f"{reader.found()} after <eos>")
    except GrammarError:
        if strict:
            raise
    return genes


def _check_window(window_bp: int, tokenizer: GeneTokenizer) -> None:
    if tokenizer.is_expanded and not 0 <= window_bp <= tokenizer.max_window_bp:
        raise ValueError(f"window of {window_bp} bp is outside 0 .. max_window_bp, {tokenizer.max_window_bp}")


def _checked(gene: WindowGene, window_bp: int) -> WindowGene:
    if gene.strand not in ("+", "-"):
        raise ValueError(f"strand {gene.strand!r} of {gene}, allowed + and -")
    if not gene.cds:
        raise ValueError(f"no CDS segment in {gene}")
    previous = 0
    for start, end in gene.cds:
        if not previous <= start < end <= window_bp:
            raise ValueError(f"segment {start}..{end} of {gene} is empty, out of order or outside 0..{window_bp}")
        previous = end
    if gene.phase not in (0, 1, 2) or (gene.phase and not gene.partial5):
        raise ValueError(f"phase {gene.phase} of {gene}: 0 for a complete 5' end, 0 to 2 for a partial one")
    return gene


class _Reader:
    """Recursive descent over ids; ``at`` is the index of the next one."""

    def __init__(self, ids: list[int], window_bp: int, tokenizer: GeneTokenizer) -> None:
        self.ids = ids
        self.at = 0
        self.window_bp = window_bp
        self.tokenizer = tokenizer
        self.strands = {tokenizer.plus: "+", tokenizer.minus: "-"}
        self.phases = {tokenizer.phase(phase): phase for phase in range(3)}

    def gene(self) -> WindowGene:
        tokenizer = self.tokenizer
        strand = self.choice(self.strands, "<+>, <-> or <eos>")
        partial5 = self.take_if(tokenizer.partial5)
        phase = self.choice(self.phases, "<phase_0>, <phase_1> or <phase_2>") if partial5 else 0
        self.take(tokenizer.cds)
        segments = [self.segment(strand, None)]
        while self.take_if(tokenizer.cds):
            segments.append(self.segment(strand, segments[-1]))
        partial3 = self.take_if(tokenizer.partial3)
        self.take(tokenizer.end)
        cds = segments if strand == "+" else segments[::-1]
        return WindowGene(strand, tuple(cds), partial5, partial3, phase)

    def segment(self, strand: str, previous: Interval | None) -> Interval:
        first = self.at
        five = self.boundary()
        if previous is not None and (five < previous.end if strand == "+" else five > previous.start):
            raise GrammarError(first, f"5' boundary {five} lies before the end of the segment written before it")
        second = self.at
        three = self.boundary()
        start, end = (five, three) if strand == "+" else (three, five)
        if start >= end:
            raise GrammarError(second, f"empty segment: 5' boundary {five}, 3' boundary {three} on strand {strand}")
        return Interval(start, end)

    def boundary(self) -> int:
        tokenizer = self.tokenizer
        if self.at >= len(self.ids) or not tokenizer.is_loc(self.ids[self.at]):
            raise GrammarError(self.at, f"{self.found()}, expected a mile-post <loc_i>")
        self.at += 1
        if self.at >= len(self.ids) or not tokenizer.is_off(self.ids[self.at]):
            raise GrammarError(self.at, f"{self.found()}, expected an offset <off_j>")
        position = tokenizer.position(self.ids[self.at - 1], self.ids[self.at])
        if position > self.window_bp:
            raise GrammarError(self.at - 1, f"boundary {position} is outside the window of {self.window_bp} bp")
        self.at += 1
        return position

    def choice(self, values: dict[int, str] | dict[int, int], expected: str) -> str | int:
        if self.at >= len(self.ids) or self.ids[self.at] not in values:
            raise GrammarError(self.at, f"{self.found()}, expected {expected}")
        self.at += 1
        return values[self.ids[self.at - 1]]

    def take(self, id: int) -> None:
        if not self.take_if(id):
            raise GrammarError(self.at, f"{self.found()}, expected {self.tokenizer.token(id)}")

    def take_if(self, id: int) -> bool:
        taken = self.at < len(self.ids) and self.ids[self.at] == id
        self.at += taken
        return taken

    def found(self) -> str:
        """The next token in words."""
        if self.at >= len(self.ids):
            return "the ids end"
        id = self.ids[self.at]
        return self.tokenizer.token(id) if 0 <= id < self.tokenizer.size else f"unknown id {id}"
