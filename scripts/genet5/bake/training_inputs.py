"""What a training run reads: checked, and named in its fingerprint by checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genet5.bake.manifest import file_sha256, read_manifest, shard_paths
from genet5.bake.shards import ShardSet
from genet5.errors import InputError


@dataclass(frozen=True)
class TrainingInputs:
    """Shards of the training windows, where they come from, and the run's fingerprint."""

    shards: list[Path]
    manifests: Sequence[Path]
    fingerprint: dict[str, Any]

    def windows(self) -> ShardSet:
        """The training windows; ``InputError`` if there are none."""
        if not self.shards:
            named = ", ".join(map(str, self.manifests)) or "no manifest"
            raise InputError(f"no training windows in {named}: bake a train species")
        return ShardSet(self.shards)


def find_inputs(
    model_dir: Path, manifests: Sequence[Path], validation: Path, grammar_table: Mapping[str, Mapping[str, Any]]
) -> TrainingInputs:
    """Raises ``InputError`` for missing or damaged manifests and shards."""
    weights = model_dir / "model.safetensors"
    species = [read_manifest(path)["parameters"]["species"] for path in manifests]
    fingerprint = {
        "manifests": {name: file_sha256(path) for name, path in sorted(zip(species, manifests, strict=True))},
        "species": species,  # their order numbers the windows that a resumed run goes on with
        "validation": file_sha256(validation),
        "model": file_sha256(weights) if weights.is_file() else "",
        "grammar": json.loads(json.dumps(grammar_table)),
    }
    shards = [path for manifest in manifests for path in shard_paths(manifest, "train")]
    return TrainingInputs(shards, manifests, fingerprint)
