"""Public files on GitHub that stand in for those of the folder ``data_root``: resources/study_files.tsv lists them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from genet5.files import resource

GITHUB = "https://raw.githubusercontent.com"
LIST = resource("study_files.tsv")


@dataclass(frozen=True)
class PublishedFile:
    """A file as its authors published it, and what of it is the file ``path`` below ``data_root``.

    ``sha256`` is that of the published bytes. ``object``: the name of what an R data file holds and this file is,
    with ``samples`` in its rows or columns; ``labels`` are a factor, and ``ids`` names the matrix whose rows they
    belong to. Empty where the file is taken as it is.
    """

    path: str
    repository: str
    commit: str
    file: str
    sha256: str
    object: str = ""
    samples: str = ""
    ids: str = ""

    def url(self, github: str = GITHUB) -> str:
        """Its address on GitHub, or on a mirror with the same paths."""
        return "/".join([github.rstrip("/"), self.repository, self.commit, self.file])

    @property
    def name(self) -> str:
        """Where the published file is kept: the folder of ``path``, and its own name."""
        return str(PurePosixPath(self.path).parent / PurePosixPath(self.file).name)


def published_files(path: Path = LIST) -> dict[str, PublishedFile]:
    """The list, by path below ``data_root``."""
    with path.open(newline="", encoding="utf-8") as stream:
        lines = (line for line in stream if not line.startswith("#"))
        rows = csv.DictReader(lines, delimiter="\t")
        files = [PublishedFile(**{key: "" if cell == "-" else cell for key, cell in row.items()}) for row in rows]
    return {file.path: file for file in files}


def published_instead(source: str, data_root: str, files: Mapping[str, PublishedFile]) -> PublishedFile | None:
    """The published file that stands in for ``source``; none where the source exists or is not of ``data_root``."""
    root = data_root.rstrip("/") + "/"
    if not source.startswith(root) or Path(source).exists():
        return None
    return files.get(source.removeprefix(root))
