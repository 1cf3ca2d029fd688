"""The card of a model: what it was trained on, simulated bases named as such."""

from __future__ import annotations

from pathlib import Path

from genet5.training.card import CARD_FILE, write_card


def test_a_card_says_which_training_bases_were_simulated(tmp_path: Path) -> None:
    for folder, said in (("real", ""), ("made", "25.0% of the training bases were simulated, drawn from X.")):
        write_card(tmp_path / folder, "GeneT5 CRF", "A gene finder.", ["A.b"], {"loss": 0.5}, {"lr": 1}, said)
    real, simulated = ((tmp_path / folder / CARD_FILE).read_text() for folder in ("real", "made"))
    assert "simulated" not in real
    assert simulated.replace("25.0% of the training bases were simulated, drawn from X.\n", "") == real
