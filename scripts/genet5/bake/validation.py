"""One validation set out of all species: ``validation.tar``, the samples scored while training, and what was baked."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genet5.bake.manifest import file_sha256, read_manifest, shard_paths, write_json
from genet5.bake.samples import key_text
from genet5.bake.shards import ShardReader, write_shard
from genet5.bake.windows import draw
from genet5.errors import InputError

EMPTY_EVAL_SHARE = 0.1
"""Share of the scored samples that have no gene: a model that writes genes everywhere must not look good."""

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
    write_json(folder / "eval.json", choose_eval_samples(folder / shard.name, eval_samples, seed))
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


def choose_eval_samples(tar: Path, count: int, seed: int) -> dict[str, Any]:
    """The content of ``eval.json``: ``count`` samples of ``tar``, balanced over species, a tenth without a gene.

    Windows that overlap one already chosen come only when nothing else is left. What one species cannot give, others
    do.
    """
    with_genes: dict[str, list[dict[str, Any]]] = {}
    empty: dict[str, list[dict[str, Any]]] = {}
    with ShardReader(tar) as reader:
        for index in range(len(reader)):
            meta = reader.meta(index)
            kind = with_genes if meta["num_genes"] else empty
            kept = {name: meta[name] for name in ("species", "seqid", "start", "end", "num_genes")}
            kind.setdefault(meta["species"], []).append({"index": index, "key": reader.key(index), **kept})
    queues = [
        {species: _drawn_order(entries, seed) for species, entries in sorted(kind.items())}
        for kind in (with_genes, empty)
    ]
    available = [sum(map(len, kind.values())) for kind in queues]
    num_empty = min(int(count * EMPTY_EVAL_SHARE + 0.5), available[1])
    num_with_genes = min(count - num_empty, available[0])
    num_empty = min(count - num_with_genes, available[1])
    chosen = _in_turn(queues[0], num_with_genes) + _in_turn(queues[1], num_empty)
    counts: dict[str, int] = {}
    for entry in chosen:
        counts[entry["species"]] = counts.get(entry["species"], 0) + 1
    return {"samples": chosen, "counts": counts, "seed": seed}


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


def _drawn_order(entries: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Entries of one species in the order of their draw, those that overlap an earlier one moved to the end."""
    entries = sorted(entries, key=lambda entry: (draw(seed, "eval", entry["key"]), entry["key"]))
    taken: dict[str, list[tuple[int, int]]] = {}
    apart, overlapping = [], []
    for entry in entries:
        spans = taken.setdefault(entry["seqid"], [])
        # The spans taken do not overlap, so only the neighbours on either side of this one can.
        place = bisect_left(spans, (entry["start"], entry["end"]))
        neighbours = spans[max(place - 1, 0) : place + 1]
        if any(start < entry["end"] and end > entry["start"] for start, end in neighbours):
            overlapping.append(entry)
        else:
            insort(spans, (entry["start"], entry["end"]))
            apart.append(entry)
    return apart + overlapping


def _in_turn(queues: Mapping[str, list[dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    """``count`` entries, one of each queue in turn while it lasts."""
    longest = max(map(len, queues.values()), default=0)
    turns = (queue[turn] for turn in range(longest) for queue in queues.values() if turn < len(queue))
    return [entry for entry, _ in zip(turns, range(count), strict=False)]
