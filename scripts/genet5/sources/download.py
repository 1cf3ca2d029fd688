"""Fetching a source file: from the network or figshare, from this machine, or out of an installed Python package."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import os
import re
import shutil
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from genet5.compressed import open_input
from genet5.errors import InputError
from genet5.files import atomic_write
from genet5.sources.checksums import Checksum, checksum, md5_list_of, published_md5
from genet5.sources.figshare import figshare_file
from genet5.sources.hidden import revealed
from genet5.sources.http import BLOCK_BYTES, emptied, open_part, shown_address, transfer

REMOTE_SCHEMES = ("https", "http", "ftp")
FIGSHARE = "figshare"
ALLOWED_SOURCES = (
    "https://, http://, ftp://, file://, figshare:ARTICLE/FILE, package:NAME/path/in/package, a path, or env:NAME"
)

_GZIP = b"\x1f\x8b"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def fetch(
    source: str,
    output: str | Path,
    sha256: str | None = None,
    retries: int = 5,
    *,
    md5: str | None = None,
    md5_list: str | None = None,
    timeout_s: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Bring ``source`` to ``output``; ``output`` appears whole and checked, or not at all.

    ``source`` is https://, http://, ftp://, file://, ``figshare:ARTICLE/FILE``, ``package:NAME/path/in/package``, a
    path, or ``env:NAME``, an environment variable with one of these. Network sources pass through ``{output}.part``,
    which a later call continues. ``sha256`` or ``md5`` is that of the source's own bytes. Where none is given, the md5
    is checked that the publisher lists at ``md5_list``, or beside the file if the publisher is known to
    (``checksums.MD5_LISTS``), or that figshare has. A source that is not gzip is compressed (without a time stamp) when
    ``output`` ends in ``.gz``; a gzip source must be intact. ``retries``: failed attempts in a row after the first,
    without progress. Raises InputError.
    """
    output, source = Path(output), revealed(source)
    expected = checksum("sha256", sha256) or checksum("md5", md5)
    if output.is_dir():
        raise InputError(f"{output}: is a directory, expected the name of the file to write")
    scheme = _scheme(source)
    if scheme == FIGSHARE:
        url, digest = figshare_file(source, retries, timeout_s, sleep)
        expected = expected or checksum("md5", digest)
        _fetch_remote(url, output, expected, retries, timeout_s, sleep)
    elif scheme in REMOTE_SCHEMES:
        md5_list = md5_list or md5_list_of(source)
        if expected is None and md5_list:
            expected = published_md5(source, md5_list, retries=retries, timeout_s=timeout_s, sleep=sleep)
        _fetch_remote(source, output, expected, retries, timeout_s, sleep)
    else:
        path = file_here(source)
        _check(source, path, output, expected)
        _write(path, output, source)
    unchecked = expected is None and scheme in (*REMOTE_SCHEMES, FIGSHARE)
    checked = "; not checked: no checksum is given or published" if unchecked else ""
    print(f"download: wrote {output} ({output.stat().st_size / 1e6:.1f} MB){checked}", file=sys.stderr)


def file_here(source: str) -> Path | None:
    """The file that a source names on this machine; none for a source in the network. Raises ``InputError``."""
    scheme = _scheme(source)
    if scheme in (*REMOTE_SCHEMES, FIGSHARE):
        return None
    return _package_path(source) if scheme == "package" else _local_path(source, scheme)


def _fetch_remote(
    url: str, output: Path, expected: Checksum | None, retries: int, timeout_s: float, sleep: Callable[[float], None]
) -> None:
    shown = shown_address(url)
    part = output.with_name(output.name + ".part")
    with open_part(part) as stream:
        continued = os.fstat(stream.fileno()).st_size > 0
        if continued and expected is None and not _starts_gzip(part):
            # Nothing could tell afterwards whether the old bytes and the new ones belong to the same file.
            emptied(stream)
            continued = False
        while True:
            transfer(url, stream, retries=retries, timeout_s=timeout_s, sleep=sleep)
            os.fsync(stream.fileno())
            try:
                _check(shown, part, output, expected)
                break
            except InputError as error:
                emptied(stream)
                if not continued:
                    raise
                print(f"download: {error}; the old {part.name} is of no use, starting again", file=sys.stderr)
                continued = False
        if output.suffix == ".gz" and not _starts_gzip(part):
            _write(part, output, shown)
            part.unlink()
        else:
            os.replace(part, output)


def _check(source: str, path: Path, output: Path, expected: Checksum | None) -> None:
    """InputError unless the bytes at ``path`` have the expected checksum and are what ``output``'s name promises."""
    if path.stat().st_size == 0:
        raise InputError(f"{source}: the file is empty")
    if expected is not None:
        expected.check(path, source)
    is_gzip = _starts_gzip(path)
    if not is_gzip and output.suffix != ".gz":
        return
    try:
        with open_input(path) as stream:
            first = stream.read(512)
            while stream.read(BLOCK_BYTES):
                pass
    except InputError as error:
        raise InputError(f"{source}: {str(error).removeprefix(f'{path}: ')}") from error
    if not is_gzip and first.lstrip()[:1] == b"<":
        raise InputError(f"{source}: an HTML or XML page, not sequence data (a login or error page?)")


def _write(path: Path, output: Path, source: str) -> None:
    try:
        with path.open("rb") as stream, atomic_write(output, "wb") as target, contextlib.ExitStack() as stack:
            if output.suffix == ".gz" and not _starts_gzip(path):
                target = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0))
            shutil.copyfileobj(stream, target, BLOCK_BYTES)
    except OSError as error:
        raise InputError(f"{source}: cannot be copied to {output} ({error.strerror})") from error


def _starts_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP


def _scheme(source: str) -> str:
    """The scheme of a source, ``path`` for a plain path."""
    if not source.strip():
        raise InputError(f"source: empty, allowed: {ALLOWED_SOURCES}")
    match = _SCHEME.match(source)
    if match is None:
        return "path"
    scheme = match[1].lower()
    if scheme in (*REMOTE_SCHEMES, FIGSHARE, "file", "package"):
        return scheme
    if Path(source).exists():
        return "path"
    raise InputError(f"{source}: source of kind {match[1]!r} is refused, allowed: {ALLOWED_SOURCES}")


def _local_path(source: str, scheme: str) -> Path:
    path = Path(source).expanduser()
    if scheme == "file":
        address = urllib.parse.urlsplit(source)
        if address.netloc not in ("", "localhost"):
            raise InputError(f"{source}: names the host {address.netloc!r}, a local file is file:///path (3 slashes)")
        path = Path(urllib.request.url2pathname(address.path))
    return _existing(source, path)


def _package_path(source: str) -> Path:
    """The file behind ``package:NAME/path``, found without importing the package."""
    name, _, inside = source.partition(":")[2].partition("/")
    parts = PurePosixPath(inside).parts
    if not name.isidentifier() or not parts or parts[0] == "/" or ".." in parts:
        raise InputError(f"{source}: expected package:NAME/path/in/package, NAME a Python package")
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # A module without a spec, such as __main__.
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{source}: the Python package {name!r} is not installed here")
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    found = next((folder / inside for folder in folders if (folder / inside).exists()), folders[0] / inside)
    return _existing(source, found)


def _existing(source: str, path: Path) -> Path:
    if path.is_dir():
        raise InputError(f"{source}: is a directory, expected a file")
    if not path.is_file():
        where = "" if str(path) == source else f" ({path})"
        raise InputError(f"{source}: no such file{where}")
    if not os.access(path, os.R_OK):
        raise InputError(f"{source}: no permission to read {path}")
    return path
