"""Data of the study DNA-LLM: nothing glued, nothing from headers, nothing shared between splits."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dna_llm_toy import toy_windows

from genet5.errors import InputError
from genet5.studies.dna_llm.alphabets import ALPHABETS, FULL, VOCAB4
from genet5.studies.dna_llm.binding_windows import (
    LEFT_OUT,
    BindingWindows,
    SplitOptions,
    load_windows,
    read_windows,
    save_windows,
    split_windows,
)
from genet5.studies.dna_llm.corpus import Corpus, CorpusOptions, validation_blocks, write_corpus
from genet5.studies.dna_llm.shared_kmers import KmerSet

OPTIONS = CorpusOptions(block_bp=500, validation_share=0.25, least_stretch_bp=41, seed=1)


def random_dna(length: int, rng: np.random.Generator) -> str:
    return "".join(rng.choice(list("ACGTacgt"), size=length))


@pytest.fixture
def genome(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A FASTA with soft-masked DNA, runs of N, an ambiguous letter, and letters of bases in a name."""
    rng = np.random.default_rng(0)
    first = random_dna(2990, rng) + "N" * 200 + random_dna(1500, rng) + "R" + random_dna(700, rng)
    sequences = {"GATTACA_1 TACGT": first, "tagGL000": random_dna(1400, rng)}
    path = tmp_path / "genome.fna.gz"
    lines = (f">{name}\n" + "\n".join(re.findall(".{1,50}", text)) for name, text in sequences.items())
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path, sequences


@pytest.fixture
def corpora(genome, tmp_path: Path) -> dict[str, Path]:
    for name, alphabet in ALPHABETS.items():
        write_corpus({"toy": genome[0]}, alphabet, OPTIONS, tmp_path / name)
    return {name: tmp_path / name for name in ALPHABETS}


def stretches(corpus: Corpus) -> list[str]:
    letters = np.array(list(corpus.alphabet.letters))
    return ["".join(letters[corpus.tokens[a:b]]) for a, b in zip(corpus.starts, corpus.ends, strict=True)]


def test_the_alphabets_are_those_of_the_source():
    assert len(FULL) == 40
    assert set(FULL.letters) == set("\n>_0123456789" + "acdghlmnortv" + "ABCGHIJKLMNTUXY")
    assert VOCAB4.letters == "ACGT"
    for alphabet in ALPHABETS.values():
        complement = alphabet.complement()
        assert (complement[complement] == np.arange(len(alphabet))).all()
        assert complement[alphabet.ids("ACGT")].tolist() == alphabet.ids("TGCA").tolist()


def test_every_stretch_stands_in_the_genome_as_it_is(corpora, genome):
    texts = genome[1].values()
    for split in ("train", "val"):
        for stretch in stretches(Corpus(corpora["full"], split)):
            assert any(stretch in re.sub("R", "N", text) for text in texts)
        for stretch in stretches(Corpus(corpora["vocab4"], split)):
            assert any(stretch in text.upper() for text in texts)
    kept = "".join(stretches(Corpus(corpora["full"], "train")))
    assert set(kept) == set("ACGTNacgt")


def test_windows_never_cross_the_end_of_a_stretch(corpora):
    rng = np.random.default_rng(0)
    assert corpora
    for folder in corpora.values():
        corpus = Corpus(folder, "train")
        starts = corpus.random_starts(41, rng, 5000)
        stretch = np.searchsorted(corpus.ends, starts, side="right")
        assert (starts + 41 <= corpus.ends[stretch]).all()
        assert set(stretch) == set(range(len(corpus.ends)))
        tiles = corpus.tiled_starts(41, 10**6)
        assert (np.diff(tiles) >= 41).all()
        assert len(corpus.tiled_starts(41, 7)) == 7


def test_training_and_validation_share_no_base(corpora):
    """Random DNA: a 24-mer on both sides could only come from the same place."""
    assert corpora
    for folder in corpora.values():
        assert list(stretches(Corpus(folder, "val")))
        known = KmerSet(text.encode() for text in stretches(Corpus(folder, "train")))
        for text in stretches(Corpus(folder, "val")):
            assert known.share(text.encode()) == 0


def test_both_alphabets_are_validated_on_the_same_dna(corpora):
    full, vocab4 = (stretches(Corpus(corpora[name], "val")) for name in ("full", "vocab4"))
    assert [text.upper() for text in full] == vocab4
    assert [text.upper() for text in full] != full


def test_dna_like_held_out_windows_is_left_out_on_both_strands(genome, tmp_path):
    text = genome[1]["tagGL000"].upper()
    window = text[600:900].translate(str.maketrans("ACGT", "TGCA"))[::-1].encode()
    meta = write_corpus({"toy": genome[0]}, VOCAB4, OPTIONS, tmp_path / "out", KmerSet([window]))
    assert 280 <= meta["held_out_bases"] <= 620
    left = [s for split in ("train", "val") for s in stretches(Corpus(tmp_path / "out", split))]
    assert not any(text[605:895][i : i + 41] in stretch for i in range(0, 250, 10) for stretch in left)


