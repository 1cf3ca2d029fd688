"""The alphabet of 32 tokens: learnt from training DNA, read from the first base on, and counted in bases."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from genet5.errors import InputError
from genet5.studies.dna_llm.alphabets import BPE32, VOCAB4, Alphabet, alphabet_named
from genet5.studies.dna_llm.bpe import PAD, TokenReader, learn_merges
from genet5.studies.dna_llm.corpus import Corpus, CorpusOptions, write_corpus
from genet5.studies.dna_llm.gpt import Gpt, GptConfig, load_gpt, parameter_count, save_gpt
from genet5.studies.dna_llm.predictors import GptPredictor, load_predictor, save_predictor

MERGES = ("A A", "C G", "AA AA", "T CG")  # tokens 4 to 7: AA, CG, AAAA, TCG
TOY = Alphabet("bpe32", "ACGT", MERGES)


def letters(*texts: str) -> np.ndarray:
    return np.stack([VOCAB4.ids(text) for text in texts])


def random_stretch(length: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, size=length, dtype=np.uint8)


def toy_core(context: int = 40) -> Gpt:
    torch.manual_seed(0)
    return Gpt(GptConfig("bpe32", 2, 32, 2, context, merges=MERGES)).eval()


def test_28_merges_are_learnt_the_most_frequent_pair_first():
    """Of ACAC..., pieces of 256 bases have AC 128 times and CA 127 times; their other strand has GT and TG as often."""
    merges = learn_merges([np.resize(VOCAB4.ids("AC"), 256 * 200), random_stretch(20_000, 1)])
    assert len(merges) == 28 and len(alphabet_named("bpe32", merges)) == 32
    assert set(merges[:2]) == {"A C", "G T"} and set(merges[2:4]) == {"AC AC", "GT GT"}


def test_merges_do_not_depend_on_the_strand():
    stretch = random_stretch(256 * 200, 2)
    merges = learn_merges([stretch])
    assert merges == learn_merges([(3 - stretch)[::-1]])
    turned = {token[::-1].translate(str.maketrans("ACGT", "TGCA")) for token in alphabet_named("bpe32", merges).tokens}
    assert len(turned & set(alphabet_named("bpe32", merges).tokens)) >= 24


def test_too_little_dna_is_one_clear_line():
    with pytest.raises(InputError, match=r"alphabet bpe32: \d+ merges in the training DNA, needs 28"):
        learn_merges([VOCAB4.ids("AC")])


def test_windows_are_read_as_tokens_and_the_first_base_is_alone():
    reader = TokenReader(TOY)
    ids = reader(letters("AAAAAATCGA", "CGCGTTTTTT"))
    names = [[TOY.tokens[i] for i in row if i != PAD] for row in ids]
    assert names == [["A", "AAAA", "A", "TCG", "A"], ["C", "G", "CG", *"TTTTTT"]]
    assert ids[0].tolist()[5:] == [PAD] * 4
    assert reader.owners(ids, 10).tolist() == [[0, 1, 1, 1, 1, 2, 3, 3, 3, 4], [0, 1, 2, 2, 3, 4, 5, 6, 7, 8]]
    plain = TokenReader(VOCAB4)
    assert plain(letters("ACGT")).tolist() == [[0, 1, 2, 3]]
    assert plain.owners(plain(letters("ACGT")), 4).tolist() == [[0, 1, 2, 3]]


def test_tokens_are_the_bases_again():
    alphabet = alphabet_named("bpe32", learn_merges([random_stretch(50_000, 3)]))
    windows = random_stretch(64 * 300, 4).reshape(64, 300)
    rows = TokenReader(alphabet)(windows)
    assert len(rows) == 64
    for row, text in zip(rows, windows, strict=True):
        assert "".join(alphabet.tokens[i] for i in row if i != PAD) == "".join("ACGT"[i] for i in text)


def test_bits_per_base_by_hand():
    """Every one of 8 tokens equally likely: 3 bits a token, whatever its bases."""
    model = toy_core()
    model.forward = lambda ids: torch.zeros(*ids.shape, 8)
    ids = torch.from_numpy(TokenReader(TOY)(letters("AAAAAATCGA", "CGCGTTTTTT")))
    losses = model.training_losses(ids)
    # Predicted are AAAA A TCG A, and G CG T T T T T T: 12 tokens of 9 and 9 bases.
    assert losses["weight"] == 12 and losses["bits_per_base_weight"] == 18
    assert float(losses["sum"]) == pytest.approx(12 * math.log(8))
    assert float(losses["bits_per_base"] / losses["bits_per_base_weight"]) == pytest.approx(12 * 3 / 18)


def test_alphabets_predict_the_same_bases_of_a_window():
    """All bases of a window but the first."""
    windows = random_stretch(5 * 41, 5).reshape(5, 41)
    tokens = toy_core().training_losses(torch.from_numpy(TokenReader(TOY)(windows)))
    bases = Gpt(GptConfig("vocab4", 1, 8, 1, 40)).training_losses(torch.from_numpy(windows.astype(np.int64)))
    assert tokens["bits_per_base_weight"] == bases["bits_per_base_weight"] == 5 * 40


def test_what_stands_behind_the_last_token_does_not_count():
    model, reader = toy_core(), TokenReader(TOY)
    ids = torch.from_numpy(reader(letters("ACAACGTTCG")))
    longer = torch.nn.functional.pad(ids, (0, 5), value=PAD)
    assert model.training_losses(ids)
    for name, value in model.training_losses(ids).items():
        torch.testing.assert_close(model.training_losses(longer)[name], value)


def test_each_base_has_the_features_of_its_token():
    core = toy_core()
    model = GptPredictor(core, "causal", frozen=True).eval()
    bases = torch.from_numpy(letters("AAAAAATCGA", "CGCGTTTTTT").astype(np.int64))
    with torch.no_grad():
        found = model.features(bases)
        tokens = core.features(torch.from_numpy(TokenReader(TOY)(bases.numpy())).clamp_min(0))
    assert found.shape == (2, 10, 32)
    torch.testing.assert_close(found[0], tokens[0][[0, 1, 1, 1, 1, 2, 3, 3, 3, 4]])
    torch.testing.assert_close(found[1], tokens[1][[0, 1, 2, 2, 3, 4, 5, 6, 7, 8]])


@pytest.mark.parametrize("direction", ["causal", "average", "concatenate"])
def test_a_core_of_tokens_is_trained_through_and_comes_back(direction, tmp_path):
    model = GptPredictor(toy_core(), direction, frozen=False)
    bases = torch.from_numpy(random_stretch(3 * 40, 6).reshape(3, 40).astype(np.int64))
    model(bases).sum().backward()
    assert model.core.letters.weight.grad.abs().sum() > 0
    save_predictor(model.eval(), tmp_path)
    assert torch.equal(load_predictor(tmp_path)(bases), model(bases))
    if direction == "average":
        turned = model.features((3 - bases).flip(1)).flip(1)
        torch.testing.assert_close(turned, model.features(bases))


def test_a_gpt_of_tokens_keeps_its_merges(tmp_path):
    core = toy_core()
    save_gpt(core, tmp_path)
    assert load_gpt(tmp_path).config == core.config and load_gpt(tmp_path).config.letters == TOY
    merges = learn_merges([random_stretch(50_000, 3)])
    assert parameter_count(Gpt(GptConfig("bpe32", merges=merges))) == 7_198_080 + 28 * 384


@pytest.mark.parametrize(
    ("name", "merges", "problem"),
    [
        ("bpe32", (), "alphabet bpe32: found 0 merges, needs some"),
        ("vocab4", MERGES, "alphabet vocab4: found 4 merges, has none"),
        ("bpe", (), "alphabet: found 'bpe', allowed: full, vocab4, bpe32"),
    ],
)
def test_an_alphabet_without_its_merges_is_refused(name, merges, problem):
    with pytest.raises(InputError, match=problem):
        alphabet_named(name, merges)


def test_a_corpus_of_tokens_has_the_letters_of_vocab4_and_its_own_merges(tmp_path: Path):
    text = "".join("ACGT"[i] for i in random_stretch(20_000, 7))
    (tmp_path / "x.fna").write_text(f">chr1\n{text}\n")
    options = CorpusOptions(block_bp=2000, validation_share=0.2, least_stretch_bp=41, seed=1)
    for alphabet in (VOCAB4, BPE32):
        write_corpus({"x": tmp_path / "x.fna"}, alphabet, options, tmp_path / alphabet.name)
    plain, tokens = (Corpus(tmp_path / name, "train") for name in ("vocab4", "bpe32"))
    assert np.array_equal(plain.tokens, tokens.tokens) and np.array_equal(plain.ends, tokens.ends)
    stretches = [np.asarray(tokens.tokens[a:b]) for a, b in zip(tokens.starts, tokens.ends, strict=True)]
    assert tokens.alphabet == dataclasses.replace(BPE32, merges=learn_merges(stretches)) and len(tokens.alphabet) == 32
