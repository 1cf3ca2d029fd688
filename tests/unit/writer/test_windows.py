"""Windows are scored group by group, and none is longer than the tokenizer's mile-posts reach."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from genet5.bake.crops import Window
from genet5.errors import InputError
from genet5.evaluate.window_scores import window_f1
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer import windows
from genet5.writer.windows import WindowScorer, check_window


class Scores(NamedTuple):
    """Of one window."""

    size: float
    written: float


class Names:
    """Stands for grammars: each is named by its clade and genetic code."""

    @staticmethod
    def of(clade: str, code: int) -> str:
        return f"{clade} {code}"


@pytest.mark.parametrize(("options", "sizes"), [({"batch_size": 2}, [[4, 1], [6], [2]]), ({}, [[4, 1, 6], [2]])])
def test_scores_are_means_over_windows_that_are_written_in_batches_of_one_grammar(
    options: dict[str, int], sizes: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []

    def write(model: object, grammar: str, bases: list[str], clade: str) -> list[SimpleNamespace]:
        calls.append((model, grammar, [len(one) for one in bases], clade))
        return [SimpleNamespace(genes=len(one) * 10) for one in bases]

    def score(genes: str, written: int, dont_care: str) -> Scores:
        assert dont_care == genes + "!"
        return Scores(len(genes), written)

    monkeypatch.setattr(windows, "write_genes", write)
    shown = [
        Window("A" * size, "g" * size, "g" * size + "!", "fungi", code)  # type: ignore[arg-type]
        for size, code in ((4, 1), (2, 12), (1, 1), (6, 1))
    ]
    found = WindowScorer(shown, Names(), score=score, **options)("model")  # type: ignore[arg-type]
    assert found == {"size": 13 / 4, "written": 130 / 4}
    codes = [1] * (len(sizes) - 1) + [12]
    assert calls == [("model", f"fungi {code}", part, "fungi") for code, part in zip(codes, sizes, strict=True)]


def test_eight_windows_are_written_at_a_time_and_scored_with_f1() -> None:
    scorer = WindowScorer([], Names())  # type: ignore[arg-type]
    assert (scorer.batch_size, scorer.score) == (8, window_f1)


def test_a_window_may_be_as_long_as_mile_posts_reach_and_no_longer() -> None:
    tokenizer = GeneTokenizer.build("char", segment_bp=10, max_window_bp=100)
    check_window(100, tokenizer)
    with pytest.raises(InputError) as error:
        check_window(101, tokenizer)
    assert str(error.value) == (
        "a window of 101 bp is longer than max_window_bp 100 of the tokenizer: raise tokenizer.max_window_bp or lower "
        "bake.windows"
    )