def test_blocks_of_validation():
    chosen = validation_blocks({"a": 2000, "b": 700}, OPTIONS)
    assert {name: len(blocks) for name, blocks in chosen.items()} == {"a": 4, "b": 2}
    assert sum(blocks.sum() for blocks in chosen.values()) == 2
    with pytest.raises(InputError, match="lower it"):
        validation_blocks({"a": 400}, OPTIONS)


def test_alternate_loci_are_left_out_by_name(genome, tmp_path):
    text = genome[1]["tagGL000"]
    path = tmp_path / "loci.fna"
    path.write_text(f"{gzip.decompress(genome[0].read_bytes()).decode()}\n>NT_187361.1 alternate\n{text}\n")
    meta = write_corpus({"toy": path}, VOCAB4, OPTIONS, tmp_path / "out")
    assert meta["sequences"] == 2
    everything = replace(OPTIONS, leave_out="^$")
    assert write_corpus({"toy": path}, VOCAB4, everything, tmp_path / "all")["sequences"] == 3
    with pytest.raises(InputError, match=r"leave_out: '\.' is in the name of every sequence"):
        write_corpus({"toy": path}, VOCAB4, replace(OPTIONS, leave_out="."), tmp_path / "none")
    with pytest.raises(InputError, match=r"leave_out: '\[' is no regular expression"):
        write_corpus({"toy": path}, VOCAB4, replace(OPTIONS, leave_out="["), tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("text", "message"), [("ACGT\n", "expected a '>' header"), ("\n", "no '>' header")])
def test_what_is_no_fasta_is_one_clear_line(tmp_path, text, message):
    (tmp_path / "x.fna").write_text(text)
    with pytest.raises(InputError, match=message):
        write_corpus({"x": tmp_path / "x.fna"}, VOCAB4, OPTIONS, tmp_path / "out")


def plain_windows(count: int, bp: int = 300, step: int = 300) -> BindingWindows:
    rng = np.random.default_rng(5)
    bases = rng.integers(0, 4, size=(count, bp), dtype=np.uint8)
    starts = np.arange(count, dtype=np.int64) * step
    empty = np.full(count, "", dtype="<U10")
    return BindingWindows(bases, np.zeros((count, bp), np.float32), np.full(count, "chr1"), starts, empty)


