"""Genes of both strands that claim the same bases: which conflict, what each strand must leave alone, who yields."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from genet5.crf.best_chain import Found
from genet5.crf.decoding import _claim, _conflicts, _drop_worse, _groups, _worth, settle_strands

SIZE = 100


def gene(*segments: tuple[int, int], score: float = 1.0) -> Found:
    return Found(segments, None, False, score)


def turned(*segments: tuple[int, int], score: float = 1.0) -> Found:
    """A gene of - that forward coordinates show at ``segments``."""
    return gene(*((SIZE - end, SIZE - begin) for begin, end in reversed(segments)), score=score)


@pytest.mark.parametrize(("most", "expected"), [(10, [(0, 0)]), (9, [(0, 0), (1, 0)]), (19, [(0, 0)]), (20, [])])
def test_genes_conflict_that_share_more_coding_bases_than_they_may(most: int, expected: list) -> None:
    plus = [gene((10, 50)), gene((0, 10), (60, 70))]
    assert _conflicts([plus, [turned((30, 70))]], SIZE, most) == expected


def test_shared_bases_of_all_segments_are_added_up() -> None:
    both = [[gene((0, 10), (20, 30), (40, 41))], [turned((5, 25), (39, 50))]]
    assert [_conflicts(both, SIZE, most) for most in (10, 11)] == [[(0, 0)], []]


def test_genes_beside_each_other_share_nothing() -> None:
    minus = [turned((50, 60)), turned((0, 10)), turned((49, 60)), turned((0, 11))]
    assert _conflicts([[gene((10, 50))], minus], SIZE, 0) == [(0, 2), (0, 3)]
    minus = [turned((0, 90)), turned((5, 6)), turned((20, 30)), turned((30, 31))]
    assert _conflicts([[gene((8, 12)), gene((25, 40)), gene((92, 99))], minus], SIZE, 0) == [
        (0, 0), (1, 0), (1, 2), (1, 3),
    ]  # fmt: skip
    assert _conflicts([[gene((8, 12))], []], SIZE, 0) == []


def test_conflicts_that_hang_together_are_one_group() -> None:
    assert _groups([(0, 0), (1, 0), (2, 3), (2, 1)]) == [([0, 1], [0]), ([2], [1, 3])]
    assert _groups([]) == []


def test_the_other_strand_leaves_what_a_gene_claims_but_for_its_first_and_last_bases() -> None:
    claimed = _claim([gene((0, 60)), gene((10, 20), (30, 40))], [1], 60, 3)
    assert (claimed.dtype, len(claimed)) == (np.dtype(bool), 60)
    assert np.flatnonzero(claimed).tolist() == [*range(23, 30), *range(40, 47)]


@pytest.mark.parametrize(
    ("low", "high", "plus", "minus"),
    [(20, 30, 0, 0), (19, 30, 1, 0), (20, 31, 2, 0), (70, 75, 0, 0), (70, 76, 0, 4), (85, 99, 0, 8), (0, 100, 3, 12)],
)
def test_a_stretch_is_worth_the_genes_that_reach_into_it(low: int, high: int, plus: float, minus: float) -> None:
    genes = [gene((10, 12), (15, 20), score=1), gene((30, 40), score=2)]
    assert _worth(genes, 0, SIZE, low, high) == plus
    genes = [turned((75, 77), (79, 85), score=4), turned((85, 90), score=8)]
    assert _worth(genes, 1, SIZE, low, high) == minus


def test_of_two_genes_in_conflict_the_worse_one_goes_and_of_equal_ones_that_of_the_reverse_strand() -> None:
    plus, minus = [gene((0, 9), score=5), gene((9, 19), score=1)], [gene((0, 9), score=3), gene((9, 19), score=1)]
    assert _drop_worse([plus, minus], [(0, 0), (1, 0), (1, 1)]) == [plus, []]
    assert _drop_worse([plus, minus], [(1, 0)]) == [plus[:1], minus]
    assert _drop_worse([plus, minus], []) == [plus, minus]


Read = Callable[[int, np.ndarray], list[Found]]


def reader(genes: tuple[list[Found], list[Found]], calls: list[tuple[int, int]]) -> Read:
    """Reads the genes that have no base which is taken; notes how many bases are."""

    def read(row: int, taken: np.ndarray) -> list[Found]:
        calls.append((row, int(taken.sum())))
        return [one for one in genes[row] if not any(taken[begin:end].any() for begin, end in one.segments)]

    return read


@pytest.mark.parametrize(("score", "yields"), [(8, 1), (10, 0), (12, 0)])
def test_the_strand_yields_that_loses_less_and_of_equal_ones_the_forward_strand(score: float, yields: int) -> None:
    plus, minus, beside = gene((10, 90), score=10), turned((10, 90), score=score), turned((94, 99), score=7)
    calls: list[tuple[int, int]] = []
    found = settle_strands(reader(([plus], [minus, beside]), calls), SIZE, 10)
    assert found == ([[plus], [beside]] if yields else [[], [minus, beside]])
    assert calls == [(0, 0), (1, 0), (0, 60), (1, 60)]


def test_each_group_of_conflicts_is_settled_by_itself() -> None:
    plus = [gene((0, 40), score=10), gene((50, 90), score=1)]
    minus = [turned((0, 40), score=1), turned((50, 90), score=10)]
    calls: list[tuple[int, int]] = []
    assert settle_strands(reader((plus, minus), calls), SIZE, 5) == [plus[:1], minus[1:]]
    assert calls == [(0, 0), (1, 0), (0, 60), (1, 60), (0, 30), (1, 30)]


def test_a_conflict_that_stays_ends_after_four_rounds_with_the_better_gene() -> None:
    both, calls = [[gene((10, 90), score=8)], [turned((10, 90), score=9)]], []

    def read(row: int, taken: np.ndarray) -> list[Found]:
        calls.append((row, int(taken.sum())))
        return both[row]

    assert settle_strands(read, SIZE, 19) == [[], both[1]]
    assert [row for row, _ in calls] == [0, 1] * 5
    assert settle_strands(read, SIZE, 80) == both


def test_genes_of_opposite_strands_may_share_60_bases() -> None:
    both = [gene((0, 70))], [turned((10, 100), score=2)]
    assert settle_strands(reader(both, []), SIZE) == list(both)
    both = [gene((0, 71))], [turned((10, 100), score=2)]
    settled = settle_strands(lambda row, _taken: both[row], SIZE)
    assert settled == [[], both[1]]
