"""Streamed shards: the same samples as from the disk, at any address, and no damage that goes unnoticed."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from pathlib import Path

import pytest
from bake_toy_genome import write_toy_genome
from folder_server import serve_folder

from genet5.bake.addresses import shard_address
from genet5.bake.manifest import shard_paths
from genet5.bake.samples import Sample
from genet5.bake.shards import ShardSet
from genet5.bake.species import SpeciesSource, bake_species
from genet5.bake.streamed_shards import (
    StreamedShard,
    core_bp,
    decode,
    first_of_species,
    first_samples,
    stream_shard,
    streamed_shards,
)
from genet5.bake.windows import WindowRules
from genet5.errors import InputError
from genet5.sources import streams


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A toy species in shards of 8 samples, as the workflow lays it out."""
    return bake(tmp_path, "T.oyus", 60_000)


def bake(folder: Path, species: str, length_bp: int) -> Path:
    toy = write_toy_genome(folder / "raw" / species, {"one": length_bp})
    source = SpeciesSource(species, toy.fasta, toy.gff, 1, "fungi", "train", "one:1-6000")
    return bake_species(source, WindowRules(3000, 1500, flank_bp=300), 8, folder / "baked/main" / species)


def local_samples(manifest: Path) -> list[Sample]:
    with ShardSet(shard_paths(manifest, "train")) as shards:
        return [shards.read(index) for index in range(len(shards))]


def message(shard: StreamedShard) -> str:
    with pytest.raises(InputError) as caught:
        list(stream_shard(shard))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_streamed_samples_are_those_on_the_disk_from_every_address(manifest: Path, tmp_path: Path) -> None:
    local = local_samples(manifest)
    baked = tmp_path / "baked"
    with serve_folder(baked) as (url, _):
        for address in (
            "",
            str(baked / "main"),
            f"{url}/{{run}}",
            f"{url}/main/",
            f"{url}/{{run}}/{{species}}/{{shard}}?token=1",
            f"pipe:cat {baked}/{{run}}/{{species}}/{{shard}}",
        ):
            shards = streamed_shards([manifest], address)
            assert len(shards) > 3
            assert [decode(raw) for shard in shards for raw in stream_shard(shard)] == local, address
            assert [core_bp(raw) for raw in stream_shard(shards[0])] == [sample.core.length for sample in local[:8]]
            assert [decode(raw) for raw in stream_shard(shards[1], 3)] == local[11:16]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "data/baked/main/T.x/train_000.tar"),
        ("https://host/baked/{run}", "https://host/baked/main/T.x/train_000.tar"),
        ("https://host/{species}-shards/", "https://host/T.x-shards/train_000.tar"),
        ("s3://bucket/{run}/{species}/{shard}", "s3://bucket/main/T.x/train_000.tar"),
        ("pipe:ssh host cat /b/{run}/{species}/{shard}", "pipe:ssh host cat /b/main/T.x/train_000.tar"),
        ("/mnt/baked", "/mnt/baked/T.x/train_000.tar"),
    ],
)
def test_addresses_of_shards(url: str, expected: str) -> None:
    assert shard_address(url, Path("data/baked/main/T.x/manifest.json"), "T.x", "train_000.tar") == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("pipe:cat /b/{species}", "shards_url: pipe:cat /b/{species} lacks {shard}, the place of the shard's name in"),
        ("gs://bucket", "shards_url: gs://bucket: not an address of shards, allowed: http://, https://, s3://, pipe:"),
    ],
)
def test_an_address_that_cannot_be_is_one_line(url: str, expected: str, manifest: Path) -> None:
    with pytest.raises(InputError, match=re.escape(expected)):
        streamed_shards([manifest], url)


def test_a_changed_byte_is_one_line_at_the_end_of_the_shard(manifest: Path) -> None:
    shard = streamed_shards([manifest], "")[1]
    path = Path(shard.address)
    content = bytearray(path.read_bytes())
    place = content.index(b"ACGT", 600)
    content[place : place + 4] = b"TTTT"  # a base is as good as another: only the checksum tells
    path.write_bytes(content)
    found = message(shard)
    assert re.fullmatch(
        rf"{re.escape(shard.address)}: its sha256 is \w{{12}}..., {re.escape(str(manifest))} says "
        rf"{shard.sha256[:12]}...; it is damaged, or from another bake",
        found,
    )


