"""DNA of the study VQ-Transformer: encodings, splits, batches."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from vq_toy import random_dna, toy_corpus

from genet5.errors import InputError
from genet5.genome.genes import Annotation, DontCare, Gene, Interval, Region, Transcript
from genet5.studies.vq_transformer.corpus import Corpus, Dataset, base_classes, read_dna
from genet5.studies.vq_transformer.encodings import (
    KmerEncoding,
    base_codes,
    base_letters,
    encoding_named,
    get_encodings,
)


def test_encodings_have_the_names_and_sizes_of_the_source():
    assert get_encodings == ("base_1k", "base_2k", "base_3k", "base_4k", "base_5k")
    fourth = encoding_named(get_encodings[3], overlapping=True)
    assert (fourth.k, len(fourth.vocab) - 1, fourth.vocab["AAAA"], fourth.vocab["TTTT"]) == (4, 256, 0, 255)
    with pytest.raises(InputError, match="base_6k"):
        encoding_named("base_6k")


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_a_text_of_whole_kmers_comes_back(k, overlapping):
    encoding = KmerEncoding(k, overlapping)
    dna = base_letters(random_dna(60, seed=k))
    ids = encoding.encode(dna)
    assert len(ids) == (60 - k + 1 if overlapping else 60 // k)
    assert encoding.decode(ids) == dna
    assert encoding.detokenize(encoding.tokenize(dna.lower())) == dna
    assert [encoding.vocab[kmer] for kmer in encoding.tokenize(dna)] == ids


def test_ids_by_hand():
    codes = base_codes("ACGtNA")
    assert codes.tolist() == [0, 1, 2, 3, 4, 0]
    assert KmerEncoding(2).ids(codes).tolist() == [1, 11, 16]
    assert KmerEncoding(2, overlapping=True).ids(codes).tolist() == [1, 6, 11, 16, 16, 16]
    assert KmerEncoding(3).decode([64]) == "NNN"
    with pytest.raises(InputError, match="no token with id 65"):
        KmerEncoding(3).decode([65])


def test_fasta_and_plain_text_are_read_alike(tmp_path):
    (tmp_path / "a.fa").write_text(">one first\nACGT\nnn\n>two\nTTTT\n")
    with gzip.open(tmp_path / "dna.txt.gz", "wt") as stream:
        stream.write("acgt nn\n")
    found = read_dna(tmp_path / "a.fa")
    assert {name: base_letters(codes) for name, codes in found.items()} == {"one": "ACGTNN", "two": "TTTT"}
    assert base_letters(read_dna(tmp_path / "dna.txt.gz")["dna"]) == "ACGTNN"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (">a\nACGT\n>a\nAC\n", "appears twice"),
        (">a\n>b\nAC\n", "no bases"),
        ("ACGT1", "holds '1'"),
        (" \n", "no bases"),
    ],
)
def test_what_is_no_dna_is_one_line(tmp_path, text, problem):
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=problem) as found:
        read_dna(path)
    assert str(path) in str(found.value) and "\n" not in str(found.value)


def test_each_base_is_in_one_split_and_held_out_regions_in_no_other():
    sequences = {"chr1": random_dna(1000), "chr2": random_dna(300)}
    corpus = Corpus.split(sequences, [Region("chr1", 500, 600), Region("chr2", 0, 300)], 0.25, 100, seed=3)
    owner = np.zeros(1300, dtype=int)
    for split in ("train", "val", "test"):
        for start, end in corpus.spans[split]:
            owner[start:end] += 1
    assert (owner == 1).all()
    assert corpus.spans["test"].tolist() == [[500, 600], [1000, 1300]]
    assert corpus.size("val") == 200  # a quarter of nine blocks
    again = Corpus.split(sequences, [Region("chr1", 500, 600), Region("chr2", 0, 300)], 0.25, 100, seed=3)
    assert all(np.array_equal(corpus.spans[s], again.spans[s]) for s in corpus.spans)


def test_without_held_out_regions_validation_blocks_are_scored():
    corpus = toy_corpus()
    assert np.array_equal(corpus.spans["test"], corpus.spans["val"])


def test_too_large_a_block_is_refused():
    with pytest.raises(InputError, match="block_bp: 500 leaves 1 block"):
        Corpus.split({"a": random_dna(400)}, (), 0.2, 500, 0)


def test_a_corpus_comes_back_from_disk(tmp_path):
    corpus = toy_corpus()
    corpus.save(tmp_path / "c.npz")
    back = Corpus.load(tmp_path / "c.npz")
    assert np.array_equal(back.bases, corpus.bases) and back.names == ("chr1",)
    assert all(np.array_equal(back.spans[split], corpus.spans[split]) for split in corpus.spans)
    whole = (tmp_path / "c.npz").read_bytes()
    for data in (b"no", b"", whole[: len(whole) // 2]):
        (tmp_path / "c.npz").write_bytes(data)
        with pytest.raises(InputError, match=r"c.npz: not a corpus"):
            Corpus.load(tmp_path / "c.npz")


def test_a_span_that_ends_before_it_begins_is_refused(tmp_path):
    corpus = toy_corpus()
    corpus.spans["train"][0] = corpus.spans["train"][0][::-1].copy()
    corpus.save(tmp_path / "c.npz")
    with pytest.raises(InputError, match=r"c.npz: not a corpus \(a span that ends before it begins\)"):
        Corpus.load(tmp_path / "c.npz")


def test_batches_are_windows_of_their_split_and_two_differ(tmp_path):
    path = tmp_path / "dna.txt"
    path.write_text(base_letters(random_dna(3000)))
    dataset = Dataset.read(path, get_encodings[1], ratio=0.2, block_bp=200)
    rng = np.random.default_rng(0)
    ids, bases = dataset.get_batch("train", 5, 32, rng)
    assert ids.shape == (5, 16) and bases.shape == (5, 32)
    assert np.array_equal(dataset.encoding.ids(bases), ids)
    other, _ = dataset.get_batch("train", 5, 32, rng)
    assert not np.array_equal(ids, other)
    same, _ = dataset.get_batch("train", 5, 32, np.random.default_rng(0))
    assert np.array_equal(ids, same)
    for split, other_split in (("train", "val"), ("val", "train")):
        starts = dataset.corpus.random_starts(split, 32, np.random.default_rng(1), 500)
        for first, last in dataset.corpus.spans[other_split]:
            assert not ((starts < last) & (starts + 32 > first)).any()
    with pytest.raises(InputError, match="no span of 500000 bases"):
        dataset.get_batch("val", 1, 500_000, rng)


def test_even_windows_do_not_overlap():
    starts = toy_corpus().even_starts("train", 16, 20)
    assert len(starts) == 20 and (np.diff(starts) >= 16).all()


def test_bases_have_the_class_of_their_gene():
    transcript = Transcript("t", (Interval(2, 4), Interval(7, 9)), (0, 0))
    gene = Gene("g", "chr1", "+", (transcript,), "protein_coding")
    annotation = Annotation((gene,), (DontCare("chr1", 9, 10, ".", "flagged"),))
    assert base_classes(annotation, {"chr1": 11})["chr1"].tolist() == [0, 0, 2, 2, 1, 1, 1, 2, 2, 3, 0]
