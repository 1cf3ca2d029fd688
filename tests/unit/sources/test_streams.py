"""Streams of bytes: broken connections go on where they broke; what cannot be mended is one line with the address."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from file_servers import Server

from genet5.errors import InputError
from genet5.sources.streams import RETRIES, ByteStream

CONTENT = np.random.default_rng(1).bytes(3_000_000)
SIZE = len(CONTENT)


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def read(naps: list[float]) -> Callable[..., bytes]:
    """Reads a stream to its end and checks that the digest is that of the bytes."""

    def to_end(address: str, size: int = SIZE, block: int = 10_000) -> bytes:
        with ByteStream(address, size, "m.json", naps.append) as stream:
            found = b"".join(iter(lambda: stream.read(block), b""))
            assert stream.digest == hashlib.sha256(found).hexdigest()
        return found

    return to_end


def message(read: Callable[..., bytes], address: str, size: int = SIZE) -> str:
    with pytest.raises(InputError) as caught:
        read(address, size)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(address)
    return str(caught.value).removeprefix(address)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train_000.tar"
    path.write_bytes(CONTENT)
    return path


def test_each_kind_of_address_gives_the_bytes(
    read: Callable[..., bytes], file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = tmp_path / "bin/aws"
    aws.parent.mkdir()
    aws.write_text(f'#!/bin/sh\n[ "$*" = "s3 cp --only-show-errors s3://bucket/a b.tar -" ] && cat {file}\n')
    aws.chmod(0o755)
    monkeypatch.setenv("PATH", str(aws.parent), prepend=":")
    with Server(CONTENT) as server:
        for address in (str(file), f"pipe:cat {file}", server.url, "s3://bucket/a b.tar"):
            assert read(address) == CONTENT, address


def test_a_broken_connection_goes_on_where_it_broke(read: Callable[..., bytes], naps: list[float]) -> None:
    with Server(CONTENT, ("cut", 1_000_000), ("status", 503, {"Retry-After": "7"}), ("cut", 500)) as server:
        assert read(server.url) == CONTENT
    assert server.ranges == [None, "bytes=1000000-", "bytes=1000000-", "bytes=1000500-"]
    assert len(naps) == 3 and naps[1] == 7


def test_a_server_that_always_starts_at_the_first_byte_is_read_all_the_same(read: Callable[..., bytes]) -> None:
    with Server(CONTENT, ("cut", 1_000_000), ("serve", "whole")) as server:
        assert read(server.url) == CONTENT


def test_a_command_that_fails_is_run_again(read: Callable[..., bytes], file: Path, naps: list[float]) -> None:
    first = file.parent / "first"
    failing = f"if [ -e {first} ]; then cat {file}; else touch {first}; head -c 700000 {file}; exit 3; fi"
    assert read(f"pipe:{failing}") == CONTENT
    assert len(naps) == 1


def test_retries_count_attempts_without_progress(read: Callable[..., bytes], naps: list[float]) -> None:
    with Server(CONTENT, *[("cut", 10_000)] * (2 * RETRIES)) as server:
        assert read(server.url) == CONTENT
    with Server(CONTENT, *[("status", 502, {})] * 99) as server:
        assert message(read, server.url) == f": given up after {RETRIES + 1} attempts, the last: HTTP 502 Bad Gateway"
    assert len(server.ranges) == RETRIES + 1


def test_what_no_repetition_mends_fails_at_once(read: Callable[..., bytes], file: Path, naps: list[float]) -> None:
    with Server(CONTENT, ("status", 404, {})) as server:
        assert message(read, server.url) == ": HTTP 404 Not Found"
    assert message(read, f"{file}x") == ": cannot be read (No such file or directory)"
    assert message(read, "pipe:no_such_program 2> /dev/null") == ": the command ended with exit status 127"
    allowed = "http://, https://, s3://, pipe:COMMAND, or a path"
    assert message(read, "ftp://host/x") == f": not an address of shards, allowed: {allowed}"
    assert message(read, "http://host:port/x").startswith(": not a usable address (")
    assert message(read, "http://") == f": not an address of shards, allowed: {allowed}"
    assert naps == []


def test_a_file_of_another_size_is_never_taken_for_whole(
    read: Callable[..., bytes], file: Path, naps: list[float]
) -> None:
    cut = CONTENT[:-1000]
    with Server(cut) as server:
        assert message(read, server.url) == f": {SIZE - 1000} bytes, m.json says {SIZE}"
    file.write_bytes(cut)
    assert message(read, str(file)) == f": {SIZE - 1000} bytes, m.json says {SIZE}"
    piped = f"pipe:cat {file}"
    assert message(read, piped) == f": ended after {SIZE - 1000} of {SIZE} bytes that m.json says"
    assert message(read, piped, SIZE - 2000) == f": more than {SIZE - 2000} bytes, m.json says {SIZE - 2000}"
    assert naps == []


def test_s3_without_its_program_is_one_line(read: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert message(read, "s3://bucket/x.tar") == (
        ": needs the program aws (AWS CLI), which is not there; or use pipe:COMMAND"
    )


def test_an_error_ends_the_command(tmp_path: Path, naps: list[float]) -> None:
    number = tmp_path / "pid"
    command = f"pipe:echo $$ > {number}; trap '' PIPE; while :; do echo y; done"
    stream = ByteStream(command, 5, "m.json")
    with pytest.raises(InputError):
        while stream.read(4):
            pass
    assert not psutil.pid_exists(int(number.read_text()))
    assert not naps


def test_a_command_that_is_not_read_to_its_end_is_ended(tmp_path: Path) -> None:
    number = tmp_path / "pid"
    with ByteStream(f"pipe:echo $$ > {number}; trap '' PIPE; while :; do echo y; done", 10**12, "m.json") as stream:
        assert stream.read(4) == b"y\ny\n"
        assert psutil.pid_exists(int(number.read_text()))
    assert not psutil.pid_exists(int(number.read_text()))
