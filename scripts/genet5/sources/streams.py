"""The bytes of a file behind an address, read once from first to last, while connections may break in between."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import random
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from genet5.errors import InputError
from genet5.sources.http import (
    BLOCK_BYTES,
    RETRIED_STATUS,
    Answer,
    Restart,
    open_url,
    reason_of,
    retry_after_s,
    shown_address,
    without_secrets,
)

ALLOWED_ADDRESSES = "http://, https://, s3://, pipe:COMMAND, or a path"
RETRIES = 5
"""Failed attempts in a row, without a byte of progress, before a stream is given up."""

_LONGEST_WAIT_S = 30.0
_TIMEOUT_S = 60.0
_NO_SUCH_COMMAND = (126, 127)
_JITTER = random.SystemRandom()  # its own: training seeds the common generator


class _Broken(OSError):
    """The bytes ended too early, and another attempt may bring the rest."""


class ByteStream:
    """A file of ``size`` bytes behind ``address``, for one reader.

    address: http(s)://, s3:// (through the program ``aws``), ``pipe:COMMAND`` (what a shell command writes), or a path.
    stated_by: whoever says that it has this size, for messages. A broken connection is opened again where it broke:
    http continues at that byte, a command is run again and what is known is skipped. ``digest`` is the sha256 of what
    was read. ``failure`` is the message of the InputError that ended the stream, else empty.
    """

    def __init__(self, address: str, size: int, stated_by: str, sleep: Callable[[float], None] | None = None) -> None:
        self.address, self.size, self.stated_by = address, size, stated_by
        # Of an address in the network without user, password and query; a command is shown as the user wrote it.
        is_command = address.startswith("pipe:")
        self._shown = shown_address(address) if "://" in address and not is_command else address
        self.position = 0
        self.failure = ""
        self._sleep = sleep or time.sleep
        self._failures = 0
        self._digest = hashlib.sha256()
        self._opened = contextlib.ExitStack()
        self._answer: Answer | None = None

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        """The next bytes, at most ``size``; none at the end.

        Raises InputError for an address that does not exist, another size than stated, and retries that are used up.
        """
        while True:
            try:
                block = self._next_block(size)
                break
            except InputError as error:
                self.close()
                self.failure = str(error)
                raise
            except urllib.error.HTTPError as error:
                error.close()
                reason, wait_s = f"HTTP {error.code} {error.reason}", retry_after_s(error.headers.get("Retry-After"))
                if error.code not in RETRIED_STATUS:
                    self._fail(reason)
            except Restart as restart:
                self._fail(f"the server cannot continue at byte {self.position} ({restart}); has the file changed?")
            except (ValueError, http.client.InvalidURL) as error:
                self._fail(f"not a usable address ({error})")
            except (OSError, http.client.HTTPException) as error:
                reason, wait_s = reason_of(error), None
                if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
                    self._fail(reason)
            self._retry(reason, wait_s)
        if block:
            self._failures = 0
            self.position += len(block)
            self._digest.update(block)
        return block

    def close(self) -> None:
        """End the connection or the command; nothing can be read afterwards but from its start."""
        self._answer = None
        self._opened.close()

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _next_block(self, size: int) -> bytes:
        if self._answer is None:
            self._answer = self._opened.enter_context(_open(self.address, self.position))
            total = self._answer.total
            if total is not None and total != self.size:
                self._fail(f"{total} bytes, {self.stated_by} says {self.size}")
            self._skip(self._answer)
        try:
            block = self._answer.read(size)
        except _Broken:
            if self.position < self.size:
                raise
            block = b""  # everything came: how the command ended does not matter
        if self.position + len(block) > self.size:
            self._fail(f"more than {self.size} bytes, {self.stated_by} says {self.size}")
        if not block and self.position < self.size:
            found = f"ended after {self.position} of {self.size} bytes"
            if self._answer.total is not None:
                raise _Broken(found)
            self._fail(f"{found} that {self.stated_by} says")
        return block

    def _skip(self, answer: Answer) -> None:
        """Read again what is known, where the source cannot start in the middle."""
        position = answer.start
        if position > self.position:
            raise Restart("bytes beyond the asked ones came")
        while position < self.position:
            block = answer.read(min(BLOCK_BYTES, self.position - position))
            if not block:
                raise _Broken(f"ended after {position} of {self.size} bytes")
            position += len(block)

    def _retry(self, reason: str, wait_s: float | None) -> None:
        """Wait before the next attempt; InputError when there is none."""
        self.close()
        self._failures += 1
        if self._failures > RETRIES:
            self._fail(f"given up after {self._failures} attempts, the last: {reason}")
        if wait_s is None:
            wait_s = min(2.0 ** (self._failures - 1), _LONGEST_WAIT_S) * _JITTER.uniform(0.5, 1.5)
        print(
            f"stream: {self._shown}: {reason}; retry {self._failures} of {RETRIES} in {wait_s:.1f} s",
            file=sys.stderr,
            flush=True,
        )
        self._sleep(wait_s)

    def _fail(self, reason: str) -> NoReturn:
        self.close()
        self.failure = f"{self._shown}: {without_secrets(reason, self.address)}"
        raise InputError(self.failure)


def check_address(address: str, where: str = "") -> None:
    """Raise InputError, which starts with ``where``, for an address of a kind that `ByteStream` does not know."""
    scheme, mark, rest = address.partition("://")
    known = not mark or scheme.lower() in ("http", "https", "s3")
    if not address.startswith("pipe:") and not (known and (rest or not mark)):
        raise InputError(f"{where}{address}: not an address of shards, allowed: {ALLOWED_ADDRESSES}")


@contextlib.contextmanager
def _open(address: str, start: int) -> Iterator[Answer]:
    check_address(address)
    if address.startswith("pipe:"):
        opened = _open_command(address, address.removeprefix("pipe:"))
    elif address.lower().startswith("s3://"):
        if not shutil.which("aws"):
            raise InputError(f"{address}: needs the program aws (AWS CLI), which is not there; or use pipe:COMMAND")
        opened = _open_command(address, f"aws s3 cp --only-show-errors {shlex.quote(address)} -")
    elif "://" in address:
        opened = open_url(address, start, None, _TIMEOUT_S)
    else:
        opened = _open_file(address, start)
    with opened as answer:
        yield answer


@contextlib.contextmanager
def _open_file(path: str, start: int) -> Iterator[Answer]:
    try:
        stream = Path(path).open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    with stream:
        stream.seek(start)
        yield Answer(stream.read, start, os.fstat(stream.fileno()).st_size)


@contextlib.contextmanager
def _open_command(address: str, command: str) -> Iterator[Answer]:
    # A shell line of the user's own configuration (pipe:). In a session of its own: Ctrl-C must not end it before
    # training has saved what it has.
    process = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, start_new_session=True)

    def read(size: int) -> bytes:
        block = process.stdout.read(size)
        if not block and (status := process.wait()):
            message = f"the command ended with exit status {status}"
            if status in _NO_SUCH_COMMAND:
                raise InputError(f"{address}: {message}")
            raise _Broken(message)
        return block

    with process.stdout:
        try:
            yield Answer(read, 0, None)
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
