"""The manifest of a baked species: what was made from what. Written last, so where it is the rest is whole."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock

from genet5.bake.shards import ShardRecord
from genet5.configuration import check_against_schema, dotted
from genet5.errors import InputError
from genet5.files import file_sha256, json_text, read_json, write_json

NAME = "manifest.json"
LOCK = "bake.lock"
FORMAT = 1
MAX_BYTES = 1_000_000

MANIFEST_FIELDS = {
    "format": f"version of this layout, {FORMAT}",
    "parameters": "everything the bytes depend on: the options, and sha256 of the genome and annotation files; of "
    "a simulated genome also `simulated_from`, AUGUSTUS's name of the species; of a condensed one `exon_flank_bp`",
    "shards": "in order: `name`, `split`, `samples`, `size` in bytes, `sha256`",
    "files": "sha256 of the other files of the folder",
    "counts": "samples by split; `empty`: of these, without a gene; `bases`: flanks included",
}

_COUNT = {"type": "integer", "minimum": 0}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "64 hexadecimal digits"}
_REGIONS = ("validation_regions", "test_regions", "excluded_regions")
_SPLIT_COUNTS = {
    "type": "object",
    "required": ["samples", "empty", "bases"],
    "properties": {"samples": _COUNT, "empty": _COUNT, "bases": _COUNT},
}
_SHARD = {
    "type": "object",
    "required": ["name", "split", "samples", "size", "sha256"],
    "properties": {
        # Plain names: a shard lies beside its manifest and nowhere else.
        "name": {"type": "string", "pattern": r"^(train|validation)_[0-9]+\.tar$", "description": "train_000.tar"},
        "split": {"enum": ["train", "validation"]},
        "samples": _COUNT,
        "size": _COUNT,
        "sha256": _SHA256,
    },
}
_SCHEMA = {
    "type": "object",
    "required": ["format", "parameters", "counts", "shards", "files"],
    "properties": {
        "format": {"type": "integer"},
        "parameters": {
            "type": "object",
            "required": ["species", "clade", "genetic_code", "split", *_REGIONS],
            "properties": {
                "species": {"type": "string", "minLength": 1},
                "genetic_code": {"type": "integer", "minimum": 1},
                "exon_flank_bp": {"type": "integer", "minimum": 1},
                **{key: {"type": "string"} for key in ("clade", "split", "simulated_from", *_REGIONS)},
            },
        },
        "counts": {
            "type": "object",
            "required": ["train", "validation"],
            "properties": {"train": _SPLIT_COUNTS, "validation": _SPLIT_COUNTS},
        },
        "shards": {"type": "array", "items": _SHARD},
        "files": {"type": "object", "additionalProperties": _SHA256},
    },
}

_OWN_FILES = re.compile(
    r"(train|validation)_\d+\.tar(\.idx)?"
    r"|(stats|gene_index|manifest)\.json"
    # A killed run leaves such files behind.
    r"|\.((train|validation)_\d+\.tar(\.idx)?|(stats|gene_index|manifest)\.json)\..*\.tmp"
)


@contextlib.contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Hold the lock of ``folder``, so that no other process bakes there. Raises InputError where one does.

    The system gives the lock back when its holder is killed; the file itself stays, and is empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"{folder}: another process is baking here; wait for it or choose another folder") from None
    try:
        yield
    finally:
        lock.release()


def clear_folder(folder: Path) -> None:
    """Remove what an earlier run wrote, the manifest first: from then on the folder counts as unfinished.

    Shards of other parameters and the temporary files of a killed run go too; files of other names stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).unlink(missing_ok=True)
    for path in sorted(folder.iterdir()):
        if _OWN_FILES.fullmatch(path.name):
            path.unlink()


def write_manifest(
    folder: Path,
    parameters: dict[str, Any],
    counts: dict[str, Any],
    shards: Sequence[ShardRecord],
    others: Sequence[str],
) -> Path:
    """Write the manifest of ``folder``; ``others`` names its files beside the shards. Raises InputError over 1 MB."""
    content = {
        "format": FORMAT,
        "parameters": parameters,
        "counts": counts,
        "shards": [shard._asdict() for shard in shards],
        "files": {name: file_sha256(folder / name) for name in others},
    }
    size = len(json_text(content))
    if size >= MAX_BYTES:
        raise InputError(
            f"samples_per_shard: {parameters['samples_per_shard']} makes {len(shards)} shards and a manifest of {size} "
            f"bytes, allowed below {MAX_BYTES}: choose a larger number"
        )
    write_json(folder / NAME, content)
    return folder / NAME


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest at ``path``; InputError when it is missing or not one of this version."""
    if not Path(path).exists():
        raise InputError(f"{path}: no such manifest; bake the species first (scripts/bake_shards.py)")
    content = read_json(path)
    found = content.get("format")
    if found != FORMAT:
        raise InputError(f"{path}: format {found!r}, expected a manifest of format {FORMAT}; bake the species again")
    check_against_schema(content, _SCHEMA, lambda place: f"{path}, key {dotted(place)}" if place else str(path))
    return content


def shard_paths(path: str | Path, split: str) -> list[Path]:
    """The shards of ``split`` that the manifest at ``path`` names, in order.

    Raises InputError when one is missing or has another size than the manifest says.
    """
    folder = Path(path).parent
    paths = []
    for shard in read_manifest(path)["shards"]:
        if shard["split"] != split:
            continue
        shard_path = folder / shard["name"]
        size = shard_path.stat().st_size if shard_path.is_file() else None
        if size != shard["size"]:
            found = "is missing" if size is None else f"has {size} bytes"
            raise InputError(f"{shard_path}: {found}, {path} says {shard['size']} bytes; bake the species again")
        paths.append(shard_path)
    return paths
