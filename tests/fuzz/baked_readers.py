"""Baked data: shards and their index, the manifest, and which windows are scored while training."""

from __future__ import annotations

from pathlib import Path

import mutators
from reader import Reader, as_json

from genet5.bake.crops import read_eval_windows
from genet5.bake.manifest import read_manifest
from genet5.bake.samples import Sample, SampleGene
from genet5.bake.shards import ShardReader, write_shard
from genet5.genome.genes import Interval


def baked_readers(data: Path, folder: Path) -> dict[str, Reader]:
    gene = SampleGene("g", "+", (Interval(10, 40),), (0,))
    meta = {"flank5": 3, "flank3": 0, "split": "train", "clade": "fungi", "genetic_code": 1}
    sample = Sample("00000", b"ACGT" * 50, (gene,), (), meta)
    tar = folder / "s.tar"
    shard = write_shard(tar, [sample.to_members()], "train")
    with ShardReader(tar):
        pass
    manifest = {
        "format": 1,
        "parameters": {"species": "s", "clade": "fungi", "genetic_code": 1, "split": "train",
                       "validation_regions": "", "test_regions": "", "excluded_regions": ""},
        "counts": {split: {"samples": 1, "empty": 0, "bases": 200} for split in ("train", "validation")},
        "shards": [{**shard._asdict(), "name": "train_000.tar"}],
        "files": {"stats.json": "0" * 64},
    }  # fmt: skip
    scored = {"samples": [{"index": 0, "key": "00000", "species": "s"}], "counts": {"s": 1}, "seed": 1}

    def read_shard(path: Path) -> None:
        with ShardReader(path) as reader:
            for number in range(len(reader)):
                reader.read(number)
                reader.meta(number), reader.genes(number)

    def read_index(path: Path) -> None:
        path.with_suffix("").write_bytes(tar.read_bytes())
        with ShardReader(path.with_suffix("")) as reader:
            assert reader.read(0) == sample, "other bases"

    def read_scored(path: Path) -> None:
        with ShardReader(tar) as shards:
            windows = read_eval_windows(path, shards)
        assert all(window.bases == "ACGT" * 49 + "A" or len(window.bases) == 197 for window in windows), "other bases"

    return {
        "shard": Reader("s.tar", tar.read_bytes(), mutators.BYTES, read_shard),
        "shard index": Reader("s.tar.idx", Path(f"{tar}.idx").read_bytes(), mutators.BYTES, read_index),
        "manifest": Reader("manifest.json", as_json(manifest), mutators.JSON, read_manifest),
        "windows that are scored": Reader("eval.json", as_json(scored), mutators.JSON, read_scored),
    }
