"""Where a run stands: rows of the log, and what the best value is."""

from __future__ import annotations

import math

import pytest

from genet5.training.state import TrainingState


def test_a_row_is_the_mean_since_the_last_one() -> None:
    state = TrainingState(group=1)
    names = ["sum", "weight", "chain", "chain_weight"]
    state.count_losses(names, [6.0, 2.0, 10.0, 4.0], 0.5)
    state.count_losses(names, [4.0, 3.0, 2.0, 2.0], 1.5)
    state.tokens, state.training_s = 300, 2.0
    row = state.close_row()
    assert row["train_loss"] == pytest.approx(10 / 5) and row["chain"] == pytest.approx(12 / 6)
    assert (row["grad_norm"], row["tokens_per_s"]) == (1.0, 150.0)
    empty = state.close_row()
    assert all(math.isnan(empty[name]) for name in ("train_loss", "grad_norm", "tokens_per_s"))


@pytest.mark.parametrize(
    ("monitor", "values", "best"), [("val_loss", (3.0, 2.0, 2.5), 2.0), ("f1", (0.3, 0.5, 0.4), 0.5)]
)
def test_the_best_value_is_the_smallest_loss_or_the_largest_score(monitor: str, values: tuple, best: float) -> None:
    state = TrainingState(group=1)
    assert [state.judge(monitor, {monitor: value}) for value in values] == [True, True, False]
    assert state.best_value == best and not state.judge(monitor, {monitor: math.nan})
