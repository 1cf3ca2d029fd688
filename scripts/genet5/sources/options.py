"""Options of downloads: the section download of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from genet5.options import option


@dataclass(frozen=True)
class DownloadOptions:
    """Downloads of genomes and annotations."""

    retries: int = option(
        5, "number of failed attempts in a row, without progress, before giving up; pauses grow between them", minimum=0
    )
