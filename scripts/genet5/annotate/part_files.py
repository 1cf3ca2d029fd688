"""The file of a part: what one of several jobs decoded, and what it was made from, so that only equals are joined.

It is a NumPy archive of plain arrays, so numbers come back to the bit. A checksum over all of them is among them, so a
file that was cut short, damaged or changed cannot be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genet5.annotate.genomes import DecodedTiles
from genet5.annotate.parts import Part
from genet5.arrays import read_arrays
from genet5.errors import InputError
from genet5.files import atomic_write, json_value, one_line
from genet5.genome.genes import Interval
from genet5.genome.window_genes import ScoredGene, WindowGene

FORMAT = 2
_TRACKS = "tracks."


@dataclass
class PartFile:
    """origin: what it was made from, as JSON values. tracks: of the loci, in the first part alone."""

    path: Path
    part: Part
    origin: dict[str, Any]
    decoded: DecodedTiles
    tracks: dict[str, np.ndarray]


def part_path(prefix: str | Path, part: Part) -> Path:
    """``{prefix}.part_1of2.npz``."""
    return Path(f"{prefix}.part_{part.number}of{part.of}.npz")


def write_part(
    path: str | Path,
    part: Part,
    origin: Mapping[str, Any],
    decoded: DecodedTiles,
    tracks: Mapping[str, np.ndarray],
) -> None:
    """Write the file of a part, whole or not at all."""
    genes = [scored for number in decoded.done for scored in decoded.windows[number]]
    about = {
        "format": FORMAT,
        "part": list(part),
        "origin": dict(origin),
        "counts": decoded.counts,
        "cpu_s": decoded.cpu_s,
        "wall_s": decoded.wall_s,
    }
    arrays = {
        "tiles": np.array(decoded.done, dtype=np.int64),
        "genes_of_tile": np.array([len(decoded.windows[number]) for number in decoded.done], dtype=np.int64),
        "plus": np.array([scored.gene.strand == "+" for scored in genes], dtype=bool),
        "partial5": np.array([scored.gene.partial5 for scored in genes], dtype=bool),
        "partial3": np.array([scored.gene.partial3 for scored in genes], dtype=bool),
        "phase": np.array([scored.gene.phase for scored in genes], dtype=np.int8),
        "log_probability": np.array([scored.log_probability for scored in genes], dtype=np.float64),
        "segments_of_gene": np.array([len(scored.gene.cds) for scored in genes], dtype=np.int64),
        "segments": np.array([pair for scored in genes for pair in scored.gene.cds], dtype=np.int64).reshape(-1, 2),
    }
    arrays |= {_TRACKS + name: values for name, values in tracks.items()}
    text = json.dumps(about, sort_keys=True)
    with atomic_write(path, "wb") as stream:
        np.savez_compressed(stream, about=np.array(text), sha256=np.array(_sha256(text, arrays)), **arrays)


def _sha256(about: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Of all that the file of a part holds."""
    found = hashlib.sha256(about.encode())
    for name, values in sorted(arrays.items()):
        found.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def read_part(path: str | Path) -> PartFile:
    """Read the file of a part. Raises ``InputError`` for one that is missing, cut short, or anything else."""
    path = Path(path)
    what, remedy = "no whole part of an annotation", "make the part again"
    arrays = read_arrays(path, what, remedy)
    if "about" not in arrays:
        raise InputError(f"{path}: {what} (it has no array 'about'); {remedy}")
    text = str(arrays.pop("about"))
    about = json_value(text, str(path))
    try:
        if about["format"] != FORMAT:
            raise InputError(f"{path}: format {about['format']!r}, expected {FORMAT}; make the part again")
        # What a part says is checked here alone: those who join parts believe it.
        if str(arrays.pop("sha256", "")) != _sha256(text, arrays):
            raise InputError(f"{path}: {what} (its checksum is not that of its content); {remedy}")
        decoded = _decoded(arrays, about)
        part, origin = Part(*about["part"]), dict(about["origin"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, StopIteration, RuntimeError) as error:
        raise InputError(f"{path}: {what} ({one_line(error)}); {remedy}") from error
    tracks = {name.removeprefix(_TRACKS): values for name, values in arrays.items() if name.startswith(_TRACKS)}
    return PartFile(path, part, origin, decoded, tracks)


def _decoded(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> DecodedTiles:
    counts = dict(about["counts"])
    genes = _genes(arrays)
    windows: list[list[ScoredGene]] = [[] for _ in range(counts["tiles"])]
    done = arrays["tiles"].tolist()
    for number, many in zip(done, arrays["genes_of_tile"].tolist(), strict=True):
        windows[number] = [next(genes) for _ in range(many)]
    return DecodedTiles(windows, done, counts, about["cpu_s"], about["wall_s"])


def _genes(arrays: Mapping[str, np.ndarray]) -> Iterator[ScoredGene]:
    columns = ("plus", "partial5", "partial3", "phase", "log_probability", "segments_of_gene")
    segments = iter(arrays["segments"].tolist())
    rows = zip(*(arrays[name].tolist() for name in columns), strict=True)
    for plus, partial5, partial3, phase, log_probability, number in rows:
        cds = tuple(Interval(*next(segments)) for _ in range(number))
        yield ScoredGene(WindowGene("+" if plus else "-", cds, partial5, partial3, phase), log_probability)


def join_parts(parts: Sequence[PartFile]) -> DecodedTiles:
    """What all parts decoded, as one job would have. Raises ``InputError`` for parts that are not those of one job."""
    first = parts[0]
    _check_numbers(parts)
    for other in parts[1:]:
        _check_origin(first, other)
    windows: list[list[ScoredGene]] = [[] for _ in first.decoded.windows]
    done: list[int] = []
    for one in sorted(parts, key=lambda one: one.part.number):
        for number in one.decoded.done:
            windows[number] = one.decoded.windows[number]
        done += one.decoded.done
    known = first.decoded.counts["tiles"] - first.decoded.counts["tiles_unknown"]
    if len(done) != known or len(set(done)) != known:
        raise InputError(f"{first.path}: the {len(parts)} parts decoded {len(done)} tiles, expected {known}")
    cut = sum(one.decoded.counts["sequences_truncated"] for one in parts)
    return DecodedTiles(
        windows,
        sorted(done),
        first.decoded.counts | {"sequences_truncated": cut},
        sum(one.decoded.cpu_s for one in parts),
        sum(one.decoded.wall_s for one in parts),
    )


def _check_numbers(parts: Sequence[PartFile]) -> None:
    first, seen = parts[0], {}
    for one in parts:
        if one.part.of != first.part.of:
            raise InputError(f"{one.path}: part {one.part}, but {first.path} is part {first.part}")
        if one.part.number in seen:
            raise InputError(f"{one.path}: part {one.part}, as {seen[one.part.number]}")
        seen[one.part.number] = one.path
    missing = [str(Part(number, first.part.of)) for number in range(1, first.part.of + 1) if number not in seen]
    if missing:
        raise InputError(f"--parts: part {', '.join(missing)} is missing; given: {', '.join(map(str, seen.values()))}")


def _check_origin(first: PartFile, other: PartFile) -> None:
    one, two = _flat(first), _flat(other)
    for key in sorted({*one, *two}):
        if one.get(key) != two.get(key):
            raise InputError(
                f"{other.path}: made with {key} {two.get(key)!r}, but {first.path} with {one.get(key)!r}; all parts "
                "must be made alike"
            )


def _flat(part: PartFile) -> dict[str, Any]:
    """What must be equal in all parts; inner keys are ``options.window_bp``."""
    counts = part.decoded.counts
    found = {"number of tiles": counts["tiles"], "number of unknown tiles": counts["tiles_unknown"]}
    for key, value in part.origin.items():
        found |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
    return found