def test_damage_of_every_kind_is_one_line_and_no_sample_is_left_out(manifest: Path) -> None:
    shard = streamed_shards([manifest], "")[0]
    path = Path(shard.address)
    content = path.read_bytes()
    size = len(content)
    for name, damaged, expected in (
        ("cut", content[: size // 2], f"{size // 2} bytes, {manifest} says {size}"),
        ("header", content[:512] + b"x" * 512 + content[1024:], "its sha256 is|damaged near byte"),
        ("no tar", bytes(1) * size, "its sha256 is|damaged near byte"),
        ("noise", b"\x07" * size, "damaged near byte"),
    ):
        path.write_bytes(damaged)
        found = message(shard)
        assert found.startswith(f"{shard.address}: "), name
        assert re.search(expected, found), (name, found)
    path.write_bytes(content)
    piped = dataclasses.replace(shard, address=f"pipe:head -c {size // 2} {path}")
    assert message(piped) == f"{piped.address}: ended after {size // 2} of {size} bytes that {manifest} says"
    more = dataclasses.replace(shard, samples=shard.samples + 1)
    assert message(more) == f"{path}: {shard.samples} samples, {manifest} says {shard.samples + 1}"


def test_a_server_without_the_shard_is_one_line(manifest: Path, tmp_path: Path) -> None:
    with serve_folder(tmp_path / "baked") as (url, asked):
        (shard, *_) = streamed_shards([manifest], f"{url}/elsewhere")
        assert message(shard) == f"{shard.address}: HTTP 404 File not found"
    assert asked == ["/elsewhere/T.oyus/train_000.tar"]


def test_a_sample_that_is_none_is_named_with_its_shard(manifest: Path) -> None:
    raw = next(stream_shard(streamed_shards([manifest], "")[0]))
    for damaged in ({**raw, "json": b"{}"}, {**raw, "json": b"{"}):
        with pytest.raises(InputError, match=rf"^{re.escape(raw['__url__'])}: sample '{raw['__key__']}': not a sample"):
            core_bp(damaged)
    with pytest.raises(InputError, match=rf"^{re.escape(raw['__url__'])}: sample .* not a sample of this version"):
        decode({**raw, "genes.json": b"{}"})


def test_first_samples_come_from_every_species_in_proportion_and_no_more_is_read(
    manifest: Path, tmp_path: Path
) -> None:
    small = bake(tmp_path, "T.iny", 21_000)
    large, few = local_samples(manifest), local_samples(small)
    number = 12
    with serve_folder(tmp_path / "baked/main") as (url, asked):
        shards = streamed_shards([manifest, small], url)
        found = list(first_of_species(shards, number))
        assert asked == ["/T.oyus/train_000.tar", "/T.oyus/train_001.tar", "/T.iny/train_000.tar"]
        assert list(first_samples(shards[:2], 99)) == large[:16]
    total = len(large) + len(few)
    wanted = {"T.oyus": -(-number * len(large) // total), "T.iny": -(-number * len(few) // total)}
    assert wanted["T.oyus"] > 8 and wanted["T.iny"] > 1
    assert Counter(sample.meta["species"] for sample in found) == wanted
    assert found == large[: wanted["T.oyus"]] + few[: wanted["T.iny"]]


def test_a_connection_that_breaks_in_a_shard_loses_nothing(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(streams.time, "sleep", lambda _seconds: None)
    shard = streamed_shards([manifest], "")[0]
    marks = tmp_path / "marks"
    marks.mkdir()
    # Breaks after 7000 bytes, then after 14,000, ...: each time a command comes a little further.
    command = f"touch {marks}/$(ls {marks} | wc -l); head -c $((7000 * $(ls {marks} | wc -l))) {shard.address}; "
    piped = dataclasses.replace(shard, address=f"pipe:{command} exit 1")
    assert [decode(raw) for raw in stream_shard(piped)] == local_samples(manifest)[:8]
    assert len(list(marks.iterdir())) == -(-shard.size // 7000)
