"""An HTTP server between the store and the real one, whose answers a test decides request by request."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: (method, path, body, forward) → status and JSON body; None = the connection breaks. `forward(body)` asks the server.
Forward = Callable[[bytes], tuple[int, bytes]]
Decide = Callable[[str, str, bytes, Forward], "tuple[int, bytes] | None"]

REFUSED = {"type": "es_rejected_execution_exception", "reason": "rejected execution: queue capacity reached"}


def error(status: int, kind: str = "es_rejected_execution_exception", why: str = "injected") -> tuple[int, bytes]:
    """An answer of the server's shape."""
    return status, json.dumps({"error": {"type": kind, "reason": why}, "status": status}).encode()


class Between(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, target: str, decide: Decide) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.decide = decide
        self.bulks: list[int] = []  # documents of each bulk request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def between(target: str, decide: Decide) -> Iterator[Between]:
    """Serving until the end of the block."""
    server = Between(target, decide)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def items(body: bytes) -> list[bytes]:
    """The line pairs of a bulk request of creates."""
    lines = body.splitlines(keepends=True)
    return [b"".join(lines[at : at + 2]) for at in range(0, len(lines), 2)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Between
    disable_nagle_algorithm = True

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/_bulk"):
            self.server.bulks.append(len(items(body)))
        decided = self.server.decide(self.command, self.path, body, self._forward)
        if decided is None:
            self.close_connection = True
            return
        status, answer = decided
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.server.target, timeout=60)
        try:
            kept = {k: v for k, v in self.headers.items() if k.lower() in ("content-type", "accept")}
            connection.request(self.command, self.path, body or None, kept)
            got = connection.getresponse()
            return got.status, got.read()
        finally:
            connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815 (names that http.server gives)

    def log_message(self, format: str, *args: object) -> None:
        pass


def merged(kept: dict[int, Any], refused: dict[int, Any]) -> bytes:
    """One bulk answer of items by their place."""
    listed = [(kept | refused)[at] for at in range(len(kept) + len(refused))]
    return json.dumps({"errors": bool(refused), "items": listed}).encode()
