"""Downloads against servers that cut, refuse, stall and lie."""

from __future__ import annotations

import email.utils
import fcntl
import gzip
import hashlib
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest
from file_servers import Server, ftp_server

from genet5.errors import InputError
from genet5.sources.download import fetch
from genet5.sources.http import _receive, open_part

PLAIN = b">chr1\n" + bytes(random.Random(0).choices(b"ACGT", k=300_000)) + b"\n"
PACKED = gzip.compress(PLAIN, mtime=1)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def get(tmp_path: Path, naps: list[float]) -> Callable[..., Path]:
    def run(source: str, name: str = "fna.gz", **options: object) -> Path:
        fetch(source, tmp_path / name, sleep=naps.append, **options)
        return tmp_path / name

    return run


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_plain_success(get: Callable[..., Path], tmp_path: Path, naps: list[float]) -> None:
    with Server(PACKED) as server:
        output = get(server.url, sha256=sha256(PACKED).upper())
    assert output.read_bytes() == PACKED
    assert left(tmp_path) == ["fna.gz"]
    assert naps == []


def test_a_cut_connection_is_continued_where_it_broke(get: Callable[..., Path], naps: list[float]) -> None:
    with Server(PACKED, ("cut", 10_000), ("cut", 20_000)) as server:
        output = get(server.url)
    assert output.read_bytes() == PACKED
    assert server.ranges == [None, "bytes=10000-", "bytes=30000-"]
    assert len(naps) == 2


def test_waits_grow_and_stay_random(get: Callable[..., Path], naps: list[float]) -> None:
    with Server(PACKED, *[("status", 500, {})] * 4) as server:
        get(server.url)
    assert all(0.5 * 2**n <= nap <= 1.5 * 2**n for n, nap in enumerate(naps))
    assert len(naps) == 4


def test_retry_after_is_obeyed(get: Callable[..., Path], naps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    soon = email.utils.formatdate(now + 40, usegmt=True)
    never = {"Retry-After": "999999"}
    with Server(
        PACKED, ("status", 503, {"Retry-After": "7"}), ("status", 429, {"Retry-After": soon}), ("status", 503, never)
    ) as server:
        output = get(server.url)
    assert output.read_bytes() == PACKED
    assert naps[0] == 7
    assert 39 <= naps[1] <= 40  # the header has no fractions of seconds
    assert naps[2] == 300


def test_404_fails_at_once(get: Callable[..., Path], tmp_path: Path, naps: list[float]) -> None:
    with Server(PACKED, ("status", 404, {})) as server, pytest.raises(InputError) as error:
        get(server.url)
    assert str(error.value) == f"{server.url}: HTTP 404 Not Found"
    assert (len(server.ranges), naps, left(tmp_path)) == (1, [], [])


def test_retries_end_and_the_bytes_are_kept_for_the_next_run(
    get: Callable[..., Path], tmp_path: Path, naps: list[float]
) -> None:
    with Server(PACKED, ("cut", 5_000), *[("status", 502, {})] * 3) as server:
        with pytest.raises(InputError, match=r"failed after 3 attempts, the last: HTTP 502 .*5000 bytes are kept"):
            get(server.url, retries=2)
        assert left(tmp_path) == ["fna.gz.part"]
        output = get(server.url)
    assert output.read_bytes() == PACKED
    assert server.ranges[-1] == "bytes=5000-"
    assert left(tmp_path) == ["fna.gz"]


def test_retries_count_attempts_without_progress(get: Callable[..., Path]) -> None:
    with Server(PACKED, *[("cut", 9_000)] * 5) as server:
        assert get(server.url, retries=1).read_bytes() == PACKED


def test_a_server_that_always_starts_over_is_given_up(get: Callable[..., Path]) -> None:
    with Server(PACKED, *[("cut", 9_000, "whole")] * 9) as server:
        with pytest.raises(InputError, match="failed after 4 attempts"):
            get(server.url, retries=3)
    assert server.ranges == [None] + ["bytes=9000-"] * 3


def test_part_left_from_earlier_is_continued(get: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "fna.gz.part").write_bytes(PACKED[:7_000])
    with Server(PACKED) as server:
        output = get(server.url)
    assert server.ranges == ["bytes=7000-"]
    assert output.read_bytes() == PACKED


def test_complete_part_left_from_earlier_needs_no_bytes(get: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "fna.gz.part").write_bytes(PACKED)
    with Server(PACKED) as server:
        output = get(server.url)
    assert server.ranges == [f"bytes={len(PACKED)}-"]
    assert output.read_bytes() == PACKED


@pytest.mark.parametrize(
    "stale",
    [gzip.compress(b"another genome" * 9_000)[:90], b"x" * 999, PACKED + b"longer"],
    ids=["start of another file", "no archive", "longer"],
)
@pytest.mark.parametrize("checked", [True, False])
def test_part_of_another_file_does_not_spoil_the_download(
    get: Callable[..., Path], tmp_path: Path, stale: bytes, checked: bool
) -> None:
    (tmp_path / "fna.gz.part").write_bytes(stale)
    with Server(PACKED) as server:
        output = get(server.url, sha256=sha256(PACKED) if checked else None)
    assert output.read_bytes() == PACKED
    assert left(tmp_path) == ["fna.gz"]


def test_unverifiable_part_is_not_continued(get: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "fna.part").write_bytes(PLAIN[:100])
    with Server(PLAIN) as server:
        output = get(server.url, name="fna")
    assert server.ranges == [None]
    assert output.read_bytes() == PLAIN


def test_server_without_ranges_starts_over(get: Callable[..., Path]) -> None:
    with Server(PACKED, ("cut", 10_000), ("whole",)) as server:
        output = get(server.url)
    assert server.ranges == [None, "bytes=10000-"]
    assert output.read_bytes() == PACKED


def test_file_changed_between_attempts_starts_over(get: Callable[..., Path]) -> None:
    newer = gzip.compress(PLAIN[::-1])

    class Changing(Server):
        def answer(self, request: object) -> None:
            super().answer(request)
            self.content, self.etag = newer, '"v2"'

    with Changing(PACKED, ("cut", 10_000)) as server:
        output = get(server.url)
    assert output.read_bytes() == newer


def test_wrong_sha256_leaves_nothing(get: Callable[..., Path], tmp_path: Path) -> None:
    with Server(PACKED) as server, pytest.raises(InputError) as error:
        get(server.url, sha256="0" * 64)
    assert str(error.value) == f"{server.url}: sha256 is {sha256(PACKED)}, expected {'0' * 64}"
    assert left(tmp_path) == []


@pytest.mark.parametrize("digest", ["abc", "z" * 64])
def test_malformed_sha256_is_named(get: Callable[..., Path], digest: str) -> None:
    with pytest.raises(InputError, match="is not 64 hexadecimal digits"):
        get("/nowhere", sha256=digest)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PACKED[:-20], "truncated gzip"),
        (PACKED[:50] + b"\xff" * 40 + PACKED[90:], "damaged gzip"),
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>please log in</html>", "an HTML or XML page"),
        (b"PK\x03\x04zipped", "packed with zip"),
    ],
)
@pytest.mark.parametrize("remote", [True, False])
def test_content_that_is_no_genome_archive(
    get: Callable[..., Path], tmp_path: Path, content: bytes, message: str, remote: bool
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "x").write_bytes(content)
    with Server(content) as server:
        source = server.url if remote else str(folder / "x")
        with pytest.raises(InputError) as error:
            get(source)
    assert str(error.value).startswith(f"{source}: {message}")
    assert left(tmp_path) == ["server"]


