"""Resumable transfers over HTTP(S) and FTP: bytes of a URL appended to a ``.part`` file until all of them are there."""

from __future__ import annotations

import contextlib
import email.utils
import fcntl
import ftplib
import http.client
import os
import random
import re
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from genet5.errors import InputError
from genet5.files import one_line
from genet5.tables import whole_number

BLOCK_BYTES = 1 << 20
LONGEST_WAIT_S = 300.0
"""Neither the back-off nor a server's Retry-After makes a transfer sleep longer than this at once."""

SLOWEST_BYTES_PER_S = 100
"""A transfer that brings less is as good as none."""

MOST_BYTES = 1_000_000_000_000
"""No file of a genome is larger; a server that says no length may send bytes without end."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_PROGRESS_S = 10.0
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_RETRIED_FTP = (ftplib.error_temp, ftplib.error_proto, ftplib.error_reply, EOFError)


@dataclass
class Answer:
    """An open transfer: where in the file its first byte belongs, and the whole file's size when the server says it."""

    read: Callable[[int], bytes]
    start: int
    total: int | None
    validator: str | None = None


class _Incomplete(Exception):
    """The connection ended before the last byte."""


class _Drips(_Incomplete):
    """The server sends, but so slowly that no end is in sight."""


class Restart(Exception):
    """What is in the ``.part`` file cannot be continued; the next attempt starts at byte 0."""


def shown_address(url: str) -> str:
    """An address without what may be secret: user and password, and all that follows the path (tokens)."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return url.partition("?")[0].rpartition("@")[2]
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


def without_secrets(text: str, url: str) -> str:
    """A message of a library about ``url``, in which its user, password and query are left out."""
    try:
        parts = urllib.parse.urlsplit(url)
        secrets = [parts.netloc.rpartition("@")[0], parts.password or "", parts.query, parts.fragment]
    except ValueError:
        secrets = [url]
    for secret in filter(None, [url if url != shown_address(url) else "", *secrets]):
        text = text.replace(secret, "...")
    return text


@contextlib.contextmanager
def open_part(part: Path) -> Iterator[IO[bytes]]:
    """Open a ``.part`` file for appending, alone: a second process that tries gets an InputError.

    An empty file is removed on the way out; any other stays, for the next run to continue.
    """
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        stream = part.open("ab+")
    except OSError as error:
        raise InputError(f"{part}: cannot be written ({error.strerror})") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{part}: another process is downloading this file; wait for it or stop it") from error
        except OSError as error:
            # Some network file systems know no locks: two downloads at once are then the user's to avoid.
            print(f"download: {part}: not locked ({error.strerror})", file=sys.stderr)
        if not part.exists() or not os.path.samestat(part.stat(), os.fstat(stream.fileno())):
            raise InputError(f"{part}: another process has just finished downloading this file; run again")
        try:
            yield stream
        finally:
            if os.fstat(stream.fileno()).st_size == 0:
                part.unlink(missing_ok=True)


def transfer(
    url: str,
    part: IO[bytes],
    *,
    retries: int,
    timeout_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Append to ``part`` until it holds all of ``url``; what is in it already is continued, not fetched again.

    A failed attempt is repeated up to ``retries`` times in a row without progress, after an exponentially growing wait
    with jitter or the server's Retry-After. A transfer that must begin again counts as failed for good, whatever it
    brings then. So does one whose bytes drip: slower than ``SLOWEST_BYTES_PER_S`` over ``timeout_s``. Raises InputError
    when that is used up (``part`` keeps its bytes), and at once for what no repetition can mend, such as HTTP 404.
    """
    progress = _Progress(url)
    # lost: failures that no progress takes back. A server that drips, or begins again and again, brings bytes each time
    # and would never end.
    failures, lost, furthest, validator = 0, 0, _size(part), None
    shown = shown_address(url)
    while True:
        for_good = False
        try:
            with open_url(url, _size(part), validator, timeout_s) as answer:
                validator = answer.validator or validator
                _receive(answer, part, progress, timeout_s)
            return
        except Restart as restart:
            emptied(part)
            furthest, validator = 0, None
            for_good = True
            reason, wait_s = f"the transfer cannot be continued ({restart}) and begins again", None
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"HTTP {error.code} {error.reason}"
            if error.code not in RETRIED_STATUS:
                raise InputError(f"{shown}: {reason}") from error
            wait_s = retry_after_s(error.headers.get("Retry-After"))
        except ftplib.error_perm as error:
            raise InputError(f"{shown}: FTP server answers {one_line(error)}") from error
        except (ValueError, http.client.InvalidURL) as error:
            raise InputError(f"{shown}: not a usable address ({without_secrets(one_line(error), url)})") from error
        except (_Incomplete, OSError, http.client.HTTPException, *_RETRIED_FTP) as error:
            # Errors of the disk are InputErrors by now (see _receive): an OSError is the network's.
            reason, wait_s, for_good = without_secrets(reason_of(error), url), None, isinstance(error, _Drips)
            if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
                raise InputError(f"{shown}: {reason}") from error
        if _size(part) > furthest:
            failures, furthest = lost, _size(part)
        lost += for_good
        failures = max(failures + 1, lost)
        if failures > retries:
            kept = f"; {_size(part)} bytes are kept, the same command continues" if _size(part) else ""
            raise InputError(f"{shown}: download failed after {failures} attempts, the last: {reason}{kept}")
        if wait_s is None:
            wait_s = min(2.0 ** (failures - 1), LONGEST_WAIT_S) * random.uniform(0.5, 1.5)
        print(f"download: {shown}: {reason}; retry {failures} of {retries} in {wait_s:.1f} s", file=sys.stderr)
        sleep(wait_s)


