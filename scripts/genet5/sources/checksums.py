"""Checksums of what is fetched: one that the user gives, or one that the publisher lists beside the file."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from genet5.errors import InputError
from genet5.sources.http import shown_address, transfer

#: Publishers with a list of md5 sums in each folder: host, and the name of the list.
MD5_LISTS = {
    "ftp.ncbi.nlm.nih.gov": "md5checksums.txt",
    "hgdownload.soe.ucsc.edu": "md5sum.txt",
    "hgdownload.gi.ucsc.edu": "md5sum.txt",
}

_DIGITS = {"sha256": 64, "md5": 32}
_MD5_LINE = re.compile(r"([0-9a-fA-F]{32})\s+\*?(\S+)")


class Checksum(NamedTuple):
    """The digest that a file must have, in lower-case hexadecimal digits. kind: sha256 or md5."""

    kind: str
    digest: str

    def check(self, path: Path, source: str) -> None:
        """Raises ``InputError`` that names ``source`` where the file at ``path`` has another digest."""
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, self.kind).hexdigest()
        if found != self.digest:
            raise InputError(f"{source}: {self.kind} is {found}, expected {self.digest}")


def checksum(kind: str, text: str | None) -> Checksum | None:
    """The checksum that a user wrote; none for an absent or empty text. Raises ``InputError``."""
    if not text or not text.strip():
        return None
    digest = text.strip().lower()
    if not re.fullmatch(f"[0-9a-f]{{{_DIGITS[kind]}}}", digest):
        raise InputError(f"{kind}: {text!r} is not {_DIGITS[kind]} hexadecimal digits")
    return Checksum(kind, digest)


def md5_list_of(url: str) -> str | None:
    """Where the publisher lists the md5 of ``url``; none for publishers that are not known to do so."""
    address = urllib.parse.urlsplit(url)
    name = MD5_LISTS.get((address.hostname or "").lower())
    return urllib.parse.urljoin(url, name) if name else None


def published_md5(
    url: str, md5_list: str, *, retries: int, timeout_s: float, sleep: Callable[[float], None] = time.sleep
) -> Checksum:
    """The md5 of ``url`` by the list at ``md5_list``: lines of an md5 and a file name, as md5sum writes them.

    Raises ``InputError`` for a list that cannot be fetched, and for one that does not name the file.
    """
    with tempfile.NamedTemporaryFile("ab+") as stream:
        transfer(md5_list, stream, retries=retries, timeout_s=timeout_s, sleep=sleep)
        text = Path(stream.name).read_text("utf-8", "replace")
    wanted = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
    for line in text.splitlines():
        match = _MD5_LINE.fullmatch(line.strip())
        if match and match[2].rpartition("/")[2] == wanted:
            return Checksum("md5", match[1].lower())
    raise InputError(
        f"{shown_address(md5_list)}: does not list {wanted}; check the address, or give its sha256, which is then "
        "checked instead"
    )
