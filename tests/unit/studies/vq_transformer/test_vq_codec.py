"""Codes and back: the codec of the study VQ-Transformer, its files, and its codes as DNA tokens."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from vq_toy import random_dna, toy_network

from genet5.errors import InputError
from genet5.studies.vq_transformer.codec import (
    CodedDna,
    VqTokenizer,
    kmer_table,
    load_coded,
    save_coded,
    table_accuracy,
    write_kmer_table,
)
from genet5.studies.vq_transformer.encodings import base_codes, base_letters
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.tokens.vq import VqEncoder, parse_vq_codes


@pytest.fixture(scope="module")
def exact() -> VqTokenizer:
    """A codec without error, set by hand: code 4a + b stands for bases a, b, and the decoder reads it off."""
    network = toy_network().eval()
    with torch.no_grad():
        pairs = torch.cartesian_prod(torch.arange(4), torch.arange(4))
        books = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        network.quantiser.codebook.copy_(books[None])
        network.encode = lambda tokens: books[tokens.unflatten(1, (-1, 2)).clamp(max=3) @ torch.tensor([4, 1])]
        network.decode = lambda vectors: (
            20
            * torch.nn.functional.one_hot(pairs[torch.cdist(vectors, books.expand(len(vectors), -1, -1)).argmin(-1)], 4)
            .float()
            .flatten(1, 2)
        )
    return VqTokenizer(network)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 100, 333])
def test_an_exact_codec_gives_every_text_back(exact, length):
    dna = base_letters(random_dna(length, seed=length))
    coded = exact.encode(dna)
    assert coded.codes.shape == (-(-length // 2), 1) and not len(coded.unknown)
    assert exact.decode(coded) == dna
    assert exact.decode(exact.encode(dna.lower())) == dna


def test_unknown_bases_come_back_where_they_were(exact):
    dna = "NNNACGTRYACGTACGTACGNNACGTN"
    coded = exact.encode(dna)
    assert coded.unknown.tolist() == [[0, 3], [7, 9], [20, 22], [26, 27]]
    assert exact.decode(coded) == dna.replace("R", "N").replace("Y", "N")
    assert exact.decode(exact.encode("")) == ""


def test_codes_are_named(exact):
    assert exact.vocab_size == 16
    assert exact.tokenize("ACTT") == ["<vq_1>", "<vq_15>"]


def test_codes_of_another_codec_are_refused(exact):
    with pytest.raises(InputError, match=r"found an array of \(3, 1\), expected \(2, 1\)"):
        exact.decode(CodedDna(np.zeros((3, 1), dtype=np.uint16), 4, np.zeros((0, 2), dtype=np.int64)))
    with pytest.raises(InputError, match="found code 16, this codebook has 0 to 15"):
        exact.decode(CodedDna(np.full((2, 1), 16, dtype=np.uint16), 4, np.zeros((0, 2), dtype=np.int64)))


def test_blocks_do_not_change_with_the_length_of_the_text():
    tokenizer = VqTokenizer(toy_network())
    bases = random_dna(16 * 9 + 5)
    long = tokenizer.encode_bases(bases)
    assert np.array_equal(long.codes[8:16], tokenizer.encode_bases(bases[16:32]).codes)
    assert np.array_equal(tokenizer.decode_bases(long)[16:32], tokenizer.decode_bases(
        CodedDna(long.codes[8:16], 16, np.zeros((0, 2), dtype=np.int64))))  # fmt: skip


def test_a_file_of_codes_comes_back(exact, tmp_path):
    sequences = {"a": exact.encode("ACGTNNA"), "b": exact.encode("TT"), "c": exact.encode("NACGN")}
    save_coded(sequences, tmp_path / "x.npz")
    back = load_coded(tmp_path / "x.npz")
    assert {name: exact.decode(coded) for name, coded in back.items()} == {"a": "ACGTNNA", "b": "TT", "c": "NACGN"}
    whole = (tmp_path / "x.npz").read_bytes()
    for data in (b"x", b"", whole[: len(whole) // 2]):
        (tmp_path / "y.npz").write_bytes(data)
        with pytest.raises(InputError, match=r"y.npz: not a file of codes .*; make it with vq_encode.py"):
            load_coded(tmp_path / "y.npz")


# -------------------------------------------------------------------- codes as DNA tokens


def test_the_table_of_an_exact_codec_is_the_bijection(exact):
    table = kmer_table(exact, [random_dna(400)])
    assert table.tolist() == list(range(16))
    assert table_accuracy(table, [random_dna(100, seed=5)]) == 1.0


def test_a_table_that_joins_kmers_loses_what_was_computed_by_hand():
    table = np.arange(16)
    table[1] = 0  # AC reads as AA, which is more frequent
    dna = base_codes("AAAAAC" + "GT")
    assert table_accuracy(table, [dna]) == 7 / 8


def test_codes_are_dna_tokens_of_the_main_vocabulary(exact, tmp_path):
    table = kmer_table(exact, [random_dna(400)])
    write_kmer_table(table, 16, tmp_path / "codes.json")
    tokenizer = GeneTokenizer.build("vq", base=tmp_path / "codes.json", segment_bp=8, max_window_bp=64)
    assert tokenizer.dna_size == 6 + 16 and tokenizer.k == 2
    bases = "ACGTNAtt" + "GGG"
    tokens = tokenizer.encode_dna(bases)
    named = [tokenizer.token(index) for index in tokens.ids]
    assert named == ["<loc_0>", "<vq_1>", "<vq_11>", "N", "<vq_15>", "<loc_1>", "<vq_10>", "G"]
    assert tokens.end.tolist() == [0, 2, 4, 6, 8, 8, 10, 11]
    tokenizer.save(tmp_path / "saved")
    back = GeneTokenizer.load(tmp_path / "saved")
    assert np.array_equal(back.encode_dna(bases).ids, tokens.ids)
    kmers = GeneTokenizer.build("kmer", 2, segment_bp=8, max_window_bp=64)
    assert np.array_equal(kmers.encode_dna(bases).start, tokens.start)


def test_kmers_of_one_code_are_one_token():
    codes = parse_vq_codes({"k": 2, "size": 4, "codes": [index // 4 for index in range(16)]}, "x")
    ids, _ = VqEncoder(codes)(b"AAATCAGN", 8)
    assert ids.tolist() == [6, 6, 7, 1]


def test_one_code_may_stand_for_all_kmers():
    assert parse_vq_codes({"k": 2, "size": 1, "codes": [0] * 16}, "x").size == 1


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"k": 2, "size": 4, "codes": [0] * 15}, "codes 15, expected a list of 16"),
        ({"k": 2, "size": 4, "codes": [4] * 16}, "codes hold 4, allowed 0 to 3"),
        ({"k": 2, "size": 17, "codes": [0] * 16}, "size 17, allowed 1 to 16"),
        ({"k": 9, "size": 4, "codes": []}, "k 9, allowed 2 to 8"),
    ],
)
def test_a_table_that_is_none_is_one_line(tmp_path, values, problem):
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"format_version": 1} | values))
    with pytest.raises(InputError, match=problem):
        GeneTokenizer.base("vq", base=path)
    with pytest.raises(InputError, match="kind vq needs a table of codes"):
        GeneTokenizer.base("vq")
