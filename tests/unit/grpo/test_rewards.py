"""What completions earn, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grpo_toy import CODES, GRAMMARS
from hypothesis import given, settings
from hypothesis import strategies as st
from model_toy import TOKENIZER, random_bases, random_genes

from genet5.genome.genes import Interval
from genet5.genome.window_genes import WindowGene
from genet5.grpo.options import GrpoOptions
from genet5.grpo.rewards import RewardWeights, boundary_f1
from genet5.grpo.run import reward_weights
from genet5.tokens.codec import decode_genes, encode_genes

PLAIN = RewardWeights()
DENSE = RewardWeights(0.5, 0.2, 0.2, 0.1, 30)


def gene(strand: str, *cds: tuple[int, int]) -> WindowGene:
    return WindowGene(strand, tuple(Interval(start, end) for start, end in cds))


SPLICED, SHORT = gene("+", (10, 40), (60, 90)), gene("-", (120, 150))
TRUTH = [SPLICED, SHORT]  # three exons, two genes, 90 bases


def random_structures(seed: int) -> tuple[int, list[WindowGene], str]:
    """Window length, genes that the grammar of a random clade can write (cut ones too), clade."""
    rng = np.random.default_rng(seed)
    clade = ("fungi", "bacteria")[int(rng.integers(2))]
    bases = random_bases(rng, int(rng.integers(60, 400)))
    return len(bases), random_genes(GRAMMARS.of(clade, CODES[clade]), bases, rng), clade


# ---------------------------------------------------------------- exon, gene and base terms


def test_the_default_reward_is_six_parts_exons_and_four_parts_genes():
    assert reward_weights(GrpoOptions()) == PLAIN == RewardWeights(0.6, 0.4, 0.0, 0.0, 30)
    options = GrpoOptions(exon_weight=1.0, gene_weight=2.0, nucleotide_weight=3.0, boundary_weight=4.0, boundary_bp=5)
    assert reward_weights(options) == RewardWeights(1.0, 2.0, 3.0, 4.0, 5)


#: written genes -> exon F1, gene F1, base F1: 2 shared / (reference + written)
DAMAGED = {
    "perfect": (TRUTH, 1, 1, 1),
    "in another order": (TRUTH[::-1], 1, 1, 1),
    "an exon dropped": ([gene("+", (10, 40)), SHORT], 2 * 2 / (3 + 2), 2 * 1 / (2 + 2), 2 * 60 / (90 + 60)),
    "an end one base off": (
        [gene("+", (10, 41), (60, 90)), SHORT], 2 * 2 / (3 + 3), 2 * 1 / (2 + 2), 2 * 90 / (90 + 91)
    ),
    "a start one base off": (
        [gene("+", (11, 40), (60, 90)), SHORT], 2 * 2 / (3 + 3), 2 * 1 / (2 + 2), 2 * 89 / (90 + 89)
    ),
    "all one base off": (
        [gene("+", (11, 41), (61, 91)), gene("-", (121, 151))], 0, 0, 2 * 87 / (90 + 90)
    ),
    "a strand flipped": ([SPLICED, gene("+", (120, 150))], 2 * 2 / (3 + 3), 2 * 1 / (2 + 2), 2 * 60 / (90 + 90)),
    "both strands flipped": ([gene("-", *SPLICED.cds), gene("+", *SHORT.cds)], 0, 0, 0),
    "an extra gene": ([*TRUTH, gene("+", (200, 260))], 2 * 3 / (3 + 4), 2 * 2 / (2 + 3), 2 * 90 / (90 + 150)),
    "a gene twice": ([*TRUTH, SHORT], 1, 2 * 2 / (2 + 3), 1),
    "one gene split into two": (
        [gene("+", (10, 40)), gene("+", (60, 90)), SHORT], 1, 2 * 1 / (2 + 3), 1
    ),
    "a gene missing": ([SHORT], 2 * 1 / (3 + 1), 2 * 1 / (2 + 1), 2 * 30 / (90 + 30)),
    "nothing written": ([], 0, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_completion_earns_what_is_left_of_it(name: str):
    written, exon, gene_f1, base = DAMAGED[name]
    found = PLAIN.of(TRUTH, written)
    assert (found.exon_f1, found.gene_f1, found.nucleotide_f1) == pytest.approx((exon, gene_f1, base), abs=1e-12)
    assert found.reward == pytest.approx(0.6 * exon + 0.4 * gene_f1, abs=1e-12)
    boundary = boundary_f1(TRUTH, written, 30)
    assert found.boundary_f1 == boundary
    dense = DENSE.of(TRUTH, written)
    assert dense.reward == pytest.approx(0.5 * exon + 0.2 * gene_f1 + 0.2 * base + 0.1 * boundary, abs=1e-12)


def test_a_perfect_completion_earns_exactly_one_and_an_empty_one_exactly_nothing():
    assert PLAIN.of(TRUTH, TRUTH).reward == 1.0
    assert PLAIN.of(TRUTH, []).reward == 0.0
    assert DENSE.of(TRUTH, []) == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_windows_without_genes():
    assert PLAIN.of([], []) == (1.0, 1.0, 1.0, 1.0, 1.0)
    assert PLAIN.of([], [SHORT]) == (0.0, 0.0, 0.0, 0.0, 0.0)
    assert DENSE.of([], []).reward == pytest.approx(1.0)


def test_that_a_gene_is_cut_by_the_window_does_not_matter_for_its_place():
    cut = replace(SPLICED, partial5=True, phase=1)
    assert PLAIN.of([cut, SHORT], TRUTH).reward == 1.0


@pytest.mark.parametrize(
    ("span", "exon", "gene_f1", "base"),
    [
        ((200, 260, "+"), 1, 1, 1),  # all of the extra gene
        ((200, 260, "."), 1, 1, 1),
        ((200, 231, "+"), 1, 1, 2 * 90 / (90 + 60 + 90 - 31)),  # 31 of its 60 bases: spared, the other 29 count
        ((200, 230, "+"), 6 / 7, 4 / 5, 2 * 90 / (90 + 60 + 90 - 30)),  # just half: not spared
        ((200, 260, "-"), 6 / 7, 4 / 5, 2 * 90 / (90 + 150)),  # the other strand
        ((120, 150, "-"), 6 / 7, 4 / 5, 2 * 90 / (90 + 150)),  # where a gene is
    ],
)
def test_where_nobody_cares_a_wrong_gene_costs_nothing(
    span: tuple[int, int, str], exon: float, gene_f1: float, base: float
):
    found = PLAIN.of(TRUTH, [*TRUTH, gene("+", (200, 260))], [span])
    assert found[:4] == pytest.approx((0.6 * exon + 0.4 * gene_f1, exon, gene_f1, base), abs=1e-12)


def test_where_nobody_cares_the_ends_of_a_wrong_gene_cost_nothing():
    weights = RewardWeights(boundary=0.2)
    wrong = gene("+", (200, 260))
    assert weights.of([], [wrong], [(190, 300, ".")]).boundary_f1 == 1
    assert weights.of([], [wrong], [(240, 300, ".")]).boundary_f1 == 0  # a third of it
    assert weights.of(TRUTH, [*TRUTH, wrong], [(190, 300, ".")]) == weights.of(TRUTH, TRUTH)
    # It counts in full: all 6 true ends are met, by 6 of 8.
    assert weights.of(TRUTH, [*TRUTH, wrong]).boundary_f1 == pytest.approx(12 / 14)
    # A true gene counts where nobody cares, too.
    assert weights.of(TRUTH, TRUTH, [(0, 400, ".")]).boundary_f1 == 1
    assert weights.of(TRUTH, [], [(0, 400, ".")]).boundary_f1 == 0


# ---------------------------------------------------------------- the dense term of boundaries


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (TRUTH, 1.0),
        # Of the ends 10, 40, 60, 90 and 120, 150 two are met nearly: 3 and 6 bases off earn 0.9 and 0.8.
        ([gene("+", (13, 40), (60, 96)), SHORT], 5.7 / 6),
        # 29 bases off still earn 1/30, 30 bases nothing.
        ([SPLICED, gene("-", (120, 179))], (5 + 1 / 30) / 6),
        ([SPLICED, gene("-", (120, 180))], 5 / 6),
        ([SPLICED, gene("-", (120, 400))], 5 / 6),
        # Precision 4/4. Recall: 60 and 90 have no end of their kind within 30 bases, 4/6.
        ([gene("+", (10, 40)), SHORT], 2 * 1 * (4 / 6) / (1 + 4 / 6)),
        # On the wrong strand, and left ends never count as right ones.
        ([gene("-", *SPLICED.cds), SHORT], 2 / 6),
        ([SPLICED, gene("-", (150, 180))], 4 / 6),
        # Two written ends near one true end: both are precise in part, recall takes the nearer one.
        ([SPLICED, gene("-", (123, 150)), gene("-", (129, 150))], 2 * (5.9 / 6) * (6.6 / 7) / (5.9 / 6 + 6.6 / 7)),
        ([], 0.0),
    ],
)
def test_near_misses_of_boundaries_earn_in_part(written: list[WindowGene], expected: float):
    assert boundary_f1(TRUTH, written, 30) == pytest.approx(expected, abs=1e-12)
    assert boundary_f1(written, TRUTH, 30) == pytest.approx(expected, abs=1e-12)


def test_boundaries_of_nothing():
    assert boundary_f1([], [], 30) == 1.0
    assert boundary_f1([], [SHORT], 30) == boundary_f1([SHORT], [], 30) == 0.0


def test_the_reach_of_a_boundary_is_the_option():
    written = [gene("-", (125, 150))]  # one end of two, 5 bases off
    for reach, earned in ((10, 0.5), (5, 0.0), (50, 0.9)):
        assert boundary_f1([SHORT], written, reach) == pytest.approx((1 + earned) / 2)
        weights = RewardWeights(0.0, 0.0, 0.0, 1.0, reach)
        assert weights.of([SHORT], written).reward == pytest.approx((1 + earned) / 2)


def test_an_end_that_comes_nearer_earns_more():
    rewards = [DENSE.of([SHORT], [gene("-", (120 + off, 150))]).reward for off in range(30)]
    assert rewards == sorted(rewards, reverse=True) and len(set(rewards)) == 30


# ---------------------------------------------------------------- through the tokenizer


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_what_is_encoded_and_decoded_earns_one(seed: int):
    window_bp, genes, _ = random_structures(seed)
    ids = encode_genes(genes, window_bp, TOKENIZER)
    written = decode_genes(ids.tolist(), window_bp, TOKENIZER)
    assert PLAIN.of(genes, written).reward == 1.0
    assert DENSE.of(genes, written).reward == pytest.approx(1.0)


def test_the_random_structures_cover_what_there_is():
    found = [gene for seed in range(40) for gene in random_structures(seed)[1]]
    assert {gene.strand for gene in found} == {"+", "-"}
    assert {len(gene.cds) > 1 for gene in found} == {gene.partial5 for gene in found} == {True, False}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), other=st.integers(0, 10**6))
def test_rewards_are_symmetric_and_lie_between_nothing_and_one(seed: int, other: int):
    one, two = random_structures(seed)[1], random_structures(other)[1]
    found, turned = DENSE.of(one, two), DENSE.of(two, one)
    assert tuple(found) == pytest.approx(tuple(turned), abs=1e-12)
    assert all(0.0 <= value <= 1.0 + 1e-12 for value in found)


def test_a_token_changed_in_a_perfect_completion_costs_something():
    ids = encode_genes(TRUTH, 300, TOKENIZER).tolist()
    changed = 0
    for place, token in enumerate(ids):
        if TOKENIZER.is_off(token):
            offset = token - TOKENIZER.off_base
            other = [*ids[:place], TOKENIZER.off_base + (offset + 1) % 12, *ids[place + 1 :]]
            reward = PLAIN.of(TRUTH, decode_genes(other, 300, TOKENIZER, strict=False)).reward
            assert reward < 1.0
            changed += 1
    assert changed == 6
