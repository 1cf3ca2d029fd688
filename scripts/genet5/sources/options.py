"""Options of downloads: the section download of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from genet5.options import option
from genet5.sources.published import GITHUB


@dataclass(frozen=True)
class DownloadOptions:
    """Downloads of genomes and annotations."""

    retries: int = option(
        5, "number of failed attempts in a row, without progress, before giving up; pauses grow between them", minimum=0
    )
    github: str = option(
        GITHUB,
        "the address of public files on GitHub, which the studies read where data_root does not have them; a mirror "
        "must have the same paths",
        nonempty=True,
    )
