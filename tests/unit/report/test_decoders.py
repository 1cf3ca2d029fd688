"""Scores of decoders on validation DNA, as the page shows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from genet5.errors import InputError
from genet5.report.decoders import DecoderScore, decoder_card, read_decoder_scores


def words(markup: object) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", str(markup)).split())


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    path = tmp_path / "sft" / "calibration.json"
    path.parent.mkdir()
    one = {"clade": "fungi", "exon_f1": 0.8, "gene_f1": 0.7}
    scores = {"viterbi": {"S.a": one}, "lm": {"S.a": one | {"exon_f1": 0.6, "gene_f1": None}}}
    path.write_text(json.dumps({"weights": "", "decoders": {}, "regions": {}, "scores": scores}))
    return path


def test_the_best_decoder_of_a_stage_and_species_is_marked(calibration: Path) -> None:
    text = words(decoder_card(read_decoder_scores(calibration)))
    assert "sft S.a viterbi 0.800 0.700 best sft S.a lm 0.600" in text and text.count("best sft") == 1


def test_without_scores_there_is_no_card(calibration: Path) -> None:
    calibration.write_text(json.dumps({"weights": "", "decoders": {}, "regions": {}}))
    assert decoder_card(read_decoder_scores(calibration)) is None


@pytest.mark.parametrize("scores", [[], {"lm": 3}, {"lm": {"S.a": 0.5}}, {"lm": {"S.a": {"exon_f1": "much"}}}])
def test_other_files_are_one_clear_line(calibration: Path, scores: object) -> None:
    calibration.write_text(json.dumps({"scores": scores}))
    with pytest.raises(InputError, match=r"calibration\.json, key scores"):
        read_decoder_scores(calibration)


def test_decoders_are_compared_by_the_mean_of_exons_and_genes() -> None:
    scores = [
        DecoderScore("sft", "S.a", "viterbi", 0.8, 0.7),
        DecoderScore("sft", "S.a", "lm", None, 0.7),
        DecoderScore("sft", "S.a", "both", 0.6, None),
    ]
    assert [one.mean for one in scores] == [0.75, 0.35, 0.3]


def test_the_only_decoder_of_a_stage_is_not_marked(calibration: Path) -> None:
    viterbi, lm = read_decoder_scores(calibration)
    assert "best" not in words(decoder_card([viterbi])).partition("Gene F1")[2]
    rows = words(decoder_card([lm, viterbi])).partition("Gene F1 ")[2]
    assert rows == "sft S.a lm 0.600 sft S.a viterbi 0.800 0.700 best"