def _receive(answer: Answer, part: IO[bytes], progress: _Progress, timeout_s: float) -> None:
    position = _size(part)
    if answer.start != position:
        if answer.start:
            raise Restart(f"byte {position} was asked for, byte {answer.start} came")
        # The server sent the whole file although a part of it was asked for.
        emptied(part)
        position = 0
    if answer.total is not None and position > answer.total:
        raise Restart(f"{position} bytes are here, the server has {answer.total}")
    began, first = time.monotonic(), position
    while block := answer.read(BLOCK_BYTES):
        if answer.total is not None and position + len(block) > answer.total:
            raise _Incomplete(f"more than the {answer.total} bytes that the server announced")
        if position + len(block) > MOST_BYTES:
            raise InputError(f"{part.name}: the server sends more than {MOST_BYTES // 1_000_000_000} GB; given up")
        try:
            part.write(block)
            part.flush()
        except OSError as error:
            raise InputError(f"{part.name}: cannot be written ({error.strerror})") from error
        position += len(block)
        progress.show(position, answer.total)
        waited_s = time.monotonic() - began
        if waited_s > timeout_s:
            if position - first < SLOWEST_BYTES_PER_S * waited_s:
                raise _Drips(f"{position - first} bytes in {waited_s:.0f} s, the server drips")
            began, first = time.monotonic(), position
    if answer.total is not None and position != answer.total:
        raise _Incomplete(f"connection closed after {position} of {answer.total} bytes")


def emptied(part: IO[bytes]) -> None:
    """Empty a file that is appended to. Temporary files of Python do not append, but write where they stand."""
    part.truncate(0)
    part.seek(0)


def _size(part: IO[bytes]) -> int:
    return os.fstat(part.fileno()).st_size


@contextlib.contextmanager
def open_url(url: str, start: int, validator: str | None, timeout_s: float) -> Iterator[Answer]:
    is_ftp = url.lower().startswith("ftp:")
    # A proxy for FTP speaks HTTP.
    opener = _open_ftp if is_ftp and "ftp" not in urllib.request.getproxies() else _open_http
    with opener(url, start, validator, timeout_s) as answer:
        yield answer