def test_splits_are_whole_blocks_of_about_the_right_size():
    windows, report = split_windows(plain_windows(400), SplitOptions(block_bp=3000))
    assert report["overlapping"] == 0 and LEFT_OUT not in windows.splits
    blocks = {split: set(windows.starts[windows.splits == split] // 3000) for split in ("train", "validation", "test")}
    assert not blocks["train"] & blocks["validation"] and not blocks["test"] & (blocks["train"] | blocks["validation"])
    assert report["splits"]["test"] == report["splits"]["validation"] == 60
    again, _ = split_windows(plain_windows(400), SplitOptions(block_bp=3000))
    assert (again.splits == windows.splits).all()


def test_windows_that_share_dna_with_another_split_are_left_out():
    options = SplitOptions(block_bp=3000)
    plain = plain_windows(400)
    splits = split_windows(plain, options)[0].splits
    train, validation, test = (np.flatnonzero(splits == split) for split in ("train", "validation", "test"))
    bases = plain.bases.copy()
    bases[test[0]] = 3 - bases[train[0], ::-1]  # the other strand of a training window
    bases[test[1], 100:] = bases[validation[0], :200]  # two thirds of a validation window
    bases[validation[1], :250] = bases[train[1], 50:]
    bases[test[2], :100] = bases[train[2], :100]  # a third: kept
    windows, report = split_windows(replace(plain, bases=bases), options)
    assert np.flatnonzero(windows.splits == LEFT_OUT).tolist() == sorted([test[0], test[1], validation[1]])
    assert (report["audit"]["test"]["left_out"], report["audit"]["validation"]["left_out"]) == (2, 1)
    assert 0.2 < report["audit"]["test"]["highest_share_kept"] < 0.5
    known = KmerSet(
        windows.sequence(i) for i in np.flatnonzero(windows.splits != "test") if windows.splits[i] != LEFT_OUT
    )
    assert max(known.share(windows.sequence(i)) for i in np.flatnonzero(windows.splits == "test")) < options.max_shared


def test_overlapping_windows_are_never_in_two_splits():
    windows, report = split_windows(plain_windows(900, step=100), SplitOptions(block_bp=3000, max_shared=2))
    assert report["overlapping"] > 0
    for split in ("train", "validation", "test"):
        ours = windows.starts[windows.splits == split]
        others = windows.starts[(windows.splits != split) & (windows.splits != LEFT_OUT)]
        assert np.abs(ours[:, None] - others).min() >= 300


def test_a_limit_keeps_some_of_each_split():
    windows, report = split_windows(plain_windows(400), SplitOptions(block_bp=3000, limit=20))
    assert [report["splits"][split] for split in ("train", "validation", "test")] == [20, 20, 20]
    assert (windows.splits == LEFT_OUT).sum() == 340
    with pytest.raises(InputError, match="too few for three splits"):
        split_windows(plain_windows(40), SplitOptions(block_bp=100_000))


def write_tables(folder: Path, sequences: list[str], names: list[str], rows: list[str]) -> tuple[Path, Path]:
    lines = ["sequence\twindow_name", *(f"{s}\t{n}" for s, n in zip(sequences, names, strict=True))]
    (folder / "s.txt").write_text("\n".join(lines) + "\n")
    (folder / "scores.txt").write_text("\n".join(["\t".join(names), *rows]) + "\n")
    return folder / "s.txt", folder / "scores.txt"


def test_tables_are_read_window_by_window(tmp_path):
    paths = write_tables(tmp_path, ["ACG", "TTA"], ["chr2_5_7", "chr2_11_13"], ["0\t1.5", "0\t1.5", "2\t0"])
    windows = read_windows(*paths)
    assert windows.bases.tolist() == [[0, 1, 2], [3, 3, 0]]
    assert windows.scores.tolist() == [[0, 0, 2], [1.5, 1.5, 0]]
    assert windows.starts.tolist() == [5, 11] and windows.seqids.tolist() == ["chr2", "chr2"]
    assert windows.sequence(1) == b"TTA"


@pytest.mark.parametrize(
    ("sequences", "names", "rows", "message"),
    [
        (["ACG", "TTA"], ["chr2_5_7", "chr2"], ["0\t0"] * 3, r"s\.txt, line 3: window 'chr2' is not SEQID_START_END"),
        (["ACG", "TT"], ["c_5_7", "c_8_9"], ["0\t0"] * 3, r"windows of 2 to 3 bp, but .* has 3 rows"),
        (["ACG", "TNA"], ["c_5_7", "c_8_9"], ["0\t0"] * 3, r"line 3: a letter beside A, C, G, T"),
        (["ACG", "TÉA"], ["c_5_7", "c_8_9"], ["0\t0"] * 3, r"line 3: a letter beside A, C, G, T"),
        (["ACG", "T" * 200_000], ["c_5_7", "c_8_9"], ["0\t0"] * 3, r"s\.txt, line 3: not a table"),
        (["ACG", "TTA"], ["c_5_7", "c_8_" + "9" * 30], ["0\t0"] * 3, r"line 3: window 'c_8_9+' is not SEQID"),
        (["ACG", "TTA"], ["c_5_7", "c_8_9"], ["0\tinf"] * 3, r"a score is missing, negative or no number"),
        (["ACG", "TTA"], ["c_5_7", "c_8_9"], ["0\t-1"] * 3, r"a score is missing, negative or no number"),
        (["ACG", "TTA"], ["c_5_7", "c_8_9"], ["0\tx"] * 3, r"scores\.txt: "),
    ],
)
def test_damaged_tables_are_one_clear_line(tmp_path, sequences, names, rows, message):
    with pytest.raises(InputError, match=message):
        read_windows(*write_tables(tmp_path, sequences, names, rows))


def test_windows_come_back_as_they_were_saved(tmp_path):
    windows = toy_windows(9)
    save_windows(windows, {"windows": 9}, tmp_path / "w.npz", tmp_path / "split.json")
    for name, array in load_windows(tmp_path / "w.npz").__dict__.items():
        np.testing.assert_array_equal(array, getattr(windows, name))
    assert json.loads((tmp_path / "split.json").read_text()) == {"windows": 9}
    with pytest.raises(InputError, match=r"no binding windows"):
        load_windows(tmp_path / "split.json")


def test_the_published_windows(shared_data):
    folder = shared_data / "tf-binding"
    windows = read_windows(folder / "chr22_sequences.txt.gz", folder / "chr22_scores.txt.gz")
    assert windows.bases.shape == windows.scores.shape == (23_139, 300)
    assert int((windows.scores > 0).sum()) == 270_838
    assert (windows.scores > 0).any(axis=1).all()
    assert windows.scores.max() == pytest.approx(11.43, abs=0.005)


@pytest.mark.parametrize(
    "ends", [[-1, 5], [5, 4], [0, 10**9], [2**62, -(2**62) - 1], [2.0, 5.0], [[2, 5]]], ids=lambda ends: str(ends)
)
def test_stretches_that_do_not_fit_the_tokens_are_refused(corpora: dict[str, Path], ends: list) -> None:
    """Also those whose differences overflow, so that they look as if they grew."""
    folder = corpora["vocab4"]
    assert len(Corpus(folder, "train").ends)
    np.save(folder / "train_stretches.npy", np.array(ends))
    with pytest.raises(InputError, match=r"not a corpus \(stretches do not fit its tokens\)"):
        Corpus(folder, "train")
