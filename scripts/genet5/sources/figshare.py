"""Files of an article on figshare: their addresses and checksums, by name."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from typing import Any

from genet5.errors import InputError
from genet5.files import json_value
from genet5.sources.http import transfer

API = "https://api.figshare.com/v2"
_SOURCE = re.compile(r"figshare:(\d+)/(.+)", re.IGNORECASE)
_MD5 = re.compile(r"[0-9a-f]{32}")
_MOST_FILES = 1000


def figshare_file(
    source: str, retries: int, timeout_s: float, sleep: Callable[[float], None] = time.sleep, api: str = ""
) -> tuple[str, str | None]:
    """Address and md5 of ``figshare:ARTICLE/FILE``; the md5 is None where figshare names none. ``api``: for tests.

    Raises:
        InputError: not such a source, no such article, no such file in it (the message names those there are), or an
            answer that is no list of files.
    """
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise InputError(f"{source}: expected figshare:ARTICLE/FILE, ARTICLE a number")
    article, name = found.groups()
    files = _files(f"{api or API}/articles/{article}/files?page_size={_MOST_FILES}", source, retries, timeout_s, sleep)
    entry = next((file for file in files if file.get("name") == name), None)
    if entry is None:
        names = ", ".join(sorted(str(file.get("name")) for file in files)) or "none"
        raise InputError(f"{source}: the article has no such file (there are: {names})")
    url = entry.get("download_url")
    if not url or entry.get("is_link_only"):
        raise InputError(f"{source}: figshare has a link in place of this file")
    digest = str(entry.get("computed_md5") or entry.get("supplied_md5") or "").lower()
    return url, digest if _MD5.fullmatch(digest) else None


def _files(
    url: str, source: str, retries: int, timeout_s: float, sleep: Callable[[float], None]
) -> list[dict[str, Any]]:
    with tempfile.TemporaryFile("ab+") as answer:
        transfer(url, answer, retries=retries, timeout_s=timeout_s, sleep=sleep)
        answer.seek(0)
        try:
            files = json_value(answer.read(), url)
        except InputError:
            files = None
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise InputError(f"{source}: {url} answers something else than a list of files")
    return files