@contextlib.contextmanager
def _open_http(url: str, start: int, validator: str | None, timeout_s: float) -> Iterator[Answer]:
    # "identity": the bytes on the server are wanted, not a compressed transport of them.
    headers = {"User-Agent": "genet5", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise
        error.close()
        # 416 says that nothing follows byte ``start``: either all of the file is here, or it is another file.
        if error.headers.get("Content-Range", "").strip() != f"bytes */{start}":
            raise Restart("the server has fewer bytes") from error
        yield Answer(lambda size: b"", start, start)
        return
    with response:
        # If-Range needs a strong validator: a weak tag does not promise equal bytes.
        tag = response.headers.get("ETag", "")
        seen = tag if tag.startswith('"') else response.headers.get("Last-Modified")
        if response.status == 206:
            stated = response.headers.get("Content-Range", "").strip()
            found = _CONTENT_RANGE.fullmatch(stated)
            if found is None:
                raise Restart(f"Content-Range {stated[:40]!r}")
            total = None if found[2] == "*" else int(found[2])
            yield Answer(_reader(response), int(found[1]), total, seen)
        else:
            length = response.headers.get("Content-Length")
            if length and whole_number(length.strip()) is None:
                raise _Incomplete(f"the server answers with Content-Length {length[:40]!r}")
            yield Answer(_reader(response), 0, int(length) if length else None, seen)


def _reader(response: http.client.HTTPResponse) -> Callable[[int], bytes]:
    """Reads what has come, at most a block. To wait for a whole block would wait for ever where bytes drip."""
    return lambda size: response.read1(size)


@contextlib.contextmanager
def _open_ftp(url: str, start: int, validator: str | None, timeout_s: float) -> Iterator[Answer]:
    address = urllib.parse.urlsplit(url)
    path = urllib.parse.unquote(address.path).lstrip("/")
    user, password = (urllib.parse.unquote(text or "") for text in (address.username, address.password))
    with contextlib.closing(ftplib.FTP(timeout=timeout_s)) as ftp:
        ftp.connect(address.hostname or "", address.port or ftplib.FTP_PORT)
        ftp.login(user, password)
        ftp.voidcmd("TYPE I")
        try:
            total = ftp.size(path)
        except ftplib.error_perm as error:
            if str(error).startswith("550"):
                raise
            total = None  # The server has no SIZE command.
        try:
            connection = ftp.transfercmd(f"RETR {path}", rest=start or None)
        except ftplib.error_perm as error:
            if not start or str(error).startswith("550"):
                raise
            raise Restart("the server cannot begin in the middle") from error
        with connection:
            yield Answer(connection.recv, start, total)
        # Without the closing reply a transfer cut by the server would look like a whole one.
        ftp.voidresp()


def retry_after_s(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (a number, or a date), None without a usable one."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST_WAIT_S)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return min(max(moment.timestamp() - time.time(), 0.0), LONGEST_WAIT_S)


def reason_of(error: BaseException) -> str:
    inner = getattr(error, "reason", None) or error
    text = getattr(inner, "strerror", None) or str(inner)
    return " ".join(text.split()) or type(inner).__name__


class _Progress:
    """A line now and then on standard error."""

    def __init__(self, url: str) -> None:
        self._url = shown_address(url)
        self._began = self._shown = time.monotonic()
        self._first: int | None = None

    def show(self, position: int, total: int | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = position
        if now - self._shown < _PROGRESS_S and position != total:
            return
        self._shown = now
        share = f" of {total / 1e6:.1f} MB, {100 * position / total:.0f} %" if total else " MB"
        rate = (position - self._first) / max(now - self._began, 1e-9) / 1e6
        print(f"download: {self._url}: {position / 1e6:.1f}{share}, {rate:.1f} MB/s", file=sys.stderr)
