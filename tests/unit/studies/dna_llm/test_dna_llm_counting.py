"""What counting bases is worth: the Markov chain and the mixture of orders, on sources whose entropy is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genet5.studies.dna_llm.markov import ContextCounts, MarkovChain, MarkovMixture


def sampled(chances: np.ndarray, length: int, seed: int) -> np.ndarray:
    """Bases of a source of order k: ``chances`` [4**k, 4] of the base after each context; uint8, [length]."""
    rng, contexts = np.random.default_rng(seed), len(chances)
    cuts, draws = chances.cumsum(1), rng.random(length)
    codes, context = np.zeros(length, dtype=np.uint8), 0
    for place, draw in enumerate(draws):
        codes[place] = min(int((cuts[context] < draw).sum()), 3)
        context = (4 * context + int(codes[place])) % contexts
    return codes


def true_bits(chances: np.ndarray, windows: np.ndarray, order: int) -> float:
    """Mean surprise of the source itself at bases of windows that have all of their context."""
    bits = []
    for window in windows:
        for place in range(order, len(window)):
            context = int("".join(map(str, window[place - order : place])) or "0", 4)
            bits.append(-math.log2(chances[context, window[place]]))
    return float(np.mean(bits))


def source(order: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([0.4] * 4, size=4**order)


def random_bases(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, size=count, dtype=np.uint8)


@pytest.mark.parametrize("both_strands", [False, True])
def test_counts_of_all_orders_are_those_of_a_plain_count(both_strands):
    rng = np.random.default_rng(3)
    sequences = [rng.integers(0, 5, size=length) for length in (1, 2, 40, 300)]  # 4 is unknown
    cells = ContextCounts(3).add(sequences, both_strands).all_orders()
    assert len(cells) == 4 + 16 + 64 + 256
    expected: dict[str, int] = {}
    for codes in sequences:
        turned = [4 if code == 4 else 3 - code for code in codes[::-1]]
        for strand in [list(codes), turned] if both_strands else [list(codes)]:
            text = "".join(map(str, strand))
            for order in range(4):
                for start in range(len(text) - order):
                    word = text[start : start + order + 1]
                    expected[word] = expected.get(word, 0) + 1
    for order in range(4):
        first = (4 ** (order + 1) - 4) // 3
        for number in range(4 ** (order + 1)):
            assert cells[first + number] == expected.get(np.base_repr(number, 4).zfill(order + 1), 0)


@pytest.mark.parametrize("order", [0, 1, 3, 6])
def test_the_mixture_comes_close_to_the_entropy_of_a_source(order):
    chances = source(order)
    train, held_out = sampled(chances, 400_000, 1), sampled(chances, 60_000, 2).reshape(-1, 300)
    found = MarkovMixture(12).fit([train], both_strands=False).bits_per_base(held_out)
    limit = true_bits(chances, held_out[:60], order)
    assert limit < 1.7
    # 4**6 contexts of four chances are learnt from 400,000 bases; the first bases of a window lack their context.
    assert limit - 0.02 < found < limit + (0.05 if order == 6 else 0.02)


def test_random_dna_needs_two_bits_and_no_order_is_believed():
    mixture = MarkovMixture(12).fit([random_bases(500_000, 1)])
    found = mixture.bits_per_base(random_bases(60_000, 2).reshape(-1, 300))
    assert 1.9995 < found < 2.001
    # A chain of order 9 believes what it has counted, on as much DNA.
    assert MarkovChain(9).fit([random_bases(500_000, 1)]).bits_per_base(random_bases(60_000, 2).reshape(-1, 300)) > 2.1


@pytest.mark.parametrize("order", [1, 5])
def test_the_mixture_is_not_worse_than_the_chain_of_order_5(order):
    chances = source(order, seed=7)
    for length in (10_000, 100_000):
        train, held_out = sampled(chances, length, 1), sampled(chances, 30_000, 2).reshape(-1, 300)
        chain = MarkovChain(5).fit([train], both_strands=False).bits_per_base(held_out)
        assert MarkovMixture(12).fit([train], both_strands=False).bits_per_base(held_out) < chain + 0.01


def test_a_repeat_is_remembered_by_the_long_orders():
    """Copies of one stretch of 2,000 random bases in random DNA, as of a repeat: 12 bases find it, 5 do not."""
    repeat, train = random_bases(2_000, 5), random_bases(200_000, 6)
    for start in range(0, 200_000 - 2_000, 8_700):
        train[start : start + 2_000] = repeat
    windows = repeat[:1_800].reshape(-1, 300)
    assert MarkovChain(5).fit([train]).bits_per_base(windows) > 1.7
    assert MarkovMixture(12).fit([train]).bits_per_base(windows) < 0.5


def test_a_mixture_by_hand():
    """Two orders: p(1 | 0) = (count(01) + s p(1)) / (count(0.) + s), with p(1) = (count(1) + t / 4) / (all + t)."""
    mixture = MarkovMixture(1)
    mixture.cells = ContextCounts(1).add([np.array([0, 1, 0, 1, 0, 2])], both_strands=False).all_orders()
    mixture.strengths = [4.0, 2.0]
    alone = np.array([3 + 1, 2 + 1, 1 + 1, 0 + 1]) / (6 + 4)
    after_0 = (np.array([0, 2, 1, 0]) + 2 * alone) / (3 + 2)
    assert mixture.bits_per_base(np.array([[0, 1], [0, 3]])) == pytest.approx(-np.log2(after_0[[1, 3]]).mean())
    assert after_0.sum() == pytest.approx(1)
    mixture.strengths = [4.0, float("inf")]
    assert mixture.bits_per_base(np.array([[0, 1]])) == pytest.approx(-math.log2(alone[1]))


def test_unknown_bases_are_neither_context_nor_target():
    mixture = MarkovMixture(2).fit([random_bases(2_000, 1)])
    whole = mixture.bits_per_base(np.array([[0, 1, 2], [2, 3, 0]]))
    assert mixture.bits_per_base(np.array([[0, 1, 2, 4], [2, 3, 0, 4]])) == pytest.approx(whole)


def test_the_same_dna_gives_the_same_mixture():
    train, windows = [random_bases(30_000, 1), random_bases(999, 2)], random_bases(3_000, 3).reshape(-1, 300)
    first, second = MarkovMixture(8).fit(train), MarkovMixture(8).fit(train)
    assert first.strengths == second.strengths and first.bits_per_base(windows) == second.bits_per_base(windows)
    # What told the strengths is counted in the end, too.
    assert first.cells[:4].sum() == 2 * (30_000 + 999)