@pytest.mark.parametrize("remote", [True, False])
def test_plain_source_is_compressed_the_same_way_every_time(
    get: Callable[..., Path], tmp_path: Path, remote: bool
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "x.fna").write_bytes(PLAIN)
    with Server(PLAIN) as server:
        source = server.url if remote else (folder / "x.fna").as_uri()
        first = get(source, name="a.gz", sha256=sha256(PLAIN)).read_bytes()
        second = get(source, name="b.gz").read_bytes()
        unpacked = get(source, name="c.fna").read_bytes()
    assert first == second
    assert first[4:8] == b"\0\0\0\0"  # RFC 1952: MTIME
    assert gzip.decompress(first) == unpacked == PLAIN
    assert left(tmp_path) == ["a.gz", "b.gz", "c.fna", "server"]


def test_refused_connection_is_retried(get: Callable[..., Path], naps: list[float], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x.gz"
        with pytest.raises(InputError, match=r"failed after 3 attempts, the last: Connection refused"):
            get(url, retries=2)
    assert len(naps) == 2
    assert left(tmp_path) == []


def test_stalled_connection_times_out(get: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.gz"
        with pytest.raises(InputError, match="timed out"):
            get(url, retries=0, timeout_s=0.2)


@pytest.mark.parametrize("source", ["s3://bucket/x.gz", "sftp://host/x", "data:,ACGT", "gopher://x/y"])
def test_other_schemes_are_refused_with_the_allowed_ones(get: Callable[..., Path], source: str) -> None:
    with pytest.raises(InputError) as error:
        get(source)
    for allowed in ("https://", "http://", "ftp://", "file://", "package:", "a path"):
        assert allowed in str(error.value)


def test_paths_and_file_urls(
    get: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: list[float]
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "x:1.fna.gz").write_bytes(PACKED)
    monkeypatch.chdir(folder)
    for source in ("x:1.fna.gz", str(folder / "x:1.fna.gz"), (folder / "x:1.fna.gz").as_uri()):
        assert get(source, sha256=sha256(PACKED)).read_bytes() == PACKED
    assert (folder / "x:1.fna.gz").read_bytes() == PACKED
    for source, message in [
        ("absent.gz", "absent.gz: no such file"),
        (str(folder), "is a directory, expected a file"),
        ("file://host/x", "names the host 'host'"),
        ("", "source: empty"),
    ]:
        with pytest.raises(InputError, match=message):
            get(source)
    with pytest.raises(InputError, match="is a directory, expected the name of the file to write"):
        fetch("x:1.fna.gz", folder)
    assert naps == []


def test_package_sources_without_importing_the_package(tmp_path: Path, repository: Path) -> None:
    command = (
        "import sys\n"
        "from genet5.sources.download import fetch\n"
        "fetch('package:pyrodigal/tests/data/GCF_001457455.1_NCTC11397_genomic_100kb.fna.gz', sys.argv[1])\n"
        "assert 'pyrodigal' not in sys.modules\n"
    )
    output = tmp_path / "fna.gz"
    subprocess.run([sys.executable, "-c", command, output], check=True, cwd=repository / "scripts")
    assert gzip.decompress(output.read_bytes()).startswith(b">")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("package:no_such_package/x", "the Python package 'no_such_package' is not installed here"),
        ("package:pyrodigal/absent.gz", "no such file (.*absent.gz)"),
        ("package:pyrodigal/../secret", "expected package:NAME/path/in/package"),
        ("package:pyrodigal", "expected package:NAME/path/in/package"),
        ("package:pyrodigal/tests", "is a directory"),
        ("package:__main__/x", "not installed here"),
    ],
)
def test_wrong_package_sources(get: Callable[..., Path], source: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        get(source)


def test_two_downloads_of_one_file_do_not_mix(get: Callable[..., Path], tmp_path: Path) -> None:
    with open_part(tmp_path / "fna.gz.part"), Server(PACKED) as server:
        with pytest.raises(InputError, match="another process is downloading this file"):
            get(server.url)
    assert left(tmp_path) == []


def test_a_download_that_another_one_has_just_finished_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this process waited for the lock, the other one moved the file away, or a third began anew."""
    part, locked = tmp_path / "fna.gz.part", fcntl.flock
    for left_behind in (None, b"of a third"):

        def lock(stream: IO[bytes], kind: int, left_behind: bytes | None = left_behind) -> None:
            part.unlink()
            if left_behind:
                part.write_bytes(left_behind)
            locked(stream, kind)

        monkeypatch.setattr(fcntl, "flock", lock)
        with pytest.raises(InputError, match="another process has just finished downloading this file"):
            with open_part(part):
                pass


@pytest.mark.parametrize("can_rest", [True, False])
def test_ftp_is_continued_where_the_server_can(
    get: Callable[..., Path], can_rest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ftp_proxy", "FTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ftp_server(PACKED, 8_000, can_rest=can_rest) as (url, seen):
        output = get(url, sha256=sha256(PACKED))
    assert output.read_bytes() == PACKED
    assert ("REST", "8000") in seen
    assert ("USER", "anonymous") in seen


def test_ftp_missing_file_fails_at_once(get: Callable[..., Path], naps: list[float], tmp_path: Path) -> None:
    with ftp_server(PACKED) as (url, _), pytest.raises(InputError, match="FTP server answers 550 no such file"):
        get(url.replace("x.gz", "y.gz"))
    assert (naps, left(tmp_path)) == ([], [])


def test_script(tmp_path: Path, repository: Path) -> None:
    script = [sys.executable, repository / "scripts" / "download.py"]
    usage = subprocess.run([*script, "--help"], capture_output=True, text=True, check=True).stdout
    for flag in ("--source", "--output", "--sha256", "--retries", "--timeout-s"):
        assert flag in usage
    with Server(PACKED, ("cut", 100)) as server:
        output = tmp_path / "new" / "folder" / "fna.gz"
        done = subprocess.run(
            [*script, "--source", server.url, "--output", output, "--sha256", sha256(PACKED), "--retries", "1"],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == PACKED
    assert "retry 1 of 1" in done.stderr


def test_a_part_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"x\.part: cannot be written \(File exists\)"),
        open_part(tmp_path / "file" / "x.part"),
    ):
        pytest.fail("there is nothing to write to")


def test_a_disk_that_is_full_is_one_line() -> None:
    answer = SimpleNamespace(start=0, total=None, read=lambda size: b"ACGT")
    with (
        Path("/dev/full").open("wb", buffering=0) as part,
        pytest.raises(InputError, match=r"^/dev/full: cannot be written \(No space left on device\)$"),
    ):
        _receive(answer, part, None, 5)
