"""One validation set out of all species: ``validation.tar``, the samples scored while training, and what was baked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genet5.bake.choosing import choose_samples
from genet5.bake.manifest import read_manifest, shard_paths
from genet5.bake.samples import key_text
from genet5.bake.shards import ShardReader, write_shard
from genet5.errors import InputError
from genet5.files import file_sha256, write_json

EVAL_FIELDS = {
    "samples": "the samples to score, species in turn; those without a gene come last. Of each: `index` in "
    "validation.tar (from 0), `key`, `species`, `seqid`, `start`, `end`, `num_genes`",
    "counts": "samples by species",
    "seed": "of the draw",
}
BAKE_CONFIG_FIELDS = {
    "species": "of each species its manifest's `parameters` and `counts`",
    "totals": "these counts summed over species",
    "validation": "`name`, `samples`, `size` and `sha256` of validation.tar",
    "eval_samples": "samples asked for; eval.json has fewer when there are fewer",
    "seed": "of the draw in eval.json",
}

_OWN_FILES = re.compile(r"\.?(validation\.tar(\.idx)?|(eval|bake_config)\.json)(\..*\.tmp)?")


def merge_validation(manifests: Sequence[Path], eval_samples: int, seed: int, folder: Path) -> None:
    """Write ``validation.tar``, ``eval.json`` and, last, ``bake_config.json`` into ``folder``.

    Species go in the order of their names, so that the order of ``manifests`` does not matter. Keys are the samples'
    own with the species' name before them. Raises InputError when no species has validation windows, when two manifests
    are of one species, or when a shard is not the one that its manifest describes.
    """
    if eval_samples < 0:
        raise InputError(f"eval_samples: {eval_samples} is not allowed, it must be 0 or more")
    by_species: dict[str, Path] = {}
    for path in manifests:
        species = read_manifest(path)["parameters"]["species"]
        if species in by_species:
            raise InputError(f"{path}: species {species} again, {by_species[species]} is of the same; give each once")
        by_species[species] = path
    contents = {species: read_manifest(by_species[species]) for species in sorted(by_species)}
    if not any(content["counts"]["validation"]["samples"] for content in contents.values()):
        raise InputError(
            f"no validation windows in {len(contents)} species ({', '.join(contents) or 'none given'}): in the table "
            "of config key species_sheet give one species the split validation, or a train species validation_regions"
        )
    _check_keys(contents)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _OWN_FILES.fullmatch(path.name):
            path.unlink()
    shard = write_shard(folder / "validation.tar", _records(by_species, contents), "validation")
    with ShardReader(folder / shard.name) as reader:
        write_json(folder / "eval.json", choose_samples(reader, eval_samples, seed, "eval"))
    totals = {
        split: {
            name: sum(content["counts"][split][name] for content in contents.values())
            for name in ("samples", "empty", "bases")
        }
        for split in ("train", "validation")
    }
    described = {
        species: {"parameters": content["parameters"], "counts": content["counts"]}
        for species, content in contents.items()
    }
    validation = {"name": shard.name, "samples": shard.samples, "size": shard.size, "sha256": shard.sha256}
    write_json(
        folder / "bake_config.json",
        {
            "species": described,
            "totals": totals,
            "validation": validation,
            "eval_samples": eval_samples,
            "seed": seed,
        },
    )


def _records(
    by_species: Mapping[str, Path], contents: Mapping[str, dict[str, Any]]
) -> Iterator[dict[str, str | bytes]]:
    """The validation samples of every species, undecoded, under their new keys."""
    for species, content in contents.items():
        digests = {shard["name"]: shard["sha256"] for shard in content["shards"]}
        for path in shard_paths(by_species[species], "validation"):
            if file_sha256(path) != digests[path.name]:
                raise InputError(f"{path}: its sha256 is not that of {by_species[species]}; bake the species again")
            with ShardReader(path) as reader:
                for index in range(len(reader)):
                    record = reader.members(index)
                    record["__key__"] = f"{key_text(species)}-{record['__key__']}"
                    yield record


def _check_keys(species: Mapping[str, Any]) -> None:
    prefixes: dict[str, str] = {}
    for name in species:
        other = prefixes.setdefault(key_text(name), name)
        if other != name:
            raise InputError(f"species {other} and {name}: their samples would share keys; rename one of them")
