"""The grammar never dead-ends, lets no invalid gene through, and accepts every gene the rules allow."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genet5.genome.genes import Interval
from genet5.genome.genetic_code import reverse_complement
from genet5.genome.sites import NO_STOP, GeneRules, WindowSites
from genet5.genome.window_genes import WindowGene
from genet5.tokens.codec import decode_genes, encode_genes
from genet5.tokens.grammar import Grammar
from genet5.tokens.grammar_steps import GrammarViolation
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.reading_frames import keep_frames

STOPS = frozenset({"TAA", "TAG", "TGA"})
BACTERIA = GeneRules(starts=("ATG", "GTG", "TTG"), min_gene_bp=30, max_overlap_bp=10)
SPLICED = GeneRules(
    starts=("ATG",),
    splice_pairs=(("GT", "AG"), ("GC", "AG"), ("AT", "AC")),
    min_intron_bp=8,
    max_intron_bp=60,
    min_exon_bp=3,
    min_gene_bp=30,
    max_overlap_bp=0,
)
TINY_EXONS = replace(SPLICED, min_exon_bp=1)
TOKENIZER = GeneTokenizer.build("kmer", segment_bp=12, max_window_bp=1200)


def walk(bases: str, rules: GeneRules, rng: np.random.Generator, max_tokens: int = 4000) -> list[int]:
    """Ids of a random legal structure sequence; fails if the grammar offers nothing before <eos>."""
    grammar = Grammar(TOKENIZER, rules)
    cursor = grammar.begin(grammar.sites(bases))
    ids: list[int] = []
    while not cursor.finished:
        legal = cursor.legal_ids()
        assert len(legal), f"dead end at {cursor.step} after {[TOKENIZER.token(i) for i in ids[-12:]]}"
        choices = legal
        if TOKENIZER.eos in legal and len(legal) > 1 and rng.random() < 0.9:
            choices = legal[legal != TOKENIZER.eos]
        ids.append(int(rng.choice(choices)))
        cursor.advance(ids[-1])
        assert len(ids) < max_tokens
    return ids


def coding_text(gene: WindowGene, bases: str) -> str:
    text = "".join(bases[start:end] for start, end in gene.cds)
    return reverse_complement(text) if gene.strand == "-" else text


def check_gene(gene: WindowGene, bases: str, rules: GeneRules) -> None:
    """What a user would call a valid gene, written without looking at the automaton."""
    text = coding_text(gene, bases)[gene.phase :]
    codons = [text[i : i + 3] for i in range(0, len(text) - len(text) % 3, 3)]
    assert not any(codon in STOPS for codon in codons[:-1])
    if not gene.partial5:
        assert codons[0] in rules.starts
    if not gene.partial3:
        assert len(text) % 3 == 0
        assert codons[-1] in STOPS or (gene.partial5 and len(codons) == 1)
    elif codons:
        assert codons[-1] not in STOPS
    window = bases if gene.strand == "+" else reverse_complement(bases)
    size = len(bases)
    cds = gene.cds if gene.strand == "+" else [Interval(size - e, size - s) for s, e in reversed(gene.cds)]
    for left, right in pairwise(cds):
        ends = (window[left.end : left.end + 2], window[right.start - 2 : right.start])
        assert ends in rules.splice_pairs
        assert rules.min_intron_bp <= right.start - left.end <= rules.max_intron_bp
    if gene.partial3 and cds[-1].end < size:
        assert any(window[cds[-1].end :].startswith(donor) for donor, _ in rules.splice_pairs)
        assert size - cds[-1].end <= rules.max_intron_bp
    if gene.partial5 and cds[0].start > 0:
        assert cds[0].start <= rules.max_intron_bp


@pytest.mark.parametrize("rules", [BACTERIA, SPLICED, TINY_EXONS], ids=["bacteria", "spliced", "tiny exons"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_random_walks_end_and_write_valid_genes_only(rules: GeneRules, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 700))
    letters = "ACGT" if rng.random() < 0.7 else "ACGTN"
    bases = "".join(rng.choice(list(letters), size=size))
    ids = walk(bases, rules, rng)
    genes = decode_genes(ids, size, TOKENIZER)
    assert encode_genes(genes, size, TOKENIZER).tolist() == ids
    taken = {"+": np.zeros(size, dtype=int), "-": np.zeros(size, dtype=int)}
    for gene in genes:
        check_gene(gene, bases, rules)
        for start, end in gene.cds:
            assert taken[gene.strand][start:end].sum() <= rules.max_overlap_bp
        for start, end in gene.cds:
            taken[gene.strand][start:end] += 1


def test_walks_write_genes_of_every_kind() -> None:
    """The property above is not empty: multi-exon, partial and minus genes do occur."""
    rng = np.random.default_rng(1)
    seen = set()
    for round_ in range(90):
        size = 40 if round_ % 2 else 600  # short windows: genes cut on both sides in one exon
        bases = "".join(rng.choice(list("ACGT"), size=size))
        for gene in decode_genes(walk(bases, SPLICED, rng), size, TOKENIZER):
            seen.add((gene.strand, len(gene.cds) > 1, gene.partial5, gene.partial3))
    assert len(seen) == 16


def exon(rng: np.random.Generator, codons: int) -> str:
    """Random codons without a stop in frame."""
    options = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in STOPS]
    return "".join(rng.choice(options, size=codons))


@pytest.mark.parametrize("strand", ["+", "-"])
def test_a_gene_within_the_rules_is_legal_token_by_token(strand: str) -> None:
    """ATG exon, GT..AG intron after one base of a codon, exon, stop: accepted as written, its neighbours refused."""
    rng = np.random.default_rng(7)
    first, second = "ATG" + exon(rng, 10) + "C", "AA" + exon(rng, 9) + "TAA"
    intron = "GT" + "C" * 16 + "AG"
    bases = "C" * 20 + first + intron + second + "C" * 31
    five, three = 20, 20 + len(first) + len(intron)
    cds = (Interval(five, five + len(first)), Interval(three, three + len(second)))
    size = len(bases)
    if strand == "-":
        bases = reverse_complement(bases)
        cds = tuple(Interval(size - e, size - s) for s, e in reversed(cds))
    grammar = Grammar(TOKENIZER, SPLICED)
    ids = encode_genes([WindowGene(strand, cds)], size, TOKENIZER).tolist()
    cursor = grammar.begin(grammar.sites(bases))
    for token in ids:
        cursor.advance(token)
    assert cursor.finished and cursor.violations == 0
    # one base too far at the last boundary: past the stop codon
    cursor = grammar.begin(grammar.sites(bases))
    last_off = max(i for i, token in enumerate(ids) if TOKENIZER.is_off(token))
    for token in ids[:last_off]:
        cursor.advance(token)
    with pytest.raises(GrammarViolation):
        cursor.advance(ids[last_off] + (1 if strand == "+" else -1))


def test_a_stop_split_by_an_intron_ends_the_gene() -> None:
    """...T | AA: the codon completed across the junction is a stop, so only that end is legal."""
    rng = np.random.default_rng(3)
    first, intron = "ATG" + exon(rng, 12) + "T", "GT" + "C" * 12 + "AG"
    bases = first + intron + "AA" + exon(rng, 20)
    grammar = Grammar(TOKENIZER, SPLICED)
    cursor = grammar.begin(grammar.sites(bases))
    boundaries = [0, len(first), len(first) + len(intron)]
    tokens = [TOKENIZER.plus]
    for index, position in enumerate(boundaries):
        tokens += ([TOKENIZER.cds] if index % 2 == 0 else []) + list(TOKENIZER.boundary_ids(position))
    for token in tokens:
        cursor.advance(token)
    assert np.flatnonzero(cursor.candidates.mask).tolist() == [boundaries[2] + 2]


def test_a_forced_sequence_is_followed_and_its_violations_counted() -> None:
    """A reference gene outside the rules (starts at CTG) is read to its end."""
    rng = np.random.default_rng(5)
    bases = "CC" + "CTG" + exon(rng, 15) + "TGA" + "C" * 10
    ids = encode_genes([WindowGene("+", (Interval(2, 2 + 51),))], len(bases), TOKENIZER)
    grammar = Grammar(TOKENIZER, BACTERIA)
    cursor = grammar.begin(grammar.sites(bases))
    for token in ids.tolist():
        cursor.advance(token, force=True)
    assert cursor.finished and cursor.violations >= 1


def test_sites_read_both_strands() -> None:
    bases = "AATGCCCTAAGTTTAG"
    sites = WindowSites(bases, SPLICED)
    assert np.flatnonzero(sites.plus.start).tolist() == [1]
    assert sites.plus.stop_end[1] == 10  # ATG CCC TAA
    assert sites.plus.stop_end[0] == NO_STOP  # AAT GCC CTA AGT TTA G
    assert np.flatnonzero(sites.plus.donors[0]).tolist() == [10]
    assert 16 in np.flatnonzero(sites.plus.any_acceptor)
    assert sites.minus.window_bp == len(bases)
    assert np.flatnonzero(sites.minus.start).tolist() == [
        i for i in range(14) if reverse_complement(bases)[i : i + 3] == "ATG"
    ]


def test_starts_are_ranked_within_their_reading_frame() -> None:
    """Three starts before one stop, one start in another frame; ATG is told from the other starts."""
    bases = "ATGCCCGTGAATGTTGTAACC"  # ATG CCC GTG AAT GTT GTA ACC; frame 0 has no stop
    plus = WindowSites(bases, BACTERIA).plus
    starts = np.flatnonzero(plus.start).tolist()
    assert starts == [0, 6, 10, 13]
    assert plus.start_rank[[0, 6]].tolist() == [0, 1]  # frame 0, cut by the window
    assert plus.stop_end[[10, 13]].tolist() == [19, 19]  # ATG TTG TAA
    assert plus.start_rank[[10, 13]].tolist() == [0, 1]
    assert plus.first_start[[0, 6, 10, 13]].tolist() == [True, False, True, False]


@pytest.mark.parametrize("strand", ["+", "-"])
def test_only_the_reading_frames_of_given_genes_keep_their_starts(strand: str) -> None:
    """Two reading frames; one is kept, with all its starts, the other loses its own."""
    rng = np.random.default_rng(11)
    kept, other = "ATG" + exon(rng, 6) + "ATG" + exon(rng, 8) + "TAA", "ATG" + exon(rng, 12) + "TGA"
    bases = "CC" + kept + "CCCC" + other + "CC"
    size = len(bases)
    gene = WindowGene("+", (Interval(2, 2 + len(kept)),))
    if strand == "-":
        bases, gene = reverse_complement(bases), WindowGene("-", (Interval(size - 2 - len(kept), size - 2),))
    sites = WindowSites(bases, BACTERIA)
    before = np.flatnonzero(sites.strand(strand).start)
    keep_frames(sites, [gene])
    left = np.flatnonzero(sites.strand(strand).start)
    stop = 2 + len(kept)
    assert left.tolist() == [p for p in before.tolist() if p < stop and (stop - p) % 3 == 0]
    assert {2, 2 + 21} <= set(left.tolist())
    assert not sites.strand("-" if strand == "+" else "+").start.any()
