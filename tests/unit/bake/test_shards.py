"""Shards: plain WebDataset tars, equal bytes for equal samples, read by number through a cached index."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from genet5.bake.samples import MEMBERS, Sample, SampleGene, Span
from genet5.bake.shards import ShardReader, ShardSet, encode_record, write_shards
from genet5.errors import InputError
from genet5.genome.genes import Interval


def make_sample(number: int) -> Sample:
    bases = bytes(np.random.default_rng(number).choice(list(b"ACGTacgtN"), size=400 + 61 * number).tolist())
    cds = (Interval(-20, 100), Interval(150, 240))
    gene = SampleGene(f"gene:é.{number}", "-", cds, (0, 0), True, number % 2 == 0)
    return Sample(
        f"{number:05d}", bases, (gene,), (Span(3, 9, "."),), {"flank5": 3, "flank3": 0, "split": "train", "n": number}
    )


def encoded(numbers: Iterable[int]) -> Iterator[bytes]:
    return (encode_record(make_sample(number).to_members()) for number in numbers)


def write(folder: Path, count: int, per_shard: int) -> list[Path]:
    records = list(write_shards(encoded(range(count)), folder, "train", per_shard))
    assert [record.samples for record in records] == [
        min(per_shard, count - first) for first in range(0, count, per_shard)
    ]
    return [folder / record.name for record in records]


def test_the_shards_are_webdataset_tars(tmp_path: Path) -> None:
    paths = write(tmp_path, 7, 3)
    assert [path.name for path in paths] == ["train_000.tar", "train_001.tar", "train_002.tar"]
    dataset = webdataset.WebDataset([str(path) for path in paths], shardshuffle=False)
    assert [Sample.from_members(record) for record in dataset] == [make_sample(number) for number in range(7)]


def test_names_that_are_not_ascii_stay_in_the_tar(tmp_path: Path) -> None:
    sample = replace(make_sample(1), key="café")
    (record,) = write_shards([encode_record(sample.to_members())], tmp_path, "train", 5)
    with tarfile.open(tmp_path / record.name) as tar:
        assert tar.getnames() == ["café.dna", "café.genes.json", "café.json"]


def test_members_carry_no_time_and_no_owner(tmp_path: Path) -> None:
    (path,) = write(tmp_path, 2, 10)
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    assert [member.name for member in members[:3]] == ["00000.dna", "00000.genes.json", "00000.json"]
    assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members} == {
        (0, 0, 0, "", 0o644)
    }


@given(
    key=st.text("ACGT-_0123456789abcxyz", min_size=1, max_size=90),
    members=st.tuples(*[st.binary(max_size=1200)] * 3),
)
def test_a_record_has_the_bytes_of_tarfile(key: str, members: tuple[bytes, ...]) -> None:
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in zip(MEMBERS, members, strict=True):
            info = tarfile.TarInfo(f"{key}.{name}")
            info.size, info.mode, info.mtime = len(content), 0o644, 0
            tar.addfile(info, io.BytesIO(content))
    ours = encode_record({"__key__": key, **dict(zip(MEMBERS, members, strict=True))})
    assert ours == expected.getvalue()[: len(ours)]
    assert not expected.getvalue()[len(ours) :].strip(b"\0")


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    (record,) = write_shards(encoded(range(4)), tmp_path, "train", 10)
    content = (tmp_path / record.name).read_bytes()
    assert (record.size, record.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_reading_by_number(tmp_path: Path) -> None:
    shards = ShardSet(write(tmp_path, 10, 4))
    assert len(shards) == 10
    for number in (9, 0, 4, 3, 7):
        sample = make_sample(number)
        assert shards.read(number) == sample
        assert shards.meta(number) == sample.meta
        assert shards.key(number) == sample.key
    assert shards.sizes_bp().tolist() == [400 + 61 * number for number in range(10)]
    with pytest.raises(IndexError):
        shards.read(10)
    with pytest.raises(IndexError):
        shards.readers[0].read(-1)
    assert len(ShardSet([])) == 0


def test_the_index_is_kept_and_made_anew_for_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write(tmp_path, 5, 10)
    with ShardReader(path) as reader:
        assert reader.read(4) == make_sample(4)
    index = Path(f"{path}.idx")
    kept = index.read_bytes()
    # Same samples in the other order: same size, so the time must tell.
    list(write_shards(encoded((4, 3, 2, 1, 0)), tmp_path, "train", 10))
    os.utime(path, ns=(1, 1))
    with ShardReader(path) as reader:
        assert [reader.read(number) for number in range(5)] == [make_sample(4 - number) for number in range(5)]
    assert index.read_bytes() != kept
    monkeypatch.setattr("genet5.bake.shard_index._scan", lambda *_: pytest.fail("a fresh index must be used"))
    with ShardReader(path) as reader:
        assert reader.key(0) == "00004"
    monkeypatch.undo()
    index.write_bytes(kept[:40])
    with ShardReader(path) as reader:
        assert reader.key(0) == "00004"


@pytest.mark.parametrize(("column", "by"), [(0, 512), (1, 1)])
def test_a_row_of_the_index_that_the_tar_denies_gives_no_bases(column: int, by: int, tmp_path: Path) -> None:
    (path,) = write(tmp_path, 2, 10)
    with ShardReader(path) as reader:
        reader._table[1, column] += by  # as an index with a wrong row that its checksum covers
        with pytest.raises(InputError, match=r"found no \.[a-z.]+ file of \d+ bytes at byte \d+; delete .*\.idx"):
            reader.read(1)
        assert reader.read(0) == make_sample(0)


def test_a_folder_that_cannot_be_written_costs_only_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write(tmp_path, 2, 10)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("genet5.bake.shard_index.atomic_write", refuse)
    assert ShardReader(path).read(1) == make_sample(1)
    assert not Path(f"{path}.idx").exists()


def test_readers_travel_to_workers(tmp_path: Path) -> None:
    (path,) = write(tmp_path, 3, 10)
    # The copy protocol is what carries objects to worker processes.
    twin = copy.deepcopy(ShardReader(path))
    assert twin.read(2) == make_sample(2)


@pytest.mark.parametrize("keep", [0, 100, 700, 3000])
def test_a_shard_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    (path,) = write(tmp_path, 5, 10)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"train_000\.tar: .*bake"):
        ShardReader(path)


@pytest.mark.parametrize(
    ("at", "content"),
    [
        (124, b"\x80xyz"),
        (124, b"99999999999\0"),
        (124, b"77777777777\0"),
        (124, b"-1\0"),
        (0, b"\xff\xfe"),
        (257, b"xx"),
    ],
)
def test_a_damaged_header_of_a_tar_is_one_line(tmp_path: Path, at: int, content: bytes) -> None:
    (path,) = write(tmp_path, 3, 10)
    data = path.read_bytes()
    path.write_bytes(data[:at] + content + data[at + len(content) :])
    with pytest.raises(InputError, match=r"train_000\.tar: ") as caught:
        ShardReader(path)
    assert "\n" not in str(caught.value)


def test_other_tars_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tar"
    (tmp_path / "a.txt").write_text(json.dumps({}))
    with tarfile.open(other, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(tmp_path / "a.txt", arcname="a.txt")
    with pytest.raises(InputError, match=r"found 'a\.txt' at byte 0, expected a sample's \.dna file"):
        ShardReader(other)
    with pytest.raises(InputError, match="no such shard"):
        ShardReader(tmp_path / "none.tar")


def test_no_shards_hold_no_samples() -> None:
    with ShardSet([]) as shards:
        assert len(shards) == 0 and shards.sizes_bp().tolist() == []
