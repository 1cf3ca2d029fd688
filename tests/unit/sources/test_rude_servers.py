"""Downloads from servers that lie: each ends, after pauses, and no message has a password."""

from __future__ import annotations

import tempfile

import pytest
from file_servers import DrippingServer, RudeServer

from genet5.errors import InputError
from genet5.sources import http
from genet5.sources.http import shown_address, transfer
from genet5.sources.streams import ByteStream

RETRIES = 3


def attempts(
    server: RudeServer | DrippingServer, already: bytes = b"", timeout_s: float = 5.0, url: str = ""
) -> tuple[int, str, list]:
    """Requests until the transfer is given up, its message, and the pauses between them."""
    naps: list[float] = []
    with tempfile.TemporaryFile("ab+") as part:
        part.write(already)
        part.flush()
        with pytest.raises(InputError) as refused:
            transfer(url or server.url, part, retries=RETRIES, timeout_s=timeout_s, sleep=naps.append)
    return server.requests, str(refused.value), naps


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"206 Partial\r\nContent-Range: bytes 3-x/9", id="malformed Content-Range"),
        pytest.param(b"206 Partial\r\nContent-Range: bytes 7-8/9", id="another range"),
        pytest.param(b"206 Partial", id="no Content-Range"),
        pytest.param(b"206 Partial\r\nContent-Range: bytes 3-8/2", id="range beyond the file"),
        pytest.param(b"200 OK\r\nContent-Length: -5", id="negative length"),
        pytest.param(b"200 OK\r\nContent-Length: +5", id="signed length"),
        pytest.param(b"200 OK\r\nContent-Length: many", id="length in words"),
        pytest.param(b"200 OK\r\nContent-Length: 999", id="length too long"),
    ],
)
def test_an_answer_that_makes_no_sense_is_given_up(head: bytes) -> None:
    with RudeServer(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n\r\nabcdef") as server:
        requests, message, naps = attempts(server, already=b"xyz")
    assert RETRIES < requests <= 2 * RETRIES + 2
    assert len(naps) == requests - 1 and all(nap > 0 for nap in naps)
    assert "download failed after" in message and "\n" not in message


def test_a_server_whose_bytes_drip_is_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n"
    with RudeServer(head, b"a", pause_s=0.01, endless=True) as server:
        requests, message, naps = attempts(server, timeout_s=0.05)
    assert requests == RETRIES + 1 and len(naps) == RETRIES
    assert "the server drips" in message


def test_a_drip_that_goes_on_where_it_stopped_is_given_up_too() -> None:
    """Every answer brings bytes, so each one is progress."""
    with DrippingServer(pause_s=0.01) as server:
        requests, message, naps = attempts(server, timeout_s=0.05)
    assert requests == RETRIES + 1 and len(naps) == RETRIES
    assert "the server drips" in message and "bytes are kept, the same command continues" in message


def test_a_body_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 300_000)
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with RudeServer(head, b"a" * 50_000, endless=True) as server:
        requests, message, _ = attempts(server)
    assert requests == 1
    assert "more than" in message


@pytest.mark.parametrize("answer", [b"404 Not Found", b"500 Broken", b"200 OK\r\nContent-Length: -1"])
def test_no_message_has_user_password_and_query(answer: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with RudeServer(b"HTTP/1.1 " + answer + b"\r\nConnection: close\r\n\r\n") as server:
        url = server.url.replace("//", "//ada:s3cret@") + "?token=t0ken#fr4gment"
        _, message, _ = attempts(server, url=url)
        with ByteStream(url, 10, "manifest.json", sleep=lambda _: None) as stream, pytest.raises(InputError) as refused:
            stream.read()
    said = message + str(refused.value) + "".join(capsys.readouterr())
    assert "/genome.fna.gz" in said
    assert not [secret for secret in ("ada", "s3cret", "t0ken", "fr4gment") if secret in said]


def test_an_address_is_shown_without_secrets() -> None:
    assert shown_address("ftp://u:p@host:21/a/b.gz?x=1#y") == "ftp://host:21/a/b.gz"
    assert shown_address("https://host/a") == "https://host/a"
    assert shown_address("http://u:p@[broken/a?x") == "[broken/a"
