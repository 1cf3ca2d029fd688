"""The decoder finds the genes that potentials show, is optimal under the grammar, and never leaves it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.crf.decoding import best_genes
from genet5.genome.genes import Interval
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.sites import GeneRules, WindowSites
from genet5.genome.window_genes import WindowGene, gene_order_key, reverse_complement_genes
from genet5.tokens.codec import decode_genes, encode_genes
from genet5.tokens.grammar import Cursor, Grammar
from genet5.tokens.grammar_steps import GrammarViolation, Step
from genet5.tokens.tokenizer import GeneTokenizer

STOPS = frozenset({"TAA", "TAG", "TGA"})
BACTERIA = GeneRules(starts=("ATG", "GTG", "TTG"), min_gene_bp=30, max_overlap_bp=20)
SPLICED = GeneRules(
    starts=("ATG",),
    splice_pairs=(("GT", "AG"), ("GC", "AG"), ("AT", "AC")),
    min_intron_bp=10,
    max_intron_bp=400,
    min_exon_bp=3,
    min_gene_bp=30,
    max_overlap_bp=0,
)
TINY = replace(SPLICED, min_intron_bp=5, max_intron_bp=14, min_gene_bp=12)
TOKENIZER = GeneTokenizer.build("kmer", segment_bp=12, max_window_bp=3000)
GENE_PENALTY = 4.0
CODONS = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in STOPS]


def strand_segments(gene: WindowGene, size: int) -> list[tuple[int, int]]:
    """CDS segments 5' to 3' in strand coordinates."""
    return [tuple(s) for s in gene.cds] if gene.strand == "+" else [(size - e, size - s) for s, e in reversed(gene.cds)]


def clear_potentials(genes: Sequence[WindowGene], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of +5 where ``genes`` say so and -5 elsewhere."""
    classes = np.full((2, size, 4), -5.0, dtype=np.float32)
    sites = np.full((2, 4, size + 1), -5.0, dtype=np.float32)
    for gene in genes:
        row = int(gene.strand == "-")
        segments = strand_segments(gene, size)
        position = -gene.phase
        for begin, end in segments:
            for base in range(begin, end):
                classes[row, base, position % 3] = 5
                position += 1
        first, last = segments[0][0], segments[-1][1]
        introns = [(left[1], right[0]) for left, right in pairwise(segments)]
        introns += ([(0, first)] if gene.partial5 else []) + ([(last, size)] if gene.partial3 else [])
        for donor, acceptor in introns:
            classes[row, donor:acceptor, 3] = 5
        for begin, _ in segments[1:] if not gene.partial5 or first == 0 else segments:
            sites[row, 3, begin] = 5
        for _, end in segments[:-1] if not gene.partial3 or last == size else segments:
            sites[row, 2, end] = 5
        if not gene.partial5:
            sites[row, 0, first] = 5
        if not gene.partial3:
            sites[row, 1, last] = 5
    return classes, sites


