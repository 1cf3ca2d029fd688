"""Shards that are not on this disk: their samples through WebDataset, in order, checked against the manifest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tarfile import TarError
from typing import Any

from webdataset.tariterators import group_by_keys, tar_file_expander

from genet5.bake.addresses import shard_address
from genet5.bake.manifest import read_manifest
from genet5.bake.samples import Sample, stored_meta
from genet5.errors import InputError
from genet5.sources.streams import ByteStream

Members = dict[str, Any]
"""The undecoded files of a sample, with its ``__key__`` and the ``__url__`` of its shard."""


@dataclass(frozen=True)
class StreamedShard:
    """One shard at ``address``; the rest is what ``manifest`` says of it."""

    address: str
    species: str
    samples: int
    size: int
    sha256: str
    manifest: str


def streamed_shards(manifests: Sequence[Path], shards_url: str) -> list[StreamedShard]:
    """The training shards that the manifests name, in order, at the addresses that ``shards_url`` gives.

    Raises InputError for a manifest that is missing or damaged, and for an address of an unknown kind.
    """
    found = []
    for path in manifests:
        content = read_manifest(path)
        species = content["parameters"]["species"]
        for shard in content["shards"]:
            if shard["split"] == "train":
                address = shard_address(shards_url, path, species, shard["name"])
                found.append(
                    StreamedShard(address, species, shard["samples"], shard["size"], shard["sha256"], str(path))
                )
    return found


def stream_shard(shard: StreamedShard, first: int = 0) -> Iterator[Members]:
    """The samples of a shard from number ``first`` on, in the order of the file.

    The whole file is read, and at its end number of samples, size and sha256 are compared with the manifest. Raises
    InputError, one line with the address, where they differ and where the connection fails.
    """
    count = 0
    with ByteStream(shard.address, shard.size, shard.manifest) as stream:
        try:
            for members in group_by_keys(tar_file_expander([{"url": shard.address, "stream": stream}])):
                if count >= first:
                    yield members
                count += 1
            while stream.read():
                pass
        except (InputError, TarError, OSError, ValueError) as error:
            # WebDataset adds to messages on their way, so the stream's own is taken.
            found = stream.failure or f"{shard.address}: damaged near byte {stream.position} ({type(error).__name__})"
            raise InputError(found) from error
        if stream.digest != shard.sha256:
            raise InputError(
                f"{shard.address}: its sha256 is {stream.digest[:12]}..., {shard.manifest} says "
                f"{shard.sha256[:12]}...; it is damaged, or from another bake"
            )
    if count != shard.samples:
        raise InputError(f"{shard.address}: {count} samples, {shard.manifest} says {shard.samples}")


def decode(members: Mapping[str, Any]) -> Sample:
    """A streamed sample; an InputError about it names its shard."""
    try:
        return Sample.from_members(members)
    except InputError as error:
        raise InputError(f"{members['__url__']}: {error}") from error


def core_bp(members: Mapping[str, Any]) -> int:
    """Bases of the core window of a streamed sample. Raises InputError for a sample that is none."""
    try:
        meta = stored_meta(members["json"], f"sample {members['__key__']!r}")
        return len(members["dna"]) - meta["flank5"] - meta["flank3"]
    except (KeyError, TypeError, ValueError, InputError) as error:
        key = members["__key__"]
        raise InputError(f"{members['__url__']}: sample {key!r}: not a sample of this version; bake again") from error


def by_species(shards: Sequence[StreamedShard]) -> dict[str, list[StreamedShard]]:
    """The shards of each species, in order."""
    found: dict[str, list[StreamedShard]] = {}
    for shard in shards:
        found.setdefault(shard.species, []).append(shard)
    return found


def first_of_species(shards: Sequence[StreamedShard], number: int) -> Iterator[Sample]:
    """About ``number`` samples, the first ones of each species, as many as its share of all samples."""
    total = sum(shard.samples for shard in shards)
    for of_species in by_species(shards).values():
        share = math.ceil(number * sum(shard.samples for shard in of_species) / total)
        yield from first_samples(of_species, share)


def first_samples(shards: Sequence[StreamedShard], number: int) -> Iterator[Sample]:
    """The first ``number`` samples of some shards, or all if there are fewer; no more is read than these need."""
    found = chain.from_iterable(map(stream_shard, shards))
    yield from map(decode, islice(found, number))
