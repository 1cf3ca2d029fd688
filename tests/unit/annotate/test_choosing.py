"""Validation DNA chooses the decoder."""

from __future__ import annotations

import pytest

from genet5.annotate.choosing import ValidationScore, decoders_for, preferred_decoder
from genet5.clades import Clade, read_clades

CLADES = read_clades()
FUNGI, BACTERIA, PLANT = (CLADES[name] for name in ("fungi", "bacteria", "plant"))


def score(f1: float | None, clade: str = "fungi") -> ValidationScore:
    return ValidationScore(clade, f1, f1)


def test_decoders_that_can_work() -> None:
    assert decoders_for(FUNGI, has_writer=True) == ["viterbi", "expected", "lm", "reranked"]
    assert decoders_for(BACTERIA, has_writer=True) == ["viterbi", "expected", "lm", "joint", "reranked"]
    assert decoders_for(BACTERIA, has_writer=False) == ["viterbi", "expected"]


def test_the_mean_of_exon_and_gene_f1_decides() -> None:
    scores = {"viterbi": {"A.a": ValidationScore("fungi", 0.9, 0.2)}, "lm": {"A.a": ValidationScore("fungi", 0.6, 0.6)}}
    assert preferred_decoder(scores, FUNGI, True) == "lm"
    assert preferred_decoder(scores, FUNGI, False) == "viterbi"


def test_of_equals_the_fastest_wins_and_nothing_found_counts_nought() -> None:
    assert preferred_decoder({"lm": {"A.a": score(0.5)}, "viterbi": {"A.a": score(0.5)}}, FUNGI, True) == "viterbi"
    assert preferred_decoder({"lm": {"A.a": score(0.1)}, "viterbi": {"A.a": score(None)}}, FUNGI, True) == "lm"


@pytest.mark.parametrize(("clade", "decoder"), [(FUNGI, "viterbi"), (BACTERIA, "joint"), (PLANT, "lm")])
def test_species_of_the_clade_are_asked_first(clade: Clade, decoder: str) -> None:
    """A plant is in no validation species, so all count. There joint takes no part: it was not measured on fungi."""
    scores = {
        "viterbi": {"F.f": score(0.6), "B.b": score(0.1, "bacteria")},
        "lm": {"F.f": score(0.5), "B.b": score(0.7, "bacteria")},
        "joint": {"B.b": score(0.9, "bacteria")},
    }
    assert preferred_decoder(scores, clade, True) == decoder


def test_nothing_measured_is_no_choice() -> None:
    assert preferred_decoder({}, FUNGI, True) is None
    assert preferred_decoder({"lm": {}}, FUNGI, True) is None


def test_a_score_is_the_mean_of_both_and_says_what_could_not_be_found() -> None:
    scores = [ValidationScore("fungi", *f1) for f1 in ((0.5, 0.25), (0.5, None), (None, 0.5), (None, None))]
    assert [one.mean for one in scores] == [0.375, 0.25, 0.25, 0]
    assert [scores[0].text, scores[3].text] == [
        "exon F1 0.500, gene F1 0.250",
        "exon F1 none to find, gene F1 none to find",
    ]