def noisy_potentials(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return (
        rng.normal(0.2, 1.0, size=(2, size, 4)).astype(np.float32),
        rng.normal(-1.0, 2.0, size=(2, 4, size + 1)).astype(np.float32),
    )


def score(gene: WindowGene, classes: np.ndarray, sites: np.ndarray, size: int) -> float:
    """What ``best_genes`` says a gene is worth, summed base by base."""
    classes, sites = classes.astype(np.float64), sites.astype(np.float64)
    row = int(gene.strand == "-")
    segments = strand_segments(gene, size)
    total, position = -GENE_PENALTY, -gene.phase
    for begin, end in segments:
        for base in range(begin, end):
            total += classes[row, base, position % 3]
            position += 1
    first, last = segments[0][0], segments[-1][1]
    for left, right in pairwise(segments):
        total += sites[row, 2, left[1]] + sites[row, 3, right[0]]
        total += classes[row, left[1] : right[0], 3].sum()
    if not gene.partial5:
        total += sites[row, 0, first]
    elif first:
        total += sites[row, 3, first] + classes[row, :first, 3].sum()
    if not gene.partial3:
        total += sites[row, 1, last]
    elif last < size:
        total += sites[row, 2, last] + classes[row, last:, 3].sum()
    return float(total)


def spell(sites: WindowSites, genes: Sequence[WindowGene], stops: frozenset[str] = STOPS) -> None:
    """Feed ``genes`` through the grammar; raises where it refuses a token."""
    cursor = Grammar(TOKENIZER, sites.rules).begin(sites)
    for token in encode_genes(genes, sites.window_bp, TOKENIZER).tolist():
        cursor.advance(token)
    assert cursor.finished


def exon(rng: np.random.Generator, codons: int) -> str:
    return "".join(rng.choice(CODONS, size=codons))


def junk(rng: np.random.Generator, size: int) -> str:
    return "".join(rng.choice(list("ACGT"), size=size))


def plant(rng: np.random.Generator, exons: int) -> tuple[str, list[tuple[int, int]]]:
    """Bases of a + gene with introns at random places of its reading frame, and its segments."""
    coding = "ATG" + exon(rng, 40) + "TAA"
    cuts = sorted(rng.choice(np.arange(12, len(coding) - 12, 7), size=exons - 1, replace=False).tolist())
    text, segments = "", []
    for begin, end in zip([0, *cuts], [*cuts, len(coding)], strict=True):
        if begin:
            text += "GT" + junk(rng, int(rng.integers(20, 60))) + "AG"
        segments.append((len(text), len(text) + end - begin))
        text += coding[begin:end]
    return text, segments


def planted_window(seed: int, counts: Sequence[int]) -> tuple[str, list[WindowGene]]:
    """A window of genes with so many exons each, alternating strands, junk between them."""
    rng = np.random.default_rng(seed)
    bases, genes = junk(rng, 30), []
    for index, exons in enumerate(counts):
        text, segments = plant(rng, exons)
        strand = "+-"[(index + seed) % 2]
        if strand == "-":
            text = reverse_complement(text)
            segments = [(len(text) - end, len(text) - begin) for begin, end in reversed(segments)]
        genes.append(WindowGene(strand, tuple(Interval(len(bases) + b, len(bases) + e) for b, e in segments)))
        bases += text + junk(rng, int(rng.integers(5, 60)))
    return bases, genes


def crop(genes: Sequence[WindowGene], start: int, end: int) -> list[WindowGene]:
    """What the window [start, end) shows of complete ``genes``."""
    shown = []
    for gene in genes:
        forward = gene.strand == "+"
        cut = gene.start < start, gene.end > end
        partial5, partial3 = cut if forward else cut[::-1]
        hidden = sum(max(0, min(e, start) - b) if forward else max(0, e - max(b, end)) for b, e in gene.cds)
        cds = tuple(Interval(max(b, start) - start, min(e, end) - start) for b, e in gene.cds if b < end and e > start)
        if cds:
            shown.append(WindowGene(gene.strand, cds, partial5, partial3, -hidden % 3 if partial5 else 0))
    return sorted(shown, key=gene_order_key)


# ---------------------------------------------------------------- clear potentials give exactly the planted genes


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("counts", [(1,), (3,), (1, 1, 1, 1), (2, 4, 1, 3)], ids=str)
def test_clear_potentials_give_exactly_the_planted_genes(counts: tuple[int, ...], seed: int) -> None:
    bases, genes = planted_window(seed, counts)
    size = len(bases)
    rules = SPLICED if max(counts) > 1 else BACTERIA
    classes, sites = clear_potentials(genes, size)
    found = best_genes(classes, sites, WindowSites(bases, rules), GENE_PENALTY)
    assert [gene for gene, _ in found] == sorted(genes, key=gene_order_key)
    for gene, value in found:
        assert value == pytest.approx(score(gene, classes, sites, size))


@pytest.mark.parametrize("seed", range(6))
def test_genes_cut_by_the_window_are_found_as_partial(seed: int) -> None:
    """Cuts through exons, codons and introns of either strand, wherever the grammar can say what is left."""
    bases, genes = planted_window(seed, (3, 4))
    rng = np.random.default_rng(seed)
    tried = 0
    while tried < 8:
        start = int(rng.integers(genes[0].start + 1, genes[0].end - 20))
        end = int(rng.integers(genes[1].start + 20, genes[1].end))
        shown = crop(genes, start, end)
        sites = WindowSites(bases[start:end], SPLICED)
        try:
            for gene in shown:
                spell(sites, [gene])
        except GrammarViolation:  # the window shows one or two bases of an exon, or half a splice site
            continue
        assert all(gene.partial5 or gene.partial3 for gene in shown)
        found = best_genes(*clear_potentials(shown, end - start), sites, GENE_PENALTY)
        assert [gene for gene, _ in found] == shown
        tried += 1


@pytest.mark.parametrize("rules", [BACTERIA, SPLICED], ids=["bacteria", "spliced"])
def test_both_strands_read_alike(rules: GeneRules) -> None:
    """The reverse complement of window and potentials gives the reverse complement of the genes."""
    strands = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        bases = junk(rng, 900)
        classes, odds = noisy_potentials(len(bases), rng)
        forward = best_genes(classes, odds, WindowSites(bases, rules), GENE_PENALTY)
        turned = WindowSites(reverse_complement(bases), rules)
        backward = best_genes(classes[::-1], odds[::-1], turned, GENE_PENALTY)
        assert reverse_complement_genes([gene for gene, _ in forward], len(bases)) == [gene for gene, _ in backward]
        strands.update(gene.strand for gene, _ in forward)
    assert strands == {"+", "-"}


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("codons", [8, 60])  # as long as the overlap allowed and a little; longer than twice that
def test_overlapping_genes_of_an_operon_are_both_found(codons: int, strand: str) -> None:
    """ATGA: the stop of one gene shares four bases with the start of the next."""
    rng = np.random.default_rng(2)
    first = junk(rng, 20) + "ATG" + exon(rng, codons - 1) + "GC"
    second = "ATGAAC" + exon(rng, 30) + "TAA"
    bases = first + second + junk(rng, 20)
    size = len(bases)
    genes = [
        WindowGene("+", (Interval(20, len(first) + 4),)),
        WindowGene("+", (Interval(len(first), len(first) + len(second)),)),
    ]
    if strand == "-":
        bases, genes = reverse_complement(bases), reverse_complement_genes(genes, size)
    sites = WindowSites(bases, BACTERIA)
    spell(sites, genes)
    found = best_genes(*clear_potentials(genes, size), sites, GENE_PENALTY)
    assert [gene for gene, _ in found] == genes


def test_a_gene_within_an_intron_of_the_other_strand_is_found() -> None:
    rng = np.random.default_rng(4)
    inner = reverse_complement("ATG" + exon(rng, 25) + "TAG")
    host = ["ATG" + exon(rng, 12), "GT" + junk(rng, 30) + inner + junk(rng, 30) + "AG", exon(rng, 12) + "TAA"]
    bases = "".join(host)
    begin, end = len(host[0]), len(host[0]) + len(host[1])
    genes = [
        WindowGene("+", (Interval(0, begin), Interval(end, len(bases)))),
        WindowGene("-", (Interval(begin + 32, begin + 32 + len(inner)),)),
    ]
    found = best_genes(*clear_potentials(genes, len(bases)), WindowSites(bases, SPLICED), GENE_PENALTY)
    assert [gene for gene, _ in found] == genes


def test_the_strand_that_loses_less_yields() -> None:
    """A start farther upstream would read through a gene of the other strand: the next start is taken, both stay."""
    shadow, body = "TTA" + "GCC" * 40 + "CAT", "ATG" + "GCC" * 60 + "TAA"
    bases = "C" * 12 + "ATG" + "GCC" * 5 + shadow + "GCC" * 2 + body + "C" * 12
    minus, plus = 12 + 18, 12 + 18 + len(shadow) + 6
    genes = [
        WindowGene("-", (Interval(minus, minus + len(shadow)),)),
        WindowGene("+", (Interval(plus, plus + len(body)),)),
    ]
    classes, site_odds = clear_potentials(genes, len(bases))
    position = np.arange(12, plus)
    classes[0, position, (position - 12) % 3] = 1
    site_odds[0, 0, 12] = 5
    sites = WindowSites(bases, BACTERIA)
    assert [gene for gene, _ in best_genes(classes, site_odds, sites, GENE_PENALTY)] == genes
    apart = best_genes(classes, site_odds, sites, GENE_PENALTY, max_opposite_overlap_bp=len(bases))
    assert WindowGene("+", (Interval(12, plus + len(body)),)) in [gene for gene, _ in apart]


# ---------------------------------------------------------------- optimal under the grammar


def fork(cursor: Cursor) -> Cursor:
    shared = (cursor.grammar, cursor.sites, cursor.tokens, cursor.rules)
    return copy.deepcopy(cursor, {id(part): part for part in shared})


def legal_genes(sites: WindowSites) -> list[WindowGene]:
    """Every gene the grammar can write first in a window, by walking all its sequences."""
    genes = []
    stack = [(Grammar(TOKENIZER, sites.rules).begin(sites), [])]
    while stack:
        cursor, ids = stack.pop()
        while True:
            if cursor.step is Step.GENE and ids:
                genes += decode_genes([*ids, TOKENIZER.eos], sites.window_bp, TOKENIZER)
                break
            legal = [token for token in cursor.legal_ids().tolist() if token != TOKENIZER.eos]
            if not legal:
                break
            for token in legal[1:]:
                other = fork(cursor)
                other.advance(token)
                stack.append((other, [*ids, token]))
            cursor.advance(legal[0])
            ids.append(legal[0])
    return genes


def best_total(genes: Sequence[WindowGene], values: Sequence[float], size: int, rules: GeneRules) -> float:
    """Best sum over all chains of genes of one strand.

    Nothing precedes a gene that the 5' edge cuts, nothing follows one that the 3' edge cuts. Two neighbours share up to
    n bases (n: what the rules allow, or 8) if the last segment of the first has at least n more than the rules allow.
    """
    most = rules.max_overlap_bp
    order = sorted(range(len(genes)), key=lambda index: strand_segments(genes[index], size)[0][0])
    totals: list[tuple[WindowGene, float]] = []
    for gene, value in ((genes[index], values[index]) for index in order):
        begin = strand_segments(gene, size)[0][0]
        before = [0.0]
        for earlier, total in () if gene.partial5 else totals:
            last = strand_segments(earlier, size)[-1]
            fits = any(
                begin >= last[1] - n and (n == 0 or last[1] - last[0] >= most + n) for n in (0, min(8, most), most)
            )
            if fits and not earlier.partial3:
                before.append(total)
        totals.append((gene, value + max(before)))
    return max([0.0, *(total for _, total in totals)])


SEARCHED = {
    "spliced": TINY,
    "narrow": replace(TINY, max_intron_bp=9, splice_pairs=(("GT", "AG"), ("GT", "AC"))),
    "whole": replace(BACTERIA, min_gene_bp=12, max_overlap_bp=0),
    "overlapping": replace(BACTERIA, min_gene_bp=12, max_overlap_bp=10),
}


@pytest.mark.parametrize("rules", SEARCHED.values(), ids=SEARCHED.keys())
@pytest.mark.parametrize("seed", range(30))
def test_no_chain_of_legal_genes_scores_more(rules: GeneRules, seed: int) -> None:
    """Every gene that the grammar can write, scored base by base, and all chains of them: the decoder's is the best."""
    rng = np.random.default_rng(seed)
    pieces = ["ATG", "GT", "AG", "TAA", "TGA", "AT", "AC", "GC", "CAT", "TTA", "A", "C", "G", "T", "N"]
    size = int(rng.integers(1, 90) if rules.splice_pairs else rng.integers(60, 250))
    bases = "".join(rng.choice(pieces if rules.splice_pairs else [*"ACGT", "ATG", "CAT"], size=size))[:size]
    sites = WindowSites(bases, rules)
    classes, site_odds = noisy_potentials(size, rng)
    found = best_genes(classes, site_odds, sites, GENE_PENALTY, max_opposite_overlap_bp=size)
    legal = legal_genes(sites)
    for strand in "+-":
        mine = [gene for gene in legal if gene.strand == strand]
        best = best_total(mine, [score(gene, classes, site_odds, size) for gene in mine], size, rules)
        got = [(gene, value) for gene, value in found if gene.strand == strand]
        assert {gene for gene, _ in got} <= set(mine)
        assert sum(value for _, value in got) == pytest.approx(best)
        assert [value for _, value in got] == pytest.approx([score(gene, classes, site_odds, size) for gene, _ in got])


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(0, 700),
    rules=st.sampled_from([BACTERIA, SPLICED, TINY]),
    min_exon_bp=st.sampled_from([1, 3, 7]),
    max_overlap_bp=st.sampled_from([0, 4, 30]),
    stops=st.sampled_from([STOPS, frozenset({"TGA"}), frozenset({"TAA", "TAG"})]),
    opposite=st.sampled_from([0, 60]),
)
@settings(max_examples=120, deadline=None)
def test_every_gene_is_legal_and_none_overlaps_too_much(
    seed: int, size: int, rules: GeneRules, min_exon_bp: int, max_overlap_bp: int, stops: frozenset, opposite: int
) -> None:
    rng = np.random.default_rng(seed)
    rules = replace(rules, min_exon_bp=min_exon_bp, max_overlap_bp=max_overlap_bp)
    bases = "".join(rng.choice(list("ACGT" * 10 + "N"), size=size))
    sites = WindowSites(bases, replace(rules, stops=stops))
    classes, odds = noisy_potentials(size, rng)
    found = best_genes(classes, odds, sites, GENE_PENALTY, max_opposite_overlap_bp=opposite)
    genes = [gene for gene, _ in found]
    assert genes == sorted(genes, key=gene_order_key)
    assert all(value > 0 for _, value in found)
    for gene in genes:
        spell(sites, [gene], stops)
    if not rules.splice_pairs:  # with introns the grammar refuses some legal sets: see its conservative rule
        spell(sites, genes, stops)
    covered = np.zeros((len(genes), size), dtype=int)
    for index, gene in enumerate(genes):
        for start, end in gene.cds:
            covered[index, start:end] = 1
    for index, gene in enumerate(genes):
        same = np.array([other.strand == gene.strand for other in genes[:index]], dtype=bool)
        shared = (covered[:index] * covered[index]).sum(1)
        assert shared[same].sum() <= max_overlap_bp
        assert (shared[~same] <= opposite).all()


def test_potentials_of_the_wrong_shape_or_not_finite_is_refused() -> None:
    sites = WindowSites("ACGT" * 10, BACTERIA)
    classes, odds = clear_potentials([], 40)
    assert best_genes(classes, odds, sites, GENE_PENALTY) == []
    with pytest.raises(ValueError, match=r"potentials has shape \(2, 39, 4\)"):
        best_genes(classes[:, 1:], odds, sites, GENE_PENALTY)
    odds[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="site_potentials holds values that are not finite"):
        best_genes(classes, odds, sites, GENE_PENALTY)
