"""What a training run reads: checked, and named in its fingerprint by checksum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genet5.bake.manifest import read_manifest, shard_paths
from genet5.bake.shards import ShardSet
from genet5.clades import Clade, clade_named
from genet5.errors import InputError
from genet5.files import file_sha256


@dataclass(frozen=True)
class TrainingInputs:
    """Shards of the training windows, where they come from, and the run's fingerprint."""

    shards: list[Path]
    manifests: Sequence[Path]
    species: list[str]
    fingerprint: dict[str, Any]

    def windows(self) -> ShardSet:
        """The training windows; ``InputError`` if there are none."""
        if not self.shards:
            named = ", ".join(map(str, self.manifests)) or "no manifest"
            raise InputError(f"no training windows in {named}: bake a train species")
        return ShardSet(self.shards)


def find_inputs(manifests: Sequence[Path], validation: Path, clades: Mapping[str, Clade]) -> TrainingInputs:
    """Raises ``InputError`` for missing or damaged manifests and shards, and for clades that do not exist."""
    about = [read_manifest(path)["parameters"] for path in manifests]
    species = [one["species"] for one in about]
    used = sorted({one["clade"] for one in about})
    fingerprint = {
        "manifests": {name: file_sha256(path) for name, path in sorted(zip(species, manifests, strict=True))},
        "species": species,  # their order numbers the windows that a resumed run goes on with
        "validation": file_sha256(validation),
        "clades": {name: clade_named(clades, name, "clade").identity() for name in used},
    }
    shards = [path for manifest in manifests for path in shard_paths(manifest, "train")]
    return TrainingInputs(shards, manifests, species, fingerprint)
