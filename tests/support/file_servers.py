"""Servers of one file, over HTTP and FTP, that cut connections and answer what a test tells them to."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
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

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/genome.fna.gz"

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

    def __enter__(self) -> Server:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.shutdown()
        self._http.server_close()


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
