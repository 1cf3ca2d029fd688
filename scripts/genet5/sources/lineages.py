"""BUSCO's lineages by name, from where BUSCO publishes them or from a copy of that place.

The place has a list, ``file_versions.tsv``: name, date, md5, domain and type of each file, separated by tabs, without a
header. The lineage ``fungi_odb12`` of 2026-05-22 is the file ``lineages/fungi_odb12.2026-05-22.tar.gz`` beside it.
"""

from __future__ import annotations

import difflib
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from genet5.errors import InputError
from genet5.sources.download import fetch
from genet5.sources.hidden import revealed
from genet5.sources.http import shown_address
from genet5.species_table import LINEAGE_NAME

LIST_NAME = "file_versions.tsv"
_COLUMNS = ("name", "date", "md5", "domain", "type")
_TYPE = "lineages"
_MD5 = re.compile(r"[0-9a-f]{32}")
_MOST_NEAR = 3


class Published(NamedTuple):
    """A lineage as the list has it. date: as in the file's name. md5: of the file, 32 digits."""

    date: str
    md5: str


def fetch_lineage(
    name: str,
    data: str,
    output: str | Path,
    retries: int = 5,
    *,
    timeout_s: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Bring the lineage ``name`` to ``output`` (.tar.gz), checked against the publisher's md5; returns its date.

    data: a URL or a folder that holds the list and ``lineages/``. The other arguments are those of ``fetch``. Raises
    InputError for a name that is none or not in the list, an unreadable list, a wrong checksum (then nothing is kept),
    and a failed download.
    """
    if not LINEAGE_NAME.fullmatch(name):
        raise InputError(f"lineage '{name}': not a name of BUSCO's, expected one like fungi_odb12")
    place = revealed(data).rstrip("/")
    shown = shown_address(place) if "://" in place else place
    with tempfile.TemporaryDirectory(prefix="lineages_") as folder:
        copy = Path(folder) / LIST_NAME
        try:
            fetch(f"{place}/{LIST_NAME}", copy, retries=retries, timeout_s=timeout_s, sleep=sleep)
        except InputError as error:
            raise InputError(f"{error}; config key busco.data may also name a folder with a copy of it") from error
        published = read_list(copy, f"{shown}/{LIST_NAME}")
    if name not in published:
        near = difflib.get_close_matches(name, published, n=_MOST_NEAR)
        advice = f"near it: {', '.join(near)}" if near else f"it has {len(published)} others"
        raise InputError(f"lineage '{name}' is not in {shown}/{LIST_NAME}; {advice}")
    date, md5 = published[name]
    source = f"{place}/{_TYPE}/{name}.{date}.tar.gz"
    fetch(source, output, retries=retries, md5=md5, timeout_s=timeout_s, sleep=sleep)
    return date


def read_list(path: Path, source: str) -> dict[str, Published]:
    """Lineages by name from a list on disk; ``source`` names it in messages. Raises InputError for another file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not a list of BUSCO's files ({error})") from error
    published = {}
    for number, line in enumerate(lines, 1):
        cells = line.split("\t")
        if len(cells) != len(_COLUMNS) or (cells[-1].strip() == _TYPE and not _MD5.fullmatch(cells[2])):
            expected = f"expected {', '.join(_COLUMNS)}, separated by tabs"
            raise InputError(f"{source}, line {number}: found {line[:60]!r}, {expected}")
        if cells[-1].strip() == _TYPE:
            published[cells[0]] = Published(cells[1], cells[2])
    if not published:
        raise InputError(f"{source}: it lists no lineage")
    return published
