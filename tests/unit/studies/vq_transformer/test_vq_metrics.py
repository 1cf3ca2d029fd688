"""Oracle checks of what the study VQ-Transformer measures: accuracy, code use, bits, bounds."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from vq_toy import random_dna, toy_corpus, toy_network

from genet5.genome.genes import Region
from genet5.studies.vq_transformer import figures
from genet5.studies.vq_transformer.bounds import (
    best_accuracy,
    block_code_accuracy,
    code_entropy,
    fit_block_code,
    kmer_counts,
    least_rate,
)
from genet5.studies.vq_transformer.codec import VqTokenizer
from genet5.studies.vq_transformer.corpus import NO_CLASS
from genet5.studies.vq_transformer.encodings import base_codes
from genet5.studies.vq_transformer.entropy import (
    CountModel,
    arithmetic_decode,
    arithmetic_encode,
    code_length,
    mixture_bits,
    order_counts,
    static_bits,
)
from genet5.studies.vq_transformer.evaluation import Tally, code_information, code_picture, code_use, evaluate_codec
from genet5.studies.vq_transformer.limits import measure_limits, pack

DNA = base_codes("ACGTACGTNN")
CLASSES = np.array([0, 0, 0, 0, 2, 2, 2, 2, 2, 2], dtype=np.uint8)


def certain(bases: str, chance: float = 1.0) -> np.ndarray:
    """Log-probabilities of a decoder that gives ``chance`` to these bases and shares the rest."""
    chances = np.full((len(bases), 4), (1 - chance) / 3)
    chances[np.arange(len(bases)), base_codes(bases).clip(max=3)] = chance
    return np.log(np.maximum(chances, 1e-300)).astype(np.float32)


def test_a_perfect_codec_scores_one_and_needs_no_correction():
    tally = Tally()
    tally.add(DNA, certain("ACGTACGTAA"), CLASSES)
    result = tally.result()
    assert result["base_accuracy"] == 1.0 and result["correction_bits"] == 0.0
    assert result["class_accuracy"] == {"intergenic": 1.0, "intron": None, "coding": 1.0}


def test_a_damaged_one_scores_what_was_computed_by_hand():
    tally = Tally()
    tally.add(DNA, certain("ACGTACGAAA", 0.5), CLASSES)  # the eighth base is wrong; N does not count
    result = tally.result()
    assert result["base_accuracy"] == 7 / 8
    assert result["class_accuracy"]["coding"] == 3 / 4
    assert math.isclose(result["correction_bits"], (7 * 1 + math.log2(6)) / 8, rel_tol=1e-6)


def test_use_of_codes_by_hand():
    codes = np.array([[0], [0], [1], [2]])
    assert code_use(codes, 4) == {"usage": 0.75, "perplexity": 2**1.5, "entropy": 1.5}
    two = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert code_use(two, 2) == {"usage": 1.0, "perplexity": 2.0, "entropy": 2.0}
    assert code_entropy(np.array([5, 0, 0])) == 0.0


def test_what_a_code_tells_of_the_class():
    classes = [np.array([0, 0, 2, 2, 0, 2, 2, 2], dtype=np.uint8)]  # the third slot has two classes
    piece = [np.zeros(8, dtype=np.uint8)]
    telling = code_information(np.array([[5], [1], [7], [1]]), classes, piece, 2)
    assert math.isclose(telling, -(1 / 3) * math.log2(1 / 3) - (2 / 3) * math.log2(2 / 3))
    assert math.isclose(code_information(np.array([[1], [1], [7], [1]]), classes, piece, 2), 0.0, abs_tol=1e-12)
    assert code_information(np.array([[5], [1], [7], [1]]), [np.full(8, NO_CLASS)], piece, 2) is None


# -------------------------------------------------------------------- entropy


def test_code_length_by_hand():
    # A, A, C with counts that begin at 1 for four bases: 1/4, 2/5, 1/6.
    expected = math.log2(4) + math.log2(5 / 2) + math.log2(6)
    assert math.isclose(code_length(np.array([0, 0, 1]), CountModel(4, 0)), expected)
    # Order 1, the context before the text is A: A after A 1/4, A after A 2/5, C after A 1/6, A after C 1/4.
    assert math.isclose(code_length(np.array([0, 0, 1, 0]), CountModel(4, 1)), expected + 2)
    assert math.isclose(code_length(np.array([0, 0]), CountModel(4, 0, 4)), 2 + math.log2(8 / 5))


@pytest.mark.parametrize("model", [CountModel(4, 0), CountModel(4, 3), CountModel(200, 0, 16), CountModel(2, 1, 700)])
def test_the_arithmetic_coder_reaches_the_code_length_and_comes_back(model):
    symbols = np.minimum(np.random.default_rng(1).geometric(0.4, size=3000) - 1, model.alphabet - 1)
    data = arithmetic_encode(symbols, model)
    assert np.array_equal(arithmetic_decode(data, len(symbols), model), symbols)
    assert 0 <= 8 * len(data) - code_length(symbols, model) < 16 + 0.001 * len(symbols)


def test_a_model_with_fixed_counts_by_hand():
    # Both strands of AAC: AAC and GTT. Order 0 with pseudocount 1: A 3, C 2, G 2, T 3 of 10.
    counts = order_counts([base_codes("AAC")], 0)
    assert counts.tolist() == [[3, 2, 2, 3]]
    bits, number = static_bits(counts, [base_codes("ACN")], 0)
    assert number == 2 and math.isclose(bits, math.log2(10 / 3) + math.log2(5))
    # Order 1: AA, AC on one strand, GT, TT on the other.
    first = order_counts([base_codes("AAC")], 1)
    assert first.tolist() == [[2, 2, 1, 1], [1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 1, 2]]
    bits, number = static_bits(first, [base_codes("ANAC")], 1)
    assert number == 1 and math.isclose(bits, math.log2(3))


def test_the_mixture_learns_repeats_and_inverted_repeats_and_nothing_from_noise():
    noise = random_dna(6000)
    assert 1.98 < mixture_bits(noise[:3000], noise[3000:]) / 3000 < 2.08
    for again in (noise[:3000], 3 - noise[:3000][::-1]):
        assert mixture_bits(noise[:3000], again, (4, 11)) / 3000 < 0.6
    assert math.isclose(mixture_bits(noise[:0], noise[:1]), 2.0)


@pytest.mark.parametrize("held_out", [(), (Region("chr1", 0, 2000),)])
def test_limits_of_noise_and_of_a_repeat(held_out):
    limits = measure_limits(toy_corpus(8000, 400, held_out=held_out), [0, 2], mixture=True)
    assert 1.95 < limits["entropy"] < 2.05
    assert limits["held_out"] == bool(held_out)
    assert abs(limits["figures"]["packed"] - 2) < 0.01 and limits["figures"]["zstd_packed"] > 1.99
    assert 2 < limits["figures"]["zstd_text"] < 3
    assert all(1.98 < limits[key][order] < 2.1 for key in ("adaptive", "learned") for order in ("0", "2"))
    assert {"mixture", "mixture_learned"} < limits["figures"].keys()
    assert pack(np.array([0, 1, 2, 3, 3], dtype=np.uint8)) == bytes([0b00011011, 0b11000000])


def test_the_mixture_of_models_is_measured_on_request_alone():
    limits = measure_limits(toy_corpus(400, 100), [0], mixture=False)
    assert limits["figures"].keys() == {"packed", "zstd_text", "zstd_packed", "arithmetic_coder"}


# -------------------------------------------------------------------- bounds


def test_shannons_bound_at_known_places():
    assert least_rate(2.0, 1.0) == 2.0 and least_rate(2.0, 0.25) == 0.0
    expected = 2 - (-0.01 * math.log2(0.01) - 0.99 * math.log2(0.99)) - 0.01 * math.log2(3)
    assert math.isclose(least_rate(2.0, 0.99), expected) and 1.90 < expected < 1.91
    for rate in (0.3, 1.0, 1.9):
        assert math.isclose(least_rate(2.0, best_accuracy(2.0, rate)), rate, abs_tol=1e-9)
    assert best_accuracy(1.9, 1.9) == 1.0


def test_block_codes_by_hand():
    counts = np.zeros(16, dtype=np.int64)
    counts[[0, 1, 15]] = 5, 1, 4  # AA, AC, TT
    code = fit_block_code(counts, 2, seed=0)
    assert sorted(map(tuple, code.words.tolist())) == [(0, 0), (3, 3)]
    assert block_code_accuracy(code, counts) == (2 * 9 + 1) / 20
    assert block_code_accuracy(fit_block_code(counts, 3, seed=0), counts) == 1.0
    assert kmer_counts([base_codes("AAACNTTTT")], 2)[[0, 1, 15]].tolist() == [1, 1, 1]


def test_a_word_of_a_block_code_is_what_most_of_its_kmers_have_at_each_base():
    counts = np.zeros(64, dtype=np.int64)
    counts[[31, 55, 61]] = 1  # CTT, TCT, TTC
    code = fit_block_code(counts, 1, seed=0)
    assert code.words.tolist() == [[3, 3, 3]] and block_code_accuracy(code, counts) == 6 / 9


def test_a_block_code_never_beats_shannon():
    counts = np.ones(256, dtype=np.int64)
    for size in (4, 16, 64, 256):
        accuracy = block_code_accuracy(fit_block_code(counts, size, seed=1), counts)
        assert accuracy <= best_accuracy(2.0, math.log2(size) / 4) + 1e-9
    assert accuracy == 1.0


def test_an_untrained_codec_is_scored_whole():
    corpus = toy_corpus()
    tokenizer = VqTokenizer(toy_network())
    result = evaluate_codec(tokenizer, corpus, seed=0)
    assert result["test_bases"] == corpus.size("test") and 0.1 < result["base_accuracy"] < 0.5
    assert result["nominal_bits"] == 2.0 and result["entropy_bits"] <= 2.0
    assert result["lossless_bits"] >= 1.95  # no codec describes noise in less than two bits
    assert 0 <= result["table_agreement"] <= 1 and result["block_code_accuracy"] == 1.0
    assert result["information_bits"] is None and json.dumps(result, allow_nan=False)
    picture = code_picture(tokenizer, corpus, 50, seed=0)
    assert picture["codes"].shape == (16, 2) and picture["slots"].shape[1] == 2


@pytest.mark.parametrize("annotated", [False, True])
def test_every_code_that_occurs_is_drawn_whether_annotated_or_not(monkeypatch, tmp_path, annotated):
    corpus, panels = toy_corpus(), []
    if annotated:
        corpus.classes[: len(corpus.bases) // 2] = 2
    picture = code_picture(VqTokenizer(toy_network()), corpus, 50, seed=0)
    assert picture["counts"].sum() == sum((end - start) // 16 * 8 for start, end in corpus.spans["test"])
    monkeypatch.setattr(figures, "draw", lambda path, width, height, *drawings: panels.extend(drawings))
    figures.codes_figure(picture, "2x16", tmp_path / "x.png")
    axes = Figure().subplots()
    panels[1](axes)
    (dots,) = axes.collections
    assert len(dots.get_offsets()) == (picture["counts"] > 0).sum() > 1
    assert len(axes.figure.axes) == 1 + annotated  # colours mean something
