"""Prompts for reinforcement learning: training windows of all species, in one tar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genet5.bake.choosing import choose_samples
from genet5.bake.manifest import read_manifest, shard_paths
from genet5.bake.samples import key_text
from genet5.bake.shards import ShardSet, write_shard
from genet5.errors import InputError
from genet5.files import file_sha256, write_json

TAR_NAME = "grpo_prompts.tar"
PROMPT_FIELDS = {
    "samples": "the windows, species in turn; those without a gene come last. Of each: `index` among the training "
    "samples of all species (from 0), `key`, `species`, `seqid`, `start`, `end`, `num_genes`",
    "counts": "windows by species",
    "seed": "of the draw",
    "min_introns": "introns that a window with genes shows at least",
    "tar": "`name`, `samples`, `size` and `sha256` of grpo_prompts.tar",
}


def write_prompts(manifests: Sequence[Path], count: int, min_introns: int, seed: int, folder: Path) -> None:
    """Write ``grpo_prompts.tar`` and, last, ``grpo_prompts.json``: ``count`` training windows, or as many as there are.

    They are balanced over species, and a tenth has no gene. Validation and test windows are no prompts: only shards of
    the split ``train`` are read, and every sample is asked. Raises InputError when there are no windows, and for a
    damaged shard.
    """
    if count < 1 or min_introns < 0:
        raise InputError(f"prompts: {count} windows with {min_introns} introns asked for, at least 1 and 0 are allowed")
    by_species: dict[str, Path] = {}
    for manifest in manifests:
        species = read_manifest(manifest)["parameters"]["species"]
        if species in by_species:
            raise InputError(f"{manifest}: species {species} again, {by_species[species]} is of it too; give each once")
        by_species[species] = manifest
    paths = []
    for _, manifest in sorted(by_species.items()):
        digests = {shard["name"]: shard["sha256"] for shard in read_manifest(manifest)["shards"]}
        for path in shard_paths(manifest, "train"):
            if file_sha256(path) != digests[path.name]:
                raise InputError(f"{path}: its sha256 is not that of {manifest}; bake the species again")
            paths.append(path)
    with ShardSet(paths) as shards:
        chosen = choose_samples(shards, count, seed, "grpo prompts", min_introns)
        if not chosen["samples"]:
            found = f"{len(shards)} training windows, none with {min_introns} introns" if len(shards) else "none"
            raise InputError(f"no windows to choose prompts from: {found} in {len(manifests)} species")
        tar = write_shard(folder / TAR_NAME, _records(shards, chosen["samples"]), "train")
    described = {"name": tar.name, "samples": tar.samples, "size": tar.size, "sha256": tar.sha256}
    write_json((folder / TAR_NAME).with_suffix(".json"), chosen | {"min_introns": min_introns, "tar": described})


def _records(shards: ShardSet, chosen: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str | bytes]]:
    """The chosen samples, undecoded, under keys that tell their species."""
    for entry in chosen:
        reader, number = shards.locate(entry["index"])
        split = reader.meta(number)["split"]
        if split != "train":
            raise InputError(f"{reader.path}: sample {entry['key']} is of split {split!r}, prompts need 'train'")
        record = reader.members(number)
        record["__key__"] = f"{key_text(entry['species'])}-{record['__key__']}"
        yield record
