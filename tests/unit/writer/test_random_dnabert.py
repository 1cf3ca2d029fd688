"""The random checkpoint that stands for DNABERT-2 has its names and size, and the writer can start from it."""

from __future__ import annotations

import math
import runpy

import torch
from model_toy import SHAPE, random_bases, toy_crf
from numpy.random import default_rng
from random_dnabert import PUBLISHED, tensor_shapes, write_random_checkpoint

from genet5.tokens.dna import train_bpe
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.writer.first_weights import first_weights

SMALL = {
    **PUBLISHED, "vocab_size": 60, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 96,
}  # fmt: skip
OURS = {**SHAPE, "hidden_size": 48, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "feed_forward_size": 96}


def test_the_published_size_has_117_million_numbers():
    shapes = dict(tensor_shapes(PUBLISHED))
    del shapes["cls.predictions.decoder.weight"]  # the word embeddings again
    assert round(sum(math.prod(shape) for shape in shapes.values()) / 1e6) == 117


def test_the_writer_starts_from_it(tmp_path):
    base = train_bpe([random_bases(default_rng(0), 4000)], SMALL["vocab_size"])
    tokenizer = GeneTokenizer.build("bpe", base=base, segment_bp=12, max_window_bp=240)
    tokenizer.dna_only().save(tmp_path / "tokenizer")
    write_random_checkpoint(tmp_path / "weights", tmp_path / "tokenizer", SMALL)
    first = first_weights("demo", tokenizer, toy_crf(), str(tmp_path / "weights"), 0, OURS)
    rows = [row for row in first.report if not row.target.startswith("crf.")]
    assert {row.source for row in rows} - {""} == {name.removeprefix("bert.") for name, _ in tensor_shapes(SMALL)}
    assert not [row for row in rows if row.note == "no counterpart"]
    words = torch.load(tmp_path / "weights/pytorch_model.bin", weights_only=True)
    assert torch.equal(words["cls.predictions.decoder.weight"], words["bert.embeddings.word_embeddings.weight"])


def test_the_command_writes_the_published_size(tmp_path, repository, monkeypatch):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer/tokenizer.json").write_text("{}")
    words = ["random_dnabert.py", str(tmp_path / "out"), "--tokenizer", str(tmp_path / "tokenizer")]
    monkeypatch.setattr("sys.argv", words)
    runpy.run_path(str(repository / "tests/support/random_dnabert.py"), run_name="__main__")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json", "pytorch_model.bin", "tokenizer.json",
    ]  # fmt: skip
    found = torch.load(tmp_path / "out/pytorch_model.bin", weights_only=True, mmap=True)
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == dict(tensor_shapes(PUBLISHED))
