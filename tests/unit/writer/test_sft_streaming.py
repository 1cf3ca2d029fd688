"""The writer on streamed shards: the samples of local training, batches within the budget, exact resume."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from toy_bacterium import WINDOW_BP, ToyRun, chromosome, make_tokenizer, write_run
from toy_streaming import SFT, train

from genet5.bake.manifest import shard_paths
from genet5.bake.shards import ShardSet
from genet5.bake.streamed_shards import decode, stream_shard, streamed_shards
from genet5.clades import read_clades
from genet5.errors import InputError
from genet5.tokens.dna import train_bpe
from genet5.tokens.grammars import Grammars
from genet5.tokens.tokenizer import GeneTokenizer
from genet5.training.stream_plan import StreamPlan
from genet5.writer import streamed_windows
from genet5.writer.streamed_windows import StreamedWindowData
from genet5.writer.windows import WindowData

pytestmark = pytest.mark.usefixtures("one_thread")

STREAM = {"reading": "stream", "shuffle_windows": 12}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return write_run(tmp_path_factory.mktemp("toy") / "run")


@pytest.fixture
def small(whole: ToyRun, tmp_path: Path) -> ToyRun:
    """The same run without its training shards."""
    shutil.copytree(whole.folder, tmp_path / "small", ignore=shutil.ignore_patterns("train_*"))
    return ToyRun(tmp_path / "small")


@pytest.fixture(scope="module")
def bpe() -> GeneTokenizer:
    return GeneTokenizer.build(
        "bpe", base=train_bpe([chromosome()[:60_000]], 300), segment_bp=60, max_window_bp=WINDOW_BP
    )


def test_lengths_are_those_that_local_training_plans_with(whole: ToyRun) -> None:
    shards, grammars = streamed_shards([whole.manifest], ""), Grammars(make_tokenizer(), read_clades())
    with ShardSet(shard_paths(whole.manifest, "train")) as local:
        expected = WindowData(local, grammars, added_tokens=5).lengths
    data = StreamedWindowData(shards, grammars, 5)
    found = [data.sample_tokens(decode(raw)) for shard in shards for raw in stream_shard(shard)]
    assert np.array_equal(found, expected)
    assert data.mean_tokens == pytest.approx(expected.sum(axis=1).mean())


def test_byte_pairs_keep_the_budget_too(whole: ToyRun, bpe: GeneTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some crops have more tokens than were planned for them, and are cut."""
    monkeypatch.setattr(streamed_windows, "MEASURED_CROPS", 3)
    shards = streamed_shards([whole.manifest], "")
    data = StreamedWindowData(shards, Grammars(bpe, read_clades()))
    total, cut = 0, 0
    for epoch in range(3):
        source = data.source(StreamPlan(["x"] * len(shards), np.array([s.samples for s in shards]), 3.0, 12), 3500, 4)
        loaded = source.epoch(epoch, 1)
        for position, batches in loaded.load(range(len(loaded)), 1, 0):
            for batch in batches:
                longest = int(batch.prompts.prompt_lengths.max()) + int(batch.sequences.lengths.max())
                assert len(batch.prompts.lengths) == 1 or len(batch.prompts.lengths) * longest <= 3500
                assert loaded.tokens(batch, position) == int(
                    batch.prompts.prompt_lengths.sum() + batch.sequences.lengths.sum()
                )
                total += len(batch.prompts.lengths)
                cut += int((batch.prompts.lengths < WINDOW_BP).sum())
    assert total == 3 * sum(shard.samples for shard in shards) and cut > 0


def test_training_sees_every_sample_once_an_epoch_and_a_stop_changes_nothing(
    small: ToyRun, whole: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = STREAM | {"shards_url": f"pipe:cat {whole.baked}/{{species}}/{{shard}}"}
    keys: list[str] = []
    plain, stop_at = streamed_windows.StreamedWindowData.batch, [0]

    def watched(self, raws, rng):
        keys.extend(raw["__key__"] for raw in raws)
        if stop_at[0] and len(keys) >= stop_at[0]:
            os.kill(os.getpid(), signal.SIGTERM)
            stop_at[0] = 0
        return plain(self, raws, rng)

    monkeypatch.setattr(streamed_windows.StreamedWindowData, "batch", watched)
    train("sft", small, tmp_path / "unbroken", options)
    with ShardSet(shard_paths(whole.manifest, "train")) as shards:
        expected = Counter(shards.key(index) for index in range(len(shards)))
    half = len(keys) // 2
    assert SFT["epochs"] == 2 and Counter(keys[:half]) == Counter(keys[half:]) == expected
    keys.clear()
    stop_at[0] = half + 10
    with pytest.raises(SystemExit):
        train("sft", small, tmp_path / "broken", options)
    assert not (tmp_path / "broken/finished.json").exists()
    train("sft", small, tmp_path / "broken", options)
    one, two = (safetensors.torch.load_file(tmp_path / n / "final/model.safetensors") for n in ("unbroken", "broken"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_windows_that_the_tokenizer_cannot_read_are_one_line(whole: ToyRun) -> None:
    tokenizer = GeneTokenizer.build("kmer", segment_bp=60, max_window_bp=2940)
    with pytest.raises(InputError, match=r"^a window of 3000 bp is longer than max_window_bp 2940 of the tokenizer"):
        StreamedWindowData(streamed_shards([whole.manifest], ""), Grammars(tokenizer, read_clades()))
