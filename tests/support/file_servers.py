"""Servers of a file over HTTP and FTP, and a hub of models, that fail where a test tells them to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest


class _WhileEntered:
    """Serves while it is entered. ``url``: its address."""

    _server: socketserver.TCPServer

    def _serve(self, server: socketserver.TCPServer) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}/genome.fna.gz"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Server(_WhileEntered):
    """One file over HTTP. ``script`` holds one action per request, and the file is served properly once it is used up.

    An action is ``("cut", bytes)``: close after that many; ``("status", code, headers)``; with ``"whole"`` in it the
    answer is 200 and starts at byte 0 whatever the Range.
    """

    def __init__(self, content: bytes, *script: tuple, etag: str | None = '"v1"') -> None:
        self.content, self.script, self.etag = content, list(script), etag
        self.ranges: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                server.answer(self)

            def do_HEAD(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()

        self._serve(ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        action = self.script.pop(0) if self.script else ("serve",)
        if action[0] == "status":
            request.send_response(action[1])
            for name, value in action[2].items():
                request.send_header(name, value)
            request.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and "whole" not in action else 0
        if request.headers.get("If-Range", self.etag) != self.etag:
            start = 0
        if start and start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag:
            request.send_header("ETag", self.etag)
        request.send_header("Content-Length", str(len(self.content) - start))
        request.end_headers()
        end = start + action[1] if action[0] == "cut" else len(self.content)
        request.wfile.write(self.content[start:end])


class FtpHandler(socketserver.StreamRequestHandler):
    """As much of RFC 959 as a passive download needs."""

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        self.say("220 ready")
        start, data = 0, None
        for line in self.rfile:
            command, _, argument = line.decode().strip().partition(" ")
            self.server.seen.append((command, argument))
            if command == "PASV":
                data = socket.create_server(("127.0.0.1", 0))
                high, low = divmod(data.getsockname()[1], 256)
                self.say(f"227 entering (127,0,0,1,{high},{low})")
            elif command == "REST" and self.server.can_rest:
                start = int(argument)
                self.say("350 ok")
            elif command in ("SIZE", "RETR") and argument != "genomes/x.gz":
                self.say("550 no such file")
            elif command == "SIZE":
                self.say(f"213 {len(self.server.content)}")
            elif command == "RETR":
                self.say("150 coming")
                cut = self.server.cuts.pop(0) if self.server.cuts else None
                connection, _ = data.accept()
                connection.sendall(
                    self.server.content[start:] if cut is None else self.server.content[start : start + cut]
                )
                connection.close()
                data.close()
                self.say("226 done" if cut is None else "426 aborted")
            else:
                self.say({"USER": "331 password", "PASS": "230 in", "TYPE": "200 ok"}.get(command, "502 unknown"))


@contextlib.contextmanager
def ftp_server(content: bytes, *cuts: int, can_rest: bool = True) -> Iterator[tuple[str, list]]:
    """An address of one file over FTP, and the list of commands that came. ``cuts``: bytes sent before closing."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), FtpHandler) as server:
        server.daemon_threads, server.content, server.seen = True, content, []
        server.cuts, server.can_rest = list(cuts), can_rest
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"ftp://127.0.0.1:{server.server_address[1]}/genomes/x.gz", server.seen
        server.shutdown()


class Hub(_WhileEntered):
    """A Hugging Face hub with one repository, ``owner/model``, as its client asks for it.

    ``files``: content by name, at revision ``main``. ``version_2``: at revision ``v2``. ``status``: what every request
    is answered with instead, if not 0; -1 is no answer at all. ``asked``: paths of all requests. ``sent``: names of
    files whose content was sent.
    """

    repository = "owner/model"
    commits: ClassVar = {"main": "0" * 39 + "1", "v2": "0" * 39 + "2"}

    def __init__(self, files: dict[str, bytes], version_2: dict[str, bytes] | None = None) -> None:
        self.files, self.version_2, self.status = files, files if version_2 is None else version_2, 0
        self.asked: list[str] = []
        self.sent: list[str] = []
        hub, self._ended = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                pass

            def do_HEAD(self) -> None:
                hub.answer(self, False)

            def do_GET(self) -> None:
                hub.answer(self, True)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler, with_body: bool) -> None:
        path = request.path.partition("?")[0]
        self.asked.append(path)
        if self.status == -1:
            self._ended.wait()
            return
        status, headers, body = (self.status, {}, b"") if self.status else self._found(path)
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if with_body:
            request.wfile.write(body)
            self.sent += [path.rpartition("/")[2]] if "ETag" in headers else []

    def _found(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        api, _, rest = path.removeprefix("/").partition(f"{self.repository}")
        parts = rest.strip("/").split("/")
        if api not in ("api/models/", "") or self.repository not in path:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        revision = parts[1] if len(parts) > 1 else "main"
        commit = self.commits.get(revision, revision)
        files = {self.commits["main"]: self.files, self.commits["v2"]: self.version_2}.get(commit)
        if files is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        numbers = {name: hashlib.sha1(content).hexdigest() for name, content in files.items()}
        if parts[0] == "tree":
            found: Any = [
                {"type": "file", "path": name, "size": len(files[name]), "oid": number}
                for name, number in numbers.items()
            ]
        elif api:
            siblings = [{"rfilename": name} for name in files]
            found = {"id": self.repository, "modelId": self.repository, "sha": commit, "siblings": siblings}
        elif parts[-1] in files:
            return 200, {"X-Repo-Commit": commit, "ETag": f'"{numbers[parts[-1]]}"'}, files[parts[-1]]
        else:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        super().__exit__(*exception)

    def environment(self, cache: Path) -> dict[str, str]:
        """Variables of a process that shall meet this hub."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}

    def meet(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        """Let this process meet it: the client has read its variables already."""
        from huggingface_hub import constants

        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, self.url)
        for name, value in (
            ("ENDPOINT", self.url),
            ("HUGGINGFACE_CO_URL_TEMPLATE", template),
            ("HF_HUB_CACHE", str(cache)),
            ("HF_HUB_OFFLINE", False),
        ):
            monkeypatch.setattr(constants, name, value)


class RudeServer(_WhileEntered):
    """A server that answers each request with these raw bytes, piece by piece, ``pause_s`` apart, then closes.

    endless: the last piece is sent again and again until the client has enough.
    """

    def __init__(self, *pieces: bytes, pause_s: float = 0.0, endless: bool = False) -> None:
        self.requests = 0
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                server.requests += 1
                while self.rfile.readline().strip():
                    pass
                with contextlib.suppress(OSError):
                    for piece in pieces:
                        self.wfile.write(piece)
                        time.sleep(pause_s)
                    while endless:
                        self.wfile.write(pieces[-1])
                        time.sleep(pause_s)

        made = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        made.daemon_threads = True
        self._serve(made)


class DrippingServer(_WhileEntered):
    """A server of a megabyte that knows ranges and sends a byte at a time, ``pause_s`` apart."""

    SIZE = 1_000_000

    def __init__(self, pause_s: float) -> None:
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
                self.send_response(206 if first else 200)
                if first:
                    self.send_header("Content-Range", f"bytes {first}-{server.SIZE - 1}/{server.SIZE}")
                self.send_header("Content-Length", str(server.SIZE - first))
                self.end_headers()
                with contextlib.suppress(OSError):
                    while True:
                        self.wfile.write(b"a")
                        time.sleep(pause_s)

            def log_message(self, *_: object) -> None:
                pass

        self._serve(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
