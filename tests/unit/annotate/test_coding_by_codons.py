"""Coding DNA found by its codons: the first frames, and the sums over all paths beside plain matrix products."""

from __future__ import annotations

import numpy as np
import pytest

from genet5.annotate.coding_by_codons import OPPOSITE, _expect, _first_counts, _scores, codons_at, learn_codons
from genet5.genome.genetic_code import reverse_complement

LETTERS = "ACGT"


def number(codon: str) -> int:
    first, second, third = map(LETTERS.index, codon)
    return 16 * first + 4 * second + third


def counted(windows: list[str], *ends: str) -> dict[str, int]:
    """Codons in the first open reading frames."""
    counts = _first_counts([codons_at(window) for window in windows], frozenset(map(number, ends)))
    names = [a + b + c for a in LETTERS for b in LETTERS for c in LETTERS]
    return {name: int(amount) for name, amount in zip(names, counts, strict=True) if amount}


def test_the_longest_open_frames_of_both_strands_come_first() -> None:
    """TGC ends a frame, so that the second window is open in the frame of GCA on the reverse strand alone."""
    forward = "GAA" * 70 + "TAA"
    reverse = "TTA" + "TGC" * 80 + "N" * 3000
    assert counted([forward, reverse], "TGC") == {"GCA": 80, "GAA": 70, "TAA": 2}


def test_a_frame_has_sixty_codons_at_least() -> None:
    assert counted(["GAA" * 60 + "N" * 3000], "TAA") == {"GAA": 60}
    # On the other strand TTA goes before, so that this frame is longer.
    assert counted(["GAA" * 60 + "TAA" + "N" * 3000], "TAA") == {"TTA": 1, "TTC": 60}
    assert counted(["GAA" * 59 + "N" * 3000], "TAA") == {}
    assert learn_codons([codons_at("GAA" * 59 + "N" * 3000)], frozenset({number("TAA")})) is None


def test_the_first_frames_are_a_quarter_of_the_bases() -> None:
    assert counted(["GAA" * 70, "GCA" * 65], "TAA") == {"GAA": 70}
    assert counted(["GAA" * 70, "GCA" * 65 + "N" * 600], "TAA") == {"GAA": 70, "GCA": 65}


def test_codons_that_hold_an_unknown_base_or_the_end_have_no_number() -> None:
    assert codons_at("ACGTNTTT").tolist() == [6, 27, -1, -1, -1, 63, -1, -1]
    assert [codons_at(bases).tolist() for bases in ("", "AC", "AAA")] == [[], [-1, -1], [0, -1, -1]]
    assert OPPOSITE[[number("AAA"), number("ATG"), number("GCA")]].tolist() == [63, number("CAT"), number("TGC")]


def expected(
    codons: np.ndarray, scores: np.ndarray, begins: float, ends: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log-odds of a window, codons in frame, and sure ones 20 codons from the edges, by products of matrices."""
    moves = np.diag([1 - 6 * begins] + [1 - ends] * 6)
    moves[0, 1:], moves[1:, 0] = begins, ends
    emitted = np.ones((len(codons), 7))
    for at, codon in enumerate(codons):
        if codon >= 0:
            emitted[at, 1 + at % 3] = np.exp(scores[codon])
            emitted[at, 4 + at % 3] = np.exp(scores[OPPOSITE[codon]])
    ahead, odds = [moves[0] * emitted[0]], 0.0
    for row in emitted[1:]:
        ahead.append((ahead[-1] / ahead[-1].sum()) @ moves * row)
    odds = sum(np.log(one.sum()) for one in ahead)
    behind = [np.ones(7)]
    for row in emitted[:0:-1]:
        before = moves @ (row * behind[-1])
        behind.append(before / before.sum())
    chances = np.array(ahead) * np.array(behind[::-1])
    chances /= chances.sum(axis=1, keepdims=True)
    counts, inner = np.zeros(64), np.zeros(64)
    for at, codon in enumerate(codons):
        if codon >= 0:
            counts[codon] += chances[at, 1 + at % 3]
            counts[OPPOSITE[codon]] += chances[at, 4 + at % 3]
            for state, read in ((1, codon), (4, OPPOSITE[codon])):
                around = range(at - 60, at + 61, 3)
                if around[0] >= 0 and around[-1] < len(codons):
                    inner[read] += all(chances[one, state + at % 3] > 0.95 for one in around)
    return odds, counts, inner


def window(seed: int, codons: int) -> str:
    """A gene of few codons on each strand between random DNA, with an unknown base in the first one."""
    rng = np.random.default_rng(seed)
    genes = ["".join(rng.choice(["GAA", "GCA", "CTG", "AAC"], codons)) for _ in range(2)]
    gaps = ["".join(rng.choice(list(LETTERS), 100 + seed)) for _ in range(3)]
    first = f"{genes[0][:-100]}N{genes[0][-99:]}"
    return gaps[0] + first + gaps[1] + reverse_complement(genes[1]) + gaps[2]


def test_expected_codons_are_those_of_all_paths() -> None:
    codons = codons_at(window(1, 90))
    scores = np.full(64, -1.0)
    scores[[number(codon) for codon in ("GAA", "GCA", "CTG", "AAC")]] = 1.5
    counts, inner = np.zeros(64), np.zeros(64)
    odds = _expect(codons, scores, OPPOSITE, 1 / 500, 1 / 90, counts, inner)
    known = expected(codons, scores, 1 / 500, 1 / 90)
    assert odds == pytest.approx(known[0]) and odds > 100
    assert counts == pytest.approx(known[1]) and inner.tolist() == known[2].tolist()
    assert 60 < inner.sum() < 140


def test_eight_rounds_learn_which_codons_are_frequent_in_frame() -> None:
    """A stretch begins at one of 6,000 bases in each frame, and ends at one of 600."""
    windows = [codons_at(window(seed, 80)) for seed in (2, 3)]
    ends = frozenset(map(number, ("TAA", "TAG", "TGA")))
    anywhere = np.ones(64)
    for codons in windows:
        for codon in codons[codons >= 0]:
            anywhere[codon] += 1
            anywhere[OPPOSITE[codon]] += 1
    anywhere /= anywhere.sum()
    counts = _first_counts(windows, ends)
    for _ in range(8):
        scores = _scores(counts, anywhere)
        parts = [expected(codons, scores, 1 / 6_000, 1 / 600) for codons in windows]
        counts = sum(part[1] for part in parts)
    found = learn_codons(windows, ends)
    assert found is not None and found.anywhere == pytest.approx(anywhere)
    assert found.scores == pytest.approx(scores)
    assert found.likelihood == pytest.approx(sum(part[0] for part in parts))
    assert found.in_frame.tolist() == sum(part[2] for part in parts).tolist()


def test_scores_are_the_log_odds_of_codons_beside_64_of_the_usual_ones() -> None:
    share = np.full(64, 1 / 64)
    counts = np.zeros(64)
    counts[number("GAA")] = 61
    found = _scores(counts, share)
    # 61 codons may code: each is expected once, and GAA is counted 61 times more, of 122 in all.
    assert found[number("GAA")] == pytest.approx(np.log(62 / 122 * 61))
    assert found[number("GCA")] == pytest.approx(np.log(1 / 122 * 61))
    assert found[[number(stop) for stop in ("TAA", "TAG", "TGA")]].tolist() == [0, 0, 0]
