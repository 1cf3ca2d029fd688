"""What a training run reads: checked, and named in its fingerprint by checksum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genet5.bake.manifest import read_manifest, shard_paths
from genet5.bake.shards import ShardSet
from genet5.bake.streamed_shards import StreamedShard, streamed_shards
from genet5.clades import Clade, clade_named
from genet5.errors import InputError
from genet5.files import file_sha256
from genet5.genome.simulation_origin import simulated_in_words


@dataclass(frozen=True)
class TrainingInputs:
    """Shards of the training windows (here, or to be streamed), their manifests, and the run's fingerprint."""

    shards: list[Path]
    streamed: list[StreamedShard]
    manifests: Sequence[Path]
    species: list[str]
    fingerprint: dict[str, Any]
    simulated: str = ""
    """Which part of the training bases was simulated, and from which parameters, in words; "" for none."""

    def windows(self) -> ShardSet:
        """The training windows; ``InputError`` if there are none."""
        self._need(self.shards)
        return ShardSet(self.shards)

    def stream(self) -> list[StreamedShard]:
        """The shards to stream training windows from; ``InputError`` if there are none."""
        self._need(self.streamed)
        return self.streamed

    def _need(self, shards: Sequence[Any]) -> None:
        if not shards:
            named = ", ".join(map(str, self.manifests)) or "no manifest"
            raise InputError(f"no training windows in {named}: bake a train species")


def find_inputs(
    manifests: Sequence[Path], validation: Path, clades: Mapping[str, Clade], shards_url: str | None = None
) -> TrainingInputs:
    """What training reads; with ``shards_url`` (empty, too) training shards are streamed and need not be here.

    Raises ``InputError`` for missing or damaged manifests and shards, and for clades that do not exist.
    """
    contents = [read_manifest(path) for path in manifests]
    about = [content["parameters"] for content in contents]
    simulated = simulated_in_words(
        [
            (one.get("simulated_from", ""), content["counts"]["train"]["bases"])
            for one, content in zip(about, contents, strict=True)
        ]
    )
    species = [one["species"] for one in about]
    used = sorted({one["clade"] for one in about})
    fingerprint = {
        "manifests": {name: file_sha256(path) for name, path in sorted(zip(species, manifests, strict=True))},
        "species": species,  # their order numbers the windows that a resumed run goes on with
        "validation": file_sha256(validation),
        "clades": {name: clade_named(clades, name, "clade").identity() for name in used},
    }
    if shards_url is not None:
        return TrainingInputs([], streamed_shards(manifests, shards_url), manifests, species, fingerprint, simulated)
    shards = [path for manifest in manifests for path in shard_paths(manifest, "train")]
    return TrainingInputs(shards, [], manifests, species, fingerprint, simulated)
