"""Where the numbers come from: versions, checksums, and the time that each step took."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genet5.errors import InputError
from genet5.files import json_value, one_line, read_json, read_text
from genet5.report.markup import Markup, tag
from genet5.report.numbers import MISSING, bases, count, is_number, seconds, significant
from genet5.report.results import species_of, stage_of
from genet5.tables import table_records

_LONGEST_HEADER_BYTES = 100_000_000  # as in the safetensors library
PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "lightning",
    "snakemake",
    "numpy",
    "pyrodigal",
    "biopython",
    "pyfaidx",
)


@dataclass(frozen=True, slots=True)
class StepTime:
    """What one step of the workflow took; None where it was not measured.

    ``inner`` times were taken by the program itself, within a step that Snakemake may have timed as a whole.
    """

    step: str
    item: str
    wall_s: float | None
    cpu_s: float | None
    memory_mb: float | None = None
    bases: int | None = None
    inner: bool = False

    @property
    def rule(self) -> str:
        """The rule of the workflow this is a time of."""
        return self.step.partition(" ")[0]


def versions() -> list[tuple[str, str]]:
    """Python and the packages a result depends on, with their installed versions."""
    found = [("python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "not installed"))
    return found


def model_parameters(path: str | Path) -> int:
    """Number of weights in a safetensors file, from its header alone."""
    try:
        with open(path, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > _LONGEST_HEADER_BYTES:
                raise InputError(f"{path}: not a safetensors file (a header of {length} bytes)")
            header = json_value(stream.read(length), f"{path}: not a safetensors file")
        return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (OSError, struct.error, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: not a safetensors file ({one_line(error)})") from error


def read_step_time(path: str | Path) -> StepTime:
    """A time from Snakemake's benchmark table (``.tsv``; step = its folder) or from the JSON that annotate writes.

    The JSON has wall_s, cpu_s and bases at its top or under ``timing``.
    """
    path = Path(path)
    if path.suffix == ".json":
        document = read_json(path)
        timing = document.get("timing")
        document = timing if isinstance(timing, Mapping) else document
        numbers = {
            name: document.get(name) if is_number(document.get(name)) else None for name in ("wall_s", "cpu_s", "bases")
        }
        return StepTime(
            f"annotate_genome ({stage_of(path)})",
            species_of(path),
            numbers["wall_s"],
            numbers["cpu_s"],
            None,
            numbers["bases"],
            inner=True,
        )
    rows = table_records(read_text(path).splitlines(), path)
    if not rows or "s" not in rows[0]:
        raise InputError(
            f"{path}: not a benchmark table of Snakemake: expected a header with a column 's' and one line"
        )
    # One line per repeat: the last one made the files.
    row = rows[-1]
    return StepTime(
        stage_of(path), path.stem, _number(row.get("s")), _number(row.get("cpu_time")), _number(row.get("max_rss"))
    )


def _number(cell: str | None) -> float | None:
    # Snakemake writes "-" or "NA" for what the system did not tell.
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if is_number(value) else None


def time_table(times: Sequence[StepTime]) -> Markup:
    """Wall and cpu time, peak memory and speed of every measured step, in the order given."""
    rows = []
    for time in times:
        speed = time.bases / 1e3 / time.cpu_s if time.bases and time.cpu_s else None
        rows.append(
            tag(
                "tr",
                tag("th", time.step, scope="row"),
                tag("td", time.item, class_="text"),
                tag("td", seconds(time.wall_s)),
                tag("td", seconds(time.cpu_s)),
                tag("td", MISSING if time.memory_mb is None else f"{count(time.memory_mb)} MB"),
                tag("td", MISSING if speed is None else f"{significant(speed)} kb/cpu-s of {bases(time.bases)}"),
            )
        )
    head = [tag("th", name, scope="col", class_="text") for name in ("Step", "For")]
    head += [tag("th", name, scope="col") for name in ("Wall time", "CPU time", "Peak memory", "Speed")]
    return tag("div", tag("table", tag("thead", tag("tr", head)), tag("tbody", rows)), class_="scroll")


def pairs_table(rows: Sequence[tuple[str, str]], *, code: bool = False) -> Markup:
    """Two columns: what, and its value."""
    body = [
        tag("tr", tag("th", name, scope="row"), tag("td", tag("code", value) if code else value, class_="text"))
        for name, value in rows
    ]
    return tag("div", tag("table", tag("tbody", body), class_="pairs"), class_="scroll")


def configuration(config: Mapping[str, object]) -> Markup:
    """The resolved configuration as JSON, folded."""
    text = json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False)
    return tag("details", tag("summary", "Resolved configuration"), tag("pre", tag("code", text)))
